"""The ONNX file answers as the network does."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from medloop.core.learn.calibrate import ood_scores, softmax
from medloop.core.learn.export import label_map_sha256, to_onnx
from medloop.core.learn.network import Network
from medloop.core.predict import Predictor

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
    torch.manual_seed(0)
    network = Network(3)
    network(torch.randint(0, 256, (32, 64, 64), dtype=torch.uint8))  # moves the running statistics off their defaults
    return network.eval()


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (9, 64, 64), dtype=np.uint8)
    images[0] = 25  # a blank image has no deviation to divide by
    return images


def test_outputs_are_those_of_the_network(network: Network, images: np.ndarray) -> None:
    raw = Predictor(to_onnx(network, 1.7, METADATA)).predict_arrays(images)
    with torch.no_grad():
        logits, embedding = network(torch.from_numpy(images)).numpy(), network.embed(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(raw.probabilities, softmax(logits[:, :-1] / 1.7), atol=1e-4)
    np.testing.assert_allclose(raw.ood_score, ood_scores(logits), atol=1e-3)
    np.testing.assert_allclose(raw.embedding, embedding, atol=1e-3)


def test_the_activation_map_averages_to_the_logit(network: Network, images: np.ndarray) -> None:
    raw = Predictor(to_onnx(network, 1.7, METADATA)).predict_arrays(images)
    with torch.no_grad():
        logits = network(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(
        raw.cam.mean((2, 3)) + network.head.bias.detach().numpy()[:-1], logits[:, :-1], atol=1e-3
    )


def test_equal_weights_give_equal_bytes_with_everything_inside(network: Network) -> None:
    first, second = to_onnx(network, 1.7, METADATA), to_onnx(network, 1.7, METADATA)
    assert first == second
    assert all(not tensor.external_data for tensor in onnx.load_from_string(first).graph.initializer)


def test_the_label_map_digest_depends_on_order() -> None:
    assert label_map_sha256(["CXR", "ChestCT"]) != label_map_sha256(["ChestCT", "CXR"])
