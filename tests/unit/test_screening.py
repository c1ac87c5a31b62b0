import numpy as np
import pytest
from tests.events import image

from medloop.core.holdout import shapes
from medloop.core.screening import look_alikes, neighbour_disagreement, unlikely_labels

LOOKS = shapes(np.stack([image(seed) for seed in range(40)]))
TWIN_OF_0 = shapes((image(0)[None] * 0.9 + 10).astype(np.uint8))


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("Hand", ""),
        ("CXR", "nearly the same picture is known as Hand"),
        (None, "nearly the same picture is known as Hand"),
    ],
)
def test_a_look_alike_with_another_label_is_a_reason(label: str | None, reason: str) -> None:
    assert look_alikes(TWIN_OF_0, [label], index=LOOKS, index_labels=["Hand"] * 40) == [reason]


def test_images_that_look_like_nothing_known_give_no_reason() -> None:
    fresh = shapes(np.stack([image(seed) for seed in range(100, 150)]))
    assert look_alikes(fresh, ["CXR"] * 50, index=LOOKS, index_labels=["Hand"] * 40) == [""] * 50
    assert look_alikes(fresh, ["CXR"] * 50, index=LOOKS[:0], index_labels=[]) == [""] * 50


def test_an_image_is_not_its_own_look_alike_but_its_copy_is() -> None:
    both = np.concatenate([LOOKS[:1], TWIN_OF_0])
    found = look_alikes(both, ["Hand", None], index=both, index_labels=["Hand", None], own=np.arange(2))
    assert found == ["nearly the same picture is known as none of these", "nearly the same picture is known as Hand"]


def test_the_crowd_is_a_reason_where_it_agrees_and_is_close() -> None:
    rng = np.random.default_rng(0)
    crowd = LOOKS[:1] + rng.normal(0, 0.01, (6, LOOKS.shape[1]))
    crowd = crowd / np.linalg.norm(crowd, axis=1, keepdims=True)
    said = ["Hand"] * 5 + ["CXR"]
    assert neighbour_disagreement(LOOKS[:1], ["HeadCT"], index=crowd[:5], index_labels=said[:5]) == [
        "5 of the 5 most similar corrections say Hand"
    ]
    assert neighbour_disagreement(LOOKS[:1], ["Hand"], index=crowd, index_labels=said) == [""]
    assert neighbour_disagreement(LOOKS[:1], ["HeadCT"], index=crowd[:4], index_labels=said[:4]) == [""], "too few"
    assert neighbour_disagreement(LOOKS[1:2], ["HeadCT"], index=crowd, index_labels=said) == [""], "too far"
    mixed = ["Hand", "Hand", "CXR", "CXR", None]
    assert neighbour_disagreement(LOOKS[:1], ["HeadCT"], index=crowd[:5], index_labels=mixed) == [""], "no majority"


def test_confident_learning_finds_labels_that_were_swapped() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    probabilities = rng.dirichlet([0.3] * 3, 600) * 0.3
    probabilities[np.arange(600), truth] += 0.7
    given = truth.copy()
    swapped = rng.choice(600, 30, replace=False)
    given[swapped] = (given[swapped] + 1) % 3
    found = unlikely_labels(probabilities, given, known=probabilities, known_targets=truth)
    assert found[swapped].mean() > 0.2
    assert not np.delete(found, swapped).any()


def test_confident_learning_believes_no_class_that_it_has_never_seen_right() -> None:
    probabilities = np.array([[0.1, 0.9]])
    known = np.array([[0.9, 0.1]])
    assert not unlikely_labels(probabilities, np.array([0]), known=known, known_targets=np.array([0])).any()
