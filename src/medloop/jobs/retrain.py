"""Runs the weekly loop without Airflow, if there is reason to: snapshot, train, judge, promote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medloop.jobs.context import Context
from medloop.jobs.new_base import describe_new_base, settle_reference
from medloop.jobs.promote import promote
from medloop.jobs.review import describe_queue
from medloop.jobs.screen import screened_snapshot
from medloop.jobs.snapshot import accepted_labels
from medloop.jobs.train import TrainResult, train
from medloop.jobs.training_record import Engine
from medloop.progress import Progress, part, silent

if TYPE_CHECKING:
    from medloop.core.learn.config import TrainingConfig


@dataclass(frozen=True, slots=True)
class RetrainPlan:
    """The decision to train or not, and the snapshot for it."""

    snapshot_id: str | None  # None: not this time
    reason: str
    new: int  # corrected images that the last training did not have, or had under another label


@dataclass(frozen=True, slots=True)
class RetrainResult:
    """Outcome of a weekly round. Later ids are None where the round ended before."""

    reason: str
    snapshot_id: str | None = None
    version: str | None = None
    reused: bool = False
    promoted: bool = False
    champion: str | None = None
    refused: str | None = None  # a version before it, which learned what is set aside by now
    notes: tuple[str, ...] = ()  # another base data set, what waits for a reviewer


def plan(
    context: Context,
    *,
    force: bool = False,
    min_new: int | None = None,
    progress: Progress = silent,
) -> RetrainPlan:
    """Screen what is new, take a snapshot and decide whether enough in it is new to train.

    Fewer than `min_new` new corrections are not worth a training, unless it is forced; None takes
    the settings' number.
    """
    taken, _ = screened_snapshot(context, progress=progress)
    least = context.settings.min_new_corrections if min_new is None else min_new
    new = _untrained(context, taken.snapshot_id)
    reason = f"{_images(new)} new or changed"
    if base := describe_new_base(context, taken.snapshot_id):
        return RetrainPlan(taken.snapshot_id, f"{base}; {reason}", new)
    if force:
        return RetrainPlan(taken.snapshot_id, f"forced; {reason}", new)
    if new >= max(1, least):
        return RetrainPlan(taken.snapshot_id, reason, new)
    why = f"only {reason}, and {least} are worth a training"
    if new == 0:
        why = f"nothing new: none of {taken.corrections} corrections changes what was learned"
    return RetrainPlan(None, why, new)


def retrain(
    context: Context,
    *,
    force: bool = False,
    min_new: int | None = None,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    by: str = "medloop retrain",
    progress: Progress = silent,
) -> RetrainResult:
    """Do one round. The gate decides about the promotion; `force` goes on without enough news.

    If somebody's corrections do harm, the round goes on without them. A training that was done
    before is found, and not done again.
    """
    from medloop.core.gate.words import summary
    from medloop.jobs.evaluate import evaluate

    decided = plan(context, force=force, min_new=min_new, progress=part(progress, 0.0, 0.1))
    if decided.snapshot_id is None:
        return RetrainResult(decided.reason)
    base = describe_new_base(context, decided.snapshot_id)
    trained, version = _train(context, decided.snapshot_id, engine, config, progress)
    judged = evaluate(context, version=version)
    outcome = promote(context, version=version, by=by)
    if outcome.promoted:
        settle_reference(context, version=version, by=by)
    progress(1.0, "done")
    stale = judged.passed and not outcome.promoted
    return RetrainResult(
        reason="; ".join(outcome.reasons) if stale else summary(judged),
        snapshot_id=judged.snapshot_id,
        version=version,
        reused=trained.reused and version == trained.version,
        refused=None if version == trained.version else trained.version,
        promoted=outcome.promoted,
        champion=outcome.to_version,
        notes=tuple(filter(None, (base, describe_queue(context)))),
    )


def _train(
    context: Context,
    snapshot_id: str,
    engine: Engine | None,
    config: TrainingConfig | None,
    progress: Progress,
) -> tuple[TrainResult, str]:
    """Train and judge; give the training, and the version without what does harm."""
    from medloop.jobs.evaluate import evaluate
    from medloop.jobs.set_aside import without_harm

    trained = train(
        context,
        snapshot_id=snapshot_id,
        engine=engine,
        config=config,
        progress=part(progress, 0.1, 0.5),
    )
    evaluate(context, version=trained.version, progress=part(progress, 0.5, 0.6))
    version = without_harm(
        context,
        version=trained.version,
        engine=engine,
        config=config,
        progress=part(progress, 0.6, 0.98),
    )
    return trained, version


def _untrained(context: Context, snapshot_id: str) -> int:
    """Count accepted images that differ from what the last training had: new, changed or gone."""
    versions = context.registry.versions()
    trained = [item.tags.snapshot_id for item in versions if item.tags.snapshot_id]
    if trained[-1:] == [snapshot_id]:
        return 0
    now = accepted_labels(context, snapshot_id)
    before = accepted_labels(context, trained[-1]) if trained else {}
    return sum(now.get(image, "") != before.get(image, "") for image in now.keys() | before.keys())


def _images(count: int) -> str:
    return f"{count} corrected image{'' if count == 1 else 's'}"
