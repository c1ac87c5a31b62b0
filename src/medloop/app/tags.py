"""What a DICOM's technical tags say beside what the picture shows. Pure; never sees a patient's tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from medloop.app.verdicts import class_name

Window = tuple[float, float]

AS_STORED: Final = "As the file says"
CT_WINDOWS: Final[Mapping[str, Window]] = {  # centre and width in Hounsfield units, as radiology textbooks have them
    "Brain": (40, 80),
    "Soft tissue": (40, 400),
    "Liver": (60, 160),
    "Lung": (-600, 1500),
    "Bone": (480, 2500),
}
# A part of a class label, and what the tags Modality and BodyPartExamined may say with it.
MODALITIES: Final[Mapping[str, frozenset[str]]] = {
    "ct": frozenset({"CT"}),
    "mri": frozenset({"MR"}),
    "mr": frozenset({"MR"}),
    "cxr": frozenset({"CR", "DX", "DR", "RF", "RG"}),
    "ultrasound": frozenset({"US"}),
}
BODY_PARTS: Final[Mapping[str, frozenset[str]]] = {
    "abdomen": frozenset({
        "ABDOMEN", "ABDOMENPELVIS", "CHESTABDOMEN", "CHESTABDPELVIS", "PELVIS", "LIVER", "KIDNEY", "PANCREAS", "SPLEEN",
        "COLON", "BLADDER", "UTERUS", "PROSTATE", "AORTA", "SPINE", "LSPINE",
    }),
    "breast": frozenset({"BREAST"}),
    "chest": frozenset({
        "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "LUNG", "THORAX", "HEART", "AORTA", "RIB", "STERNUM", "SPINE",
        "TSPINE",
    }),
    "cxr": frozenset({"CHEST", "CHESTABDOMEN", "LUNG", "THORAX", "HEART", "RIB", "STERNUM"}),
    "hand": frozenset({"HAND", "FINGER", "WRIST", "THUMB", "EXTREMITY"}),
    "head": frozenset({
        "HEAD", "BRAIN", "SKULL", "HEADNECK", "FACE", "SINUS", "ORBIT", "EYE", "EAR", "JAW", "MAXILLA",
    }),
}  # fmt: skip
VAGUE: Final = frozenset({"OT", "SC", "WHOLEBODY"})  # values that fit any picture


def windows(technical: Mapping[str, str]) -> dict[str, Window | None]:
    """The window presets to offer: those of CT for a CT, else only what the file says."""
    presets: dict[str, Window | None] = {AS_STORED: None}
    return presets | (dict(CT_WINDOWS) if technical.get("Modality") == "CT" else {})


def disagreements(technical: Mapping[str, str], label: str | None) -> list[str]:
    """Sentences for tags that contradict the class `label`.

    Nothing is said where the model knows no class (None), and of a tag that the class's name says nothing about.
    """
    if label is None:
        return []
    words = class_name(label).lower().split() if label.upper() != label else [label.lower()]
    found = []
    for tag, known in (("Modality", MODALITIES), ("BodyPartExamined", BODY_PARTS)):
        said = "".join(character for character in technical.get(tag, "").upper() if character.isalnum())
        fitting = [known[word] for word in words if word in known]
        if said and said not in VAGUE and fitting and not any(said in values for values in fitting):
            found.append(
                f"The file's tag {tag} says {technical[tag]}, the picture looks like {class_name(label)}. "
                "One of them is wrong: please check."
            )
    return found
