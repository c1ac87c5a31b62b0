"""Test pictures on which two versions disagree."""

from __future__ import annotations

from tests.app.models import LEVELS, OTHER_LEVELS, brightness_model

from medloop.app.models.disagreements import caption, disagreements
from medloop.core.prediction.predictor import Predictor


def test_each_picture_comes_with_its_truth_and_both_answers_what_was_lost_first(site):
    old, new = (Predictor(brightness_model(levels)) for levels in (LEVELS, OTHER_LEVELS))
    found = disagreements(old, new, site.context.datasets.get(None))
    assert found
    assert all(item.old != item.new for item in found)
    for item in found:
        right = {"lost": item.old, "gained": item.new}.get(item.outcome)
        assert right in (None, item.truth)
    places = [("lost", "gained", "both wrong").index(item.outcome) for item in found]
    assert places == sorted(places)
    assert set(places) >= {0, 1}
    assert caption(found[0]).startswith("is ")
    assert caption(found[0]).count(" → ") == 1


def test_a_version_agrees_with_itself(site):
    model = Predictor(brightness_model())
    assert disagreements(model, model, site.context.datasets.get(None)) == []
