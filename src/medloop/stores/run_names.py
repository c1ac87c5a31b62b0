"""Names and descriptions of versions and runs, as people read them in MLflow."""

from __future__ import annotations

from typing import Final

from medloop.stores.version_tags import VersionTags

EXPERIMENT: Final = (
    "Trainings of medloop: one run per version of the registered model, named by version, number "
    "of corrections and what came of it. Metrics that end in `_percent` are for charts."
)
MODEL: Final = (
    "Says what a medical image shows, or that it shows none of its classes. The alias `champion` "
    "answers, `challenger` was judged last, and every version is compared with `reference`, too."
)
VERDICTS: Final = {"yes": "passed the gate", "no": "refused by the gate", "": "not judged"}


def name_run(version: str, tags: VersionTags) -> str:
    """Name a run: "v5: 110 corrections, promoted"."""
    learned = f"{tags.corrections} corrections" if tags.snapshot_id else "base data"
    return f"v{version}: {learned}, {_verdict(tags)}"


def describe_version(version: str, tags: VersionTags, *, card: str) -> str:
    """Describe a version in a sentence, with the verdict and a link to its card."""
    start = f"version {tags.parent_version}" if tags.parent_version else "random weights"
    learned = f" and {tags.corrections} corrections" if tags.snapshot_id else ""
    right = f" {100 * tags.accuracy:.2f} % of the base test images right." if tags.accuracy else ""
    reasons = "".join(f"\n- {reason}" for reason in tags.gate_reasons)
    return (
        f"Version {version} started from {start} and learned from the base data{learned}: "
        f"{_verdict(tags)}.{right} [Model card]({card})\n{reasons}"
    ).strip()


def _verdict(tags: VersionTags) -> str:
    return "promoted" if tags.champion_fence is not None else VERDICTS.get(tags.gate, tags.gate)
