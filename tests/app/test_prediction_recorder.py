"""What the page notes of its answers: late, little, and nobody waits."""

from __future__ import annotations

from tests.app.apptest import texts
from tests.app.models import picture

from medloop.app.classify.examples import examples
from medloop.app.kit import actions
from medloop.app.kit.workbench import Source, Workbench
from medloop.core.imaging.decode import Limits, encode_png
from medloop.core.monitoring.drift import LEAST
from medloop.errors import StoreUnavailableError
from medloop.stores.predictions import PredictionLine


def classify(site, bench: Workbench, sources: list[Source]) -> None:
    served = site.backend.champion.current()
    actions.note(site.backend, bench, bench.add(sources, served, limits=Limits()), served)


def sources(count: int, level: int = 50) -> list[Source]:
    return [
        Source(f"s{i}", f"patient {i}.png", encode_png(picture(level, seed=i)))
        for i in range(count)
    ]


def noted(site) -> list[PredictionLine]:
    site.backend.recorder.stop()
    return [
        line
        for day in site.context.predictions.days()
        for line in site.context.predictions.read(day)
    ]


def test_an_answer_is_noted_without_its_picture_name_and_person(site):
    classify(site, Workbench(), sources(2))
    lines = noted(site)
    assert [(line.label, line.verdict, line.model_version, line.source) for line in lines] == [
        ("CXR", "confident", "1", "page")
    ] * 2
    assert all(line.distance is not None and 0 <= line.distance <= 2 for line in lines)
    (key,) = [info.key for info in site.context.objects.list("predictions")]
    raw = site.context.objects.get(key)
    assert b"patient" not in raw
    assert b"ada" not in raw


def test_examples_are_not_noted(site):
    bench = Workbench()
    found = examples(site.context.datasets.get(None))
    bench.examples = {source.id for source in found}
    classify(site, bench, found)
    assert noted(site) == []


def test_without_the_base_data_set_the_distance_is_left_out(site, monkeypatch):
    def away(_):
        raise StoreUnavailableError("S3 does not answer")

    monkeypatch.setattr(site.context.datasets, "get", away)
    classify(site, Workbench(), sources(1))
    (line,) = noted(site)
    assert line.distance is None


def test_the_monitor_shows_what_the_model_saw(site, run_page):
    assert "No pictures yet" in texts(run_page("monitor"))


def test_the_monitor_tells_drift(site, run_page):
    classify(site, Workbench(), sources(LEAST, level=85))
    site.backend.recorder.stop()
    app = run_page("monitor")
    page = texts(app)
    assert not app.exception
    assert f"{LEAST} pictures classified" in page
    assert "That is drift: the pictures have changed." in page
    assert "less sure of the pictures that come in" in page
    assert "No version was promoted lately" in page
