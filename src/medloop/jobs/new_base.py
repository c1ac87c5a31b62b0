"""Another base data set: what follows when the settings name one that the champion never saw.

The next training then starts from nothing (`jobs.train`). If the gate finds its version better, on
what no model has seen, that version becomes the reference, too: here.
"""

from __future__ import annotations

from collections import Counter

from medloop.core.gate.words import summary
from medloop.jobs.context import Context
from medloop.jobs.reference import choose_reference
from medloop.jobs.snapshot import accepted_labels
from medloop.jobs.training_record import recorded_report
from medloop.stores.datasets import split_alike
from medloop.stores.registry import CHAMPION, REFERENCE


def is_another_base(before: str, base_id: str) -> bool:
    """Tell if a version with base data `before` ("": not recorded) knows nothing of `base_id`."""
    return before != "" and before not in split_alike(base_id)


def describe_new_base(context: Context, snapshot_id: str) -> str:
    """Say that a snapshot has another base data set than the champion, and what it lacks; or ""."""
    champion = context.registry.version_of(CHAMPION)
    base_id = context.snapshots.manifest(snapshot_id).base_id
    before = context.registry.get(champion).tags.base_id if champion else base_id
    if not is_another_base(before, base_id):
        return ""
    told = f"base data set {base_id} instead of {before}: trained from nothing"
    labels = context.datasets.get(base_id).labels
    given = accepted_labels(context, snapshot_id).values()
    gone = Counter(label for label in given if label is not None and label not in labels)
    lacks = ", ".join(f"{label} ({count})" for label, count in sorted(gone.items()))
    return f"{told}; it lacks classes that corrections name: {lacks}" if gone else told


def settle_reference(context: Context, *, version: str, by: str) -> bool:
    """Make a new champion the reference, too, if the old one learned from another base data set."""
    chosen, before = context.registry.get(version), context.registry.version_of(REFERENCE)
    if before is None or context.registry.version_of(CHAMPION) != version:
        return False
    base_before = context.registry.get(before).tags.base_id
    if not is_another_base(base_before, chosen.tags.base_id):
        return False
    report = recorded_report(context, chosen)
    why = f"new base data set {chosen.tags.base_id} instead of {base_before}"
    reason = f"{why}; {summary(report)}" if report else why
    choose_reference(context, version=version, by=by, reason=reason)
    return True
