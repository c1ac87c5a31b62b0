"""Downloads over a real HTTP server: resumed, retried, verified."""

import errno
import hashlib
import os
import socket
from pathlib import Path

import pytest
from tests.file_server import FileServer

from medloop.errors import DatasetError, StoreUnavailableError
from medloop.stores.download import download

CONTENT = os.urandom(1_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_a_download_arrives_whole_with_progress(tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    with FileServer(CONTENT) as server:
        found = download(
            server.url, tmp_path / "new" / "a.zip", progress=lambda *step: seen.append(step)
        )
    assert found == SHA256
    assert (tmp_path / "new" / "a.zip").read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == (1.0, "downloading, 1.5 MB")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.zip"]


def test_a_broken_connection_is_resumed_where_it_broke(tmp_path: Path) -> None:
    with FileServer(CONTENT, break_after=[600_000, 400_000]) as server:
        assert download(server.url, tmp_path / "a.zip", sha256=SHA256, pause_s=0) == SHA256
    assert server.ranges == [None, "bytes=600000-", "bytes=1000000-"]


def test_an_interrupted_download_goes_on_in_the_next_run(tmp_path: Path) -> None:
    with FileServer(CONTENT, break_after=[500_000], statuses=[200, 503, 503, 503]) as server:
        with pytest.raises(StoreUnavailableError, match="500,000 bytes are kept"):
            download(server.url, tmp_path / "a.zip", pause_s=0)
        assert not (tmp_path / "a.zip").exists()
        assert download(server.url, tmp_path / "a.zip", pause_s=0) == SHA256
    assert server.ranges[-1] == "bytes=500000-"


@pytest.mark.parametrize("how", ["another version", "no ranges", "no validator"])
def test_two_files_are_never_joined(tmp_path: Path, how: str) -> None:
    first = os.urandom(len(CONTENT))
    e_tag = None if how == "no validator" else '"1"'
    with FileServer(
        first, e_tag=e_tag, break_after=[700_000], statuses=[200, 503, 503, 503]
    ) as server:
        with pytest.raises(StoreUnavailableError):
            download(server.url, tmp_path / "a.zip", pause_s=0)
        server.content = CONTENT
        server.e_tag = '"2"' if how == "another version" else server.e_tag
        server.accept_ranges = how != "no ranges"
        assert download(server.url, tmp_path / "a.zip", pause_s=0) == SHA256


def test_more_bytes_than_the_server_has_start_anew(tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.zip.part.etag").write_text('"1"')
    with FileServer(CONTENT) as server:
        assert download(server.url, tmp_path / "a.zip", pause_s=0) == SHA256


def test_a_wrong_checksum_throws_the_download_away(tmp_path: Path) -> None:
    with (
        FileServer(CONTENT) as server,
        pytest.raises(DatasetError, match=f"{SHA256}, expected {'0' * 64}"),
    ):
        download(server.url, tmp_path / "a.zip", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_server_without_lengths_is_good_enough(tmp_path: Path) -> None:
    seen: list[float] = []
    with FileServer(CONTENT, tell_length=False) as server:
        download(
            server.url,
            tmp_path / "a.zip",
            sha256=SHA256,
            progress=lambda share, doing: seen.append(share),
        )
    assert set(seen) == {0.0}


def test_a_busy_server_is_asked_again_and_a_missing_file_is_not(tmp_path: Path) -> None:
    with FileServer(CONTENT, statuses=[503, 429, 500]) as server:
        assert download(server.url, tmp_path / "a.zip", pause_s=0) == SHA256
    with FileServer(CONTENT, statuses=[404]) as server:
        with pytest.raises(DatasetError, match="404"):
            download(server.url, tmp_path / "b.zip", pause_s=0)
        assert len(server.ranges) == 1


def test_nobody_there_is_told_with_what_is_kept(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(StoreUnavailableError, match=r"refused.*0 bytes are kept"):
            download(
                f"http://127.0.0.1:{taken.getsockname()[1]}/a.zip", tmp_path / "a.zip", pause_s=0
            )


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a.zip", "a.zip", ""])
def test_only_http_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DatasetError, match="Only http"):
        download(url, tmp_path / "a.zip")


def test_a_full_disk_is_no_network_error(tmp_path: Path) -> None:

    def full(share: float, doing: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        FileServer(CONTENT) as server,
        pytest.raises(DatasetError, match="No space left on device"),
    ):
        download(server.url, tmp_path / "b.zip", progress=full)
