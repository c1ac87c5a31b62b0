"""Conflicts of a DICOM's technical tags with the model's label. Never sees a patient's tags."""

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
    name: frozenset(values.split())
    for name, values in {
        "abdomen": "ABDOMEN ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS PELVIS LIVER KIDNEY PANCREAS "
        "SPLEEN COLON BLADDER UTERUS PROSTATE AORTA SPINE LSPINE",
        "breast": "BREAST",
        "chest": "CHEST CHESTABDOMEN CHESTABDPELVIS LUNG THORAX HEART AORTA RIB STERNUM SPINE "
        "TSPINE",
        "cxr": "CHEST CHESTABDOMEN LUNG THORAX HEART RIB STERNUM",
        "hand": "HAND FINGER WRIST THUMB EXTREMITY",
        "head": "HEAD BRAIN SKULL HEADNECK FACE SINUS ORBIT EYE EAR JAW MAXILLA",
    }.items()
}
VAGUE: Final = frozenset({"OT", "SC", "WHOLEBODY"})  # values that fit any picture
WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")  # "AbdomenCT" is abdomen and ct


def contradictions(technical: Mapping[str, str], label: str) -> dict[str, str]:
    """Find the tags, with their values, that contradict the class `label`.

    A tag that the class's name says nothing about contradicts nothing.
    """
    words = [word.lower() for word in WORD.findall(label)]
    found = {}
    for tag, known in (("Modality", MODALITIES), ("BodyPartExamined", BODY_PARTS)):
        value = "".join(filter(str.isalnum, technical.get(tag, "").upper()))
        fitting = [known[word] for word in words if word in known]
        if value and value not in VAGUE and fitting and not any(value in v for v in fitting):
            found[tag] = technical[tag]
    return found
