"""Which class a file belongs to, by its path."""

import pytest

from medloop.core.data.class_folders import (
    class_of,
    group_number,
    groups_of,
    image_paths,
    masks,
    read_groups,
)
from medloop.errors import DatasetError


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["Hand/1.jpeg", "CXR/1.JPG"], ["Hand/1.jpeg", "CXR/1.JPG"]),
        (
            ["archive/Medical MNIST/Hand/1.jpeg", "archive/Medical MNIST/CXR/2.Png"],
            ["Hand/1.jpeg", "CXR/2.Png"],
        ),
        (["set/train/Hand/1.jpg", "set/test/CXR/1.jpg"], ["train/Hand/1.jpg", "test/CXR/1.jpg"]),
        (["set/Hand/p1/1.dcm", "set/CXR/p2/IM000001"], ["Hand/p1/1.dcm", "CXR/p2/IM000001"]),
        (["only/Hand/1.png"], ["Hand/1.png"]),
        (
            [
                "Hand/1.png",
                "README.md",
                "groups.csv",
                "stray.png",
                "__MACOSX/Hand/._1.png",
                "Hand/.DS_Store",
            ],
            ["Hand/1.png"],
        ),
        (["Hand/Thumbs.db", "Hand/notes.txt"], []),
        (
            ["Hand/1.2.840.9", "Hand/scan.ima", "CXR/x"],
            ["Hand/1.2.840.9", "Hand/scan.ima", "CXR/x"],
        ),
    ],
)
def test_the_folders_around_the_classes_are_cut_off(paths: list[str], names: list[str]) -> None:
    assert list(image_paths(paths).values()) == names


def test_a_named_folder_leaves_out_what_lies_beside_it() -> None:
    """GitHub's archive has other pictures beside the class folders."""
    paths = [
        "repo-a8942ee/images/logo.png",
        "repo-a8942ee/resized/Hand/1.jpeg",
        "repo-a8942ee/resized/CXR/1.jpeg",
    ]
    assert set(image_paths(paths, folder="resized").values()) == {"Hand/1.jpeg", "CXR/1.jpeg"}
    assert image_paths(paths, folder="nowhere") == {}


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Hand/1.png", "Hand"),
        ("Train/Hand/1.png", "Hand"),
        ("Hand/p1/1.dcm", "Hand"),
        ("test/1.png", "test"),
    ],
)
def test_the_class_is_the_first_folder_that_is_no_split(name: str, label: str) -> None:
    assert class_of(name) == label


def test_a_mask_is_named_with_the_image_of_its_own_folder() -> None:
    paths = ["A/1.png", "A/1_mask.png", "B/1.png", "masks/1.png"]
    assert masks(paths)["A/1_mask.png"] == "A/1.png"
    assert set(masks(paths)) == {"A/1_mask.png", "masks/1.png"}


@pytest.mark.parametrize("name", ["label_1", "seg neutrophil", "Masked", "ROIs2", "binary"])
def test_classes_are_no_folders_of_masks(name: str) -> None:
    assert masks(["A/1.png", f"{name}/1.png"]) == {}


def test_groups_may_be_numbers_or_names() -> None:
    table = read_groups(
        "\ufefffile,group,note\nHand/1.png,7,x\n./Hand\\2.png,patient A,\nHand/3.png, patient A ,\n"
    )
    assert table["Hand/1.png"] == 7
    assert table["Hand/2.png"] == table["Hand/3.png"] == group_number("patient A")
    assert 0 <= group_number("patient A") < 2**62
    assert group_number("99999999999999999999") < 2**62  # too large for int64: a name
    assert groups_of(["Hand/2.png"], table) == [group_number("patient A")]


@pytest.mark.parametrize("text", ["", "path,patient\na,b\n", "file,group\nHand/1.png,\n"])
def test_a_table_without_groups_is_refused(text: str) -> None:
    with pytest.raises(DatasetError, match="group"):
        read_groups(text)


def test_a_table_that_lacks_images_is_refused_with_the_first_one() -> None:
    with pytest.raises(DatasetError, match=r"1 of 2 images, first 'b/1'"):
        groups_of(["a/1", "b/1"], {"a/1": 1})
