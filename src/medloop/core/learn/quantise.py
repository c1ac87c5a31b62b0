"""From float32 to 8-bit integers, which the served file computes its convolutions in.

Activations become uint8 by the range that they were seen in, weights int8 by the largest of their
output channel (Jacob et al. 2018; ONNX's QuantizeLinear and DequantizeLinear). Sums of integers are
exact, so processors agree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from medloop.core.learn.network import ConvUnit, Network

LEVELS: Final = 255
# Processors without VNNI add pairs of products in 16 bits, saturating: 2 · 255 · 64 fits,
# 2 · 255 · 127 does not.
LARGEST_WEIGHT: Final = 64
LARGEST_BIAS: Final = 2**30  # fits int32, with room for the sum of products


@dataclass(frozen=True, slots=True)
class Range:
    """The values of an activation, from `low` to `high`; zero is among them, and is met exactly."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """The worth of one level."""
        return max(self.high - self.low, 1e-6) / LEVELS

    @property
    def zero_point(self) -> int:
        """The level that stands for zero."""
        return round(-self.low / self.scale)

    def joined(self, values: Tensor) -> Range:
        """Widen the range to these values."""
        return Range(min(self.low, float(values.min())), max(self.high, float(values.max())))


@dataclass(frozen=True, slots=True)
class UnitRanges:
    """The ranges of one convolutional unit."""

    convolved: Range  # after convolution and normalisation
    output: Range  # after the ReLU


@dataclass(frozen=True, slots=True)
class QuantisedWeights:
    """A convolution's weights and biases in integers, and the worth of one per output channel."""

    weight: np.ndarray  # int8 [C_out, C_in, k, k], −64…64
    weight_scale: np.ndarray  # float32 [C_out]
    bias: np.ndarray  # int32 [C_out]
    bias_scale: np.ndarray  # float32 [C_out]


@torch.no_grad()
def activation_ranges(network: Network, images: Tensor, batch: int = 256) -> list[UnitRanges]:
    """Find the ranges of every unit's activations over uint8 images [N, 64, 64], in their order."""
    units = network.conv_units()
    convolved, outputs = [Range(0.0, 0.0) for _ in units], [Range(0.0, 0.0) for _ in units]
    hooks = [
        module.register_forward_hook(_noting(ranges, i))
        for i, unit in enumerate(units)
        for module, ranges in ((unit.norm, convolved), (unit, outputs))
    ]
    try:
        for part in torch.split(images, batch):
            network(part)
    finally:
        for hook in hooks:
            hook.remove()
    return [UnitRanges(*pair) for pair in zip(convolved, outputs, strict=True)]


def _noting(ranges: list[Range], i: int) -> Callable[[object, object, Tensor], None]:
    def note(module: object, inputs: object, output: Tensor) -> None:
        ranges[i] = ranges[i].joined(output)

    return note


def quantised_weights(unit: ConvUnit, input_scale: float) -> QuantisedWeights:
    """Round the unit's convolution, normalisation folded in, for an input of this scale."""
    weight, bias = (tensor.detach().double().cpu().numpy() for tensor in unit.folded())
    largest = abs(weight).max((1, 2, 3)) / LARGEST_WEIGHT
    scale = np.maximum(np.maximum(largest, abs(bias) / (LARGEST_BIAS * input_scale)), 1e-12)
    return QuantisedWeights(
        weight=np.round(weight / scale[:, None, None, None]).astype(np.int8),
        weight_scale=scale.astype(np.float32),
        bias=np.round(bias / (scale * input_scale)).astype(np.int32),
        bias_scale=(scale * input_scale).astype(np.float32),
    )
