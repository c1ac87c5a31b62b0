"""What the readers of single formats hand to `decode`, and what of it the predictor is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture out of a file."""

    pixels: np.ndarray  # uint8 [H, W], grey
    in_colour: bool = False  # the file's picture was, and only its luminance is here
    frames: int = 1
    frame: int = 0
    technical: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    needs_clearance: bool = False  # by what the file says of itself it may name a patient
    resliced: bool = False  # cut across the stored frames; `frame` is then the middle one of these


@dataclass(frozen=True, slots=True)
class About:
    """What a file says beside its grey pixels."""

    in_colour: bool = False  # they are the luminance of a picture in colour
    technical: Mapping[str, str] = field(default_factory=dict)  # a DICOM's technical tags
