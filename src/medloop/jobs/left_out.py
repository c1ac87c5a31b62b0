"""Objects in the bucket that nobody learns from: no events, not signed, or without their image."""

from __future__ import annotations

from medloop.errors import MedloopError
from medloop.jobs.context import Context
from medloop.jobs.doctor import Finding
from medloop.jobs.snapshot import describe_left_out, gather

FIX = (
    "restore them, or have whoever is meant decide again; nothing is learned from them. "
    "docs/s3-layout.md, What is left out"
)


def left_out(context: Context) -> dict[str, str]:
    """Say why each object is left out, by key, at the cost of what is new since a snapshot.

    Raises:
        StoreError: The store cannot be read.
    """
    return gather(context, with_images=True).left_out | context.ledger.read()[1]


def describe(context: Context) -> str:
    """Count and name what is left out, in a line; "" without any, or where the store is away."""
    try:
        return describe_left_out(left_out(context))
    except MedloopError:
        return ""  # other lines say so


def examine_events(context: Context) -> Finding:
    """Judge for `medloop doctor` what lies among the events, and if they are signed."""
    context.signatures.check_keys()
    if found := describe_left_out(left_out(context)):
        return Finding("events", "warning", found, FIX)
    if context.signatures.unsigned() is None:
        says = "whoever may write to the bucket may forge reviews and erasures: they are not signed"
        fix = "set MEDLOOP_REVIEW_KEY and MEDLOOP_ERASURE_KEY: docs/threat-model.md"
        return Finding("events", "warning", says, fix)
    return Finding("events", "ok", "all are whole, and reviews are signed")
