"""Who remembers an erased image: heirs of a model's weights, acceptance sets, imported data sets,
SQLite's log.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World, decoded
from tests.events import image, png
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.corrections.events import Correction
from medloop.core.imaging.decode import content_sha256
from medloop.jobs.acceptance_sets import add as add_acceptance_set
from medloop.jobs.acceptance_sets import withdraw
from medloop.jobs.audit import audit
from medloop.jobs.correct import correct
from medloop.jobs.erase import erase
from medloop.jobs.snapshot import snapshot
from medloop.stores.datasets import DatasetStore
from medloop.stores.objects import ObjectStore

GONE = 2  # seed of the erased image


class Site(World):
    """A world with a registry and real data sets."""

    def __init__(self, home: Path) -> None:
        self.registry = MemoryRegistry()
        super().__init__(ObjectStore.in_memory(), home, registry=self.registry)
        self.context = replace(self.context, datasets=DatasetStore(home / "here", self.objects))

    def train(
        self,
        uses: dict[str, str | None],
        *,
        parent: str = "",
        snapshot_id: str = "",
        base_id: str = "b",
    ) -> str:
        """A version that was trained on these images with these labels."""
        recipe = {
            "snapshot_id": snapshot_id,
            "base_id": base_id,
            "parent_version": parent or None,
            "parent_weights_sha256": "",
            "config": {},
            "labels": ["CXR", "Hand"],
            "kept_out": [],
            "engine": "local",
        }
        rows = [[sha256, label, "trained"] for sha256, label in uses.items()]
        files = {
            "training.json": json.dumps(recipe).encode(),
            "corrections.json.gz": gzip.compress(json.dumps(rows).encode()),
        }
        tags = {"snapshot_id": snapshot_id, "parent_version": parent, "base_id": base_id}
        return self.registry.add(b"", tags=tags, **files)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def folder(path: Path, *seeds: int, size: int = 64) -> Path:
    for seed in (9, *seeds):
        file = path / ("CXR" if seed == 9 else "Hand") / f"{seed}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(image(seed, size=size)))
    return path


def test_versions_that_started_from_one_that_learned_it_are_named(site: Site) -> None:
    site.correct(1)
    before = snapshot(site.context).snapshot_id
    gone = site.correct(GONE)
    holding = snapshot(site.context).snapshot_id
    base = site.train({})
    clean = site.train({}, parent=base, snapshot_id=before)
    learned = site.train({gone: "Hand"}, parent=clean, snapshot_id=holding)
    child = site.train({}, parent=learned, snapshot_id=before)
    grandchild = site.train({}, parent=child, snapshot_id=before)
    site.train({}, snapshot_id=before)
    found = erase(site.context, image_sha256=gone, who="dpo").learned
    assert found.versions == (learned,)
    assert found.heirs == ((child, learned), (grandchild, learned))
    assert found.unknown == ""


def test_a_version_that_is_gone_leaves_it_open_what_its_heirs_know(site: Site) -> None:
    gone = site.correct(GONE)
    site.train({}, parent="77")
    found = erase(site.context, image_sha256=gone, who="dpo").learned
    assert found.versions == ()
    assert "gone from the registry, with what they learned from: version 77" in found.unknown


@pytest.mark.parametrize("size", [64, 200])
def test_acceptance_sets_and_imported_data_sets_that_hold_it_are_named(
    site: Site, tmp_path: Path, size: int
) -> None:
    gone = site.correct(GONE, size=size)
    add_acceptance_set(
        site.context, name="site-a", path=folder(tmp_path / "a", 1, GONE, size=size), by="ada"
    )
    add_acceptance_set(
        site.context, name="site-b", path=folder(tmp_path / "b", 1, size=size), by="ada"
    )
    withdraw(site.context, name="site-a", by="ada")
    holding = site.context.datasets.import_path(folder(tmp_path / "c", 3, GONE, size=size)).dataset
    site.context.datasets.import_path(folder(tmp_path / "d", 3, 4, size=size))
    site.context.datasets.publish(holding)
    version = site.train({}, base_id=holding.id)
    elsewhere = replace(
        site.context, datasets=DatasetStore(tmp_path / "another machine", site.objects)
    )
    done = erase(elsewhere, image_sha256=gone, who="dpo")
    assert [name for name, _ in done.acceptance_sets] == ["site-a"]
    assert done.datasets == (holding.id,)
    assert done.learned.versions == (version,)
    assert not (tmp_path / "another machine").exists(), "looking leaves no copy"
    again = erase(site.context, image_sha256=gone, who="dpo")
    assert (again.searched, again.datasets) == (False, (holding.id,) if size == 64 else ())


def test_the_command_says_what_is_left_and_what_to_do(
    site: Site, tmp_path: Path, monkeypatch
) -> None:
    gone = site.correct(GONE)
    add_acceptance_set(site.context, name="site-a", path=folder(tmp_path / "a", GONE), by="ada")
    learned = site.train({gone: "Hand"}, snapshot_id=snapshot(site.context).snapshot_id)
    child = site.train({}, parent=learned)
    Image.fromarray(image(GONE)).save(tmp_path / "scan.png")
    monkeypatch.setattr("medloop.wiring.connect", lambda: site.context)
    said = CliRunner().invoke(build_app(), ["erase", str(tmp_path / "scan.png"), "--yes"])
    assert said.exit_code == 0, said.output
    assert "`medloop acceptance add site-a PATH`" in said.output
    assert "aws s3 rm s3://medloop/acceptance/site-a/sets/" in said.output
    assert f"may have learned from it: {learned}.\n" in said.output
    assert f"{child} (from version {learned})" in said.output
    assert "`medloop train --from-scratch`" in said.output


def test_not_even_the_outbox_files_keep_the_pixels(site: Site, tmp_path: Path) -> None:
    """SQLite's log holds a page's earlier content until it is written over."""
    rng = np.random.default_rng(GONE)
    shown = decoded(
        rng.integers(0, 256, (64, 64), np.uint8)
    )  # noise: its PNG holds bytes that nothing else does
    correct(
        site.context,
        image=shown,
        given_label="Hand",
        prediction=None,
        model_version=None,
        who="ada",
    )
    part = site.context.outbox.pending(1)[0].png[200:260]
    files = lambda: b"".join(path.read_bytes() for path in tmp_path.glob("outbox.db*"))  # noqa: E731
    assert part in files()
    erase(site.context, image_sha256=content_sha256(shown.pixels), who="dpo")
    assert part not in files()


def test_an_audit_shows_what_only_a_forebear_learned(site: Site) -> None:
    kept, taken_back = site.correct(1, "Hand", who="ada"), site.correct(3, "CXR", who="bob")
    held = snapshot(site.context).snapshot_id
    first = site.train({kept: "Hand", taken_back: "CXR"}, snapshot_id=held)
    second = site.train({kept: "Hand"}, parent=first, snapshot_id=held)
    rows = audit(site.context, version=second).rows
    assert [(row.image_sha256, row.label, row.through, row.who) for row in rows] == [
        (kept, "Hand", "", ("ada",)),
        (taken_back, "CXR", first, ("bob",)),
    ]
    event = Correction.from_json(
        site.objects.get(f"corrections/dt=2026-11-02/{rows[1].event_ids[0]}.json")
    )
    assert event.given_label == "CXR"
    assert audit(site.context, version=first).unknown == ""


def test_an_audit_says_when_a_forebear_is_gone(site: Site) -> None:
    assert (
        "version 77, whose record is gone"
        in audit(site.context, version=site.train({}, parent="77")).unknown
    )
