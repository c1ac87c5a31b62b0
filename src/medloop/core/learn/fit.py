"""The training loop: batches of base images, corrections and unknown images, one-cycle AdamW, averaged weights.

A batch is split over `workers` threads, each with its own copy of the network and one core, and the gradients are
averaged. That needs no barrier inside each operator, so a busy machine slows training in proportion instead of
stalling it (two OpenMP threads on two shared cores were up to twenty times slower), and the weights do not depend on
how many cores there are.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medloop.core.learn.augment import augment
from medloop.core.learn.network import Network
from medloop.progress import Progress


@dataclass(frozen=True, slots=True)
class Pool:
    """Images to draw from, and how many a batch takes."""

    images: Tensor  # uint8 [N, 64, 64]
    targets: Tensor  # int64 [N]
    chances: Tensor  # float64 [N], cumulative chance of being drawn, up to 1
    batch: int  # images a batch

    @classmethod
    def of(cls, images: Tensor, targets: Tensor, batch: int, weights: Tensor | None = None) -> Pool:
        """`weights` [N]: relative chances; equal where not given."""
        relative = (
            torch.ones(len(targets), dtype=torch.float64) if weights is None else weights.double()
        )
        cumulative = relative.cumsum(0)
        return cls(images, targets, cumulative / cumulative[-1:], batch)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` images and targets, with replacement, by weight."""
        rows = torch.searchsorted(
            self.chances, torch.rand(n, generator=generator, dtype=torch.float64)
        )
        rows = rows.clamp(max=len(self.targets) - 1)
        return self.images[rows], self.targets[rows]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long, how fast, and on what views."""

    steps: int
    peak_learning_rate: float
    weight_decay: float
    warm_up: float  # share of the steps
    averaging: float  # decay of the averaged weights, a step
    unaltered_at_first: (
        float  # share of each batch that is not augmented, in the first half of the steps
    )
    unaltered: float  # the same in the second half
    trimmed: float  # share of the augmented views left out of the loss, the worst ones, after the first third
    workers: int  # threads that share each batch
    seed: int

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine to a hundredth of the peak."""
        done = (step + 1) / self.steps
        if done < self.warm_up:
            return self.peak_learning_rate * done / self.warm_up
        rest = (done - self.warm_up) / max(1e-9, 1 - self.warm_up)
        return self.peak_learning_rate * (0.01 + 0.99 * (1 + math.cos(math.pi * rest)) / 2)

    def unaltered_at(self, step: int) -> float:
        """The share of a batch that is not augmented."""
        return self.unaltered_at_first if 2 * step < self.steps else self.unaltered


def fit(
    network: Network,
    pools: Sequence[Pool],
    schedule: Schedule,
    *,
    device: torch.device,
    progress: Progress,
) -> tuple[Network, list[dict[str, float]]]:
    """Train, each batch drawn from every pool. Returns the averaged network, on the CPU, and the history."""
    network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).eval()
    replicas = [copy.deepcopy(network) for _ in range(schedule.workers)]
    optimiser = torch.optim.AdamW(
        _parameter_groups(network, schedule.weight_decay), lr=0.0, betas=(0.9, 0.98)
    )
    history: list[dict[str, float]] = []

    def work(worker: int, step: int) -> float:
        generator = torch.Generator().manual_seed((schedule.seed * 1_000_003 + step) * 64 + worker)
        images, targets, changed = _batch(pools, schedule, step, worker, generator)
        n_trimmed = int(schedule.trimmed * int(changed.sum())) if step > schedule.steps // 3 else 0
        return _gradients(
            replicas[worker], images.to(device), targets.to(device), changed.to(device), n_trimmed
        )

    with ThreadPoolExecutor(
        schedule.workers, initializer=torch.set_num_threads, initargs=(1,)
    ) as threads:
        for step in range(schedule.steps):
            for group in optimiser.param_groups:
                group["lr"] = schedule.learning_rate(step)
            losses = list(threads.map(work, range(schedule.workers), [step] * schedule.workers))
            _gather(network, replicas)
            optimiser.step()
            average(averaged, network, min(schedule.averaging, (1 + step) / (10 + step)))
            _spread(network, replicas)
            if step % 25 == 0 or step == schedule.steps - 1:
                rate = schedule.learning_rate(step)
                history.append(
                    {"step": float(step), "loss": sum(losses) / len(losses), "learning_rate": rate}
                )
                progress((step + 1) / schedule.steps, f"step {step + 1} of {schedule.steps}")
    return averaged.cpu(), history


def _batch(
    pools: Sequence[Pool], schedule: Schedule, step: int, worker: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """One worker's part of a batch: images, targets, and which images were augmented."""
    shares = [
        pool.batch * (worker + 1) // schedule.workers - pool.batch * worker // schedule.workers
        for pool in pools
    ]
    drawn = [pool.draw(n, generator) for pool, n in zip(pools, shares, strict=True)]
    images, targets = (torch.cat(column) for column in zip(*drawn, strict=True))
    changed = torch.rand(len(images), generator=generator) >= schedule.unaltered_at(step)
    images[changed] = augment(images[changed], generator)
    return images, targets, changed


def _gradients(
    network: Network, images: Tensor, targets: Tensor, changed: Tensor, n_trimmed: int
) -> float:
    """Leave the loss's gradients in the network; returns the loss.

    The `n_trimmed` augmented views of the highest loss do not count: some labels hold only as long as the data set's
    grey gives them away (AbdomenCT has chest slices), and some corrections are wrong.
    """
    network.zero_grad(set_to_none=True)
    with torch.autocast(
        images.device.type, dtype=torch.bfloat16, enabled=_computes_bfloat16(images.device)
    ):
        logits = network(images)
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    if n_trimmed:
        worst = (losses.detach() * changed).topk(n_trimmed).indices
        losses = losses.index_fill(0, worst, 0.0)
    loss = losses.mean()
    torch.autograd.backward(loss)
    return loss.item()


def _computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the quicker arithmetic there, as measured (docs/experiments.md).

    Without instructions for it it is emulated. AMD's (Zen 4) halve a step; Intel's without AMX make it a third slower.
    """
    if device.type != "cpu":
        return True
    processor = torch.cpu.get_capabilities()
    return bool(processor.get("avx512_bf16", False)) and not str(
        processor.get("cpu_name", "")
    ).startswith("Intel")


@torch.no_grad()
def _gather(network: nn.Module, replicas: Sequence[nn.Module]) -> None:
    """The mean of the replicas' gradients and statistics, into the network."""
    for parameter, *copies in zip(
        network.parameters(), *(r.parameters() for r in replicas), strict=True
    ):
        parameter.grad = torch.stack([c.grad for c in copies if c.grad is not None]).mean(0)
    for buffer, *others in zip(network.buffers(), *(r.buffers() for r in replicas), strict=True):
        buffer.copy_(torch.stack(others).mean(0) if buffer.is_floating_point() else others[0])


@torch.no_grad()
def _spread(network: nn.Module, replicas: Sequence[nn.Module]) -> None:
    for replica in replicas:
        for own, new in zip(
            replica.state_dict().values(), network.state_dict().values(), strict=True
        ):
            own.copy_(new)


@torch.no_grad()
def average(into: nn.Module, other: nn.Module, kept: float) -> None:
    """Make the weights and statistics of `into` the mean of both networks', its own with the share `kept`."""
    for own, new in zip(into.state_dict().values(), other.state_dict().values(), strict=True):
        if own.is_floating_point():
            own.lerp_(new, 1 - kept)
        else:
            own.copy_(new)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weight decay on matrices and kernels only."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
