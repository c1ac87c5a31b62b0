import numpy as np
import pytest
from tests.events import image

from medloop.core.holdout import shapes
from medloop.core.screening import contradicted, look_alikes, neighbour_disagreement

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


CLASSES = ("CXR", "Hand", "HeadCT")


def eyes(direction: int, n: int, *, seed: int = 0) -> np.ndarray:
    """n embeddings near one direction."""
    rng = np.random.default_rng([seed, direction])
    found = np.eye(8)[[direction] * n] + rng.normal(0, 0.01, (n, 8))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def against(label: str | None, *, batch: list[str | None], sure: float = 0.98, where: int = 0) -> str:
    """What is found against one correction of an image that the champion calls CXR, beside others of its scanner."""
    probabilities = np.array([[sure, (1 - sure) / 2, (1 - sure) / 2]] * (1 + len(batch)))
    own = eyes(where, 1 + len(batch))
    base = np.concatenate([eyes(0, 20, seed=1), eyes(1, 20, seed=1)])
    labels = [label, *batch]
    reasons = contradicted(
        probabilities, own, labels, classes=CLASSES, index=np.concatenate([own, base]),
        index_labels=[*labels, *["CXR"] * 20, *["Hand"] * 20],
    )  # fmt: skip
    return reasons[0]


def test_a_label_that_the_champion_excludes_and_no_similar_picture_bears_is_a_reason() -> None:
    assert (
        against("Hand", batch=[]) == "the champion excludes Hand, and 10 of the 10 pictures most like this one are CXR"
    )


def test_corrections_of_a_new_scanner_vouch_for_each_other_however_wrong_the_champion_is() -> None:
    assert against("Hand", batch=["Hand"] * 3) == ""
    assert against("Hand", batch=["Hand"] * 12, where=5) == ""


@pytest.mark.parametrize("label", ["CXR", "Knee", None])
def test_a_champion_contradicts_no_label_that_it_gives_or_does_not_know(label: str | None) -> None:
    assert against(label, batch=[]) == ""


def test_a_champion_that_thinks_the_label_possible_contradicts_nothing() -> None:
    assert against("Hand", batch=[], sure=0.8) == ""


def test_pictures_that_the_champion_confuses_contradict_nothing() -> None:
    assert against("HeadCT", batch=[], where=1) == "", "its neighbours are hands, which the champion does not see"
