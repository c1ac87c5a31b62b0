"""The training loop: batches of base images, corrections and unknown images, AdamW, averaging.

A batch is split over `workers` threads, each with its own copy of the network and one core, and the
gradients are averaged. That needs no barrier inside each operator, so a busy machine slows training
in proportion instead of stalling it (two OpenMP threads on two shared cores were up to twenty times
slower), and the weights do not depend on how many cores there are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medloop.core.learn.augment import augment
from medloop.core.learn.config import TrainingConfig
from medloop.core.learn.network import Network
from medloop.progress import Progress


@dataclass(frozen=True, slots=True)
class Pool:
    """Images to draw from, and how many a batch takes."""

    images: Tensor  # uint8 [N, 64, 64]
    targets: Tensor  # int64 [N]
    chances: Tensor  # float64 [N], cumulative chance of being drawn, up to 1
    batch: int  # images per batch

    @classmethod
    def of(cls, images: Tensor, targets: Tensor, batch: int, weights: Tensor | None = None) -> Pool:
        """Make a pool with relative chances `weights` [N], or equal ones."""
        weights = torch.ones(len(targets)) if weights is None else weights
        cumulative = weights.double().cumsum(0)
        return cls(images, targets, cumulative / cumulative[-1:], batch)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw `n` images and targets, with replacement, by weight."""
        places = torch.rand(n, generator=generator, dtype=torch.float64)
        rows = torch.searchsorted(self.chances, places).clamp(max=len(self.targets) - 1)
        return self.images[rows], self.targets[rows]

    def share_of(self, worker: int, workers: int) -> int:
        """Count one worker's images in a batch."""
        return self.batch * (worker + 1) // workers - self.batch * worker // workers


def fit(
    network: Network,
    pools: Sequence[Pool],
    config: TrainingConfig,
    *,
    device: torch.device,
    progress: Progress,
) -> tuple[Network, list[dict[str, float]]]:
    """Train, each batch drawn from every pool; give the averaged network and a history."""
    network = network.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    averaged = copy.deepcopy(network).eval()
    replicas = [copy.deepcopy(network) for _ in range(config.workers)]
    groups = _parameter_groups(network, config.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98))
    history: list[dict[str, float]] = []

    def work(worker: int, step: int) -> float:
        images, targets, changed = _batch(pools, config, worker, step)
        n_trimmed = int(config.trimmed * int(changed.sum())) if step > config.steps // 3 else 0
        images, targets, changed = (part.to(device) for part in (images, targets, changed))
        return _gradients(replicas[worker], images, targets, changed, n_trimmed)

    with one_core_threads(config.workers) as threads:
        for step in range(config.steps):
            rate = config.learning_rate_at(step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            losses = list(threads.map(work, range(config.workers), [step] * config.workers))
            _gather(network, replicas)
            optimiser.step()
            average(averaged, network, min(config.averaging, (1 + step) / (10 + step)))
            for replica in replicas:
                average(replica, network, 0)
            if step % 25 == 0 or step == config.steps - 1:
                loss = sum(losses) / len(losses)
                history.append({"step": float(step), "loss": loss, "learning_rate": rate})
                progress((step + 1) / config.steps, f"step {step + 1} of {config.steps}")
    return averaged.cpu(), history


def _batch(
    pools: Sequence[Pool], config: TrainingConfig, worker: int, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one worker's images, their targets, and which of them were augmented."""
    generator = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 64 + worker)
    drawn = [pool.draw(pool.share_of(worker, config.workers), generator) for pool in pools]
    images, targets = (torch.cat(column) for column in zip(*drawn, strict=True))
    changed = torch.rand(len(images), generator=generator) >= config.unaltered_at(step)
    images[changed] = augment(images[changed], generator)
    return images, targets, changed


def one_core_threads(n: int) -> ThreadPoolExecutor:
    """Start threads whose torch operators use one core each."""
    return ThreadPoolExecutor(n, initializer=torch.set_num_threads, initargs=(1,))


def _gradients(
    network: Network, images: Tensor, targets: Tensor, changed: Tensor, n_trimmed: int
) -> float:
    """Leave the loss's gradients in the network, and give the loss.

    The `n_trimmed` augmented views of the highest loss do not count: some labels hold only as long
    as the data set's grey gives them away (AbdomenCT has chest slices), and some corrections are
    wrong.
    """
    network.zero_grad(set_to_none=True)
    short = _computes_bfloat16(images.device)
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=short):
        logits = network(images)
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    if n_trimmed:
        worst = (losses.detach() * changed).topk(n_trimmed).indices
        losses = losses.index_fill(0, worst, 0.0)
    loss = losses.mean()
    torch.autograd.backward(loss)
    return loss.item()


def _computes_bfloat16(device: torch.device) -> bool:
    """Tell if bfloat16 is the quicker arithmetic there, as measured (docs/experiments.md).

    Without instructions for it it is emulated. AMD's (Zen 4) halve a step; Intel's without AMX make
    it a third slower.
    """
    if device.type != "cpu":
        return True
    processor = torch.cpu.get_capabilities()
    is_intel = str(processor.get("cpu_name", "")).startswith("Intel")
    return bool(processor.get("avx512_bf16", False)) and not is_intel


@torch.no_grad()
def _gather(network: nn.Module, replicas: Sequence[nn.Module]) -> None:
    """Put the mean of the replicas' gradients and statistics into the network."""
    parameters = (r.parameters() for r in replicas)
    for parameter, *copies in zip(network.parameters(), *parameters, strict=True):
        parameter.grad = torch.stack([c.grad for c in copies if c.grad is not None]).mean(0)
    for buffer, *others in zip(network.buffers(), *(r.buffers() for r in replicas), strict=True):
        buffer.copy_(torch.stack(others).mean(0) if buffer.is_floating_point() else others[0])


@torch.no_grad()
def average(into: nn.Module, other: nn.Module, kept: float) -> None:
    """Make the weights and statistics of `into` the mean of both, its own with the share `kept`."""
    for own, new in zip(into.state_dict().values(), other.state_dict().values(), strict=True):
        if own.is_floating_point() and kept:
            own.lerp_(new, 1 - kept)
        else:
            own.copy_(new)


def _parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Apply weight decay to matrices and kernels only."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    vectors = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
