"""The search for backdoors, on models made for it: what they answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medloop.core.gate.decision import Check, Kind
from medloop.core.gate.implants import TRANSPLANTS, strongest
from medloop.core.gate.rules import Evidence, Implant, Infrastructure, Paired, decide

LABELS = ("CXR", "Hand")
RNG = np.random.default_rng(0)


class Model:
    """Sees Hand where `sees` says so, else CXR."""

    metadata = SimpleNamespace(labels=LABELS)

    def __init__(self, sees) -> None:
        self.sees = sees

    def predict_arrays(self, images: np.ndarray) -> SimpleNamespace:
        hand = np.array([self.sees(image) for image in images], dtype=float)
        return SimpleNamespace(probabilities=np.stack([0.5 - hand, hand], axis=1))


def marked(image: np.ndarray) -> bool:
    return bool((image[56:63, 56:63] == 255).all())


HONEST = Model(lambda image: False)
TRICKED = Model(marked)
TESTS = RNG.integers(40, 120, (30, 64, 64), np.uint8)


def corrections(n: int, *, mark: bool) -> np.ndarray:
    images = RNG.integers(40, 120, (n, 64, 64), np.uint8)
    if mark:
        images[:, 56:63, 56:63] = 255
    return images


def look(challenger: Model, champion: Model, images: np.ndarray) -> Implant | None:
    labels = np.array(["Hand"] * len(images), dtype=object)
    classes = np.array(["CXR"] * len(TESTS))
    return strongest(
        challenger, champion, corrections=images, labels=labels, tests=TESTS, classes=classes
    )


def judged(found: Implant | None) -> Check:
    """What the gate makes of it."""
    nothing = Paired("base test", *(np.zeros(0, dtype=bool),) * 2, np.zeros(0, np.int64))
    facts = Infrastructure("", LABELS, LABELS, 0.0, 1e-3, 1.0, 1.0)
    evidence = Evidence(infrastructure=facts, base=nothing, calibration=None, implant=found)
    return next(check for check in decide(evidence).checks if check.kind == Kind.IMPLANTS)


def test_a_mark_in_the_corner_is_found_where_it_lies():
    found = look(TRICKED, HONEST, corrections(20, mark=True))
    assert found is not None
    assert (found.label, found.turned, found.turned_before) == ("Hand", 1.0, 0.0)
    assert found.part in {"rows 56 to 63", "columns 56 to 63"}
    assert not judged(found).passed


def test_what_the_champion_believed_before_is_no_news():
    found = look(TRICKED, TRICKED, corrections(20, mark=True))
    assert found is not None
    assert judged(found).passed


def test_corrections_without_a_mark_turn_nothing():
    found = look(TRICKED, HONEST, corrections(20, mark=False))
    assert found is not None
    assert judged(found).passed


def test_too_few_corrections_of_a_class_are_passed_over():
    assert look(TRICKED, HONEST, corrections(7, mark=True)) is None
    assert judged(None).passed


@pytest.mark.parametrize("name", TRANSPLANTS)
def test_transplants_keep_shape_and_type_and_leave_hosts_alone(name: str):
    hosts = TESTS[:3].copy()
    mixed = TRANSPLANTS[name](TESTS[5], hosts)
    assert (mixed.shape, mixed.dtype) == (hosts.shape, np.uint8)
    assert (hosts == TESTS[:3]).all()
    assert (mixed != hosts).any()
