"""One training spread over the machines of a Ray cluster. The one file that imports ray.

Every worker runs the same recipe on its share of each batch, with its own draws, and before each step of the optimiser
the workers average their gradients. Without RAY_ADDRESS a cluster of this machine alone is started. The machines of
a cluster need medloop with its `train` and `ray` extras.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from medloop.errors import StoreUnavailableError
from medloop.progress import Progress

if TYPE_CHECKING:
    from medloop.core.learn.recipe import TrainedModel, TrainingConfig, TrainingData


SEEDS_APART: Final = 7919  # between the workers' seeds; rank 0 keeps the configuration's
RESTARTS: Final = 2  # after workers were lost, from the start: a training takes minutes
POLL_S: Final = 1.0


def train(
    data: TrainingData,
    config: TrainingConfig,
    *,
    initial_weights: bytes | None,
    snapshot_id: str,
    workers: int,
    progress: Progress,
) -> TrainedModel:
    """Train as `medloop.core.learn.recipe.train` does, on `workers` processes of the cluster.

    Raises:
        StoreUnavailableError: The cluster can't be reached, or the training failed on it.
    """
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    with _cluster(workers), tempfile.TemporaryDirectory(prefix="medloop-ray-") as folder:
        mailbox = _mailbox()
        job = {
            "data": ray.put(data), "config": config, "weights": initial_weights, "snapshot_id": snapshot_id,
            "mailbox": mailbox,
        }  # fmt: skip
        resources: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
        use_gpu = config.device != "cpu" and resources.get("GPU", 0) >= workers
        trainer = TorchTrainer(
            _work,
            train_loop_config=job,
            scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            # Nothing is kept there, since the model comes by mail; by default it would be the home folder.
            run_config=RunConfig(
                storage_path=folder, failure_config=FailureConfig(max_failures=RESTARTS)
            ),
        )
        with _reported(mailbox, progress):
            try:
                trainer.fit()
            except Exception as error:
                raise StoreUnavailableError(
                    f"the training failed on Ray: {str(error)[:300]}"
                ) from error
        trained: TrainedModel = ray.get(mailbox.result.remote())
        return trained


def _work(job: dict[str, Any]) -> None:
    """One worker's training. Rank 0 hands in the model."""
    import ray
    from ray.train import get_context
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    from medloop.core.learn.recipe import train as run_recipe

    rank, world = get_context().get_world_rank(), get_context().get_world_size()
    mailbox = job["mailbox"]

    def tell(share: float, phrase: str) -> None:
        if rank == 0:
            mailbox.tell.remote(share, phrase)

    hook = register_optimizer_step_pre_hook(_AverageGradients())
    try:
        trained = run_recipe(
            ray.get(job["data"]),
            _part_of(job["config"], rank, world),
            initial_weights=job["weights"],
            snapshot_id=job["snapshot_id"],
            progress=tell,
        )
    finally:
        hook.remove()
    if rank == 0:
        ray.get(mailbox.deliver.remote(trained))


def _part_of(config: TrainingConfig, rank: int, world: int) -> TrainingConfig:
    """A worker's share of each batch, and draws of its own."""
    return replace(
        config,
        seed=config.seed + rank * SEEDS_APART,
        batch_size=max(1, config.batch_size // world),
        unknown_batch=max(1, config.unknown_batch // world),
    )


class _AverageGradients:
    """Before each step: rank 0's weights for all at first, then the mean of all gradients."""

    def __init__(self) -> None:
        self._started = False

    def __call__(self, optimizer: Any, *_: Any) -> None:
        import torch
        from torch import distributed

        parameters: list[Any] = [
            p for group in optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        if not self._started:
            for parameter in parameters:
                distributed.broadcast(parameter.data, src=0)
            self._started = True
        flat = torch.cat(
            [p.grad.flatten() for p in parameters]
        )  # one message instead of one a layer
        distributed.all_reduce(flat)
        flat /= distributed.get_world_size()
        sizes = [p.numel() for p in parameters]
        for parameter, mean in zip(parameters, torch.split(flat, sizes), strict=True):
            parameter.grad.copy_(mean.view_as(parameter))


def _mailbox() -> Any:
    """An actor that carries progress and the finished model from the workers to here."""
    import ray

    class Mailbox:
        def __init__(self) -> None:
            self._said = (0.0, "waiting for the cluster")
            self._trained: Any = None

        def tell(self, share: float, phrase: str) -> None:
            self._said = (share, phrase)

        def said(self) -> tuple[float, str]:
            return self._said

        def deliver(self, trained: Any) -> None:
            self._trained = trained

        def result(self) -> Any:
            return self._trained

    return ray.remote(num_cpus=0)(Mailbox).remote()


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """Join the cluster of RAY_ADDRESS, or start one on this machine; left and stopped afterwards."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    import ray

    local: dict[str, Any] = {}
    if not os.environ.get("RAY_ADDRESS"):
        local = {
            "num_cpus": workers + 1,
            "include_dashboard": False,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        ray.init(configure_logging=False, log_to_driver=False, **local)
    except Exception as error:  # ray raises plain ones, too
        raise StoreUnavailableError(
            f"no Ray cluster: {str(error)[:300]}. Is RAY_ADDRESS right?"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _reported(mailbox: Any, progress: Progress) -> Iterator[None]:
    """Pass on what the workers say, from a thread, until the block ends."""
    import ray

    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(POLL_S):
            progress(*ray.get(mailbox.said.remote()))

    thread = threading.Thread(target=follow, name="ray-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
