"""Reading other people's data sets: class folders, zips, MedMNIST files, and hostile ones."""

import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.hostile.corpus import dicom, photo
from tests.small_sets import FILES, encoded, unpacked, zipped

from medloop.core.data.splits import split
from medloop.errors import DatasetError
from medloop.stores import dataset_files
from medloop.stores.dataset_import import ImportOptions, read_dataset
from medloop.stores.datasets import bundled_sample, sample_file


def test_files_are_told_apart_by_content_and_not_by_name(tmp_path: Path) -> None:
    names = ["1.3.12.2.1107.5.2.32.35162.9", "IM-0001.ima", "IM000001", "scan.txt", "2.dat"]
    files = {f"set/{part}/{name}": dicom(photo(seed=n)) for n, (part, name) in enumerate(
        (part, name) for part in ("head", "spine") for name in names
    )}  # fmt: skip
    imported = read_dataset(zipped(tmp_path / "a.zip", files))
    assert len(imported.dataset.names) == 10
    assert imported.skipped == []


def test_a_picture_in_no_class_folder_is_named(tmp_path: Path) -> None:
    files = {"Hand/1.png": encoded(1), "CXR/1.png": encoded(2), "stray.png": encoded(3)}
    imported = read_dataset(zipped(tmp_path / "a.zip", files))
    assert imported.skipped == [("stray.png", "It lies in no class folder.")]


class TestSecondCopies:
    def files(self, *tops: str) -> dict[str, bytes]:
        places = [f"{part}/{label}" for part in ("train", "test") for label in ("A", "B")]
        names = [f"{place}/{n}.png" for place in places for n in (1, 2)]
        return {f"{top}{name}": encoded(n) for top in tops for n, name in enumerate(names)}

    @pytest.mark.parametrize(
        "tops", [("set/", "set/set/"), ("images/", "backup/"), ("", "old/copy/")]
    )
    def test_are_refused_with_the_folder_to_leave_out(
        self, tops: tuple[str, str], tmp_path: Path
    ) -> None:
        path = zipped(tmp_path / "a.zip", self.files(*tops))
        with pytest.raises(DatasetError, match="second copy") as caught:
            read_dataset(path)
        pattern = str(caught.value).rpartition("--leave-out '")[2].partition("'")[0]
        dataset = read_dataset(path, options=ImportOptions(leave_out=pattern)).dataset
        assert dataset.labels == ("A", "B")
        assert len(dataset.names) == 8

    def test_copies_within_a_class_are_none(self, tmp_path: Path) -> None:
        files = {"A/1.png": encoded(1), "A/2.png": encoded(1), "B/1.png": encoded(2)}
        assert len(read_dataset(zipped(tmp_path / "a.zip", files)).dataset.names) == 3


@pytest.mark.parametrize(
    "mask",
    [
        "A/masks/{}.png",
        "A/{}_mask.png",
        "A/{}-seg.tif",
        "masks/A/{}.png",
        "A/{}_mask_1.png",
        "A/GroundTruth/{}.bmp",
        "A/{}Mask.png",
        "A/{}_roi.png",
        "A/{}_overlay.png",
        "A/mask_{}.png",
        "ROI/{}.png",
        "mask_A/{}.png",
        "A/contours/{}.png",
    ],
)
def test_masks_beside_images_are_refused_or_left_out(mask: str, tmp_path: Path) -> None:
    images = {f"{label}/images/{n}.png": encoded(n) for label, n in (("A", 1), ("A", 2), ("B", 3))}
    files = images | {mask.format(n): encoded(10 + n) for n in (1, 2)}
    path = zipped(tmp_path / "a.zip", files)
    with pytest.raises(DatasetError, match="2 files look like masks"):
        read_dataset(path)
    pattern = mask.replace("{}", "[0-9]")
    dataset = read_dataset(path, options=ImportOptions(leave_out=pattern)).dataset
    assert len(dataset.names) == 3


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_seen_before_and_hidden_files_are_listed(tmp_path: Path) -> None:
    files = {
        "A/1.png": encoded(1),
        "B/2.png": encoded(2),
        ".old/C/3.png": encoded(3),
        "A/.4.png": b"",
        "__MACOSX/A/._1.png": b"",
        "A/.DS_Store": b"",
        "A/._1.png": b"",
        ".git/config": b"",
    }
    path = zipped(tmp_path / "a.zip", files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("A\\1.png", encoded(5))
        archive.writestr("B/2.png", encoded(6))
    found = read_dataset(path)
    assert len(found.dataset.names) == 2
    assert sorted(name for name, _ in found.skipped) == [
        ".old/C/3.png",
        "A/.4.png",
        "A/1.png",
        "B/2.png",
    ]


def test_classes_may_be_called_after_masks(tmp_path: Path) -> None:
    files = {"with mask/1.png": encoded(1), "without mask/2.png": encoded(2)}
    assert read_dataset(zipped(tmp_path / "a.zip", files)).dataset.labels == (
        "with mask",
        "without mask",
    )


def test_an_npz_of_another_kind_is_told_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x_train=np.zeros((2, 28, 28), np.uint8), y_train=np.zeros(2))
    with pytest.raises(DatasetError, match="it holds: x_train, y_train"):
        read_dataset(tmp_path / "a.npz")


def test_zip_and_folder_give_the_same_data_set(tmp_path: Path) -> None:
    from_zip = read_dataset(zipped(tmp_path / "archive.zip", FILES)).dataset
    from_folder = read_dataset(unpacked(tmp_path / "folder", FILES)).dataset
    assert from_zip.id == from_folder.id
    assert from_zip.names == ("CXR/1.tif", "CXR/2.BMP", "Hand/1.JPEG", "Hand/2.png")
    assert from_zip.images.shape == (4, 64, 64)


def test_the_sample_unpacked_into_a_folder_is_the_sample(tmp_path: Path) -> None:
    with sample_file() as path, zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    imported = read_dataset(tmp_path)
    assert imported.dataset.id == bundled_sample().id
    assert imported.groups_from == "given"


def test_unreadable_files_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    files = {
        **FILES,
        "archive/Hand/broken.jpg": encoded(5)[:200],
        "archive/CXR/empty.png": b"",
        "archive/CXR/text": b"hello",
        "archive/CXR/notes.txt": b"hello",
    }
    imported = read_dataset(zipped(tmp_path / "a.zip", files))
    assert {name for name, _ in imported.skipped} == {
        "archive/Hand/broken.jpg",
        "archive/CXR/empty.png",
        "archive/CXR/text",
        "archive/CXR/notes.txt",
        "archive/README.md",
    }
    assert all(why for _, why in imported.skipped)
    assert imported.dataset.id == read_dataset(zipped(tmp_path / "b.zip", FILES)).dataset.id


def test_a_damaged_member_is_skipped(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", FILES)
    raw = path.read_bytes()
    at = raw.index(FILES["archive/Hand/1.JPEG"]) + 300
    path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    assert "archive/Hand/1.JPEG" in dict(read_dataset(path).skipped)


def test_groups_come_from_the_option_then_from_inside_then_from_the_pixels(tmp_path: Path) -> None:
    inside = b"file,group\nHand/1.JPEG,1\nHand/2.png,1\nCXR/1.tif,2\nCXR/2.BMP,3\n"
    path = zipped(tmp_path / "a.zip", {**FILES, "archive/groups.csv": inside})
    table = tmp_path / "mine.csv"
    table.write_text("file,group\nHand/1.JPEG,10\nHand/2.png,20\nCXR/1.tif,30\nCXR/2.BMP,30\n")
    assert read_dataset(path).dataset.groups.tolist() == [2, 3, 1, 1]
    assert read_dataset(path, options=ImportOptions(groups=table)).dataset.groups.tolist() == [
        30,
        30,
        10,
        20,
    ]
    computed = read_dataset(zipped(tmp_path / "b.zip", FILES))
    assert computed.groups_from == "computed"
    assert len(set(computed.dataset.groups)) == 4


def test_progress_reaches_the_end_of_each_stage(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    read_dataset(zipped(tmp_path / "a.zip", FILES), progress=lambda *step: seen.append(step))
    assert seen == [
        (1.0, "reading images"),
        (0.5, "finding near-duplicates"),
        (1.0, "finding near-duplicates"),
    ]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("../Hand/1.png", "leads out"),
        ("/etc/Hand/1.png", "leads out"),
        ("C:/Hand/1.png", "leads out"),
        ("Hand\\..\\..\\1.png", "leads out"),
    ],
)
def test_paths_that_lead_out_of_a_zip_are_refused(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(DatasetError, match=sentence):
        read_dataset(zipped(tmp_path / "a.zip", {**FILES, name: encoded(9)}))


def test_zip_bombs_are_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    bomb = zipped(
        tmp_path / "bomb.zip",
        {**FILES, "Hand/b.png": bytes(50 * 2**20)},
        compression=zipfile.ZIP_DEFLATED,
    )
    with pytest.raises(DatasetError, match="bomb"):
        read_dataset(bomb)
    many = {f"Hand/{i}.png": bytes(2**20 - 1) for i in range(20)}
    with pytest.raises(DatasetError, match="bomb"):
        read_dataset(zipped(tmp_path / "many.zip", many, compression=zipfile.ZIP_DEFLATED))


def test_links_passwords_and_huge_files_in_a_zip_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("Hand/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = tmp_path / "link.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match="symbolic link"):
        read_dataset(path)
    locked = zipped(tmp_path / "locked.zip", FILES).read_bytes()
    at = locked.index(b"PK\x01\x02") + 8
    (tmp_path / "locked.zip").write_bytes(locked[:at] + b"\x01" + locked[at + 1 :])
    with pytest.raises(DatasetError, match="password"):
        read_dataset(tmp_path / "locked.zip")
    with (
        zipfile.ZipFile(zipped(tmp_path / "a.zip", FILES)) as archive,
        pytest.raises(DatasetError, match="at most 100"),
    ):
        dataset_files.check_zip(archive, most_file_bytes=100)


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere.png"
    secret.write_bytes(encoded(7))
    folder = unpacked(tmp_path / "set", FILES)
    (folder / "archive/Hand/link.png").symlink_to(secret)
    (folder / "archive/Foot").symlink_to(tmp_path)
    found = read_dataset(folder)
    assert len(found.dataset.names) == 4
    links = [path for path, why in found.skipped if why == "It is a link."]
    assert links == ["archive/Foot", "archive/Hand/link.png"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"no zip at all"])
def test_what_is_no_zip_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="neither a folder nor a readable zip"):
        read_dataset(path)


def test_nothing_there_no_images_and_nothing_readable_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="There is no file"):
        read_dataset(tmp_path / "missing")
    with pytest.raises(DatasetError, match="No images in class folders"):
        read_dataset(zipped(tmp_path / "a.zip", {"stray.png": encoded(1)}))
    with pytest.raises(DatasetError, match="None of 2 files"):
        read_dataset(zipped(tmp_path / "b.zip", {"a/1.png": b"x", "b/1.png": b"y"}))
    with pytest.raises(DatasetError, match="two classes"):
        read_dataset(zipped(tmp_path / "c.zip", {"a/1.png": encoded(1)}))


def medmnist(path: Path, *, colour: bool = False, **changes: np.ndarray) -> Path:
    generator = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 20), ("val", 4), ("test", 6)):
        shape = (n, 28, 28, 3) if colour else (n, 28, 28)
        arrays[f"{part}_images"] = generator.integers(0, 256, shape, np.uint8)
        arrays[f"{part}_labels"] = (np.arange(n) % 2)[:, None].astype(np.uint8)
    np.savez_compressed(path, **{**arrays, **changes})
    return path


@pytest.mark.parametrize("colour", [False, True])
def test_a_medmnist_file_is_read_whole_and_named(tmp_path: Path, colour: bool) -> None:
    path = medmnist(tmp_path / "set.npz", colour=colour)
    dataset = read_dataset(path, options=ImportOptions(labels=("liver", "heart"))).dataset
    assert dataset.labels == ("heart", "liver")
    assert dataset.images.shape == (30, 64, 64)
    assert dataset.labels[dataset.targets[dataset.names.index("train/000000")]] == "liver"
    assert len(split(dataset.targets, dataset.groups).test) > 0
    assert read_dataset(path).dataset.labels == ("class 0", "class 1")


def test_colour_becomes_grey_as_pil_does_it(tmp_path: Path) -> None:
    path = medmnist(tmp_path / "set.npz", colour=True)
    with np.load(path) as arrays:
        expected = (
            Image.fromarray(arrays["train_images"][0])
            .convert("L")
            .resize((64, 64), Image.Resampling.BILINEAR)
        )
    dataset = read_dataset(path).dataset
    assert np.array_equal(dataset.images[dataset.names.index("train/000000")], np.asarray(expected))


@pytest.mark.parametrize(
    ("changes", "labels", "sentence"),
    [
        ({}, ("one",), "cannot name them"),
        ({}, ("same", "same"), "cannot name them"),
        ({"train_labels": np.zeros((20, 14), np.uint8)}, (), "one integer an image"),
        ({"train_images": np.zeros((20, 28, 28, 28), np.uint8)}, (), "Images must be uint8"),
        ({"train_images": np.zeros((19, 28, 28), np.uint8)}, (), "29 images but 30 labels"),
        ({"train_images": np.zeros((20, 28, 28), np.float32)}, (), "Images must be uint8"),
    ],
)
def test_what_is_no_single_label_set_of_pictures_is_refused(
    tmp_path: Path, changes: dict[str, np.ndarray], labels: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(DatasetError, match=sentence):
        read_dataset(
            medmnist(tmp_path / "set.npz", **changes), options=ImportOptions(labels=labels)
        )


def test_an_npz_with_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    """Loading the published model executed a pickle."""
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (ran,))

    path = tmp_path / "evil.npz"
    np.savez(
        path, train_images=np.array([Evil()], dtype=object), train_labels=np.zeros((1, 1), np.uint8)
    )
    with pytest.raises(DatasetError, match="without pickles"):
        read_dataset(path)
    assert not ran.exists()


@pytest.mark.parametrize("content", [b"", b"nonsense"])
def test_a_broken_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DatasetError, match="no readable"):
        read_dataset(tmp_path / "a.npz")
    with pytest.raises(DatasetError, match="There is no file"):
        read_dataset(tmp_path / "b.npz")
