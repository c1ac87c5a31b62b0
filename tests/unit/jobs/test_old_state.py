"""Versions and ledger of commit b9ddffd go on: promoted, rolled back, listed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.old_state import fill, old_state
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.corrections.events import Promotion
from medloop.core.gate import words
from medloop.errors import StaleError
from medloop.jobs.alias_moves import moves
from medloop.jobs.comparison import comparison_key
from medloop.jobs.promote import promote
from medloop.jobs.rollback import rollback
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore
from medloop.stores.registry import CHAMPION, REPORT_FILE

RULES = "6"  # of the gate at b9ddffd


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return open_world(tmp_path, monkeypatch)


def open_world(home: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    registry = MemoryRegistry()
    fill(registry)
    home.mkdir(exist_ok=True)
    made = World(ObjectStore.in_memory(), home, registry=registry)
    lease = Lease(made.objects, "leases/promotion.json", now=lambda: made.now)
    made.context = replace(made.context, promotion_lease=lease)
    for move in old_state()["ledger"]:
        made.context.ledger.append(Promotion.from_json(json.dumps(move).encode()))
    made.pass_days(30)
    monkeypatch.setattr("medloop.wiring.connect", lambda: made.context)
    return made


def judged_today(world: World, version: str) -> None:
    """Give the report the key of today's comparison, as if the rules were its own."""
    sets = world.context.acceptance_sets.declarations()
    key = comparison_key(version, champion="1", reference="1", sets=sets)
    raw = {**old_state()["versions"][version]["report"], "key": key}
    world.context.registry.files[version, REPORT_FILE] = json.dumps(raw).encode()


def test_the_key_of_an_old_report_is_that_of_its_rules(world, monkeypatch):
    monkeypatch.setattr("medloop.jobs.comparison.GATE_RULES", RULES)
    found = old_state()["versions"]["2"]["report"]
    assert found["key"] == comparison_key("2", champion="1", reference="1", sets=[])


def test_a_version_that_passed_then_is_promoted_and_rolled_back(world, monkeypatch):
    judged_today(world, "4")
    assert promote(world.context, version="4", by="ada").promoted
    assert world.context.registry.get("4").tags.champion_fence is not None
    back = rollback(world.context, by="ada", reason="worse")
    assert (back.from_version, back.to_version) == ("4", "1")
    assert moves(world.context)[-2].gate_report["decision"]["passed"] is True


def test_a_version_that_failed_then_is_refused_and_a_person_may_overrule(world):
    refused = promote(world.context, version="3", by="ada")
    assert not refused.promoted
    assert len(refused.reasons) > 3
    assert world.context.registry.version_of(CHAMPION) == "1"
    assert promote(world.context, version="3", by="ada", reason="a try", force=True).promoted
    back = rollback(world.context, by="ada", reason="worse", to="2")
    assert (back.to_version, moves(world.context)[-1].gate_report["version"]) == ("2", "2")


def test_a_yes_under_older_rules_asks_for_a_new_judgement(world, monkeypatch):
    monkeypatch.setattr("medloop.jobs.comparison.GATE_RULES", "of tomorrow")
    with pytest.raises(StaleError, match="medloop evaluate 4"):
        promote(world.context, version="4", by="ada")


def test_the_commands_list_what_was_written_then(world):
    run = CliRunner()
    listed = json.loads(run.invoke(build_app(), ["models", "--json"]).stdout)
    gates = {item["version"]: item["gate"] for item in listed}
    assert gates == {"1": None, "2": "yes", "3": "no", "4": "yes", "5": "no"}
    made = json.loads(run.invoke(build_app(), ["history", "--json"]).stdout)
    assert len(made) == len(old_state()["ledger"])
    table = run.invoke(build_app(), ["history"], env={"COLUMNS": "300"})
    assert table.exit_code == 0, table.output


def test_no_outcome_depends_on_a_word_of_the_gate(tmp_path, monkeypatch):
    """Every sentence is another one, and promotions and commands come out the same."""
    said = outcomes(open_world(tmp_path / "said", monkeypatch))
    monkeypatch.setattr(words, "found", lambda check: f"{len(check.numbers)} against the and new:")
    monkeypatch.setattr(words, "check_name", lambda check: f"class floors {check.passed}: ")
    assert outcomes(open_world(tmp_path / "changed", monkeypatch)) == said


def outcomes(world: World) -> list[object]:
    found: list[object] = []
    for version in ("2", "3", "4", "5"):
        judged_today(world, version)
        result = promote(world.context, version=version, by="ada")
        found.append((version, result.promoted, len(result.reasons)))
        command = CliRunner().invoke(build_app(), ["promote", version])
        found.append((command.exit_code, type(command.exception).__name__))
        if result.promoted:
            rollback(world.context, by="ada", reason="back", to="1")
        raw = json.loads(world.context.registry.files[version, REPORT_FILE])
        found.append(raw["decision"]["passed"])
    return found
