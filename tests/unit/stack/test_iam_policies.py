"""The AWS policies of docs/, asked as AWS would answer: a deny wins, and what nothing allows is
refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[3] / "docs"
BUCKET = json.loads((DOCS / "iam-bucket-append-only.json").read_text())
# A put of `If-None-Match: *` over TLS, a plain one, and one without TLS.
CREATE = {
    "s3:if-none-match": "*", "s3:ObjectCreationOperation": "true", "aws:SecureTransport": "true",
}  # fmt: skip
OVERWRITE = {"s3:ObjectCreationOperation": "true", "aws:SecureTransport": "true"}
EVENT = "dt=2026-11-02/01a19b7c-a681-7fec-ab66-ffc86f38d952.json"


def is_allowed(role: str, action: str, key: str | None, context: Mapping[str, str]) -> bool:
    resource = "arn:aws:s3:::medloop" + ("" if key is None else f"/{key}")
    own = json.loads((DOCS / f"iam-{role}.json").read_text())
    effects = {
        part["Effect"]
        for part in (*own["Statement"], *BUCKET["Statement"])
        if _covers(part["Action"], action)
        and _covers(part["Resource"], resource)
        and _holds(part.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _covers(patterns: str | list[str], value: str) -> bool:
    found = [patterns] if isinstance(patterns, str) else patterns
    as_regex = (re.escape(p).replace(r"\*", ".*").replace(r"\?", ".") for p in found)
    return any(re.fullmatch(regex, value, re.DOTALL) for regex in as_regex)


def _holds(condition: Mapping[str, Mapping[str, str]], context: Mapping[str, str]) -> bool:
    """Every operator and every key must hold; a key that the request lacks makes Bool false."""
    for operator, wanted in condition.items():
        for name, value in wanted.items():
            if operator == "Null":
                holds = (name not in context) == (value == "true")
            elif operator == "Bool":
                holds = context.get(name) == value
            else:
                raise AssertionError(f"no such operator: {operator}")
            if not holds:
                return False
    return True


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ("frontend", "images/ab/ab.png"),
        ("frontend", f"corrections/{EVENT}"),
        ("frontend", f"reviews/{EVENT}"),
        ("frontend", f"promotions/{EVENT}"),
        ("frontend", "predictions/dt=2026-11-02/x.parquet"),
        ("trainer", f"reviews/{EVENT}"),
        ("trainer", "snapshots/unsigned.json"),
        ("trainer", "images/ab/ab.erased"),
        ("operator", f"reviews/{EVENT}"),
    ],
)
def test_each_may_create_what_it_has_to(role: str, key: str) -> None:
    assert is_allowed(role, "s3:PutObject", key, CREATE)


@pytest.mark.parametrize(
    ("role", "key"),
    [
        ("frontend", "snapshots/unsigned.json"),
        ("frontend", "snapshots/latest.json"),
        ("frontend", "images/ab/ab.erased"),
        ("frontend", "leases/training.json"),
        ("frontend", "reports/m/version=1/x.json"),
        ("frontend", "datasets/x/manifest.json"),
        ("frontend", "anything"),
        ("trainer", f"corrections/{EVENT}"),
        ("trainer", "images/ab/ab.png"),
        ("trainer", "predictions/dt=2026-11-02/x.parquet"),
    ],
)
def test_none_may_create_what_it_need_not(role: str, key: str) -> None:
    assert not is_allowed(role, "s3:PutObject", key, CREATE)


def roles_and_events() -> Iterable[tuple[str, str]]:
    keys = [f"{folder}/{EVENT}" for folder in ("corrections", "reviews", "promotions")]
    return [
        (role, key)
        for role in ("frontend", "trainer", "operator")
        for key in (*keys, "snapshots/unsigned.json")
    ]


@pytest.mark.parametrize(("role", "key"), roles_and_events())
def test_nobody_overwrites_or_deletes_what_was_said(role: str, key: str) -> None:
    assert not is_allowed(role, "s3:PutObject", key, OVERWRITE)
    for action in ("s3:DeleteObject", "s3:DeleteObjectVersion"):
        assert not is_allowed(role, action, key, {"aws:SecureTransport": "true"})


@pytest.mark.parametrize("role", ["frontend", "trainer", "operator"])
def test_all_may_read_and_list_but_not_without_tls(role: str) -> None:
    for action, key in (
        ("s3:ListBucket", None),
        ("s3:GetObject", "snapshots/unsigned.json"),
        ("s3:GetObject", f"reviews/{EVENT}"),
    ):
        assert is_allowed(role, action, key, {"aws:SecureTransport": "true"})
        assert not is_allowed(role, action, key, {"aws:SecureTransport": "false"})


def test_only_images_are_deleted_and_not_by_the_page() -> None:
    tls = {"aws:SecureTransport": "true"}
    assert [
        is_allowed(role, "s3:DeleteObject", "images/ab/ab.png", tls)
        for role in ("frontend", "trainer", "operator")
    ] == [False, True, True]
    assert not is_allowed("operator", "s3:DeleteObject", "images/ab/ab.erased", tls)
    for action in ("s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutObjectAcl"):
        assert not any(is_allowed(role, action, None, tls) for role in ("frontend", "operator"))
