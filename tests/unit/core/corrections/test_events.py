"""Events are checked in one place, whoever wrote them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.events import correction, review, sha256_of
from tests.mutated_events import correction_body, mutated

from medloop.core.corrections.events import Correction, Promotion, Review
from medloop.errors import StoreError

IMAGE = sha256_of(1)


def test_any_bytes_are_an_event_or_no_event() -> None:
    kinds = {"corrections": Correction, "reviews": Review}
    whole = 0
    for key, raw in mutated(5_000, [IMAGE]):
        for kind in (kinds[key.partition("/")[0]], Promotion):
            event, reason = read(kind, raw)
            assert "\n" not in reason
            assert len(reason) < 300
            assert event is None or read(kind, event.to_json()) == (event, "")
            whole += event is not None
    assert 300 < whole < 4_000


def read(kind: type[Any], raw: bytes) -> tuple[Any, str]:
    try:
        return kind.from_json(raw), ""
    except StoreError as error:
        return None, str(error)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "abc"},
        {"at": "yesterday"},
        {"at": "2026-11-02T09:00:00"},
        {"image_sha256": "f" * 63},
        {"given_label": ""},
        {"given_label": "Hand\nCXR"},
        {"given_label": "\ud800"},
        {"given_label": 3},
        {"confidence": 1.01},
        {"confidence": float("nan")},
        {"verdict": "sure"},
        {"who": "x" * 201},
        {"note": "x" * 10_001},
    ],
)
def test_what_could_not_be_read_is_not_written(wrong: dict[str, Any]) -> None:
    with pytest.raises(StoreError, match="not a Correction"):
        Correction(**{**_fields(), **wrong}).to_json()


def test_keys_of_a_newer_version_are_ignored() -> None:
    event = correction(IMAGE)
    raw = event.to_json()[:-1] + b', "colour": ["blue"]}'
    assert Correction.from_json(raw) == event


def test_an_unsigned_review_is_written_as_it_always_was() -> None:
    assert b"signature" not in review(IMAGE, "approve").to_json()


def test_a_hundred_thousand_are_checked_in_seconds() -> None:
    raw = correction(IMAGE).to_json()
    started = time.perf_counter()
    for _ in range(100_000):
        Correction.from_json(raw)
    assert time.perf_counter() - started < 20  # 0.4 s on two idle cores


def _fields() -> dict[str, Any]:
    return {name: value for name, value in correction_body(IMAGE).items() if name != "schema"}
