"""The ONNX file answers as the network does, within what rounding to 8 bits takes away."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from scipy.special import softmax
from tests.models import model_file

from medloop.core.learn.calibrate import ood_scores
from medloop.core.learn.network import Network
from medloop.core.prediction.model_contract import label_map_sha256
from medloop.core.prediction.predictor import Predictor

METADATA = {
    "labels": ["a", "b", "c"],
    "label_map_sha256": label_map_sha256(["a", "b", "c"]),
    "input_size": 64,
    "input_mode": "L",
    "temperature": 1.7,
    "confident_threshold": 0.9,
    "confident_ood_threshold": -2.0,
    "ood_threshold": 0.5,
    "preprocessing_version": "1",
    "snapshot_id": "",
    "weights_sha256": "",
}


@pytest.fixture(scope="module")
def network() -> Network:
    """Untrained, but with normalisations that let images differ."""
    torch.manual_seed(0)
    network = Network(3)
    network(
        torch.randint(0, 256, (32, 64, 64), dtype=torch.uint8)
    )  # moves the running statistics off their defaults
    with torch.no_grad():
        for unit in network.conv_units():
            unit.norm.weight.uniform_(1.0, 3.0)
            unit.norm.bias.uniform_(-0.5, 0.5)
    return network.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise of nine grains and contrasts, and one blank image, which has no deviation to
    divide by.
    """
    rng = np.random.default_rng(0)
    grains = [1, 2, 4, 8, 16, 32, 2, 4, 8]
    images = [
        np.kron(rng.integers(0, 40 + 24 * i, (64 // g, 64 // g)), np.ones((g, g))).astype(np.uint8)
        for i, g in enumerate(grains)
    ]
    return np.stack([*images, np.full((64, 64), 25, np.uint8)])


def test_scales_of_whole_tensors_are_scalars(network: Network) -> None:
    """onnxruntime 1.30 and older refuse a list of one."""
    model = onnx.load_model_from_string(model_file(network, 1.7, METADATA))
    shapes = {constant.name: tuple(constant.dims) for constant in model.graph.initializer}
    whole = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(whole) >= 7
    assert {shapes[name] for node in whole for name in node.input[1:]} == {()}


def test_outputs_are_those_of_the_network(network: Network, images: np.ndarray) -> None:
    raw = Predictor(model_file(network, 1.7, METADATA)).predict_arrays(images)
    with torch.no_grad():
        logits, embedding = (
            network(torch.from_numpy(images)).numpy(),
            network.embed(torch.from_numpy(images)).numpy(),
        )
    probabilities, score = softmax(logits[:, :-1] / 1.7, axis=1), ood_scores(logits)
    for served, own in (
        (raw.probabilities, probabilities),
        (raw.ood_score, score),
        (raw.embedding, embedding),
    ):
        assert abs(served - own).max() <= 0.05 * np.ptp(own, axis=0).max(), (
            "a twentieth of what images differ by"
        )


def test_the_activation_map_averages_to_the_logit(network: Network, images: np.ndarray) -> None:
    raw = Predictor(model_file(network, 1.7, METADATA)).predict_arrays(images)
    weight, bias = (tensor.detach().numpy() for tensor in (network.head.weight, network.head.bias))
    np.testing.assert_allclose(raw.cam.mean((2, 3)), raw.embedding @ weight[:-1].T, atol=1e-3)
    with_bias = raw.cam.mean((2, 3)) + bias[:-1]
    np.testing.assert_allclose(softmax(with_bias / 1.7, axis=1), raw.probabilities, atol=1e-4)


def test_all_convolutions_but_the_first_and_the_map_are_kept_in_integers(network: Network) -> None:
    constants = {
        c.name: c
        for c in onnx.load_from_string(model_file(network, 1.7, METADATA)).graph.initializer
    }
    kinds = [constants[f"unit{i}_weight"].data_type for i in range(len(network.conv_units()))]
    assert kinds == [onnx.TensorProto.FLOAT] + [onnx.TensorProto.INT8] * (len(kinds) - 1)


def test_equal_weights_give_equal_bytes_with_everything_inside(network: Network) -> None:
    first, second = model_file(network, 1.7, METADATA), model_file(network, 1.7, METADATA)
    assert first == second
    assert all(
        not tensor.external_data for tensor in onnx.load_from_string(first).graph.initializer
    )


def test_the_label_map_digest_depends_on_order() -> None:
    assert label_map_sha256(["CXR", "ChestCT"]) != label_map_sha256(["ChestCT", "CXR"])
