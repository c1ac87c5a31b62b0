"""Moves of the aliases: judged, fenced, and each of them in the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.events import image, png
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.corrections.events import Promotion
from medloop.core.gate.decision import Check, Decision
from medloop.core.gate.report import GateReport
from medloop.errors import ModelError, StaleError
from medloop.jobs.acceptance_sets import add, withdraw
from medloop.jobs.alias_moves import all_moves, explain_champion, moves
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.comparison import comparison_key
from medloop.jobs.promote import PromotionError, promote
from medloop.jobs.reference import choose_reference
from medloop.jobs.rollback import rollback
from medloop.stores.lease import Lease
from medloop.stores.ledger import Ledger
from medloop.stores.objects import ObjectStore
from medloop.stores.registry import CHALLENGER, CHAMPION, REFERENCE

LEASE = "leases/promotion.json"


class Models(World):
    """A world with a registry whose versions were judged."""

    def __init__(self, home: Path) -> None:
        self.registry = MemoryRegistry()
        super().__init__(ObjectStore.in_memory(), home, registry=self.registry)
        self.context = replace(self.context, promotion_lease=self.lease())
        self.registry.add(b"", tags={"labels": json.dumps(["CXR", "Hand"])})

    def lease(self) -> Lease:
        return Lease(self.objects, LEASE, now=lambda: self.now)

    def judged(self, *, champion: str, passed: bool = True) -> str:
        """A new version with a report that compared it with this champion."""
        version = str(len(self.registry.tags) + 1)
        self.registry.add(b"", tags={"snapshot_id": f"snapshot{version}"})
        self.judge(version, champion=champion, passed=passed)
        return version

    def judge(self, version: str, *, champion: str, passed: bool = True) -> None:
        scores = {role: {"accuracy": 0.9} for role in ("challenger", "champion")}
        sets = self.context.acceptance_sets.declarations()
        report = GateReport(
            key=comparison_key(version, champion=champion, reference="1", sets=sets),
            version=version,
            champion_version=champion,
            reference_version="1",
            snapshot_id="s",
            base_id="b",
            at=self.tick().isoformat(timespec="milliseconds"),
            scores=scores,
            decision=Decision(
                passed=passed, checks=(Check("a check", "", "", passed, details=("found",)),)
            ),
        )
        self.registry.files[version, "gate/report.json"] = report.to_json()


class Interrupted(Ledger):
    """A ledger after whose next entry something happens, before its writer goes on."""

    def __init__(self, objects: ObjectStore, meanwhile: Callable[[], None]) -> None:
        super().__init__(objects)
        self._meanwhile: Callable[[], None] | None = meanwhile

    def append(self, promotion: Promotion) -> bool:
        written = super().append(promotion)
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            meanwhile()
        return written


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(tmp_path)


def test_what_the_gate_refused_is_not_promoted_and_the_reasons_are_handed_on(
    models: Models,
) -> None:
    """The published system moved the alias after every training, with no gate."""
    version = models.judged(champion="1", passed=False)
    outcome = promote(models.context, version=version, by="airflow")
    assert (outcome.promoted, outcome.to_version, outcome.reasons) == (
        False,
        "1",
        ("a check: found",),
    )
    assert models.registry.version_of(CHAMPION) == "1"
    assert all_moves(models.context) == []


def test_what_was_never_judged_is_not_promoted(models: Models) -> None:
    version = models.registry.add(b"")
    with pytest.raises(
        PromotionError, match=f"never judged: run `medloop evaluate {version}` first"
    ):
        promote(models.context, version=version, by="ada")
    assert models.registry.version_of(CHAMPION) == "1"


def test_what_was_judged_against_another_champion_is_judged_again_first(models: Models) -> None:
    first, second = models.judged(champion="1"), models.judged(champion="1")
    promote(models.context, version=first, by="ada")
    with pytest.raises(
        StaleError, match=rf"judged against version 1, and the champion is {first} by now"
    ):
        promote(models.context, version=second, by="ada")
    assert models.registry.version_of(CHAMPION) == first


def test_what_was_judged_against_another_reference_is_judged_again_first(models: Models) -> None:
    version, other = models.judged(champion="1"), models.judged(champion="1")
    choose_reference(models.context, version=other, by="ada", reason="the full data set")
    words = (
        rf"judged against reference 1, and that is {other} by now: run `medloop evaluate "
        rf"{version}` again"
    )
    with pytest.raises(StaleError, match=words):
        promote(models.context, version=version, by="ada")
    assert models.registry.version_of(CHAMPION) == "1"
    assert promote(
        models.context, version=version, by="ada", reason="a demonstration", force=True
    ).promoted


@pytest.mark.parametrize("act", ["add", "withdraw"])
def test_what_was_judged_by_other_acceptance_sets_is_judged_again_first(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    (tmp_path / "site" / "Hand").mkdir(parents=True)
    (tmp_path / "site" / "Hand" / "1.png").write_bytes(png(image(1)))
    if act == "withdraw":
        add(models.context, name="site-a", path=tmp_path / "site", by="ada")
    version = models.judged(champion="1")
    if act == "withdraw":
        withdraw(models.context, name="site-a", by="ada")
    else:
        add(models.context, name="site-a", path=tmp_path / "site", by="ada")
    monkeypatch.setattr("medloop.wiring.connect", lambda: models.context)
    refused = CliRunner().invoke(build_app(), ["promote", version])
    assert isinstance(refused.exception, StaleError)
    assert str(refused.exception) == (
        f"version {version} was judged before the acceptance sets or the gate's rules were what "
        "they are now: run "
        f"`medloop evaluate {version}` again"
    )
    assert models.registry.version_of(CHAMPION) == "1"
    models.judge(version, champion="1")
    assert promote(models.context, version=version, by="ada").promoted


def test_what_was_judged_by_older_rules_is_judged_again_first(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = models.judged(champion="1")
    monkeypatch.setattr("medloop.jobs.comparison.GATE_RULES", "newer")
    with pytest.raises(StaleError, match="the gate's rules"):
        promote(models.context, version=version, by="ada")
    assert models.registry.version_of(CHAMPION) == "1"


def test_a_promotion_and_a_rollback_done_twice_are_written_once(models: Models) -> None:
    version = models.judged(champion="1")
    assert promote(models.context, version=version, by="ada").promoted
    assert promote(models.context, version=version, by="ada").reasons == (
        "it is the champion already",
    )
    rollback(models.context, by="ada", reason="worse", to="1")
    assert rollback(models.context, by="ada", reason="worse", to="1").reasons == (
        "it is the champion already",
    )
    assert [move.action for move in moves(models.context)] == ["promote", "rollback"]


def test_the_command_says_who_stays_and_why(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = models.judged(champion="1", passed=False)
    monkeypatch.setattr("medloop.wiring.connect", lambda: models.context)
    refused = CliRunner().invoke(build_app(), ["promote", version])
    assert (refused.exit_code, refused.stdout) == (
        1,
        "Version 1 stays the champion:\n- a check: found\n",
    )
    forced = CliRunner().invoke(
        build_app(), ["promote", version, "--force", "--reason", "the new scanner", "--by", "eve"]
    )
    assert forced.exit_code == 0
    assert (
        forced.stdout
        == f"Version {version} is the champion, before it version 1.\n- the new scanner\n"
    )
    assert [(move.by, move.reason) for move in moves(models.context)] == [
        ("eve", "the new scanner")
    ]


@pytest.mark.parametrize("act", ["promote", "rollback"])
def test_a_holder_that_slept_through_its_lease_moves_nothing(models: Models, act: str) -> None:
    """Somebody else held the lease meanwhile, and left the champion where it was: the alias alone
    does not tell.
    """
    version = models.judged(champion="1")
    if act == "rollback":
        promote(models.context, version=version, by="ada")
    before = models.registry.version_of(CHAMPION)

    def sleep() -> None:
        models.now += timedelta(seconds=61)
        with models.lease().hold("somebody else"):
            pass

    slow = replace(models.context, ledger=Interrupted(models.objects, sleep))
    acts = {
        "promote": lambda: promote(slow, version=version, by="ada"),
        "rollback": lambda: rollback(slow, by="ada", reason="worse"),
    }
    with pytest.raises(StaleError, match="lease"):
        acts[act]()
    assert models.registry.version_of(CHAMPION) == before


def test_a_holder_that_slept_and_lost_nothing_goes_on(models: Models) -> None:
    version = models.judged(champion="1")

    def sleep() -> None:
        models.now += timedelta(seconds=61)

    assert promote(
        replace(models.context, ledger=Interrupted(models.objects, sleep)),
        version=version,
        by="ada",
    ).promoted


def test_the_fencing_token_stands_in_the_ledger_and_on_the_version(models: Models) -> None:
    version = models.judged(champion="1")
    promote(models.context, version=version, by="ada")
    back = rollback(models.context, by="ada", reason="worse")
    tokens = [move.token for move in moves(models.context)]
    assert tokens == [1, 2]
    assert models.registry.get(version).tags.champion_fence == 1
    assert models.registry.get(back.to_version).tags.champion_fence == 2


def test_a_version_that_was_rolled_back_needs_a_new_judgement(models: Models) -> None:
    version = models.judged(champion="1")
    promote(models.context, version=version, by="ada")
    rollback(models.context, by="medloop watch", reason="9 of 12 images")
    again = promote(models.context, version=version, by="airflow manual__1")
    assert not again.promoted
    assert (
        "was rolled back after the gate had judged it, by medloop watch: 9 of 12 images"
        in again.reasons[0]
    )
    assert models.registry.version_of(CHAMPION) == "1"
    models.judge(version, champion="1")
    assert promote(models.context, version=version, by="ada").promoted


def test_a_person_may_bring_a_rolled_back_version_back(models: Models) -> None:
    version = models.judged(champion="1")
    promote(models.context, version=version, by="ada")
    rollback(models.context, by="medloop watch", reason="worse")
    assert promote(
        models.context, version=version, by="ada", reason="it was the scanner", force=True
    ).promoted


def test_a_rollback_over_several_champions_takes_all_of_them_back(models: Models) -> None:
    second = models.judged(champion="1")
    promote(models.context, version=second, by="ada")
    third = models.judged(champion=second)
    promote(models.context, version=third, by="ada")
    rollback(models.context, by="ada", reason="both are bad", to="1")
    assert not promote(models.context, version=second, by="airflow").promoted


def test_a_rollback_names_report_and_snapshot_of_the_version_it_goes_back_to(
    models: Models,
) -> None:
    second = models.judged(champion="1")
    promote(models.context, version=second, by="ada")
    third = models.judged(champion=second)
    promote(models.context, version=third, by="ada")
    rollback(models.context, by="ada", reason="worse")
    entry = moves(models.context)[-1]
    assert (entry.action, entry.to_version, entry.snapshot_id) == (
        "rollback",
        second,
        f"snapshot{second}",
    )
    assert entry.gate_report is not None
    assert entry.gate_report["version"] == second


def test_a_damaged_report_does_not_keep_a_bad_champion_in_office(models: Models) -> None:
    second = models.judged(champion="1")
    promote(models.context, version=second, by="ada")
    models.registry.files["1", "gate/report.json"] = b"{"
    assert rollback(models.context, by="ada", reason="worse").to_version == "1"


def test_the_challengers_name_ends_in_the_ledger_when_it_is_the_champion(models: Models) -> None:
    version = models.judged(champion="1")
    models.registry.aliases[CHALLENGER] = version
    promote(models.context, version=version, by="ada")
    assert models.registry.version_of(CHALLENGER) is None
    found = [
        (move.alias, move.action, move.from_version, move.to_version)
        for move in all_moves(models.context)
    ]
    assert found == [(CHAMPION, "promote", "1", version), (CHALLENGER, "drop", version, "")]
    assert [move.alias for move in moves(models.context)] == [CHAMPION]


def test_the_history_shows_every_alias_with_gate_and_snapshot(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = models.judged(champion="1")
    models.registry.aliases[CHALLENGER] = version
    promote(models.context, version=version, by="ada")
    rollback(models.context, by="grace", reason="worse")
    monkeypatch.setattr("medloop.wiring.connect", lambda: models.context)
    table = CliRunner().invoke(build_app(), ["history"], env={"COLUMNS": "200"})
    assert table.exit_code == 0, table.output
    rows = [
        re.split(r"\s{2,}", line.strip()) for line in table.stdout.splitlines() if "2026" in line
    ]
    assert [row[1:7] for row in rows] == [
        ["champion", "promote", "1", version, "yes", f"snapshot{version}"],
        ["challenger", "drop", version, "–", "–", "–"],
        ["champion", "rollback", version, "1", "–", "–"],
    ]
    printed = json.loads(CliRunner().invoke(build_app(), ["history", "--json"]).stdout)
    assert [move["token"] for move in printed] == [1, None, 2]


def test_a_person_chooses_another_reference_and_it_is_on_record(models: Models) -> None:
    version = models.judged(champion="1")
    with pytest.raises(PromotionError, match="needs a reason"):
        choose_reference(models.context, version=version, by="ada", reason=" ")
    assert (
        choose_reference(models.context, version=version, by="ada", reason="the full data set")
        == "1"
    )
    assert choose_reference(models.context, version=version, by="ada", reason="again") == version
    assert models.registry.version_of(REFERENCE) == version
    (move,) = all_moves(models.context)
    assert (move.alias, move.action, move.from_version, move.to_version) == (
        REFERENCE,
        "choose",
        "1",
        version,
    )


WAYS_BACK: dict[str, Callable[[Models], object]] = {
    "promote": lambda models: promote(models.context, version="1", by="ada"),
    "rollback": lambda models: rollback(models.context, by="ada", reason="2 is gone"),
    "rollback --to 1": lambda models: rollback(models.context, by="ada", reason="gone", to="1"),
}


@pytest.mark.parametrize("way", WAYS_BACK)
def test_a_deleted_champion_is_told_and_an_earlier_one_comes_back(models: Models, way: str) -> None:
    promote(models.context, version=models.judged(champion="1"), by="ada")
    assert explain_champion(models.context) == ""
    del models.registry.tags["2"]  # as MLflow does it: the alias goes with the version
    del models.registry.aliases[CHAMPION]
    assert "`medloop promote 1` makes version 1 the champion again" in explain_champion(
        models.context
    )
    with pytest.raises(ModelError, match="medloop promote 1"):
        bootstrap(models.context)
    WAYS_BACK[way](models)
    assert models.registry.aliases[CHAMPION] == "1"
    assert explain_champion(models.context) == ""
    assert moves(models.context)[-1].action == "rollback"


@pytest.mark.parametrize("kept", [False, True])
def test_an_alias_that_another_client_moved_is_told_and_put_back_or_kept(
    models: Models, kept: bool
) -> None:
    promote(models.context, version=models.judged(champion="1"), by="ada")
    models.registry.aliases[CHAMPION] = models.judged(champion="2", passed=False)
    told = explain_champion(models.context)
    assert "version 3, but version 2 in the ledger" in told
    assert "`medloop promote 2`" in told
    if kept:
        promote(models.context, version="3", by="ada", force=True, reason="it is meant")
    else:
        promote(models.context, version="2", by="ada")
    assert models.registry.aliases[CHAMPION] == ("3" if kept else "2")
    assert explain_champion(models.context) == ""


def test_an_emptied_registry_is_told_with_the_way_to_a_new_model(models: Models) -> None:
    promote(models.context, version=models.judged(champion="1"), by="ada")
    models.registry.tags.clear()
    models.registry.aliases.clear()
    assert "`medloop bootstrap` installs a first model" in explain_champion(models.context)


def test_a_promotion_that_was_cut_off_is_finished_as_what_it_was(models: Models) -> None:
    version = models.judged(champion="1")
    promote(models.context, version=version, by="ada")
    models.registry.aliases[CHAMPION] = "1"  # the event is written, the alias not moved
    assert f"`medloop promote {version}`" in explain_champion(models.context)
    promote(models.context, version=version, by="ada")
    assert models.registry.aliases[CHAMPION] == version
    assert [move.action for move in moves(models.context)] == ["promote"]


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_clock_that_is_set_between_two_moves_does_not_turn_them_round(
    models: Models, hours: int
) -> None:
    """The ledger's order says who is champion, and whom a rollback goes back to."""
    second = models.judged(champion="1")
    promote(models.context, version=second, by="ada")
    models.now += timedelta(hours=hours)
    third = models.judged(champion=second)
    assert promote(models.context, version=third, by="ada").promoted
    assert [move.to_version for move in moves(models.context)] == [second, third]
    assert explain_champion(models.context) == ""
    models.now -= timedelta(hours=hours)
    assert rollback(models.context, by="ada", reason="worse").to_version == second


def test_a_rollback_by_a_clock_that_is_behind_still_takes_its_judgement_back(
    models: Models,
) -> None:
    version = models.judged(champion="1")
    promote(models.context, version=version, by="ada")
    models.now -= timedelta(hours=2)
    rollback(models.context, by="medloop watch", reason="worse")
    assert not promote(models.context, version=version, by="airflow").promoted
    assert models.registry.version_of(CHAMPION) == "1"


def test_an_old_run_done_again_does_not_bring_an_earlier_champion_back(models: Models) -> None:
    second = models.judged(champion="1")
    promote(models.context, version=second, by="ada")
    third = models.judged(champion=second)
    promote(models.context, version=third, by="ada")
    models.judge(second, champion=third)
    again = promote(models.context, version=second, by="airflow")
    assert not again.promoted
    assert f"version {second} was champion before version {third}" in again.reasons[0]
    assert models.registry.version_of(CHAMPION) == third
    assert promote(
        models.context, version=second, by="ada", reason="the scanner is back", force=True
    ).promoted
