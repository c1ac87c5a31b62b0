"""Trains a version once more from what its run recorded, and compares the weights."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from medloop.errors import NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.train import run_training
from medloop.jobs.training_data import gather_again
from medloop.jobs.training_environment import differences, environment
from medloop.jobs.training_record import Recipe, read_environment, read_recipe, read_uses
from medloop.progress import Progress, part, silent
from medloop.stores.acceptance_sets import AcceptanceSet
from medloop.stores.registry import ModelVersion


@dataclass(frozen=True, slots=True)
class ReproduceResult:
    """The weights of the same training then and now."""

    version: str
    same: bool
    recorded_sha256: str
    found_sha256: str
    seconds: float
    note: str  # what is known to differ from then, if the weights do; "" if nothing is


def reproduce(context: Context, *, version: str, progress: Progress = silent) -> ReproduceResult:
    """Train `version` again on its snapshot, base data set, configuration and first weights.

    Equal weights are to be expected on the same kind of processor, whatever its number of cores.
    Registers nothing.

    Raises:
        NotFoundError: The version, or something that it learned from, is gone.
    """
    progress(0.0, "fetching data")
    found = context.registry.get(version)
    recipe = read_recipe(context, found)
    training_set = gather_again(context, recipe, kept_out=_kept_out(context, recipe))
    here = replace(recipe, config={**recipe.config, "device": context.settings.device})
    started = time.monotonic()
    trained = run_training(context, training_set, here, progress=part(progress, 0.05, 1.0))
    recorded = found.tags.weights_sha256
    same = trained.weights_sha256 == recorded
    changes = () if same else _changes(context, found, recipe, corrections=len(training_set.uses))
    return ReproduceResult(
        version=version,
        same=same,
        recorded_sha256=recorded,
        found_sha256=trained.weights_sha256,
        seconds=time.monotonic() - started,
        note="; ".join(changes),
    )


def _changes(
    context: Context, found: ModelVersion, recipe: Recipe, *, corrections: int
) -> Iterator[str]:
    """Tell what is known to be other than it was at the training."""
    if gone := len(read_uses(context, found)) - corrections:
        yield f"{gone} of its corrections were erased or withdrawn since"
    if found.tags.data_key != recipe.data_key:
        yield "medloop chose by other rules then which images to leave out of a training"
    recorded = read_environment(context, found)
    if recorded is None:
        yield "its run does not say with which packages and on which processor it was trained"
    else:
        yield from differences(recorded, environment(device=context.settings.device))


def _kept_out(context: Context, recipe: Recipe) -> Sequence[AcceptanceSet]:
    try:
        return [context.acceptance_sets.content(name, set_id) for name, set_id in recipe.kept_out]
    except NotFoundError as error:
        raise NotFoundError(
            f"an acceptance set that was kept out of the training is gone: {error}"
        ) from error
