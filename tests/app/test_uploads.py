"""Files from the browser, zips included."""

import io
import os
import tracemalloc
import zipfile
from dataclasses import dataclass

import pytest
from tests.hostile.archives import archives, damaged_entry, encrypted, packed
from tests.hostile.corpus import honest

from medloop.app.classify import uploads
from medloop.app.classify.uploads import unpack
from medloop.errors import DecodeError

PNG = honest()["PNG"]

MAX_BYTES = 1_000


@dataclass
class File:
    file_id: str
    name: str
    data: bytes

    def getvalue(self) -> bytes:
        return self.data


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return buffer.getvalue()


def test_plain_files_pass_in_order():
    unpacked = unpack([File("1", "b.png", b"B"), File("2", "a.png", b"A")], max_bytes=MAX_BYTES)
    assert [(s.id, s.name, s.read()) for s in unpacked.sources] == [
        ("1", "b.png", b"B"),
        ("2", "a.png", b"A"),
    ]


def test_a_zip_is_opened_in_memory_without_its_rubbish():
    data = zipped(one=b"1", folder__two=b"2", folder__=b"", **{".hidden": b"x"})
    unpacked = unpack([File("7", "set.zip", data)], max_bytes=MAX_BYTES)
    assert [(s.id, s.name, s.read()) for s in unpacked.sources] == [
        ("7/0", "one", b"1"),
        ("7/1", "folder/two", b"2"),
    ]


def test_two_files_of_one_name_stay_apart():
    unpacked = unpack(
        [File("1", "scan.png", b"A"), File("2", "scan.png", b"B")], max_bytes=MAX_BYTES
    )
    assert len({source.id for source in unpacked.sources}) == 2


def test_a_broken_zip_gets_a_sentence_and_stops_nothing_else():
    unpacked = unpack(
        [File("1", "bad.zip", b"PK\x03\x04junk"), File("2", "a.png", b"A")], max_bytes=MAX_BYTES
    )
    assert unpacked.problems == ["bad.zip: This zip archive is damaged."]
    assert [source.name for source in unpacked.sources] == ["a.png"]


def test_a_zip_without_files_says_so():
    assert unpack([File("1", "a.zip", zipped())], max_bytes=MAX_BYTES).problems == [
        "a.zip: This zip archive is empty."
    ]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (damaged_entry("1.png", "2.png"), "This archive entry is damaged."),
        (
            encrypted(packed({"1.png": PNG, "2.png": PNG})),
            "This archive entry is encrypted or packed in a way",
        ),
    ],
)
def test_a_bad_member_gets_a_sentence_and_the_others_are_read(data, why):
    bad, good = unpack([File("1", "a.zip", data)], max_bytes=2**20).sources
    with pytest.raises(DecodeError, match=why):
        bad.read()
    assert good.read() == PNG


def test_members_are_unpacked_when_they_are_looked_at_and_let_go_again():
    data = packed(
        {f"{n}.bmp": b"\0" * 20_000_000 for n in range(10)} | {"x": os.urandom(2_000_000)}
    )
    tracemalloc.start()
    try:
        unpacked = unpack([File("1", "a.zip", data)], max_bytes=50 * 2**20)
        for source in unpacked.sources:
            source.read()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(unpacked.sources) == 11
    assert peak < 70_000_000


def test_what_the_page_has_no_room_for_is_left_out_and_told():
    files = [File(str(n), f"{n}.png", b"A") for n in range(3)]
    unpacked = unpack(files, max_bytes=MAX_BYTES, room=2)
    assert [source.id for source in unpacked.sources] == ["0", "1"]
    assert "1 were left out" in unpacked.problems[0]


def test_a_member_larger_than_the_limit_is_not_read():
    (source,) = unpack(
        [File("1", "set.zip", zipped(big=b"x" * 5_000))], max_bytes=MAX_BYTES
    ).sources
    with pytest.raises(DecodeError, match="at most"):
        source.read()


@pytest.mark.parametrize(("limit", "value"), [("MAX_UNPACKED_BYTES", 3), ("MAX_ENTRIES", 1)])
def test_a_zip_beyond_the_limits_is_refused_whole(monkeypatch, limit, value):
    monkeypatch.setattr(uploads, limit, value)
    unpacked = unpack([File("1", "set.zip", zipped(one=b"11", two=b"22"))], max_bytes=MAX_BYTES)
    assert unpacked.sources == []
    assert "split it" in unpacked.problems[0]


def test_of_a_large_zip_the_first_files_are_taken_and_the_command_is_named(monkeypatch):
    monkeypatch.setattr(uploads, "MAX_MEMBERS", 2)
    data = zipped(one=b"1", two=b"2", three=b"3")
    unpacked = unpack([File("1", "set.zip", data)], max_bytes=MAX_BYTES)
    assert [source.name for source in unpacked.sources] == ["one", "two"]
    assert unpacked.problems == [
        "set.zip: the first 2 of its 3 files are here. For all of them, use the command medloop "
        "predict."
    ]


def test_a_zip_that_claims_to_unpack_to_far_more_than_its_size_is_not_opened():
    (problem,) = unpack([File("1", "a.zip", archives()["bomb"])], max_bytes=50 * 2**20).problems
    assert "claims to unpack to 191 MB" in problem
