"""What a DICOM's technical tags say beside what the picture shows. Pure; never sees a patient's tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from medloop.app.kit.wording import class_name
from medloop.core.prediction.tag_conflicts import contradictions

Window = tuple[float, float]

AS_STORED: Final = "As the file says"
CT_WINDOWS: Final[
    Mapping[str, Window]
] = {  # centre and width in Hounsfield units, as radiology textbooks have them
    "Brain": (40, 80),
    "Soft tissue": (40, 400),
    "Liver": (60, 160),
    "Lung": (-600, 1500),
    "Bone": (480, 2500),
}


def windows(technical: Mapping[str, str]) -> dict[str, Window | None]:
    """The window presets to offer: those of CT for a CT, else only what the file says."""
    presets: dict[str, Window | None] = {AS_STORED: None}
    return presets | (dict(CT_WINDOWS) if technical.get("Modality") == "CT" else {})


def disagreements(technical: Mapping[str, str], label: str | None) -> list[str]:
    """Sentences for tags that contradict the class `label`; none where the model knows no class (None)."""
    if label is None:
        return []
    return [
        f"The file's tag {tag} says {said}, the picture looks like {class_name(label)}. "
        "One of them is wrong: please check."
        for tag, said in contradictions(technical, label).items()
    ]
