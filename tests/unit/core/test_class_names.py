"""Classes as people type them, and what no class may be called."""

from __future__ import annotations

import pytest

from medloop.core.class_names import check_class_name, class_name, find_class
from medloop.errors import UnknownClassError

LABELS = ("CXR", "HeadCT", "Hand", "hand", "Knee_left")


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("Hand", "Hand"),
        ("hand", "hand"),
        ("head ct", "HeadCT"),
        ("HEAD-CT", "HeadCT"),
        ("chest x-ray", "CXR"),
        ("knee left", "Knee_left"),
        ("none", None),
        ("None of these", None),
    ],
)
def test_a_class_is_found_by_its_label_and_by_its_name(said: str, label: str | None):
    assert find_class(said, LABELS) == label


@pytest.mark.parametrize("label", [*LABELS, None])
def test_what_the_page_shows_can_be_typed(label: str | None):
    """But for two classes that differ in case alone: those have to be spelt out."""
    assert label in ("hand", "Hand") or find_class(class_name(label), LABELS) == label


@pytest.mark.parametrize("said", ["HAND", "", " ", "-", "CT", "Hannd"])
def test_what_fits_no_class_or_two_is_refused(said: str):
    with pytest.raises(UnknownClassError, match=r"give one of CXR, HeadCT, .*, or none\.$"):
        find_class(said, LABELS)


@pytest.mark.parametrize("name", ["Hand", "Chest CT", "胸部", "=1+1", "[click](x)", "a\u00a0b"])
def test_what_people_can_read_and_type_is_a_name(name: str) -> None:
    assert check_class_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", " Hand", "Hand ", "\u202edaH", "\u200b", "a\nb", "a\x1b[2Jb", "x" * 201, "None",
     "none of these"],
)  # fmt: skip
def test_what_nobody_could_mean_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="class name"):
        check_class_name(name)
