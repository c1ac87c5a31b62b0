"""Packs events and pixels as Parquet; deterministic for one version of pyarrow.

pyarrow is imported where it is used: most processes read no snapshot, and would wait for it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from medloop.core.corrections.snapshot import EventRecord
from medloop.core.imaging.preprocess import SIZE
from medloop.errors import StoreError


@cache
def events_schema() -> Any:
    """Name the columns of a shard of events."""
    import pyarrow as pa

    return pa.schema([("id", pa.string()), ("folder", pa.string()), ("event", pa.binary())])


@cache
def images_schema() -> Any:
    """Name the columns of a shard of images."""
    import pyarrow as pa

    return pa.schema([("image_sha256", pa.string()), ("pixels", pa.binary(SIZE * SIZE))])


def pack_events(records: Sequence[EventRecord]) -> bytes:
    """Pack columns id, folder and event (its JSON, byte by byte as stored)."""
    columns: list[list[Any]] = [
        [r.id for r in records],
        [r.folder for r in records],
        [r.raw for r in records],
    ]
    return _write(columns, events_schema())


def unpack_events(data: bytes, *, key: str = "a shard") -> list[EventRecord]:
    """Unpack what `pack_events` packed; `key` names it where it is damaged."""
    columns = _read(data, events_schema(), key)
    return [EventRecord(*row) for row in zip(*columns, strict=True)]


def pack_images(pixels: Mapping[str, np.ndarray]) -> bytes:
    """Pack columns image_sha256 (sorted) and pixels, from {hash: uint8 [64, 64]}."""
    names = sorted(pixels)
    return _write([names, [pixels[name].tobytes() for name in names]], images_schema())


def unpack_images(data: bytes, *, key: str = "a shard") -> dict[str, np.ndarray]:
    """Unpack what `pack_images` packed, likewise; the arrays are read-only views."""
    names, pixels = _read(data, images_schema(), key)
    return {
        name: np.frombuffer(raw, dtype=np.uint8).reshape(SIZE, SIZE)
        for name, raw in zip(names, pixels, strict=True)
    }


def _write(columns: Sequence[Sequence[Any]], schema: Any) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    out = io.BytesIO()
    pq.write_table(pa.table(arrays, schema=schema), out, compression="zstd", use_dictionary=False)
    return out.getvalue()


def _read(data: bytes, schema: Any, key: str) -> list[list[Any]]:
    """Read the schema's columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data), use_threads=False)
        if table.schema.types != schema.types or table.schema.names != schema.names:
            raise StoreError(f"{key} is damaged: it has other columns than {schema.names}")
        return [column.to_pylist() for column in table.columns]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise StoreError(f"{key} is damaged ({str(error)[:200]})") from error
