"""What a path means: order, archives, limits, and nothing that leads astray."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from tests.fake_s3 import fake_s3
from tests.hostile.archives import archives, table_of
from tests.hostile.corpus import dicom, honest
from tests.small_sets import unpacked, zipped

from medloop.core.imaging.decode import Limits
from medloop.errors import DecodeError, NotFoundError, SettingsError
from medloop.settings import Settings
from medloop.stores.inputs import Input, iter_inputs
from medloop.stores.objects import ObjectStore

PNG = honest()["PNG"]


def names(*paths: object) -> list[str]:
    return [item.path for item in iter_inputs([str(path) for path in paths])]


def refusal(item: Input) -> str:
    with pytest.raises(DecodeError) as caught:
        item.read()
    return str(caught.value)


def test_paths_keep_their_order_and_folders_that_of_names(tmp_path: Path) -> None:
    unpacked(
        tmp_path,
        {
            "b/2.png": PNG,
            "b/1.png": PNG,
            "b/a/9.png": PNG,
            "a.dcm": PNG,
            "b/.hidden": b"",
            "b/.git/x": b"",
        },
    )
    folder = str(tmp_path)
    assert names(tmp_path / "b", tmp_path / "a.dcm") == [
        f"{folder}/b/1.png",
        f"{folder}/b/2.png",
        f"{folder}/b/a/9.png",
        f"{folder}/a.dcm",
    ]


def test_a_glob_finds_files_at_any_depth(tmp_path: Path) -> None:
    unpacked(tmp_path, {"x/1.png": PNG, "x/y/2.png": PNG, "x/3.txt": b""})
    assert [Path(name).name for name in names(f"{tmp_path}/**/*.png")] == ["1.png", "2.png"]


def test_a_name_with_brackets_is_a_file_first(tmp_path: Path) -> None:
    unpacked(tmp_path, {"scan[1].png": PNG})
    assert names(tmp_path / "scan[1].png") == [str(tmp_path / "scan[1].png")]


@pytest.mark.parametrize("path", ["nowhere.png", "nothing/*.png", "a/b/c"])
def test_a_path_to_nothing_is_known_before_anything_is_read(path: str, tmp_path: Path) -> None:
    unpacked(tmp_path, {"1.png": PNG})
    with pytest.raises(NotFoundError, match=r"Nothing .*: '"):
        iter_inputs([str(tmp_path), path])


def test_a_folder_is_streamed(tmp_path: Path) -> None:
    unpacked(tmp_path, {f"{i:04}.png": b"" for i in range(50)})
    inputs = iter_inputs([str(tmp_path)])
    assert next(inputs).path.endswith("0000.png")
    (tmp_path / "0049.png").unlink()
    with pytest.raises(FileNotFoundError):
        list(inputs)[-1].read()


class TestFiles:
    def test_a_large_one_is_refused_unread(self, tmp_path: Path) -> None:
        with (tmp_path / "big").open("wb") as file:
            file.truncate(3 * 2**30)
        (item,) = iter_inputs([str(tmp_path / "big")])
        assert refusal(item) == "This file has 3072.0 MB; at most 50 MB are accepted."

    def test_a_pipe_does_not_block(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (item,) = iter_inputs([str(tmp_path / "pipe")])
        assert refusal(item) == "This is not a regular file."

    def test_devices_and_broken_links_are_told_apart(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to("nowhere")
        device, link = iter_inputs(["/dev/zero", str(tmp_path / "link")])
        assert refusal(device) == "This is not a regular file."
        with pytest.raises(FileNotFoundError):
            link.read()

    def test_links_between_folders_do_not_go_in_circles(self, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        (tmp_path / "loop").symlink_to(tmp_path)
        assert len(names(tmp_path)) == 1

    def test_names_that_are_no_text_can_be_printed(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path) + b"/\xff\xfe.png"
        Path(os.fsdecode(path)).write_bytes(PNG)
        (item,) = iter_inputs([str(tmp_path)])
        assert item.path.encode()
        assert item.read() == PNG


class TestArchives:
    def test_entries_are_inputs_and_folders_and_rubbish_are_not(self, tmp_path: Path) -> None:
        path = zipped(
            tmp_path / "a.zip",
            {"Hand/1.png": PNG, "Hand/": b"", "__MACOSX/._1.png": b"x", ".DS_Store": b"x"},
        )
        (item,) = iter_inputs([str(path)])
        assert (item.path, item.read()) == (f"{path}/Hand/1.png", PNG)

    def test_one_is_known_by_content_where_it_is_named(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "download", {"1.png": PNG})
        assert names(path) == [f"{path}/1.png"]

    def test_one_in_a_folder_is_opened_too(self, tmp_path: Path) -> None:
        zipped(tmp_path / "a.ZIP", {"1.png": PNG})
        (tmp_path / "b.zip").write_bytes(PNG)
        assert names(tmp_path) == [f"{tmp_path}/a.ZIP/1.png", f"{tmp_path}/b.zip"]

    def test_one_inside_another_is_not(self, tmp_path: Path) -> None:
        inner = zipped(tmp_path / "inner.zip", {"1.png": PNG})
        outer = zipped(tmp_path / "outer.zip", {"inner.zip": inner.read_bytes()})
        assert names(outer) == [f"{outer}/inner.zip"]

    @pytest.mark.parametrize(
        "name", ["../../etc/passwd", "/etc/passwd", "..\\..\\evil.png", "a/../../b.png"]
    )
    def test_a_name_cannot_lead_anywhere(self, name: str, tmp_path: Path) -> None:
        folder = tmp_path / "one" / "two"  # two levels for the name to climb
        folder.mkdir(parents=True)
        path = zipped(folder / "slip.zip", {name: PNG})
        (item,) = iter_inputs([str(path)])
        assert item.read() == PNG
        assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]

    def test_a_bomb_is_not_opened(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(8):
                archive.writestr(f"{number}.png", b"\0" * 40_000_000)
        (item,) = iter_inputs([str(path)])
        assert "claims to unpack to 305 MB" in refusal(item)

    def test_an_entry_that_lies_about_its_size_is_cut_off(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("1.png", b"\0" * 20_000_000)
        data = bytearray(buffer.getvalue())
        for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            struct.pack_into("<I", data, data.index(magic) + offset, 100)
        (tmp_path / "lie.zip").write_bytes(data)
        (item,) = iter_inputs([str(tmp_path / "lie.zip")])
        assert refusal(item) == "This archive entry is damaged."

    def test_a_large_entry_is_refused(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"1.png": PNG})
        (item,) = iter_inputs([str(path)], limits=Limits(max_bytes=100))
        assert refusal(item).endswith("are accepted.")

    @pytest.mark.parametrize("cut", [10, 200, -30])
    def test_a_damaged_one_is_one_bad_input(self, cut: int, tmp_path: Path) -> None:
        whole = zipped(tmp_path / "a.zip", {"1.png": PNG}).read_bytes()
        (tmp_path / "b.zip").write_bytes(whole[:cut])
        (item,) = iter_inputs([str(tmp_path / "b.zip")])
        assert refusal(item) == "This zip archive is damaged."

    def test_a_damaged_entry_leaves_the_others(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"1.png": b"a" * 300, "2.png": PNG})
        data = bytearray(path.read_bytes())
        data[100] ^= 0xFF
        path.write_bytes(data)
        bad, good = iter_inputs([str(path)])
        assert refusal(bad) == "This archive entry is damaged."
        assert good.read() == PNG

    def test_an_encrypted_entry_says_so(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"1.png": PNG})
        data = bytearray(path.read_bytes())
        for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            data[data.index(magic) + offset] |= 1
        path.write_bytes(data)
        (item,) = iter_inputs([str(path)])
        assert "encrypted" in refusal(item)

    def test_a_table_of_contents_that_lies_about_its_size_is_not_read(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "a.zip", {"1.png": PNG})
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, data.rindex(b"PK\x05\x06") + 12, 2**30)
        path.write_bytes(data)
        (item,) = iter_inputs([str(path)])
        assert refusal(item) == "This zip archive is damaged."

    @pytest.mark.parametrize("zip64", [False, True])
    def test_a_table_of_contents_without_end_is_not_read(self, zip64: bool, tmp_path: Path) -> None:
        """A zip64 record overrules what the usual end says, which may be nothing."""
        (tmp_path / "a.zip").write_bytes(table_of(400_000, zip64=zip64))
        (item,) = iter_inputs([str(tmp_path / "a.zip")])
        assert refusal(item) == "This archive has more than 100,000 entries; split it."

    @pytest.mark.parametrize("kind", ["bzip2", "lzma", "method 14"])
    def test_what_only_rare_tools_pack_is_refused_unread(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "a.zip").write_bytes(archives()[kind])
        item, *_ = iter_inputs([str(tmp_path / "a.zip")])
        assert (
            refusal(item)
            == "This archive entry is encrypted or packed in a way that cannot be read."
        )


class TestS3:
    @pytest.fixture
    def store(self) -> ObjectStore:
        store = ObjectStore.in_memory()
        for key in ("in/b.png", "in/a.png", "in/sub/c.png", "in/empty/", "other/d.png"):
            store.put(key, b"" if key.endswith("/") else key.encode())
        return store

    def test_a_prefix_gives_its_objects(self, store: ObjectStore) -> None:
        opened = []
        inputs = list(
            iter_inputs(["s3://scans/in/"], open_s3=lambda bucket: opened.append(bucket) or store)
        )  # type: ignore[func-returns-value]
        assert sorted(item.path for item in inputs) == [
            "s3://scans/in/a.png",
            "s3://scans/in/b.png",
            "s3://scans/in/sub/c.png",
        ]
        assert sorted(bytes(item.read()) for item in inputs) == [
            b"in/a.png",
            b"in/b.png",
            b"in/sub/c.png",
        ]
        assert opened == ["scans"]

    def test_a_large_object_is_not_fetched(self, store: ObjectStore) -> None:
        store.put("big/1", b"x" * 101)
        (item,) = iter_inputs(
            ["s3://scans/big/"], open_s3=lambda _: store, limits=Limits(max_bytes=100)
        )
        assert "are accepted" in refusal(item)

    def test_an_empty_prefix_and_a_missing_bucket_are_errors(self, store: ObjectStore) -> None:
        with pytest.raises(NotFoundError, match="There is nothing under 's3://scans/none/'"):
            list(iter_inputs(["s3://scans/none/"], open_s3=lambda _: store))
        with pytest.raises(SettingsError, match="Write s3://bucket/prefix"):
            list(iter_inputs(["s3:///x"], open_s3=lambda _: store))


class TestKeysThatNoClientSpells:
    """AWS keeps any key; obstore gives up a listing that holds one that it can't spell."""

    @pytest.fixture
    def open_s3(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ObjectStore]]:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with fake_s3(self.objects) as endpoint:
            settings = Settings(s3_endpoint_url=endpoint)
            yield lambda bucket: ObjectStore.from_settings(settings, bucket=bucket)

    strange: ClassVar = [
        "inbox//b.png",
        "inbox/../c.png",
        "inbox/d\ne.png",
        "inbox/./f.png",
        "inbox/\x01",
    ]
    objects: ClassVar = dict.fromkeys(
        ["inbox/a.png", *strange, "inbox/ü %20.png", "inbox/z.png"], PNG
    )

    def test_are_named_and_the_others_read(self, open_s3: Callable[[str], ObjectStore]) -> None:
        found = {item.path: item for item in iter_inputs(["s3://b/inbox/"], open_s3=open_s3)}
        assert set(found) == {f"s3://b/{key}" for key in self.objects}
        for key in self.objects:
            item = found[f"s3://b/{key}"]
            if key in self.strange:
                assert "give the object another name" in refusal(item)
            else:
                assert item.read() == PNG

    def test_a_key_of_ones_own_is_an_object(self, open_s3: Callable[[str], ObjectStore]) -> None:
        (item,) = iter_inputs(["s3://b/inbox/a.png"], open_s3=open_s3)
        assert (item.path, item.read()) == ("s3://b/inbox/a.png", PNG)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("a.zip", b"PK\x07\x08"),
        ("a.zip", b"PK00PK"),
        ("setup.exe", b"MZ".ljust(5000, b"\0")),
        ("a.run", b"#!/bin/sh\nexit\n"),
        ("a", b"\x7fELF" + b"\0" * 900),
        ("a.zip", b"a text\r\n"),
        ("a.zip", b"\xef\xbb\xbf"),
        ("a.zip", b"\0\5a.zip".ljust(128, b"\0")),
        ("a.app", b"\xcf\xfa\xed\xfe"),
        ("a.bat", b"@echo off\n"),
    ],
)
def test_an_archive_may_lie_behind_anything_but_a_picture(
    name: str, start: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(start + zipped(tmp_path / "plain.zip", {"1.png": PNG}).read_bytes())
    (item,) = iter_inputs([str(path)])
    assert (item.path, item.read()) == (f"{path}/1.png", PNG)


def test_a_picture_with_an_archive_behind_it_is_a_picture(tmp_path: Path) -> None:
    behind = zipped(tmp_path / "plain.zip", {"1.png": PNG}).read_bytes()
    for data in (PNG, dicom(preamble=b"MZ".ljust(128, b"\0"))):
        (tmp_path / "picture").write_bytes(data + behind)
        assert names(tmp_path / "picture") == [str(tmp_path / "picture")]
