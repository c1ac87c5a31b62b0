"""What is known of an image beside its pixels: by its reader, the predictor and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medloop.core.imaging.burnt_in import Region


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What a file says beside its grey pixels, and what may be said about it."""

    kind: str = ""  # "JPEG", "PNG", "BMP", "TIFF", "WebP", "GIF" or "DICOM"
    frames: int = 1  # how many pictures the file holds
    frame: int = 0  # which of them this is
    resliced: bool = (
        False  # a volume's largest face, cut across its frames; `frame` is the middle one
    )
    technical: Mapping[str, str] = field(default_factory=dict)  # DICOM only; nothing of a patient
    warnings: tuple[str, ...] = ()  # sentences: text in the picture is likely, …
    needs_clearance: bool = False  # it may name a patient: a person has to look before it is stored
    text_regions: tuple[Region, ...] = ()  # near the border, in pixels; where there may be text
    in_colour: bool = False  # the file's picture is: the model sees its luminance alone
