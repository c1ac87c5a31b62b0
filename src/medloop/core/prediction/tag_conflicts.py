"""What a DICOM's technical tags say beside what the model says. Pure; never sees a patient's tags."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

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
WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # "AbdomenCT" is abdomen and ct


def contradictions(technical: Mapping[str, str], label: str) -> dict[str, str]:
    """The tags, with their values, that contradict the class `label`.

    Nothing is said of a tag that the class's name says nothing about.
    """
    words = [word.lower() for word in WORD.findall(label)]
    found = {}
    for tag, known in (("Modality", MODALITIES), ("BodyPartExamined", BODY_PARTS)):
        said = "".join(
            character for character in technical.get(tag, "").upper() if character.isalnum()
        )
        fitting = [known[word] for word in words if word in known]
        if said and said not in VAGUE and fitting and not any(said in values for values in fitting):
            found[tag] = technical[tag]
    return found
