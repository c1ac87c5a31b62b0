"""The hash that git gives a folder: the same everywhere, whatever bytes an archive of it has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Entry = tuple[bool, bytes]  # executable, SHA-1 of the blob


def blob_hash(data: bytes) -> bytes:
    """Hash one file's content as git does."""
    return _sha1(b"blob", data)


def tree_hash(files: Mapping[str, Entry]) -> str:
    """Hash a folder with these files by relative path as git does, in hexadecimal."""
    return _tree(files).hex()


def _tree(files: Mapping[str, Entry]) -> bytes:
    folders: dict[str, dict[str, Entry]] = {}
    lines: list[tuple[bytes, bytes]] = []  # sort key, entry
    for path, (executable, digest) in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(name, {})[rest] = (executable, digest)
        else:
            mode = b"100755" if executable else b"100644"
            lines.append((name.encode(), mode + b" " + name.encode() + b"\0" + digest))
    for name, inside in folders.items():  # git sorts a folder as if its name ended in a slash
        lines.append((name.encode() + b"/", b"40000 " + name.encode() + b"\0" + _tree(inside)))
    return _sha1(b"tree", b"".join(line for _, line in sorted(lines)))


def _sha1(kind: bytes, data: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(data) + data, usedforsecurity=False).digest()
