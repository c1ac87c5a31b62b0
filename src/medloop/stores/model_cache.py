"""The last good champion on this machine's disk, for a start without registry."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

POINTER: Final = "champion.json"  # written last: names a version and the digest of its file


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model file and what it was called in the registry."""

    version: str
    onnx: bytes


class ModelCache:
    """A folder with one model.

    Safe between threads and processes: files appear whole, and are checked when read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, model: CachedModel) -> None:
        """Keep this model instead of the one before. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(model.onnx).hexdigest()
        self._replace(f"{digest}.onnx", model.onnx)
        self._replace(POINTER, json.dumps({"version": model.version, "sha256": digest}).encode())
        for old in self._folder.glob("*.onnx"):
            if old.stem != digest:
                old.unlink(missing_ok=True)

    def read(self) -> CachedModel | None:
        """Read the model; None if there is none, or the disk has damaged it."""
        try:
            pointer = json.loads((self._folder / POINTER).read_bytes())
            version, digest = str(pointer["version"]), str(pointer["sha256"])
            onnx = (self._folder / f"{digest}.onnx").read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return CachedModel(version, onnx) if hashlib.sha256(onnx).hexdigest() == digest else None

    def _replace(self, name: str, data: bytes) -> None:
        descriptor, temporary = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._folder / name)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
