"""`medloop data`, as a person runs it."""

import hashlib
import json
import socket
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from tests.file_server import FileServer
from tests.small_sets import FILES, encoded, zipped
from typer.testing import CliRunner, Result

from medloop.cli import build_app
from medloop.core.data.git_tree import blob_hash, tree_hash
from medloop.errors import DatasetError, StoreUnavailableError
from medloop.stores import public_set
from medloop.stores.datasets import bundled_sample, sample_file


def run(*arguments: str, error: type[Exception] | None = None) -> Result:
    result = CliRunner().invoke(build_app(), ["data", *arguments])
    if error is None:
        assert result.exit_code == 0, (result.output, result.exception)
    else:
        assert isinstance(result.exception, error), result.output
    return result


def test_import_prints_the_id_alone_on_stdout_and_tells_of_skipped_files(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {**FILES, "archive/Hand/broken.png": b"rubbish"})
    result = run("import", str(path))
    dataset_id = result.stdout.strip()
    assert len(dataset_id) == 16
    assert "2 files were left out" in result.stderr
    assert "broken.png" in result.stderr
    about = json.loads(run("info", dataset_id, "--json").stdout)
    assert (about["id"], about["skipped"], about["groups_from"]) == (dataset_id, 2, "computed")
    assert dataset_id in run("list").stdout
    used = run("use", dataset_id)
    assert used.stdout == f"MEDLOOP_BASE_DATASET={dataset_id}\n"
    assert "The next training" in used.stderr
    assert "starts from nothing" in used.stderr


def test_info_shows_the_data_set_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = tmp_path / "classes.png"
    output = run("info", "--plot", str(picture)).stdout
    assert bundled_sample().id in output
    assert "CC BY-SA 4.0" in output
    assert "BreastMRI" in output
    assert Image.open(picture).width > 1000
    dataset_id = run("import", str(zipped(tmp_path / "a.zip", FILES))).stdout.strip()
    monkeypatch.setenv("MEDLOOP_BASE_DATASET", dataset_id)
    assert dataset_id in run("info").stdout
    assert f"*   {dataset_id}" in run("list").stdout


def test_a_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    result = run("info", "--plot", str(tmp_path / "a.nonsense"), error=DatasetError)
    assert "cannot be written" in str(result.exception)


def test_fetch_verifies_by_checksum_and_imports_the_folder_of_the_images(tmp_path: Path) -> None:
    inside = {
        f"Repo/resized/{label}/{i}.jpeg": encoded(i, kind="JPEG")
        for label in ("CXR", "Hand")
        for i in range(3)
    }
    content = zipped(
        tmp_path / "a.zip", {**inside, "Repo/images/logo.png": encoded(9)}
    ).read_bytes()
    with FileServer(content, break_after=[1000]) as server:
        result = run("fetch", "--url", server.url, "--sha256", hashlib.sha256(content).hexdigest())
    about = json.loads(run("info", result.stdout.strip(), "--json").stdout)
    assert about["labels"] == ["CXR", "Hand"]
    assert about["note"].startswith(server.url)
    assert list(Path(".medloop/downloads").iterdir()) == []


def test_fetch_refuses_another_checksum_and_another_content(tmp_path: Path) -> None:
    content = zipped(tmp_path / "a.zip", FILES).read_bytes()
    with FileServer(content) as server:
        run("fetch", "--url", server.url, "--sha256", "0" * 64, error=DatasetError)
        result = run("fetch", "--url", server.url, error=DatasetError)
    assert "not Medical MNIST" in str(result.exception)
    assert list(Path(".medloop/downloads").iterdir()) == []
    assert "a.zip" not in run("list").stdout


def test_fetch_verifies_the_content_against_the_sample_and_github(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sample stands for the full set, in the layout of GitHub's archive; a local server for
    GitHub.
    """
    with sample_file() as path, zipfile.ZipFile(path) as archive:
        images = {name: archive.read(name) for name in archive.namelist() if name != "groups.csv"}
    tree = tree_hash({name: (False, blob_hash(data)) for name, data in images.items()})
    content = zipped(
        Path("full.zip"), {f"Repo/resized/{name}": data for name, data in images.items()}
    ).read_bytes()
    monkeypatch.setattr(public_set, "COUNTS", dict.fromkeys(bundled_sample().labels, 1000))
    listing = json.dumps({"tree": [{"path": "resized", "sha": tree}]}).encode()
    with FileServer(content) as archives, FileServer(listing) as api:
        monkeypatch.setattr(public_set, "URL", archives.url)
        monkeypatch.setattr(public_set, "TREE_URL", api.url)
        result = run("fetch")
    assert f"git tree {tree}, as GitHub names it" in result.stderr
    assert result.stdout.strip() in run("list").stdout
    assert run("info", result.stdout.strip()).stdout.count("Groups given") == 1


def test_fetch_without_a_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(public_set, "URL", f"http://127.0.0.1:{taken.getsockname()[1]}/set.zip")
        result = run("fetch", error=StoreUnavailableError)
    message = str(result.exception)
    assert "bundled sample" in message
    assert "medloop data import FILE --folder resized" in message
