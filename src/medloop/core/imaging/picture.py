"""Facts about an image beside its pixels, for its reader, the predictor and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medloop.core.imaging.burnt_in import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """Facts from the file and about it, beside its grey pixels."""

    kind: str = ""  # "JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF" or "DICOM"
    frames: int = 1  # number of pictures in the file
    frame: int = 0  # number of this picture, from 0
    resliced: bool = False  # a volume's largest face, cut across its frames; `frame` is the middle
    technical: Mapping[str, str] = field(default_factory=dict)  # DICOM only; nothing of a patient
    warnings: tuple[str, ...] = ()  # sentences: text in the picture is likely, …
    needs_clearance: bool = False  # a person has to look for names before it is stored
    text_regions: tuple[Region, ...] = ()  # possible text near the border, in pixels
    in_colour: bool = False  # of the file's picture; the model sees its luminance alone
