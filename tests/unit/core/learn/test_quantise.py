"""Rounding to 8 bits: what is lost is half a level, zero is exact, and nothing overflows on any
processor.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medloop.core.learn.network import ConvUnit, Network
from medloop.core.learn.quantise import LARGEST_WEIGHT, Range, activation_ranges, quantised_weights


def unit_of(seed: int = 0) -> ConvUnit:
    torch.manual_seed(seed)
    return ConvUnit(4, 8, 3).eval()


@pytest.mark.parametrize(
    "seen", [Range(0.0, 7.3), Range(-3.1, 0.0), Range(-2.0, 5.5), Range(0.0, 0.0)]
)
def test_zero_has_a_level_of_its_own_and_no_value_is_off_by_more_than_one_level(
    seen: Range,
) -> None:
    assert 0 <= seen.zero_point <= 255
    values = np.linspace(seen.low, seen.high, 1001)
    levels = np.clip(np.round(values / seen.scale) + seen.zero_point, 0, 255)
    assert abs((levels - seen.zero_point) * seen.scale - values).max() <= seen.scale


def test_ranges_hold_all_that_was_seen_and_leave_the_network_as_it_was() -> None:
    network = Network(3).eval()
    images = torch.randint(
        0, 256, (20, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    with torch.no_grad():
        before = network(images)
    ranges = activation_ranges(network, images, batch=7)
    assert len(ranges) == len(network.conv_units())
    assert all(seen.output.low == 0.0 < seen.output.high for seen in ranges)
    assert all(seen.convolved.low < 0.0 < seen.convolved.high for seen in ranges)
    assert ranges == activation_ranges(network, images), "in batches or at once"
    with torch.no_grad():
        assert torch.equal(network(images), before)
    assert all(
        not unit._forward_hooks and not unit.norm._forward_hooks for unit in network.conv_units()
    )


def test_weights_and_biases_are_within_half_a_level() -> None:
    unit = unit_of()
    weight, bias = (tensor.detach().numpy() for tensor in unit.folded())
    rounded = quantised_weights(unit, input_scale=0.05)
    assert (rounded.weight.dtype, rounded.bias.dtype) == (np.int8, np.int32)
    scale = rounded.weight_scale[:, None, None, None]
    assert (abs(rounded.weight * scale - weight) <= 0.501 * scale).all()
    assert (abs(rounded.bias * rounded.bias_scale - bias) <= 0.501 * rounded.bias_scale).all()


def test_two_products_fit_sixteen_bits() -> None:
    """Processors without VNNI add them there; what does not fit is cut off, and the answer differs
    from others'.
    """
    rounded = quantised_weights(unit_of(), input_scale=0.05)
    assert abs(rounded.weight.astype(int)).max(axis=(1, 2, 3)).tolist() == [LARGEST_WEIGHT] * 8
    assert np.iinfo(np.int16).max >= 2 * 255 * LARGEST_WEIGHT


def test_a_channel_without_weights_keeps_its_bias() -> None:
    unit = unit_of()
    with torch.no_grad():
        unit.conv.weight[2] = 0.0
        unit.norm.bias[2] = 3.0
    rounded = quantised_weights(unit, input_scale=0.05)
    assert not rounded.weight[2].any()
    assert rounded.bias[2] * rounded.bias_scale[2] == pytest.approx(3.0, rel=1e-6)
