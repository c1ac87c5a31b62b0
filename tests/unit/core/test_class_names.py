"""A class has a name that people can read, type and tell from "none of these"."""

from __future__ import annotations

import pytest

from medloop.core.class_names import check_class_name


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
