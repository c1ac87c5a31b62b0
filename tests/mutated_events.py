"""Objects as somebody with the page's S3 key might put them: events with something wrong, and no
events at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.events import START, new_id

VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2,
    1.5,
    -0.1,
    10**30,
    1e308,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\x00",
    "\n",
    "Hand",
    "Hand\n",
    "\u202edaH",
    "\ud800",
    "[red]",
    "=1+1",
    "<b>",
    "x" * 300,
    "x" * 20_000,
    "0" * 64,
    "f" * 63,
    "F" * 64,
    "../" * 21 + "x",
    "2026-11-02",
    "2026-13-45T00:00:00+00:00",
    "9999-12-31T23:59:59-23:59",
    "2026-11-02T09:00:00",
    [],
    {},
    ["Hand"],
    {"a": "b"},
    "erase",
    "approve",
    "explode",
)


def correction_body(image_sha256: str) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": new_id(),
        "at": START.isoformat(),
        "image_sha256": image_sha256,
        "given_label": "Hand",
        "predicted_label": "CXR",
        "confidence": 0.5,
        "verdict": "unsure",
        "model_version": "1",
        "who": "eve",
        "source": "page",
        "note": "",
    }


def review_body(image_sha256: str, action: str = "erase") -> dict[str, Any]:
    return {
        "schema": 1,
        "id": new_id(),
        "at": START.isoformat(),
        "image_sha256": image_sha256,
        "action": action,
        "label": "CXR",
        "who": "eve",
        "why": "",
    }


def mutated(count: int, image_sha256s: list[str], *, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield keys below corrections/ and reviews/, each with bytes."""
    chance = random.Random(seed)
    for _ in range(count):
        image = chance.choice(image_sha256s)
        if chance.random() < 0.5:
            folder, body = "corrections", correction_body(image)
        else:
            action = chance.choice(["erase", "relabel", "approve", "reject", "withdraw", "flag"])
            folder, body = "reviews", review_body(image, action)
        key = f"{folder}/dt=2026-11-02/{body['id']}.json"
        yield key, chance.choice(MUTATIONS)(body, chance)


def _change_value(body: dict[str, Any], chance: random.Random) -> bytes:
    body[chance.choice(list(body))] = chance.choice(VALUES)
    return _dump(body)


def _drop(body: dict[str, Any], chance: random.Random) -> bytes:
    del body[chance.choice(list(body))]
    return _dump(body)


def _nest(body: dict[str, Any], chance: random.Random) -> bytes:
    depth = chance.choice([3, 150, 300, 5000])
    name = chance.choice([*body, "more"])
    body.pop(name, None)
    opened, closed = chance.choice([("[", "]"), ('{"a":', "}")])
    deep = opened * depth + "1" + closed * depth
    return _dump(body)[:-1] + f', "{name}": {deep}}}'.encode()


def _flip(body: dict[str, Any], chance: random.Random) -> bytes:
    raw = bytearray(_dump(body))
    for _ in range(chance.choice([1, 1, 5, 50])):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


def _cut(body: dict[str, Any], chance: random.Random) -> bytes:
    raw = _dump(body)
    return raw[: chance.randrange(len(raw))]


def _say_twice(body: dict[str, Any], chance: random.Random) -> bytes:
    name = chance.choice(list(body))
    return _dump(body)[:-1] + f', "{name}": {json.dumps(chance.choice(VALUES))}}}'.encode()


def _replace_all(body: dict[str, Any], chance: random.Random) -> bytes:
    return chance.choice(
        [
            b"",
            b"null",
            b"[]",
            b"1",
            b'"x"',
            b"{",
            b"\xff\xfe",
            b"\x89PNG\r\n",
            b"PAR1",
            b"[" * 50_000,
            b"\x00" * 100,
            chance.randbytes(200),
            b'{"a":1}' * 3,
            b"1" * 10_000,
            b"\xef\xbb\xbf{}",
        ]
    )


def _huge(body: dict[str, Any], chance: random.Random) -> bytes:
    body[chance.choice(["note", "why", "who", "given_label", "more"])] = "x" * 70_000
    return _dump(body)


def _nothing_wrong(body: dict[str, Any], chance: random.Random) -> bytes:
    return _dump(body)


def _dump(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()


MUTATIONS: tuple[Callable[[dict[str, Any], random.Random], bytes], ...] = (
    _change_value,
    _change_value,
    _change_value,
    _drop,
    _nest,
    _flip,
    _cut,
    _say_twice,
    _replace_all,
    _huge,
    _nothing_wrong,
)
