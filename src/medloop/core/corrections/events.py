"""Everything a person or the loop says, as append-only events: ids, JSON and S3 keys.

Owns the wire format, what an event may hold and the key layout (docs/s3-layout.md). Whoever may
write to the bucket may have written anything: an event is checked here, when it is read and when it
is written, and nowhere else. Knows no store and no clock: ids are made from a time and random bytes
that the caller passes in.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal, Self, TypeVar, cast
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from medloop.core.class_names import check_class_name
from medloop.errors import StoreError

Checked = TypeVar("Checked")
SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 1 << 16  # of a correction or a review; a promotion holds a gate report
SHA256 = re.compile(r"[0-9a-f]{64}")
EVENT_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
EVENT_KEY = re.compile(
    rf"(?:corrections|reviews|promotions)/dt=\d{{4}}-\d\d-\d\d/({EVENT_ID})\.json"
)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)  # clocks that lost their battery begin about here
LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # about the end of what Python's time can say

ReviewAction = Literal[
    "approve", "reject", "relabel", "withdraw", "erase", "flag", "doubt", "trial"
]
PromotionAction = Literal["bootstrap", "promote", "rollback", "judge", "choose", "drop"]


def event_id(*, now: datetime, random: bytes) -> str:
    """Make a UUIDv7 (RFC 9562): sorts by time, unique by 74 random bits.

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
    """Read the millisecond in which `identifier` was made, in UTC, at most `LATEST`."""
    return datetime.fromtimestamp(
        min((UUID(identifier).int >> 80) / 1000, LATEST.timestamp()), tz=UTC
    )


def _check_time(text: str) -> str:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError("a time without its zone")
    if not EARLIEST <= time < LATEST:
        raise ValueError("a time that no clock shows")
    return text


EventId = Annotated[str, Field(pattern=f"^{EVENT_ID}$")]
Time = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT"), AfterValidator(_check_time)]
ImageHash = Annotated[str, Field(pattern=f"^{SHA256.pattern}$")]
Label = Annotated[str, AfterValidator(check_class_name)]
Name = Annotated[str, Field(max_length=200)]
Remark = Annotated[str, Field(max_length=10_000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Verdict = Literal["confident", "unsure", "unknown"]
Signature = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


@dataclass(frozen=True, slots=True)
class _Event:
    __pydantic_config__ = ConfigDict(strict=True)  # a number is no text, and a text no number

    id: EventId  # UUIDv7
    at: Time  # ISO 8601, UTC, of the person's act

    def to_json(self) -> bytes:
        """Write one JSON object with sorted keys: the same event gives the same bytes.

        Raises:
            StoreError: Nobody could read that event again; the message says why.
        """
        body = {"schema": SCHEMA_VERSION, **asdict(self)}
        for name in ("signature", "by_reviewer"):  # as events were before they had these
            if body.get(name) in ("", None):
                body.pop(name, None)
        try:
            raw = canonical(body)
        except ValueError as error:
            raise StoreError(f"not a {type(self).__name__}: {error}") from error
        self.from_json(raw)
        return raw

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read and check what `to_json` wrote; keys added by a newer version are ignored.

        Raises:
            StoreError: The bytes are not such an event.
        """
        return read_checked(cls, raw)


def read_checked(cls: type[Checked], raw: bytes) -> Checked:
    """Read JSON as a dataclass with these types, or raise `StoreError`."""
    try:
        found: Checked = _reader(cast("Any", cls)).validate_json(raw)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False, include_context=False)
        where = ".".join(map(str, first["loc"]))
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise StoreError(f"not a {cls.__name__}: {what}") from error
    return found


@cache
def _reader(cls: type) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def canonical(body: dict[str, Any]) -> bytes:
    """Write JSON in the one form that the same content always has."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False).encode()


@dataclass(frozen=True, slots=True)
class Correction(_Event):
    """A person's answer to one prediction. `given_label` None means "none of these classes"."""

    image_sha256: ImageHash  # of the pixels, see `medloop.core.imaging.decode.content_sha256`
    given_label: Label | None
    predicted_label: Label | None
    confidence: Share | None  # calibrated probability of predicted_label
    verdict: Verdict | None
    model_version: Name | None  # registry version that answered
    who: Name  # keyed hash of the person's name, unless the settings say plain
    source: Name = "page"  # page or cli
    note: Remark = ""
    by_reviewer: bool | None = None  # whether who said so may review; None: not recorded

    @property
    def confirms(self) -> bool:
        """Tell whether the person agreed with the prediction."""
        return self.given_label is not None and self.given_label == self.predicted_label

    @property
    def agrees(self) -> bool:
        """Tell whether the person agreed with the verdict shown: the class, or unknown."""
        return self.given_label is None if self.verdict == "unknown" else self.confirms

    @property
    def overrules(self) -> bool:
        """Tell whether it contradicts an answer that the model was confident of."""
        return self.verdict == "confident" and not self.confirms


@dataclass(frozen=True, slots=True)
class Review(_Event):
    """Somebody's decision about one image.

    `approve`, `reject` and `relabel` are a reviewer's. `withdraw` takes back all that this person
    said before. `erase` is the tombstone of an erased image. `flag` is the screening's, and asks
    for a reviewer. `trial` is a reviewer's answer to a picture whose class was known
    (`medloop.jobs.honeypots`); `why` says if it was right.
    """

    image_sha256: ImageHash
    action: ReviewAction
    label: Label | None  # the right class, for relabel; None means "none of these classes"
    who: Name
    why: Remark = ""
    signature: Signature = ""  # see `medloop.core.corrections.signatures`


@dataclass(frozen=True, slots=True)
class Promotion(_Event):
    """A move of an alias, by default of the champion's.

    `bootstrap`, `promote` and `rollback` move the champion, `bootstrap` and `choose` (a person's)
    the reference, `judge` and `drop` the challenger. Snapshot and gate report are those of
    `to_version`.
    """

    model: Name
    action: PromotionAction
    from_version: Name | None
    to_version: Name  # "" where the alias was taken away
    by: Name  # a person, or the run that did it
    reason: str
    snapshot_id: Name | None = None
    gate_report: dict[str, Any] | None = None
    alias: Name = "champion"
    token: int | None = None  # fencing token of the lease under which it was written
    signature: Signature = ""


def image_key(image_sha256: str) -> str:
    """Name the object that holds the pixels with this hash."""
    if not SHA256.fullmatch(image_sha256):
        raise StoreError(f"not a SHA-256 in hexadecimal: {image_sha256[:80]!r}")
    return f"images/{image_sha256[:2]}/{image_sha256}.png"


def event_key(event: Correction | Review | Promotion, *, day: str | None = None) -> str:
    """Name an event's object under the day of storing (YYYY-MM-DD), by default its own day."""
    folder = {Correction: "corrections", Review: "reviews", Promotion: "promotions"}[type(event)]
    return f"{folder}/dt={day or event.at[:10]}/{event.id}.json"
