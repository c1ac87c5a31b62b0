"""The first model: trained on the base data alone, champion and reference at once. Does nothing where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from medloop.core.contract import load_checked
from medloop.jobs.loop import Loop
from medloop.jobs.moves import move_alias
from medloop.jobs.train import Engine, Progress, learn, silent
from medloop.jobs.training_data import acceptance_sets, gather
from medloop.stores.registry import CHAMPION, REFERENCE

if TYPE_CHECKING:
    from medloop.core.learn.recipe import TrainingConfig
    from medloop.core.predict import Predictor
    from medloop.core.training_set import TrainingSet
    from medloop.stores.lease import Held

BY: Final = "medloop bootstrap"


def bootstrap(
    loop: Loop,
    progress: Progress | None = None,
    *,
    engine: Engine | None = None,
    config: TrainingConfig | None = None,
) -> str | None:
    """Train and install the first champion; gives its version, or None where a champion is there already.

    A champion without a reference becomes the reference, too.

    Raises:
        LeaseHeldError: Another training is at work.
        ModelError: What came out does not load.
    """
    report = progress or silent
    if champion := loop.registry.version_of(CHAMPION):
        if loop.registry.version_of(REFERENCE) is None:
            with loop.promotion_lease.hold(f"bootstrap ({loop.new_event()[0]})") as held:
                _make_reference(loop, held, champion)
        return None
    report(0.0, "fetching data")
    kept_out = acceptance_sets(loop)
    training_set = gather(loop, snapshot_id="", base_id=None, champion_labels=(), kept_out=kept_out)
    if loop.settings.base_dataset:
        loop.datasets.publish(training_set.base)  # so that trainings elsewhere find it
    trained = learn(
        loop, training_set, snapshot_id="", parent=None, kept_out=kept_out, engine=engine, config=config,
        progress=report,
    )  # fmt: skip
    predictor = load_checked(loop.registry.model_file(trained.version))
    with loop.promotion_lease.hold(f"bootstrap ({loop.new_event()[0]})") as held:
        if loop.registry.version_of(CHAMPION) is not None:
            return None  # somebody was quicker
        if loop.registry.version_of(REFERENCE) is None:
            _make_reference(loop, held, trained.version)
        move_alias(
            loop, held, alias=CHAMPION, action="bootstrap", from_version=None, to=loop.registry.get(trained.version),
            by=BY, reason="first model, on the base data set alone",
        )  # fmt: skip
    _note_accuracy(loop, training_set, trained.version, predictor)
    return trained.version


def _make_reference(loop: Loop, held: Held, version: str) -> None:
    move_alias(
        loop, held, alias=REFERENCE, action="bootstrap", from_version=None, to=loop.registry.get(version), by=BY,
        reason="the first champion; later ones are judged against it, too",
    )  # fmt: skip


def _note_accuracy(
    loop: Loop, training_set: TrainingSet, version: str, predictor: Predictor
) -> None:
    """Say how good the first champion is, where `medloop models` looks; nobody waits for it any more."""
    from medloop.core.evaluation import answer

    test = training_set.scored_test()
    classes = np.array(training_set.labels)[training_set.base_targets[test]]
    accuracy = float(answer(predictor, training_set.base.images[test]).right(classes).mean())
    loop.registry.set_tags(version, {"accuracy": f"{accuracy:.6f}"})
    loop.registry.log_metrics(loop.registry.get(version).run_id, {"champion/accuracy": accuracy})
