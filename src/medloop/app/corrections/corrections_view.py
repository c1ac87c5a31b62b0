"""What is known of a person's corrections, asked of each store by itself: one that is away hides no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import streamlit as st

from medloop.app.corrections.journey import LearningOutcome
from medloop.app.kit.wording import name_classes
from medloop.app.process.backend import Backend
from medloop.core.corrections.correction_policy import PolicyDecision, decide
from medloop.core.corrections.events import Correction
from medloop.core.corrections.fold import fold
from medloop.core.prediction.predictor import Prediction
from medloop.errors import MedloopError, NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.review import all_events
from medloop.jobs.snapshot import policy_of
from medloop.serving import NoModelError, Served

T = TypeVar("T")
ERASED = "the picture was erased"


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The latest snapshot and the events in it."""

    snapshot_id: str
    event_ids: frozenset[str]


@dataclass(slots=True, eq=False)
class StoreFacts:
    """What the stores say."""

    served: Served | None = None
    decisions: Mapping[str, PolicyDecision] | None = None  # by image hash; None: not known
    snapshot: Snapshot | None = None  # None: there is none yet, or it is not known
    snapshot_asked: bool = False
    # By image hash and label.
    uses: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)  # sentences, each once

    def in_snapshot(self, correction: Correction) -> bool | None:
        """Tell whether the latest snapshot holds it; None: not known."""
        if not self.snapshot_asked:
            return None
        return self.snapshot is not None and correction.id in self.snapshot.event_ids

    def learned(
        self, correction: Correction, label: str | None, prediction: Prediction | None
    ) -> LearningOutcome | None:
        """Tell what the serving version learned of a picture under the decided label; None: no model."""
        if self.served is None:
            return None
        use = self.uses.get((correction.image_sha256, label))
        return LearningOutcome(version=self.served.version, use=use, prediction=prediction)


def ask_stores(back: Backend) -> StoreFacts:
    """Ask the model, the events, the snapshots and the registry."""
    found = StoreFacts()

    def ask(question: Callable[[], T]) -> T | None:
        try:
            return question()
        except NoModelError:
            return None  # no trouble: what waits for a model says so itself
        except MedloopError as error:
            if str(error) not in found.problems:
                found.problems.append(str(error))
            return None

    def latest() -> Snapshot | None:
        manifest = back.context.snapshots.latest()
        held = (
            Snapshot(manifest.snapshot_id, _event_ids(manifest.snapshot_id, back))
            if manifest
            else None
        )
        found.snapshot_asked = True
        return held

    found.served = ask(back.champion.current)
    labels = found.served.predictor.metadata.labels if found.served else ()
    found.decisions = ask(lambda: decide_today(back.context, labels))
    found.snapshot = ask(latest)
    if served := found.served:
        found.uses = ask(lambda: _uses(served.version, str(back.settings.home), back)) or {}
    return found


@st.cache_resource(max_entries=4, show_spinner=False)
def _event_ids(snapshot_id: str, _back: Backend) -> frozenset[str]:
    return read_event_ids(_back.context, snapshot_id)


@st.cache_resource(max_entries=4, show_spinner=False)
def _uses(version: str, home: str, _back: Backend) -> dict[tuple[str, str | None], str]:
    return read_uses_of(_back.context, version)


def decide_today(context: Context, labels: Sequence[str] = ()) -> Mapping[str, PolicyDecision]:
    """Decide about each image as the review queue and the next snapshot would today, by hash.

    Raises:
        StoreError: The events cannot be read.
    """
    states = fold(all_events(context))
    decisions = {
        decision.state.image_sha256: replace(
            decision, reasons=tuple(name_classes(reason, labels) for reason in decision.reasons)
        )
        for decision in decide(states.values(), policy_of(context.settings))
    }
    erased = {
        key: PolicyDecision(state, "rejected", (ERASED,))
        for key, state in states.items()
        if state.status == "erased"
    }
    return {**decisions, **erased}


def read_event_ids(context: Context, snapshot_id: str) -> frozenset[str]:
    """Read the ids of the events in a snapshot.

    Raises:
        StoreError: The snapshot cannot be read.
    """
    return frozenset(
        event.id for event in context.snapshots.all_events(context.snapshots.manifest(snapshot_id))
    )


def read_uses_of(context: Context, version: str) -> dict[tuple[str, str | None], str]:
    """Read what a version's training did with corrections, by image hash and label; {} if unrecorded."""
    from medloop.jobs.training_record import read_uses  # brings the gate's statistics along

    try:
        return {
            (sha256, label): use
            for sha256, label, use in read_uses(context, context.registry.get(version))
        }
    except NotFoundError:
        return {}
