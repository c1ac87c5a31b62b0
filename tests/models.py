"""Small models for tests that need one: real files of the served kind, with untrained weights."""

from functools import cache
from typing import Any

import onnx
import torch

from medloop.core.learn.export import to_onnx
from medloop.core.learn.network import INPUT_SIZE, Network
from medloop.core.learn.quantise import activation_ranges
from medloop.core.prediction.model_contract import label_map_sha256

LABELS = ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT")


def metadata(**changes: Any) -> dict[str, Any]:
    labels = list(changes.get("labels", LABELS))
    return {
        "labels": labels,
        "label_map_sha256": label_map_sha256(labels),
        "input_size": 64,
        "input_mode": "L",
        "temperature": 1.0,
        "confident_threshold": 0.9,
        "confident_ood_threshold": 0.0,
        "ood_threshold": 5.0,
        "preprocessing_version": "1",
        "snapshot_id": "",
        "weights_sha256": "",
        **changes,
    }


@cache
def model(seed: int = 0) -> bytes:
    """A model that keeps the contract; another seed answers otherwise."""
    return exported(seed)


def exported(seed: int = 0, **changes: Any) -> bytes:
    """A model whose metadata is changed."""
    described = metadata(**changes)
    torch.manual_seed(seed)
    return model_file(Network(len(described["labels"])).eval(), 1.0, described)


def model_file(network: Network, temperature: float, described: dict[str, Any]) -> bytes:
    """The served file of a network, made for noise images."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(
        0, 256, (32, INPUT_SIZE, INPUT_SIZE), dtype=torch.uint8, generator=generator
    )
    return to_onnx(network, activation_ranges(network, noise), temperature, described)


def renamed_output(data: bytes, old: str, new: str) -> bytes:
    """The model with one output under another name."""
    found = onnx.load_from_string(data)
    for output in found.graph.output:
        if output.name == old:
            output.name = new
    for node in found.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
    return bytes(found.SerializeToString())


def with_constant(data: bytes, name: str, value: float) -> bytes:
    """The model with one weight tensor filled with a value."""
    found = onnx.load_from_string(data)
    for tensor in found.graph.initializer:
        if tensor.name == name:
            array = onnx.numpy_helper.to_array(tensor).copy()
            array[...] = value
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    return bytes(found.SerializeToString())
