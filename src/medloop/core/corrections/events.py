"""Everything a person or the loop says, as append-only events: ids, JSON and S3 keys.

Owns the wire format and the key layout (docs/s3-layout.md). Knows no store and no clock: ids are made from a
time and random bytes that the caller passes in.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self
from uuid import UUID

from medloop.errors import StoreError

SCHEMA_VERSION = 1
SHA256 = re.compile(r"[0-9a-f]{64}")
LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # about the end of what Python's time can say

ReviewAction = Literal["approve", "reject", "relabel", "withdraw", "erase", "flag", "trial"]
PromotionAction = Literal["bootstrap", "promote", "rollback", "judge", "choose", "drop"]


def event_id(*, now: datetime, random: bytes) -> str:
    """A UUIDv7 (RFC 9562): sorts by time, unique by 74 random bits.

    Args:
        now: Time of the event, time zone aware.
        random: Ten random bytes.
    """
    milliseconds = int(now.timestamp() * 1000)
    bits = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(random[:10], "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76  # version 7
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # RFC variant
    return str(UUID(int=bits))


def event_time(identifier: str) -> datetime:
    """The millisecond in which `identifier` was made, in UTC; `LATEST` for ids that claim a time after it."""
    return datetime.fromtimestamp(
        min((UUID(identifier).int >> 80) / 1000, LATEST.timestamp()), tz=UTC
    )


@dataclass(frozen=True, slots=True)
class _Event:
    id: str  # UUIDv7
    at: str  # ISO 8601, UTC, of the person's act

    def to_json(self) -> bytes:
        """One JSON object with sorted keys: the same event gives the same bytes."""
        body = {"schema": SCHEMA_VERSION, **asdict(self)}
        return json.dumps(body, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read what `to_json` wrote; keys added by a newer version are ignored.

        Raises:
            StoreError: The bytes are not such an event.
        """
        try:
            body = json.loads(raw)
            known: dict[str, Any] = {f.name: body[f.name] for f in fields(cls) if f.name in body}
            return cls(**known)
        except (ValueError, TypeError) as error:
            raise StoreError(f"not a {cls.__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class Correction(_Event):
    """What a person said about one prediction. `given_label` None means "none of these classes"."""

    image_sha256: str  # of the decoded pixels, see `medloop.core.imaging.decode.content_sha256`
    given_label: str | None
    predicted_label: str | None
    confidence: float | None  # calibrated probability of predicted_label, 0 to 1
    verdict: str | None  # confident, unsure or unknown
    model_version: str | None  # registry version that answered
    who: str  # keyed hash of the person's name, unless the settings say plain
    source: str = "page"  # page or cli
    note: str = ""

    @property
    def confirms(self) -> bool:
        """Whether the person agreed with the prediction."""
        return self.given_label is not None and self.given_label == self.predicted_label

    @property
    def agrees(self) -> bool:
        """Whether the person agreed with what was shown: the class, or that it is unknown."""
        return self.given_label is None if self.verdict == "unknown" else self.confirms


@dataclass(frozen=True, slots=True)
class Review(_Event):
    """What somebody decided about one image.

    `approve`, `reject` and `relabel` are a reviewer's; `withdraw` takes back all that this person said before;
    `erase` is the tombstone of an erased image; `flag` is the screening's, and asks for a reviewer. `trial` is a
    reviewer's answer to a picture whose class was known (`medloop.jobs.honeypots`), `why` whether it was right.
    """

    image_sha256: str
    action: ReviewAction
    label: str | None  # the right class, for relabel; None means "none of these classes"
    who: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Promotion(_Event):
    """One move of an alias: of the champion, unless `alias` says otherwise.

    `bootstrap`, `promote` and `rollback` move the champion, `bootstrap` and `choose` (a person's) the reference,
    `judge` and `drop` the challenger. Snapshot and gate report are those of `to_version`.
    """

    model: str
    action: PromotionAction
    from_version: str | None
    to_version: str  # "" where the alias was taken away
    by: str  # a person, or the run that did it
    reason: str
    snapshot_id: str | None = None
    gate_report: dict[str, Any] | None = None
    alias: str = "champion"
    token: int | None = None  # fencing token of the lease under which it was written


def image_key(image_sha256: str) -> str:
    """Where the pixels with this hash lie."""
    if not SHA256.fullmatch(image_sha256):
        raise StoreError(f"not a SHA-256 in hexadecimal: {image_sha256[:80]!r}")
    return f"images/{image_sha256[:2]}/{image_sha256}.png"


def event_key(event: Correction | Review | Promotion, *, day: str | None = None) -> str:
    """Where an event lies. `day` (YYYY-MM-DD) is the day of storing; by default the day of the event."""
    folder = {Correction: "corrections", Review: "reviews", Promotion: "promotions"}[type(event)]
    return f"{folder}/dt={day or event.at[:10]}/{event.id}.json"
