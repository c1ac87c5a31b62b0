"""The first model, champion and reference at once: it comes with the package, or is trained.

The one of the package learned from the full Medical MNIST, without the examinations that the
bundled sample tests on. It is taken where the sample, or that set, is the base data set and no
acceptance set has to be kept out of the training. Otherwise the base data alone is trained on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core import none_of_these
from medloop.core.corrections.lineage import champions
from medloop.core.data.chance import balanced_accuracy, better_than_chance
from medloop.core.data.data_summary import warnings
from medloop.core.learn.config import TrainingConfig
from medloop.core.prediction.model_contract import load_checked
from medloop.errors import ModelError
from medloop.jobs.alias_moves import explain_champion, last_there, move_alias, moves
from medloop.jobs.context import Context
from medloop.jobs.train import learn, recipe_for
from medloop.jobs.training_data import acceptance_sets, gather
from medloop.jobs.training_record import Engine, Making, Recipe
from medloop.progress import Progress, silent
from medloop.stores.datasets import FULL_SET, split_alike
from medloop.stores.registry import CHAMPION, REFERENCE
from medloop.stores.shipped_model import shipped_model
from medloop.stores.version_tags import VersionTags

if TYPE_CHECKING:
    from medloop.core.data.training_set import TrainingSet
    from medloop.core.prediction.predictor import Predictor
    from medloop.stores.lease import Held

FIRST_MODEL: Final = "first model, without corrections"
FIRST_CHAMPION: Final = "the first champion; later ones are judged against it, too"
log = logging.getLogger(__name__)


def bootstrap(
    context: Context,
    progress: Progress = silent,
    *,
    train: bool = False,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    warn: Callable[[str], None] = log.warning,
) -> str | None:
    """Install the first champion; give its version, or None if there is a champion.

    A champion without a reference becomes the reference, too. `train`, an engine or a
    configuration ask for a training where the package's model would do. `warn` is told what the
    model will not do well.

    Raises:
        LeaseHeldError: Another training is at work.
        ModelError: What came out does not load, or the champion's alias is lost and an earlier
            champion is there.
    """
    if champion := context.registry.version_of(CHAMPION):
        if context.registry.version_of(REFERENCE) is None:
            with context.promotion_lease.hold(f"bootstrap ({context.new_event()[0]})") as held:
                _install(context, held, champion, REFERENCE, FIRST_CHAMPION)
        return None
    made = moves(context)
    if made and made[-1].action != "bootstrap" and last_there(context, champions(made)):
        raise ModelError(explain_champion(context))
    progress(0.0, "fetching data")
    kept_out = acceptance_sets(context)
    training_set = gather(
        context, snapshot_id="", base_id=None, champion_labels=(), kept_out=kept_out
    )
    asked = train or engine is not None or config is not None
    if FULL_SET in split_alike(training_set.base.id) and not kept_out and not asked:
        version = _take_shipped(context, training_set, progress)
    else:
        recipe = recipe_for(context, training_set, kept_out=kept_out, engine=engine, config=config)
        version = _learn_base(context, training_set, recipe, progress)
    predictor = load_checked(context.registry.model_file(version))
    with context.promotion_lease.hold(f"bootstrap ({context.new_event()[0]})") as held:
        if context.registry.version_of(CHAMPION) is not None:
            return None  # another process was quicker
        if context.registry.version_of(REFERENCE) is None:
            _install(context, held, version, REFERENCE, FIRST_CHAMPION)
        _install(context, held, version, CHAMPION, FIRST_MODEL)
    for sentence in _note_accuracy(context, training_set, version, predictor):
        warn(sentence)
    return version


def _take_shipped(context: Context, training_set: TrainingSet, progress: Progress) -> str:
    """Register the model of the package, as its training would have been; give the version."""
    shipped = shipped_model()
    record = shipped.record
    recipe = Recipe(
        snapshot_id="",
        base_id=record.base_id,
        parent_version=None,
        parent_weights_sha256="",
        config=record.config,
        labels=record.labels,
    )
    done = Making(shipped.trained, record.seconds, record.environment, record.base_images)
    return learn(context, training_set, recipe, done=done, progress=progress).version


def _learn_base(
    context: Context, training_set: TrainingSet, recipe: Recipe, progress: Progress
) -> str:
    """Train on the base data; give the version."""
    if context.settings.base_dataset:
        context.datasets.publish(training_set.base)  # so that trainings elsewhere find it
    return learn(context, training_set, recipe, progress=progress).version


def _install(context: Context, held: Held, version: str, alias: str, reason: str) -> None:
    move_alias(
        context,
        held,
        alias=alias,
        action="bootstrap",
        from_version=None,
        to=context.registry.get(version),
        by="medloop bootstrap",
        reason=reason,
    )


def _note_accuracy(
    context: Context, training_set: TrainingSet, version: str, predictor: Predictor
) -> list[str]:
    """Record how good the first champion is, for `medloop models`; give what a person must know."""
    from medloop.core.gate.evaluation import answer

    test = training_set.scored_test()
    y_true, labels = training_set.base_targets[test], np.array(training_set.labels)
    answers = answer(predictor, training_set.base.images[test])
    right = answers.right(labels[y_true])
    y_pred = np.where(right, y_true, none_of_these.TARGET)
    accuracy, balanced = float(right.mean()), balanced_accuracy(y_true, y_pred)
    found = [*warnings(training_set.base)]
    if not better_than_chance(y_true, y_pred):
        found.append(
            f"Version {version} tells the classes apart no better than chance: {accuracy:.0%} of "
            f"{len(test)} test images right. Nothing it says is confident."
        )
    for target in np.unique(y_true):
        unknown = answers.unknown[y_true == target]
        if unknown.mean() > 0.5:
            found.append(
                f"Version {version} calls {unknown.sum()} of {len(unknown)} test images of "
                f'{labels[target]} "unknown".'
            )
    tags = VersionTags(accuracy=accuracy, balanced_accuracy=balanced, warning=" ".join(found))
    context.registry.set_tags(version, tags)
    metrics = {"champion/accuracy": accuracy, "champion/balanced_accuracy": balanced}
    context.registry.log_metrics(context.registry.get(version).run_id, metrics)
    return found
