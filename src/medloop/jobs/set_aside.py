"""Goes on with a week without the people whose corrections do harm.

After the gate's "no" little harm is enough. If it noticed nothing, as with most backdoors, it takes
much. Their corrections since the champion's snapshot wait for a reviewer, and the week is run once
more. Everything follows from the first version alone, so a second run finds what the first one did.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.corrections.blame import MUCH_WORSE, WORSE, Blame, Embedded, blame
from medloop.core.corrections.fold import ImageState, fold
from medloop.core.data.splits import evenly
from medloop.core.gate.evaluation import corrupted
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.context import Context
from medloop.jobs.evaluate import evaluate
from medloop.jobs.screen import flag
from medloop.jobs.snapshot import accepted_labels, extend
from medloop.jobs.train import train
from medloop.jobs.training_data import acceptance_sets, gather_again
from medloop.jobs.training_record import Engine, read_recipe
from medloop.progress import Progress, part, silent
from medloop.stores.registry import ModelVersion

if TYPE_CHECKING:
    from medloop.core.data.training_set import TrainingSet
    from medloop.core.gate.report import GateReport
    from medloop.core.learn.config import TrainingConfig

BASE_IMAGES: Final = 4000  # of the base data that the stand-in for a training learns from

log = logging.getLogger(__name__)


def without_harm(
    context: Context,
    *,
    version: str,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    progress: Progress = silent,
) -> str:
    """Return the version to promote: this one, or one trained without those who do harm.

    Raises:
        NotFoundError: There is no such version, or no champion.
    """
    report = evaluate(context, version=version)
    if report.champion_version == version:
        return version
    snapshot_id = set_aside(context, context.registry.get(version), report)
    if snapshot_id is None:
        return version
    again = train(
        context,
        snapshot_id=snapshot_id,
        engine=engine,
        config=config,
        progress=part(progress, 0.1, 0.8),
    )
    evaluate(context, version=again.version, progress=part(progress, 0.8, 1.0))
    return again.version


def set_aside(context: Context, version: ModelVersion, report: GateReport) -> str | None:
    """Flag what the people to blame gave; the snapshot with these flags, None for nobody.

    Where settings trust all corrections, a flag holds nothing back, and nobody is looked for.
    """
    snapshot_id, champion = version.tags.snapshot_id, report.champion_version
    if not snapshot_id:
        return None
    if context.snapshots.manifest(snapshot_id).policy.review != "suspicious":
        return None
    states = _recent(context, snapshot_id, context.registry.get(champion).tags.snapshot_id)
    worse = MUCH_WORSE if report.passed else WORSE
    found = _blame(context, version, champion, states, worse=worse)
    if not found.people:
        return None
    why = (
        f"version {version.version} learned this person's corrections, and they make it worse on "
        "pictures whose class is known"
    )
    flags = [
        flag(context, state, why) for state in states.values() if found.people >= set(state.who)
    ]
    log.warning(
        "version %s: %d corrections by %s wait for a reviewer (loss on known pictures %.3f, "
        "without them %.3f, without any %.3f)",
        version.version, len(flags), ", ".join(sorted(found.people)),
        found.loss, found.loss_without, found.loss_of_none,
    )  # fmt: skip
    return extend(context, snapshot_id, flags)


def _recent(context: Context, snapshot_id: str, since: str) -> Mapping[str, ImageState]:
    """Find images that a snapshot accepts unreviewed, and the champion's did not, by their hash."""
    now = accepted_labels(context, snapshot_id)
    before = accepted_labels(context, since) if since else {}
    states = fold(context.snapshots.all_events(context.snapshots.manifest(snapshot_id)))
    return {
        sha256: states[sha256]
        for sha256, label in now.items()
        if states[sha256].status == "unreviewed" and before.get(sha256, "") != label
    }


def _blame(
    context: Context,
    version: ModelVersion,
    champion: str,
    states: Mapping[str, ImageState],
    *,
    worse: float,
) -> Blame:
    recipe = read_recipe(context, version)
    learned = gather_again(context, recipe, kept_out=acceptance_sets(context))
    seen = Predictor(context.registry.model_file(champion)).predict_arrays
    rows = evenly(learned.split.train, BASE_IMAGES)
    images, origins = _trusted(learned)
    hashes = np.array(learned.corrections.image_sha256)[learned.trained]
    return blame(
        Embedded(seen(learned.base.images[rows]).embedding, learned.base_targets[rows]),
        Embedded(seen(images).embedding, learned.base_targets[learned.split.validation][origins]),
        origins,
        Embedded(
            seen(learned.corrections.images[learned.trained]).embedding,
            learned.correction_targets(),
        ),
        [frozenset(states[sha256].who if sha256 in states else ()) for sha256 in hashes],
        worse=worse,
    )


def _trusted(learned: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
    """Images to judge by, and the validation image that each is or was made of."""
    held_out = learned.base.images[learned.split.validation]
    worsened, origins = corrupted(held_out)
    return np.concatenate([held_out, worsened]), np.r_[np.arange(len(held_out)), origins]
