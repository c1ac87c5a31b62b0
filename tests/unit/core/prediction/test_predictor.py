"""The predictor: any size in, one answer an image out, with a verdict; and no torch in the
process.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from tests.models import model_file
from tests.unit.core.learn.test_export import METADATA

from medloop.core.imaging.picture import ImageInfo
from medloop.core.learn.network import Network
from medloop.core.prediction.predictor import ModelMetadata, Predictor
from medloop.core.prediction.similar_images import nearest


@pytest.fixture(scope="module")
def model() -> bytes:
    torch.manual_seed(0)
    return model_file(Network(3).eval(), 1.0, METADATA)


def with_thresholds(
    confident: float, confident_ood: float, ood: float, **others: object
) -> Predictor:
    changed = {
        "confident_threshold": confident,
        "confident_ood_threshold": confident_ood,
        "ood_threshold": ood,
    } | others
    torch.manual_seed(0)
    return Predictor(model_file(Network(3).eval(), 1.0, METADATA | changed))


def test_images_of_any_size_get_an_answer_in_order(model: bytes) -> None:
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, shape, dtype=np.uint8)
        for shape in [(64, 64), (1, 1), (512, 300), (3, 700), (64, 64)]
    ]
    predictor = Predictor(model, threads=1)
    answers = predictor.predict(images)
    alone = [predictor.predict([image])[0] for image in images]
    assert [a.label for a in answers] == [a.label for a in alone]
    assert all(
        a.label in ("a", "b", "c") and a.confidence == max(a.probabilities.values())
        for a in answers
    )
    assert all(a.cam is not None and a.cam.shape == (8, 8) for a in answers)


def test_no_images_give_no_answers(model: bytes) -> None:
    predictor = Predictor(model)
    assert predictor.predict([]) == []
    assert predictor.predict_arrays(np.empty((0, 64, 64), np.uint8)).probabilities.shape == (0, 3)


def test_batches_agree_with_single_images(model: bytes) -> None:
    images = np.random.default_rng(1).integers(0, 256, (150, 64, 64), dtype=np.uint8)
    predictor = Predictor(model)
    together = predictor.predict_arrays(images)
    single = np.concatenate(
        [predictor.predict_arrays(images[i : i + 1]).probabilities for i in range(150)]
    )
    np.testing.assert_allclose(together.probabilities, single, atol=1e-5)


@pytest.mark.parametrize(
    ("thresholds", "verdict"),
    [
        ((0.0, 99.0, 99.0), "confident"),
        ((1.1, 99.0, 99.0), "unsure"),
        ((0.0, -99.0, 99.0), "unsure"),
        ((0.0, -99.0, -99.0), "unknown"),
    ],
)
def test_verdicts_follow_the_thresholds(
    thresholds: tuple[float, float, float], verdict: str
) -> None:
    predictor = with_thresholds(*thresholds)
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    assert predictor.predict([image])[0].verdict == verdict
    assert predictor.verdicts(predictor.predict_arrays(image[None])) == [verdict]


@pytest.mark.parametrize(
    ("thresholds", "verdict"),
    [
        ((0.0, 99.0, 99.0), "unsure"),
        ((1.1, 99.0, 99.0), "unsure"),
        ((0.0, -99.0, -99.0), "unknown"),
    ],
)
def test_of_a_picture_in_colour_no_answer_is_confident(
    thresholds: tuple[float, float, float], verdict: str
) -> None:
    predictor = with_thresholds(*thresholds)
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    grey, coloured = predictor.predict(
        [image, image], about=[ImageInfo(), ImageInfo(in_colour=True)]
    )
    assert coloured.verdict == verdict
    assert coloured.doubt == ("colour" if grey.verdict == "confident" else "")
    assert grey.verdict == predictor.predict([image])[0].verdict
    assert (coloured.label, coloured.confidence, coloured.ood_score) == (
        grey.label,
        grey.confidence,
        grey.ood_score,
    )


@pytest.mark.parametrize(
    "tags", [{"Modality": "MR"}, {"Modality": "CT", "BodyPartExamined": "HAND"}]
)
def test_of_a_dicom_whose_tags_contradict_it_no_answer_is_confident(tags: dict[str, str]) -> None:
    predictor = with_thresholds(0.0, 99.0, 99.0, labels=["AbdomenCT", "ChestCT", "HeadCT"])
    image = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    fitting, other = predictor.predict(
        [image, image], about=[ImageInfo(technical={"Modality": "CT"}), ImageInfo(technical=tags)]
    )
    assert (fitting.verdict, fitting.doubt, other.verdict, other.doubt) == (
        "confident",
        "",
        "unsure",
        "tags",
    )
    assert (other.label, other.confidence) == (fitting.label, fitting.confidence)


def test_a_file_without_the_metadata_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the metadata"):
        ModelMetadata.parse({"labels": '["a"]'})


def test_predicting_never_imports_torch() -> None:
    code = (
        "import sys, medloop.core.prediction.predictor, medloop.core.prediction.similar_images, "
        "medloop.core.gate.corruptions; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_nearest_are_by_angle_and_most_similar_first() -> None:
    index = np.array([[1, 0], [0, 2], [5, 5], [0, 0]], np.float32)
    rows, similarities = nearest(np.array([3, 1], np.float32), index, 3)
    assert rows.tolist() == [0, 2, 1]
    assert similarities[0] == pytest.approx(3 / 10**0.5)
    assert len(nearest(np.array([3, 1], np.float32), index, 99)[0]) == 4


def test_an_embedding_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        nearest(np.zeros(3, np.float32), np.zeros((4, 2), np.float32), 1)
