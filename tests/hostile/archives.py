"""Zip archives that want to hurt whoever opens them, made by code."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from functools import cache

from tests.hostile.corpus import honest


def packed(files: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    """With one byte changed."""
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def with_header(data: bytes, *, local: int, central: int, form: str, value: int) -> bytes:
    """With one field of the first entry's two headers changed."""
    changed = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        struct.pack_into(form, changed, changed.index(magic) + offset, value)
    return bytes(changed)


def encrypted(data: bytes) -> bytes:
    """With the first entry marked as encrypted."""
    flags = struct.unpack_from("<H", data, data.index(b"PK\x01\x02") + 8)[0]
    return with_header(data, local=6, central=8, form="<H", value=flags | 1)


def claiming(data: bytes, size_bytes: int) -> bytes:
    """With another unpacked size of the first entry."""
    return with_header(data, local=22, central=24, form="<I", value=size_bytes)


def method(data: bytes, number: int) -> bytes:
    """With another compression of the first entry."""
    return with_header(data, local=8, central=10, form="<H", value=number)


def damaged_entry(name: str = "1.png", *others: str) -> bytes:
    """The first entry's deflate stream is broken, the others are whole."""
    data = packed({name: honest()["BMP"], **dict.fromkeys(others, honest()["PNG"])})
    at = data.index(b"PK\x03\x04") + 30 + len(name)
    return data[:at] + b"\xff" * 8 + data[at + 8 :]


def table_of(entries: int, *, name_length: int = 1, zip64: bool = False) -> bytes:
    """An archive that is all table of contents; with `zip64`, its usual end says that this is
    empty.
    """
    one = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, name_length, 0, 0, 0, 0, 0, 0
    )
    table = (one + b"a" * name_length) * entries
    size, told = len(table), 0 if zip64 else len(table)
    end = struct.pack(
        "<4s4H2IH", b"PK\x05\x06", 0, 0, entries & 0xFFFF, entries & 0xFFFF, told, 0, 0
    )
    if zip64:
        record = struct.pack(
            "<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, size, 0
        )
        end = record + struct.pack("<4sIQI", b"PK\x06\x07", 0, size, 1) + end
    return b"PK\x03\x04" + table + end


@cache
def archives() -> dict[str, bytes]:
    """Every archive by a name that says what is wrong with it."""
    png = honest()["PNG"]
    whole = packed({"1.png": png, "2.png": png})
    stored = packed({"1.png": png, "2.png": png}, method=zipfile.ZIP_STORED)
    return {
        "empty": packed({}),
        "cut at 10 bytes": whole[:10],
        "cut in the middle": whole[: len(whole) // 2],
        "cut at the end": whole[:-30],
        "damaged deflate": damaged_entry("1.png", "2.png"),
        "damaged stored": flipped(stored, 100),
        "encrypted": encrypted(whole),
        "claims 100 bytes": claiming(packed({"1.png": b"\0" * 20_000_000}), 100),
        "claims 4 GB": claiming(whole, 2**32 - 1),
        **{f"method {number}": method(whole, number) for number in (1, 9, 12, 14, 93, 99)},
        "bzip2": packed({"1.png": png}, method=zipfile.ZIP_BZIP2),
        "lzma": packed({"1.png": png}, method=zipfile.ZIP_LZMA),
        "bomb": claiming(packed({"1.png": b"\0" * 1_000_000}), 200_000_000),
        "one large entry": packed({"1.png": b"\0" * 60_000_000}),
        "2,000 entries": packed({f"{n}.png": b"" for n in range(2_000)}),
        "table of 400,000": table_of(400_000),
        "table of 400,000 behind zip64": table_of(400_000, zip64=True),
        "table of long names": table_of(300, name_length=65_000),
        "slip": packed({"../../etc/passwd": png, "/root/x.png": png, "..\\..\\evil.png": png}),
        "names of all kinds": packed(
            {
                "![](https://host/x.png)": png,
                "<img src=x onerror=alert(1)>.png": png,
                "=cmd|'/C calc'!A0.png": png,
                "\x1b[2J.png": png,
                "a" * 5_000: png,
                "\u202egnp.exe": png,
            }
        ),
        "an archive in an archive": packed({"inner.zip": whole}),
        "png before it": png + whole,
        "junk": b"PK\x03\x04" + b"junk" * 100,
        "end alone twice": whole[-22:] * 2,
        "offset outside": whole[:-6] + b"\xff\xff\xff\x7f\0\0",
    }
