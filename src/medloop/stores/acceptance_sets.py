"""Acceptance sets in S3: a site's own labelled images, never trained on, with a floor for the gate.

`acceptance/{name}/sets/{dataset_id}.npz` holds images; `acceptance/{name}/{id}.json` declares them.
Keys are append-only: the newest declaration of a name counts.
"""

from __future__ import annotations

import io
import json
import re
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from medloop.errors import NotFoundError, StoreError
from medloop.stores.objects import ObjectStore

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Declaration:
    """The latest declaration of a set."""

    id: str  # UUIDv7 of the declaration
    at: str
    name: str
    set_id: str | None  # None: the set no longer counts
    floor: float  # least share of right answers
    images: int
    by: str


@dataclass(frozen=True, slots=True, eq=False)
class AcceptanceSet:
    """The images of a set with their classes."""

    name: str
    set_id: str
    floor: float
    images: np.ndarray  # uint8 [N, 64, 64]
    classes: np.ndarray  # str [N]
    groups: np.ndarray  # int64 [N]


class AcceptanceStore:
    """All acceptance sets of one bucket."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def declare(self, declaration: Declaration, content: AcceptanceSet | None) -> None:
        """Store a set (None: only withdraw its name), images first.

        Raises:
            StoreError: The name would not make a key.
        """
        if not NAME.fullmatch(declaration.name):
            raise StoreError(
                f"{declaration.name[:80]!r} can't name an acceptance set: small letters, digits, - "
                "and _, 63 at most"
            )
        if content is not None:
            self._objects.ensure(set_key(content.name, content.set_id), _pack(content))
        key = f"acceptance/{declaration.name}/{declaration.id}.json"
        self._objects.create(key, json.dumps(asdict(declaration), sort_keys=True).encode())

    def declarations(self) -> list[Declaration]:
        """List the sets that count, by name."""
        keys = [f"acceptance/{name}/{newest}.json" for name, newest in self._newest().items()]
        found = [Declaration(**json.loads(raw)) for raw in self._objects.get_many(sorted(keys))]
        return [declaration for declaration in found if declaration.set_id is not None]

    def newest_id(self, name: str) -> str:
        """Look up the last declaration of a name, one that withdrew it included; "" without one."""
        return self._newest().get(name, "")

    def _newest(self) -> dict[str, str]:
        """Map each name to the id of its last declaration."""
        newest: dict[str, str] = {}
        for info in self._objects.list("acceptance"):
            parts = info.key.split("/")
            if len(parts) == 3 and parts[2].endswith(".json"):
                found = parts[2].removesuffix(".json")
                newest[parts[1]] = max(newest.get(parts[1], ""), found)
        return newest

    def stored(self) -> list[tuple[str, str]]:
        """List name and id of every set whose images are there, even if it no longer counts."""
        paths = [info.key.split("/") for info in self._objects.list("acceptance")]
        return sorted(
            (path[1], path[3].removesuffix(".npz"))
            for path in paths
            if len(path) == 4 and path[2] == "sets" and path[3].endswith(".npz")
        )

    def load(self, declaration: Declaration) -> AcceptanceSet:
        """Load the images of a declared set.

        Raises:
            NotFoundError: It was withdrawn, or the object is gone.
        """
        if declaration.set_id is None:
            raise NotFoundError(f"the acceptance set {declaration.name} was withdrawn")
        return self.content(declaration.name, declaration.set_id, floor=declaration.floor)

    def content(self, name: str, set_id: str, *, floor: float = 0.0) -> AcceptanceSet:
        """Load the images of a set by its id, even if it no longer counts."""
        raw = self._objects.get(set_key(name, set_id))
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return AcceptanceSet(
                name=name,
                set_id=set_id,
                floor=floor,
                images=arrays["images"],
                classes=arrays["classes"],
                groups=arrays["groups"],
            )


def set_key(name: str, set_id: str) -> str:
    """Name the object with the images of a set."""
    return f"acceptance/{name}/sets/{set_id}.npz"


def _pack(content: AcceptanceSet) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        images=content.images,
        classes=content.classes,
        groups=content.groups,
    )
    return buffer.getvalue()
