"""Writes the network as one ONNX file, node by node.

By hand and not by `torch.onnx.export`: it takes milliseconds instead of seconds, gives the same
bytes for the same weights, and batch normalisation is folded. Convolutions but the first and the
map compute in 8-bit integers (ADR 15). Tests hold the file to the network's own outputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from medloop.core.learn.network import INPUT_SIZE, STANDARD_DEVIATION_FLOOR, ConvUnit, Network
from medloop.core.learn.quantise import Range, UnitRanges, quantised_weights

OPSET: Final = 17
IR_VERSION: Final = 8


class Graph:
    """Collects nodes and constants."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: Tensor | np.ndarray | float | Sequence[int], name: str) -> str:
        if isinstance(value, Tensor):
            array = value.detach().float().cpu().numpy()
        else:
            array = np.asarray(value, dtype=np.float32 if isinstance(value, float) else None)
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=output, **attributes))
        return output


def to_onnx(
    network: Network, ranges: Sequence[UnitRanges], temperature: float, metadata: Mapping[str, Any]
) -> bytes:
    """Write the served file.

    `ranges` are those of `quantise.activation_ranges`. `metadata` values are written as JSON
    strings; see `predictor.ModelMetadata` for the names.
    """
    graph, n_classes = Graph(), network.head.out_features - 1
    x, x_range = _two_views(graph), None
    for i, (unit, seen) in enumerate(zip(network.conv_units(), ranges, strict=True)):
        x = _conv_unit(graph, unit, x, x_range, seen, f"unit{i}")
        x_range = seen.output
    _outputs(graph, network, x, temperature)
    shapes: dict[str, list[str | int]] = {
        "probabilities": ["N", n_classes],
        "embedding": ["N", network.head.in_features],
        "ood_score": ["N"],
        "cam": ["N", n_classes, INPUT_SIZE // 8, INPUT_SIZE // 8],
    }
    describe = helper.make_tensor_value_info
    images = describe("images", TensorProto.UINT8, ["N", INPUT_SIZE, INPUT_SIZE])
    outputs = [describe(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "medloop", [images], outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="medloop",
    )
    helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _two_views(graph: Graph) -> str:
    """Write `network.two_views`."""
    pixels = graph.add("Cast", ["images"], "pixels", to=TensorProto.FLOAT)
    x = graph.add("Unsqueeze", [pixels, graph.constant(np.array([1]), "channel_axis")], "grey")
    ones = graph.constant(np.ones((INPUT_SIZE, INPUT_SIZE), np.float32), "ones")
    floor = (255 * STANDARD_DEVIATION_FLOOR) ** 2
    standardised = graph.add("LayerNormalization", [x, ones], "standardised", axis=2, epsilon=floor)
    scaled = graph.add("Mul", [x, graph.constant(2 / 255, "two_per_range")], "scaled")
    plain = graph.add("Sub", [scaled, graph.constant(1.0, "one")], "plain")
    return graph.add("Concat", [standardised, plain], "two_views", axis=1)


def _conv_unit(
    graph: Graph, unit: ConvUnit, x: str, x_range: Range | None, seen: UnitRanges, name: str
) -> str:
    """Write one unit, its output rounded to 256 levels.

    The first has an input without a known range: it stays in float32. Weights and biases of others
    are kept in integers; onnxruntime joins them with the convolution to one integer operator.
    """
    if x_range is None:
        parts = zip(("weight", "bias"), unit.folded(), strict=True)
        weights = [graph.constant(value, f"{name}_{part}") for part, value in parts]
    else:
        integers, weights = quantised_weights(unit, x_range.scale), []
        for part in ("weight", "bias"):
            columns = (part, f"{part}_scale")
            inputs = [graph.constant(getattr(integers, c), f"{name}_{c}") for c in columns]
            weights.append(graph.add("DequantizeLinear", inputs, f"{name}_{part}_values", axis=0))
    pad, stride = int(unit.conv.padding[0]), int(unit.conv.stride[0])
    y = graph.add("Conv", [x, *weights], f"{name}_conv", pads=[pad] * 4, strides=[stride] * 2)
    if unit.residual:
        convolved = _rounded(graph, y, seen.convolved, f"{name}_convolved")
        y = graph.add("Add", [convolved, x], f"{name}_sum")
    return _rounded(graph, graph.add("Relu", [y], f"{name}_relu"), seen.output, f"{name}_output")


def _rounded(graph: Graph, x: str, values: Range, name: str) -> str:
    """Round to 256 levels, and back to what they stand for."""
    scale = graph.constant(values.scale, f"{name}_scale")
    zero = graph.constant(np.array(values.zero_point, np.uint8), f"{name}_zero")
    levels = graph.add("QuantizeLinear", [x, scale, zero], f"{name}_levels")
    return graph.add("DequantizeLinear", [levels, scale, zero], f"{name}_values")


def _outputs(graph: Graph, network: Network, features: str, temperature: float) -> None:
    """Write embedding, probabilities, score against the "none" row, and class activation map."""
    n = network.head.out_features - 1
    weight, bias = network.head.weight, network.head.bias
    embedding = graph.add("ReduceMean", [features], "embedding", axes=[2, 3], keepdims=0)
    head = [graph.constant(weight.T, "head"), graph.constant(bias, "head_bias")]
    logits = graph.add("Gemm", [embedding, *head], "logits")
    bounds = {"first": 0, "none_row": n, "end": n + 1}
    first, none_row, end = (graph.constant(np.array([i]), name) for name, i in bounds.items())
    known = graph.add("Slice", [logits, first, none_row, "channel_axis"], "known")
    none = graph.add("Slice", [logits, none_row, end, "channel_axis"], "none")
    cooled = graph.add("Mul", [known, graph.constant(1 / temperature, "coldness")], "cooled")
    graph.add("Softmax", [cooled], "probabilities", axis=1)
    evidence = graph.add("ReduceLogSumExp", [known], "evidence", axes=[1], keepdims=1)
    score = graph.add("Sub", [none, evidence], "score")
    graph.add("Squeeze", [score, "channel_axis"], "ood_score")
    graph.add("Conv", [features, graph.constant(weight[:n, :, None, None], "cam_weight")], "cam")
