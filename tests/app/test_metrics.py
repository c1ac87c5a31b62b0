"""What Prometheus may ask the page: numbers, and nothing of a picture or a person."""

from __future__ import annotations

import re
import urllib.request
from dataclasses import replace
from pathlib import Path

from prometheus_client import generate_latest
from tests.app.test_prediction_recorder import sources

from medloop.app.kit import actions
from medloop.app.kit.access import User
from medloop.app.kit.workbench import Workbench
from medloop.app.process import backend as process
from medloop.app.process.metrics import Metrics
from medloop.app.process.prediction_recorder import Recorder
from medloop.stack.ports import free_ports


def measured(site) -> tuple[Metrics, Workbench]:
    """Two pictures classified on a page whose recorder counts."""
    metrics = Metrics(site.context, site.backend.champion)
    own = replace(site.backend, recorder=Recorder(site.context, metrics))
    bench, served = Workbench(), site.backend.champion.current()
    assert list(actions.classify(own, bench, sources(2), served)) == [0]
    return metrics, bench


def test_answers_their_time_and_the_champion_are_counted(site):
    shown = generate_latest(measured(site)[0].registry).decode()
    assert 'medloop_answers_total{verdict="confident",version="1"} 2.0' in shown
    assert "medloop_answer_seconds_count 2.0" in shown
    assert "medloop_champion_version 1.0" in shown
    assert "medloop_outbox_pending 0.0" in shown
    assert "medloop_outbox_oldest_seconds 0.0" in shown


def test_what_waits_is_counted_and_names_nobody(site):
    metrics, bench = measured(site)
    site.store.away = True
    bench.arrange()
    first = bench.pictures[bench.current_id]
    ada = User("ada", "corrector", local=True)
    actions.answer(site.backend, bench, id_=first.source.id, label="Hand", user=ada)
    shown = generate_latest(metrics.registry).decode()
    assert "medloop_outbox_pending 1.0" in shown
    assert not any(word in shown for word in ("ada", "patient", "Hand", first.sha256))


def test_the_port_answers_only_where_it_is_set(site):
    assert process._metrics(site.context, site.backend.champion) is None
    (port,) = free_ports(1)
    settings = site.context.settings.model_copy(update={"metrics_port": port})
    context = replace(site.context, settings=settings)
    assert process._metrics(context, site.backend.champion) is not None
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        assert b"medloop_champion_version" in answer.read()


def test_the_dashboard_asks_for_metrics_that_exist(site):
    shown = generate_latest(measured(site)[0].registry).decode()
    dashboard = Path(__file__).parents[2].joinpath("deploy/grafana.json").read_text()
    asked = set(re.findall(r"medloop_\w+", dashboard))
    assert {name for name in asked if not re.search(rf"^{name}[{{ ]", shown, re.MULTILINE)} == set()
    assert len(asked) == 5
