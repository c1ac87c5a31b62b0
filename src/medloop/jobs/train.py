"""One training: fetch what it learns from, train from the champion's weights, register the version.

Run twice on the same data from the same champion, it finds the version that is there and says so. Moves no alias.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from medloop.core.data.training_set import TrainingSet
from medloop.errors import DatasetError, NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.training_data import acceptance_sets, gather
from medloop.jobs.training_environment import environment
from medloop.jobs.training_record import Recipe, training_run
from medloop.stores.acceptance_sets import AcceptanceSet
from medloop.stores.registry import CHAMPION, ModelVersion

if TYPE_CHECKING:
    from medloop.core.learn.recipe import TrainedModel, TrainingConfig, TrainingData

Progress = Callable[[float, str], None]
Engine = Literal["local", "ray"]

FULL_SIZE: Final = 20_000  # base images from which on a first training takes the full schedule


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What came of a training."""

    version: str
    run_id: str
    reused: bool  # the same training had been done before
    seconds: float
    weights_sha256: str


def train(
    context: Context,
    *,
    snapshot_id: str,
    from_scratch: bool = False,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    progress: Progress | None = None,
) -> TrainResult:
    """Train on a snapshot, from the champion's weights, and register the version.

    `from_scratch` starts from random weights, as a first model does: of the champion only the order of labels stays.

    Raises:
        NotFoundError: There is no champion, or no such snapshot.
        LeaseHeldError: Another training is at work.
        DatasetError: An acceptance set was added meanwhile.
    """
    champion = context.registry.version_of(CHAMPION)
    if champion is None:
        raise NotFoundError(
            "there is no champion to start from: `medloop bootstrap` trains a first model"
        )
    report = progress or silent
    report(0.0, "fetching data")
    serving = context.registry.get(champion)
    kept_out = acceptance_sets(context)
    training_set = gather(
        context,
        snapshot_id=snapshot_id,
        base_id=None,
        champion_labels=serving.tags.labels,
        kept_out=kept_out,
    )
    return learn(
        context,
        training_set,
        snapshot_id=snapshot_id,
        parent=None if from_scratch else serving,
        kept_out=kept_out,
        engine=engine,
        config=config,
        progress=report,
    )


def learn(
    context: Context,
    training_set: TrainingSet,
    *,
    snapshot_id: str,
    parent: ModelVersion | None,
    kept_out: Sequence[AcceptanceSet] = (),
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
    progress: Progress,
) -> TrainResult:
    """Train unless it has been done, under the lease; without a parent from random weights."""
    started = time.monotonic()
    config = config or default_config(
        context, n_base=len(training_set.base.images), warm=parent is not None
    )
    chosen = engine or context.settings.engine
    recipe = _recipe(
        training_set,
        config,
        snapshot_id=snapshot_id,
        parent=parent,
        kept_out=kept_out,
        engine=chosen,
    )
    if found := _find(context, recipe, parent):
        return _result(found, reused=True, started=started)
    with context.lease.hold(f"training {recipe.run_key[:8]} ({context.new_event()[0]})") as held:
        if found := _find(context, recipe, parent):  # somebody was quicker
            return _result(found, reused=True, started=started)
        weights = context.registry.weights(parent.version) if parent else None
        trained = run_training(
            context,
            training_data(training_set),
            config,
            weights=weights,
            snapshot_id=snapshot_id,
            engine=chosen,
            progress=lambda share, phrase: progress(0.05 + 0.85 * share, phrase),
        )
        held.check()
        _check_acceptance(context, kept_out)
        progress(0.9, "registering")
        run = training_run(
            context,
            training_set,
            recipe,
            trained,
            environment=environment(device=config.device),
            token=held.token,
        )
        version = context.registry.register(run, confirm=held.check)
    progress(1.0, f"version {version.version}")
    return _result(version, reused=False, started=started)


def _check_acceptance(context: Context, kept_out: Sequence[AcceptanceSet]) -> None:
    """Nothing that learned the images of an acceptance set is registered."""
    known = {(item.name, item.set_id) for item in kept_out}
    late = [
        item.name
        for item in context.acceptance_sets.declarations()
        if (item.name, item.set_id) not in known
    ]
    if late:
        raise DatasetError(
            f"acceptance set {', '.join(late)} was added while this training ran, which may have learned its images: "
            "nothing is registered. Train again"
        )


def default_config(context: Context, *, n_base: int, warm: bool) -> TrainingConfig:
    """Weekly from a champion's weights; from nothing by the size of the base data."""
    from medloop.core.learn.recipe import TrainingConfig

    make = (
        TrainingConfig.weekly
        if warm
        else TrainingConfig.full
        if n_base >= FULL_SIZE
        else TrainingConfig.sample
    )
    return replace(make(context.settings.seed), device=context.settings.device)


def training_data(training_set: TrainingSet) -> TrainingData:
    """The training set as the recipe takes it.

    Raises:
        DatasetError: Nothing of the base data is left to train on, or to fit the thresholds on.
    """
    from medloop.core.learn.recipe import TrainingData

    base, parts, trained = training_set.base, training_set.split, training_set.trained
    for use, rows in (("train on", parts.train), ("fit the thresholds on", parts.validation)):
        if len(rows) == 0:
            raise DatasetError(
                f"of data set {base.id} no images are left to {use}: it has too few groups (three a class will do), or "
                "acceptance sets hold the others: see `medloop acceptance list`"
            )
    return TrainingData(
        labels=training_set.labels,
        images=base.images[parts.train],
        targets=training_set.base_targets[parts.train],
        groups=base.groups[parts.train],
        validation_images=base.images[parts.validation],
        validation_targets=training_set.base_targets[parts.validation],
        correction_images=training_set.corrections.images[trained],
        correction_targets=training_set.correction_targets(),
    )


def run_training(
    context: Context,
    data: TrainingData,
    config: TrainingConfig,
    *,
    weights: bytes | None,
    snapshot_id: str,
    engine: Engine,
    progress: Progress,
) -> TrainedModel:
    """Train with the chosen engine."""
    if engine == "ray":
        from medloop.stores.ray_training import train as on_ray

        return on_ray(
            data,
            config,
            initial_weights=weights,
            snapshot_id=snapshot_id,
            workers=context.settings.ray_workers,
            progress=progress,
        )
    from medloop.core.learn.recipe import train as locally

    return locally(
        data, config, initial_weights=weights, snapshot_id=snapshot_id, progress=progress
    )


def silent(share: float, phrase: str) -> None:
    """A progress that nobody watches."""


def _recipe(
    training_set: TrainingSet,
    config: TrainingConfig,
    *,
    snapshot_id: str,
    parent: ModelVersion | None,
    kept_out: Sequence[AcceptanceSet],
    engine: Engine,
) -> Recipe:
    return Recipe(
        snapshot_id=snapshot_id,
        base_id=training_set.base.id,
        parent_version=parent.version if parent else None,
        parent_weights_sha256=parent.tags.weights_sha256 if parent else "",
        config=asdict(config),
        labels=training_set.labels,
        kept_out=tuple(sorted((item.name, item.set_id) for item in kept_out)),
        engine=engine,
    )


def _find(context: Context, recipe: Recipe, parent: ModelVersion | None) -> ModelVersion | None:
    """A version of the same training; a champion that learned from this data itself counts, too."""
    if parent and parent.tags.data_key == recipe.data_key:
        return parent
    return context.registry.find(recipe.run_key)


def _result(version: ModelVersion, *, reused: bool, started: float) -> TrainResult:
    return TrainResult(
        version=version.version,
        run_id=version.run_id,
        reused=reused,
        seconds=time.monotonic() - started,
        weights_sha256=version.tags.weights_sha256,
    )
