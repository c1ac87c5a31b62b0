"""Files from the browser, zips included."""

import io
import zipfile
from dataclasses import dataclass

import pytest

from medloop.app import uploads
from medloop.app.uploads import unpack

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
    assert [(s.id, s.name, s.data) for s in unpacked.sources] == [("1", "b.png", b"B"), ("2", "a.png", b"A")]


def test_a_zip_is_opened_in_memory_without_its_rubbish():
    data = zipped(one=b"1", folder__two=b"2", folder__=b"", **{".hidden": b"x"})
    unpacked = unpack([File("7", "set.zip", data)], max_bytes=MAX_BYTES)
    assert [(s.id, s.name, s.data) for s in unpacked.sources] == [("7/0", "one", b"1"), ("7/1", "folder/two", b"2")]


def test_two_files_of_one_name_stay_apart():
    unpacked = unpack([File("1", "scan.png", b"A"), File("2", "scan.png", b"B")], max_bytes=MAX_BYTES)
    assert len({source.id for source in unpacked.sources}) == 2


def test_a_broken_zip_gets_a_sentence_and_stops_nothing_else():
    unpacked = unpack([File("1", "bad.zip", b"PK\x03\x04junk"), File("2", "a.png", b"A")], max_bytes=MAX_BYTES)
    assert "bad.zip" in unpacked.problems[0]
    assert [source.name for source in unpacked.sources] == ["a.png"]


def test_a_zip_is_not_opened_twice_in_a_session():
    first = unpack([File("1", "set.zip", zipped(one=b"1"))], max_bytes=MAX_BYTES)
    again = unpack([File("1", "set.zip", b"gone")], known=first, max_bytes=MAX_BYTES)
    assert again.sources == first.sources


def test_a_member_is_read_no_further_than_the_limit():
    unpacked = unpack([File("1", "set.zip", zipped(big=b"x" * 5_000))], max_bytes=MAX_BYTES)
    assert len(unpacked.sources[0].data) == MAX_BYTES + 1


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 1), ("MAX_UNPACKED_BYTES", 3)])
def test_a_zip_beyond_the_limits_is_refused_whole(monkeypatch, limit, value):
    monkeypatch.setattr(uploads, limit, value)
    unpacked = unpack([File("1", "set.zip", zipped(one=b"11", two=b"22"))], max_bytes=MAX_BYTES)
    assert unpacked.sources == []
    assert "send it in parts" in unpacked.problems[0]
