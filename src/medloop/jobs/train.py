"""Training: gather the data, train from the champion's weights, register the version.

Run twice on the same data from the same champion, it finds the version that is there and says so.
Moves no alias.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from medloop.core.corrections.lineage import forebears
from medloop.core.data.training_set import TrainingSet
from medloop.core.learn.config import TrainingConfig
from medloop.errors import DatasetError, NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.new_base import is_another_base
from medloop.jobs.training_data import acceptance_sets, gather
from medloop.jobs.training_environment import environment
from medloop.jobs.training_record import Engine, Making, Recipe, training_run
from medloop.progress import Progress, part, silent
from medloop.stores.acceptance_sets import AcceptanceSet
from medloop.stores.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from medloop.core.learn.recipe import TrainingData
    from medloop.core.learn.trained_model import TrainedModel

FULL_SIZE: Final = 20_000  # base images from which on a first training takes the full schedule


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The version that a training made or found."""

    version: str
    run_id: str
    reused: bool  # the same training had been done before
    seconds: float
    weights_sha256: str


def train(
    context: Context,
    *,
    snapshot_id: str,
    base_id: str | None = None,
    from_scratch: bool | None = None,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train on a snapshot, from the champion's weights, and register the version.

    `from_scratch` starts from random weights, as a first model does: of the champion only the order
    of labels stays. None does so if the champion learned from another base data set. `base_id`
    names another base data set than the snapshot's.

    Raises:
        NotFoundError: There is no champion, or no such snapshot.
        LeaseHeldError: Another training is at work.
        DatasetError: An acceptance set was added meanwhile.
    """
    progress(0.0, "fetching data")
    serving = _serving(context)
    kept_out = acceptance_sets(context)
    labels = serving.tags.labels
    training_set = gather(
        context, snapshot_id=snapshot_id, base_id=base_id, champion_labels=labels, kept_out=kept_out
    )
    if from_scratch is None:
        from_scratch = is_another_base(serving.tags.base_id, training_set.base.id)
    recipe = recipe_for(
        context,
        training_set,
        snapshot_id=snapshot_id,
        parent=None if from_scratch else serving,
        kept_out=kept_out,
        engine=engine,
        config=config,
    )
    return learn(context, training_set, recipe, progress=progress)


def _serving(context: Context) -> ModelVersion:
    champion = context.registry.version_of(CHAMPION)
    if champion is None:
        raise NotFoundError(
            "there is no champion to start from: `medloop bootstrap` installs a first model"
        )
    return context.registry.get(champion)


def recipe_for(
    context: Context,
    training_set: TrainingSet,
    *,
    snapshot_id: str = "",
    parent: ModelVersion | None = None,
    kept_out: Sequence[AcceptanceSet] = (),
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
) -> Recipe:
    """Write down all that a training depends on.

    Without `config` it is the weekly one from a parent's weights, from nothing one by the size of
    the base data.
    """
    if config is None:
        large = len(training_set.base.images) >= FULL_SIZE
        first = TrainingConfig.full if large else TrainingConfig.sample
        make = TrainingConfig.weekly if parent else first
        config = replace(make(context.settings.seed), device=context.settings.device)
    return Recipe(
        snapshot_id=snapshot_id,
        base_id=training_set.base.id,
        parent_version=parent.version if parent else None,
        parent_weights_sha256=parent.tags.weights_sha256 if parent else "",
        config=asdict(config),
        labels=training_set.labels,
        kept_out=tuple(sorted((item.name, item.set_id) for item in kept_out)),
        engine=engine or context.settings.engine,
    )


def learn(
    context: Context,
    training_set: TrainingSet,
    recipe: Recipe,
    *,
    done: Making | None = None,
    progress: Progress = silent,
) -> TrainResult:
    """Train by the recipe under the lease, unless it has been done, and register the version.

    `done` is a training by this recipe that was made elsewhere.
    """
    started = time.monotonic()
    if found := _find(context, recipe):
        return _result(found, reused=True, started=started)
    with context.lease.hold(f"training {recipe.run_key[:8]} ({context.new_event()[0]})") as held:
        if found := _find(context, recipe):  # another process was quicker
            return _result(found, reused=True, started=started)
        making = done or _make(context, training_set, recipe, part(progress, 0.05, 0.9))
        held.check()
        _check_acceptance(context, recipe)
        progress(0.9, "registering")
        run = training_run(context, training_set, recipe, making, token=held.token)
        version = context.registry.register(run, confirm=held.check)
    progress(1.0, f"version {version.version}")
    return _result(version, reused=False, started=started)


def _make(
    context: Context, training_set: TrainingSet, recipe: Recipe, progress: Progress
) -> Making:
    started = time.monotonic()
    trained = run_training(context, training_set, recipe, progress=progress)
    return Making(
        trained,
        seconds=time.monotonic() - started,
        environment=environment(device=recipe.config["device"]),
        base_images=len(training_set.split.train),
    )


def _check_acceptance(context: Context, recipe: Recipe) -> None:
    """Refuse to register what may have learned the images of an acceptance set."""
    late = [
        item.name
        for item in context.acceptance_sets.declarations()
        if (item.name, item.set_id) not in recipe.kept_out
    ]
    if late:
        raise DatasetError(
            f"acceptance set {', '.join(late)} was added while this training ran, which may have "
            "learned its images: nothing is registered. Train again"
        )


def training_data(training_set: TrainingSet) -> TrainingData:
    """Give the training set as the learning core takes it.

    Raises:
        DatasetError: Nothing of the base data is left to train on, or to fit the thresholds on.
    """
    from medloop.core.learn.recipe import TrainingData

    base, parts = training_set.base, training_set.split
    for use, rows in (("train on", parts.train), ("fit the thresholds on", parts.validation)):
        if len(rows) == 0:
            raise DatasetError(
                f"of data set {base.id} no images are left to {use}: it has too few groups (three "
                "a class will do), or acceptance sets hold the others: see `medloop acceptance "
                "list`"
            )
    return TrainingData(
        labels=training_set.labels,
        images=base.images[parts.train],
        targets=training_set.base_targets[parts.train],
        validation_images=base.images[parts.validation],
        validation_targets=training_set.base_targets[parts.validation],
        correction_images=training_set.corrections.images[training_set.trained],
        correction_targets=training_set.correction_targets(),
    )


def run_training(
    context: Context, training_set: TrainingSet, recipe: Recipe, *, progress: Progress = silent
) -> TrainedModel:
    """Train by the recipe with its engine; register nothing."""
    data, config = training_data(training_set), TrainingConfig(**recipe.config)
    weights = context.registry.weights(recipe.parent_version) if recipe.parent_version else None
    if recipe.engine == "ray":
        from medloop.stores.ray_training import train as on_ray

        return on_ray(
            data,
            config,
            initial_weights=weights,
            snapshot_id=recipe.snapshot_id,
            workers=context.settings.ray_workers,
            progress=progress,
        )
    from medloop.core.learn.recipe import train as locally

    return locally(
        data, config, initial_weights=weights, snapshot_id=recipe.snapshot_id, progress=progress
    )


def _find(context: Context, recipe: Recipe) -> ModelVersion | None:
    """Find a version of the same training; a champion that learned from this data counts, too.

    So does a version of this data from the time of an earlier champion: who asks for it is an old
    run that is done again.
    """
    if not recipe.parent_version:
        return context.registry.find(recipe.run_key)
    versions = context.registry.versions()
    parents = {item.version: item.tags.parent_version for item in versions}
    earlier = forebears(parents, recipe.parent_version)
    for item in reversed(versions):
        same_data = item.tags.data_key == recipe.data_key
        if item.tags.run_key == recipe.run_key:
            return item
        if same_data and (
            item.version == recipe.parent_version or parents[item.version] in earlier
        ):
            return item
    return None


def _result(version: ModelVersion, *, reused: bool, started: float) -> TrainResult:
    return TrainResult(
        version=version.version,
        run_id=version.run_id,
        reused=reused,
        seconds=time.monotonic() - started,
        weights_sha256=version.tags.weights_sha256,
    )
