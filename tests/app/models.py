"""A model file whose answers a test can foresee: the class is the nearest of some grey levels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LEVELS = {"CXR": 50.0, "ChestCT": 120.0, "Hand": 200.0}
OTHER_LEVELS = {
    "CXR": 200.0,
    "ChestCT": 120.0,
    "Hand": 50.0,
}  # a later version that has learned the contrary


def picture(level: int, *, seed: int = 0, side: int = 64) -> np.ndarray:
    """A noisy picture of that mean grey level: 50, 120, 200 are sure, 85 is unsure, 255 is
    unknown.
    """
    noise = np.random.default_rng(seed).integers(-2, 3, (side, side))
    return np.clip(noise + level, 0, 255).astype(np.uint8)


def brightness_model(levels: Mapping[str, float] = LEVELS) -> bytes:
    """An ONNX file with medloop's contract that answers by mean grey level."""
    centres = np.array([list(levels.values())], np.float32)
    constants = {
        "centres": centres,
        "softness": np.array(200, np.float32),
        "scale": np.array(100, np.float32),
        "ones": np.ones((1, len(levels), 8, 8), np.float32),
        "axes": np.array([1, 2], np.int64),
        "last": np.array([1], np.int64),
        "map_axes": np.array([2, 3], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["grey"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["grey", "axes"], ["mean3"], keepdims=1),
        helper.make_node("Squeeze", ["mean3", "last"], ["mean"]),
        helper.make_node("Sub", ["mean", "centres"], ["gap"]),
        helper.make_node("Mul", ["gap", "gap"], ["square"]),
        helper.make_node("Div", ["square", "softness"], ["cost"]),
        helper.make_node("Neg", ["cost"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
        helper.make_node("Div", ["square", "scale"], ["far"]),
        helper.make_node("ReduceMin", ["far", "last"], ["ood_score"], keepdims=0),
        helper.make_node("Identity", ["gap"], ["embedding"]),
        helper.make_node("Unsqueeze", ["probabilities", "map_axes"], ["weights"]),
        helper.make_node("Mul", ["weights", "ones"], ["cam"]),
    ]
    classes = len(levels)
    shapes = {
        "probabilities": ["N", classes],
        "embedding": ["N", classes],
        "ood_score": ["N"],
        "cam": ["N", classes, 8, 8],
    }
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 64, 64])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(
        model, {name: json.dumps(value) for name, value in _metadata(list(levels)).items()}
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _metadata(labels: list[str]) -> dict[str, object]:
    return {
        "labels": labels,
        "label_map_sha256": hashlib.sha256(json.dumps(labels).encode()).hexdigest(),
        "input_size": 64,
        "input_mode": "L",
        "temperature": 1.0,
        "confident_threshold": 0.9,
        "confident_ood_threshold": 5.0,
        "ood_threshold": 20.0,
        "preprocessing_version": "1",
        "snapshot_id": "base",
        "weights_sha256": "0" * 64,
    }
