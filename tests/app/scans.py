"""DICOM files whose answers a test can foresee, see `tests.app.models`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from tests.app.models import picture
from tests.hostile.corpus import dicom


def ct_stack(levels: Sequence[int], *, part: str = "CHEST", modality: str = "CT") -> bytes:
    """A slice a grey level, 64 × 64; the file's own window leaves the levels as they are."""
    pixels = np.concatenate([picture(level, seed=place) for place, level in enumerate(levels)])
    window = {
        "WindowCenter": "128",
        "WindowWidth": "256",
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
    }
    tags = {
        "Modality": modality,
        "BodyPartExamined": part,
        "NumberOfFrames": str(len(levels)),
        "Rows": 64,
    }
    return dicom(pixels, **window, **tags)
