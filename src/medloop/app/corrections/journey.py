"""The steps of each correction from its entry to the model, as a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from medloop.app.kit.escape_markdown import plain_html
from medloop.app.kit.wording import class_name, percent
from medloop.core.corrections.correction_policy import PolicyDecision
from medloop.core.corrections.events import Correction, Review
from medloop.core.prediction.predictor import Prediction
from medloop.stores.outbox import OutboxEntry, State

USES: Final[Mapping[str, str]] = {
    "trained": "Version {version} learned from it",
    "held out": "Kept for testing: version {version} was tested on it",
    "twin of a held-out one": "Not learned from: nearly the same as one kept for testing",
    "in the base test": "Not learned from: it, or nearly the same one, is among the test pictures",
    "class too new": "Waits until there are enough pictures of this class",
}
OWN_WORD: Final = "Against a confident answer: you are a reviewer, too, so your word is enough"
SAYS = {
    "done": "done",
    "now": "in progress",
    "ahead": "still to come",
    "stopped": "ended here",
}  # for screen readers
StepState = Literal["done", "now", "ahead", "stopped"]


@dataclass(frozen=True, slots=True)
class Station:
    """A step on a correction's way to the model."""

    text: str
    state: StepState


@dataclass(frozen=True, slots=True)
class Said:
    """The last thing a person said about one image."""

    correction: Correction
    state: State
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class LearningOutcome:
    """The serving model's use of a correction and its answer now."""

    version: str
    use: str | None  # see `medloop.core.data.training_set.Use`; None: its training did not have it
    prediction: Prediction | None  # its answer; None: the image could not be read


def last_said(entries: Sequence[OutboxEntry]) -> list[Said]:
    """Keep one entry per image of a person's history; both have the newest first."""
    found: dict[str, Said] = {}
    withdrawn: set[str] = set()
    for entry in entries:
        event = entry.event
        if event.image_sha256 in found:
            continue
        if isinstance(event, Review):
            withdrawn.add(event.image_sha256)
        else:
            found[event.image_sha256] = Said(event, entry.state, event.image_sha256 in withdrawn)
    return list(found.values())


def steps(
    said: Said,
    *,
    decision: PolicyDecision | None,
    snapshot: str | None,
    learned: LearningOutcome | None,
    asked: bool = True,
) -> list[Station]:
    """Tell the way of one correction.

    Args:
        said: The correction and whether it is stored.
        decision: What all answers to the image amount to today; None if nothing is known.
        snapshot: Id of the latest snapshot, if the correction is in it.
        learned: The serving model's view.
        asked: Whether the store could be asked for `decision` and `snapshot`.
    """
    way = [Station("Saved here", "done")]
    if said.withdrawn:
        return [*way, Station("Taken back", "stopped")]
    if said.state != "stored":
        return [*way, Station("Waits for the store", "now"), Station("Learned", "ahead")]
    way.append(Station("Stored", "done"))
    if not asked:
        return [*way, Station("What came next is not known at the moment", "now")]
    if decision and decision.verdict == "pending":
        return [
            *way,
            Station(f"In review: {'; '.join(decision.reasons)}", "now"),
            Station("Learned", "ahead"),
        ]
    if decision and decision.verdict == "rejected":
        return [*way, Station(f"Not used: {'; '.join(decision.reasons)}", "stopped")]
    if said.correction.by_reviewer and said.correction.overrules:
        way.append(Station(OWN_WORD, "done"))
    label = label_of(said.correction, decision)
    if label != said.correction.given_label:
        way.append(Station(f"A reviewer says: {class_name(label)}", "done"))
    if snapshot is None:
        return [*way, Station("Waits for the next training", "now"), Station("Learned", "ahead")]
    return [*way, Station(f"In snapshot {snapshot[:8]}", "done"), *_outcome(label, learned)]


def label_of(correction: Correction, decision: PolicyDecision | None) -> str | None:
    """Choose the label that is learned from: the reviewer's if there is one, else the person's."""
    if decision and decision.state.status == "approved":
        return decision.state.label
    return correction.given_label


def may_withdraw(said: Said, *, in_snapshot: bool | None) -> bool:
    """Tell whether it can be taken back: a snapshot does not hold it, and that is known.

    What waits for the store is in no snapshot.
    """
    return not said.withdrawn and (said.state == "pending" or in_snapshot is False)


def _outcome(label: str | None, learned: LearningOutcome | None) -> list[Station]:
    if learned is None or learned.use is None:
        return [Station("Waits for a version that learns it", "now")]
    text = USES.get(learned.use, f"Not learned from: {learned.use}").format(version=learned.version)
    first = Station(text, "done" if learned.use in {"trained", "held out"} else "stopped")
    return [first, *_now(label, learned)]


def _now(label: str | None, learned: LearningOutcome) -> list[Station]:
    prediction = learned.prediction
    if prediction is None:
        return []
    said = None if prediction.verdict == "unknown" else prediction.label
    if said == label:
        return [Station(f"Version {learned.version} now gets this one right", "done")]
    return [
        Station(
            f"Version {learned.version} still says {class_name(said) if said else 'unknown'}",
            "stopped",
        )
    ]


def describe_prediction(correction: Correction) -> str:
    """Say what the model had answered."""
    if correction.predicted_label is None:
        return "No model had answered."
    sure = f", {percent(correction.confidence)}" if correction.confidence is not None else ""
    agreed = "You agreed with" if correction.confirms else "Instead of"
    label = class_name(correction.predicted_label)
    return f"{agreed} version {correction.model_version}: {label}{sure}."


def timeline(way: Sequence[Station]) -> str:
    """Draw an ordered list; marks tell the states, and words do for screen readers."""
    items = "".join(
        f'<li class="{step.state}">{plain_html(step.text)}'
        f'<span class="ml-sr"> ({SAYS[step.state]})</span></li>'
        for step in way
    )
    return f'<ol class="ml-way">{items}</ol>'
