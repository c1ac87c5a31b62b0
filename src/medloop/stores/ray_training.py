"""A training spread over the machines of a Ray cluster. The only file that imports ray.

Every worker trains on its share of each batch, with its own draws, and before each step of the
optimiser the workers average their gradients. Without RAY_ADDRESS a cluster of this machine alone
is started. The machines of a cluster need medloop with its `train` and `ray` extras.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from medloop.core.learn.config import TrainingConfig
from medloop.errors import StoreUnavailableError
from medloop.progress import Progress

if TYPE_CHECKING:
    from medloop.core.learn.recipe import TrainingData
    from medloop.core.learn.trained_model import TrainedModel

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

    with _cluster(workers), tempfile.TemporaryDirectory(prefix="medloop-ray-") as folder:
        actor: Any = ray.remote(num_cpus=0)(_Mailbox)
        mailbox = actor.remote()
        given = {"initial_weights": initial_weights, "snapshot_id": snapshot_id}
        job = {"data": ray.put(data), "config": config, "given": given, "mailbox": mailbox}
        with _followed(mailbox, progress):
            _fit(job, workers=workers, folder=folder)
        trained: TrainedModel = ray.get(mailbox.result.remote())
        return trained


def _fit(job: dict[str, Any], *, workers: int, folder: str) -> None:
    """Run the job on the workers until all are done."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    resources: Any = ray.cluster_resources()  # type: ignore[no-untyped-call]
    use_gpu = job["config"].device != "cpu" and resources.get("GPU", 0) >= workers
    trainer = TorchTrainer(
        _work,
        train_loop_config=job,
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=use_gpu),
        # Nothing is kept there, since the model comes by mail; it would be the home folder.
        run_config=RunConfig(
            storage_path=folder, failure_config=FailureConfig(max_failures=RESTARTS)
        ),
    )
    try:
        trainer.fit()
    except Exception as error:
        raise StoreUnavailableError(f"the training failed on Ray: {str(error)[:300]}") from error


def _work(job: dict[str, Any]) -> None:
    """Train in one worker. Rank 0 hands in the model."""
    import ray
    from ray.train import get_context

    from medloop.core.learn.distributed import averaged_gradients
    from medloop.core.learn.recipe import train as train_locally

    rank, world = get_context().get_world_rank(), get_context().get_world_size()
    config, mailbox = job["config"], job["mailbox"]
    share = replace(
        config,
        seed=config.seed + rank * SEEDS_APART,
        batch_size=max(1, config.batch_size // world),
        unknown_batch=max(1, config.unknown_batch // world),
    )

    def tell(share: float, doing: str) -> None:
        if rank == 0:
            mailbox.tell.remote(share, doing)

    with averaged_gradients():
        trained = train_locally(ray.get(job["data"]), share, **job["given"], progress=tell)
    if rank == 0:
        ray.get(mailbox.deliver.remote(trained))


class _Mailbox:
    """An actor that carries progress and the finished model from the workers to here."""

    def __init__(self) -> None:
        self._progress = (0.0, "waiting for the cluster")
        self._trained: Any = None

    def tell(self, share: float, doing: str) -> None:
        self._progress = (share, doing)

    def progress(self) -> tuple[float, str]:
        return self._progress

    def deliver(self, trained: Any) -> None:
        self._trained = trained

    def result(self) -> Any:
        return self._trained


@contextmanager
def _cluster(workers: int) -> Iterator[None]:
    """Join the cluster of RAY_ADDRESS, or start one here; leave and stop it afterwards."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    import ray

    own = {"num_cpus": workers + 1, "include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    local: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else own
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
def _followed(mailbox: Any, progress: Progress) -> Iterator[None]:
    """Pass on what the workers tell, from a thread, until the block ends."""
    import ray

    stop = threading.Event()

    def follow() -> None:
        while not stop.wait(POLL_S):
            progress(*ray.get(mailbox.progress.remote()))

    thread = threading.Thread(target=follow, name="ray-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
