"""DICOM tags against the picture."""

import pytest

from medloop.app.classify.dicom_controls import AS_STORED, disagreements, windows


@pytest.mark.parametrize(
    ("technical", "label", "wrong"),
    [
        ({"Modality": "CT", "BodyPartExamined": "CHEST"}, "ChestCT", []),
        ({"Modality": "MR", "BodyPartExamined": "CHEST"}, "ChestCT", ["Modality"]),
        ({"Modality": "CT", "BodyPartExamined": "HEAD"}, "ChestCT", ["BodyPartExamined"]),
        ({"Modality": "DX", "BodyPartExamined": "Chest"}, "CXR", []),
        ({"Modality": "CT"}, "CXR", ["Modality"]),
        (
            {"Modality": "MR", "BodyPartExamined": "HAND"},
            "HeadCT",
            ["Modality", "BodyPartExamined"],
        ),
        (
            {"Modality": "OT", "BodyPartExamined": "WHOLEBODY"},
            "ChestCT",
            [],
        ),  # says nothing that we know
        ({"Modality": "MG", "BodyPartExamined": "BREAST"}, "BreastMRI", ["Modality"]),
        ({"Modality": "PT"}, "ChestCT", ["Modality"]),
        ({"BodyPartExamined": "KNEE"}, "Hand", ["BodyPartExamined"]),
        ({"Modality": "DX", "BodyPartExamined": "FOOT"}, "CXR", ["BodyPartExamined"]),
        ({"Modality": "CT", "BodyPartExamined": "CHESTABDPELVIS"}, "AbdomenCT", []),
        ({"BodyPartExamined": "EXTREMITY"}, "Hand", []),
        (
            {"Modality": "MR", "BodyPartExamined": "KNEE"},
            None,
            [],
        ),  # the model does not know what it is
        ({"Modality": "CT"}, "Hand", []),  # the class names no modality
        ({"Modality": "CT"}, "Widget", []),
        ({}, "ChestCT", []),
    ],
)
def test_a_tag_that_contradicts_the_picture_is_named(technical, label, wrong):
    found = disagreements(technical, label)
    assert len(found) == len(wrong)
    assert all(tag in sentence for tag, sentence in zip(wrong, found, strict=True))


def test_only_a_ct_has_window_presets():
    assert list(windows({"Modality": "MR"})) == [AS_STORED]
    assert windows({"Modality": "CT"})["Lung"] == (-600, 1500)
