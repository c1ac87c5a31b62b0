"""Random numbers for a batch of images, from the generator that is handed in."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(
    shape: int | tuple[int, ...], generator: torch.Generator, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Draw numbers from `low` to `high`."""
    return torch.rand(shape, generator=generator) * (high - low) + low


def per_image(x: Tensor, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Draw one number per image of [N, H, W], as [N, 1, 1]."""
    return uniform((len(x), 1, 1), generator, low, high)
