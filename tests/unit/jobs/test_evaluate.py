"""An evaluation over stores in memory: models that do not load, and where the report lies."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import obstore
import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World, decoded
from tests.events import image
from tests.models import LABELS, exported, model
from typer.testing import CliRunner

from medloop.app.models import gate_words, models_view
from medloop.cli import build_app
from medloop.core.corrections.holdout import is_holdout
from medloop.core.gate.model_card import Origin
from medloop.core.gate.report import GateReport
from medloop.core.gate.rules import Evidence, decide
from medloop.core.gate.words import reasons, summary
from medloop.core.gate.words import recent as recent_words
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.alias_moves import all_moves
from medloop.jobs.correct import correct
from medloop.jobs.evaluate import evaluate
from medloop.jobs.promote import promote
from medloop.jobs.snapshot import snapshot
from medloop.jobs.training_record import Recipe
from medloop.stores.datasets import DatasetStore
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore
from medloop.stores.registry import CHALLENGER, CHAMPION


class Untrained(World):
    """Versions of the bundled sample that learned nothing; the first is champion and reference."""

    def __init__(self, home: Path) -> None:
        self.registry = MemoryRegistry()
        super().__init__(ObjectStore.in_memory(), home, registry=self.registry)
        lease = Lease(self.objects, "leases/promotion.json", now=lambda: self.now)
        datasets = DatasetStore(home / "data", self.objects)
        self.context = replace(self.context, promotion_lease=lease, datasets=datasets)
        self.base_id = datasets.get(None).id
        self.add(model())

    def add(self, onnx: bytes, *, snapshot_id: str = "") -> str:
        """Register a version with all that a training records."""
        recipe = Recipe(snapshot_id, self.base_id, None, "", {"seed": 0}, LABELS)
        origin = Origin(
            "medical-mnist",
            LABELS,
            self.base_id,
            9,
            snapshot_id,
            {},
            None,
            "0" * 64,
            {"seed": 0},
            1.0,
        )
        files = {
            name: json.dumps(asdict(it)).encode()
            for name, it in (("training", recipe), ("origin", origin))
        }
        tags = {"base_id": self.base_id, "labels": json.dumps(LABELS)}
        named = {f"{name}.json": raw for name, raw in files.items()}
        return self.registry.add(onnx, tags=tags, **named, **{"golden.npz": golden()})


def golden() -> bytes:
    """What the untrained model answers."""
    images = np.zeros((2, 64, 64), np.uint8)
    buffer = io.BytesIO()
    probabilities = Predictor(model()).predict_arrays(images).probabilities
    np.savez_compressed(buffer, allow_pickle=False, images=images, probabilities=probabilities)
    return buffer.getvalue()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Untrained:
    monkeypatch.setattr(
        "medloop.core.gate.evaluation.N_CORRUPTED", 60
    )  # they take their time, and are not what is tested
    monkeypatch.setattr("medloop.jobs.evaluate.N_UNKNOWN", 20)
    return Untrained(tmp_path)


def test_a_version_that_does_not_load_gets_a_no_with_its_reason(
    world: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = world.add(b"no model file")
    found = evaluate(world.context, version=version)
    assert not found.passed
    (reason,) = reasons(found)
    assert reason.startswith(
        "serving path: the model file does not serve: the model file does not load ("
    )
    assert summary(found) == f"the gate said no: {reason}"

    assert GateReport.from_json(world.registry.files[version, "gate/report.json"]) == found
    assert "The gate said no" in world.registry.files[version, "model_card.md"].decode()
    tags = world.registry.get(version).tags
    assert (tags.gate, tags.gate_reasons) == ("no", (reason,))
    assert tags.accuracy is None
    assert world.registry.version_of(CHALLENGER) == version
    assert [(move.action, move.reason) for move in all_moves(world.context)] == [
        ("judge", summary(found))
    ]

    outcome = promote(world.context, version=version, by="ada")
    assert (outcome.promoted, outcome.reasons) == (False, (reason,))
    assert world.registry.version_of(CHAMPION) == "1"

    monkeypatch.setattr("medloop.wiring.connect", lambda: world.context)
    for command, words in {
        "models": "no", "history": "does not serve", f"evaluate {version}": "The gate says no"
    }.items():  # fmt: skip
        shown = CliRunner().invoke(build_app(), command.split(), env={"COLUMNS": "300"})
        assert shown.exit_code == 0, shown.output
        assert words in shown.stdout


def test_the_page_shows_the_report_of_a_version_that_does_not_load(world: Untrained) -> None:
    version = world.add(b"no model file")
    evaluate(world.context, version=version)
    report = GateReport.from_json(world.registry.files[version, "gate/report.json"])
    row = models_view.version_row(world.registry.get(version))
    assert models_view.score_points([row], {version: report}) == []
    assert models_view.slice_points([row], {version: report}) == []
    assert models_view.reliability_points(report) == []
    assert gate_words.verdict(report).startswith(
        f"The gate said no to version {version}, against version 1: 1 of 1"
    )
    assert gate_words.why_not(report).startswith("The model file does not open or answer here: ")


def test_a_version_whose_file_is_gone_gets_a_no_with_its_reason(world: Untrained) -> None:
    version = world.add(model())
    del world.registry.files[version, "model.onnx"]
    (reason,) = reasons(evaluate(world.context, version=version))
    assert "has no file model.onnx" in reason


@pytest.mark.parametrize("raw", [None, b"", b"no archive"])
def test_without_readable_golden_answers_there_is_no_yes(
    world: Untrained, raw: bytes | None
) -> None:
    version = world.add(model())
    if raw is None:
        del world.registry.files[version, "golden.npz"]
    else:
        world.registry.files[version, "golden.npz"] = raw
    found = evaluate(world.context, version=version)
    assert "golden predictions" in [
        check.kind for check in found.decision.checks if not check.passed
    ]


def test_near_copies_among_held_out_corrections_stand_or_fall_together(
    world: Untrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices of one scan are no independent images."""
    dimmed = [image(seed) // 2 for seed in range(100)]
    scans = [pixels for pixels in dimmed if is_holdout(pixels[None])[0]][:3]
    for shade in (0, 5, 10, 15):
        for pixels in scans:
            shown = decoded(pixels + np.uint8(shade))
            correct(
                world.context,
                image=shown,
                given_label="Hand",
                prediction=None,
                model_version="1",
                who="ada",
            )
    world.context.sender.send_once()
    version = world.add(model(), snapshot_id=snapshot(world.context).snapshot_id)
    seen: list[Evidence] = []
    monkeypatch.setattr(
        "medloop.jobs.evaluate.decide",
        lambda evidence: (seen.append(evidence), decide(evidence))[1],
    )
    evaluate(world.context, version=version)
    assert seen[0].corrections is not None
    assert np.unique(seen[0].corrections.groups, return_counts=True)[1].tolist() == [4, 4, 4]


def test_recent_real_pictures_with_another_answer_are_counted_and_named(world: Untrained) -> None:
    world.correct(1, "Hand")
    world.pass_days(40)
    recent = {world.correct(seed, "Hand"): image(seed) for seed in range(2, 12)}
    version = world.add(exported(3, ood_threshold=1e9))
    found = evaluate(world.context, version=version)
    assert found.recent is not None
    models = [Predictor(world.registry.model_file(v)) for v in ("1", version)]
    shown = {
        sha256: tuple(
            "unknown" if answer.verdict == "unknown" else answer.label
            for answer in (model.predict([pixels])[0] for model in models)
        )
        for sha256, pixels in recent.items()
    }
    differ = {sha256: both for sha256, both in shown.items() if both[0] != both[1]}
    assert differ
    told = {item.image_sha256: (item.before, item.after) for item in found.recent.changed}
    assert (found.recent.pictures, told) == (len(recent), differ)
    pictures = "pictures corrected or confirmed in the last 30 days get another answer"
    assert recent_words(found) == f"{len(differ)} of 10 {pictures}"
    assert GateReport.from_json(found.to_json()).recent == found.recent


def test_card_and_plots_lie_beside_the_report_with_their_types(world: Untrained) -> None:
    version = world.add(model())
    found = evaluate(world.context, version=version)
    place = f"reports/medical-mnist/version={version}/{found.key}"
    stored = {
        info.key.removeprefix(place): world.objects.get(info.key)
        for info in world.objects.list("reports")
    }
    plots = [f"/plots/{name}.png" for name in ("confusion", "gate", "reliability")]
    assert sorted(stored) == [".json", "/model_card.md", *plots]
    assert json.loads(stored[".json"])["key"] == found.key
    assert all(stored[name].startswith(b"\x89PNG") for name in plots)
    card = stored["/model_card.md"].decode()
    assert all(
        f"]({name.removeprefix('/')})" in card for name in plots
    )  # they show where the card is opened
    types = {
        name: obstore.get(world.objects._backend, place + name).attributes["Content-Type"]
        for name in stored
    }
    assert types == {
        ".json": "application/json",
        "/model_card.md": "text/markdown; charset=utf-8",
        **dict.fromkeys(plots, "image/png"),
    }
    assert evaluate(world.context, version=version).at == found.at  # judged once
