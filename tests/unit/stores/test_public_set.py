"""Whether a download is the public data set."""

import json
from pathlib import Path

import pytest
from tests.file_server import FileServer
from tests.small_sets import encoded, zipped

from medloop.core.data.git_tree import blob_hash, tree_hash
from medloop.errors import DatasetError
from medloop.stores.public_set import Expected, medical_mnist, published_tree, verify

IMAGES = {
    f"{label}/{i}.jpeg": encoded(10 * i + len(label)) for label in ("CXR", "Hand") for i in range(3)
}
TREE = tree_hash({name: (False, blob_hash(data)) for name, data in IMAGES.items()})
EXPECTED = Expected({"CXR": 3, "Hand": 3}, {"CXR/0.jpeg": blob_hash(IMAGES["CXR/0.jpeg"])})


def archive(path: Path, images: dict[str, bytes]) -> Path:
    inside = {f"Repo-a8942ee/resized/{name}": data for name, data in images.items()}
    return zipped(path, {**inside, "Repo-a8942ee/images/logo.png": encoded(1, kind="PNG")})


def test_the_right_archive_gives_the_git_hash_of_its_folder(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    path = archive(tmp_path / "a.zip", IMAGES)
    assert verify(path, EXPECTED, tree=TREE, progress=lambda *step: seen.append(step)) == TREE
    assert verify(path, EXPECTED, tree=None) == TREE
    assert seen[-1] == (1.0, "verifying")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"CXR/0.jpeg": encoded(99)}, "1 of 1 files"),
        ({"CXR/1.jpeg": encoded(99)}, "GitHub names"),
        ({"CXR/9.jpeg": encoded(99)}, "expected"),
        ({"Foot/0.jpeg": encoded(99)}, "expected"),
        ({"notes.txt": b"not there on GitHub"}, "GitHub names"),
    ],
)
def test_any_other_content_is_refused(
    tmp_path: Path, change: dict[str, bytes], sentence: str
) -> None:
    with pytest.raises(DatasetError, match=sentence):
        verify(archive(tmp_path / "a.zip", {**IMAGES, **change}), EXPECTED, tree=TREE)


def test_a_damaged_or_foreign_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", IMAGES)
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DatasetError, match="damaged"):
        verify(path, EXPECTED, tree=None)
    with pytest.raises(DatasetError, match="no images"):
        verify(zipped(tmp_path / "b.zip", {"x/y.png": b""}), EXPECTED, tree=None)


def test_the_bundled_sample_vouches_for_a_tenth_of_the_files() -> None:
    expected = medical_mnist()
    assert sum(expected.counts.values()) == 58_954
    assert len(expected.blobs) == 6_000
    assert all(name.split("/")[0] in expected.counts for name in expected.blobs)


def test_githubs_hash_is_read_and_its_absence_is_no_error() -> None:
    listing = {"tree": [{"path": "images", "sha": "0" * 40}, {"path": "resized", "sha": TREE}]}
    with FileServer(json.dumps(listing).encode()) as server:
        assert published_tree(server.url) == TREE
    for answer in (b"rate limit exceeded", b'{"message": "Not Found"}', b'{"tree": []}', b"[]"):
        with FileServer(answer) as server:
            assert published_tree(server.url) is None
    with FileServer(b"", statuses=[403]) as server:
        assert published_tree(server.url) is None
    assert published_tree(server.url) is None  # nobody there any more
