"""What the champion promises over any registry; run over a fake one and over the real MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from medloop.serving import Champion, NoModelError
from medloop.serving.champion import ModelSource
from tests.models import exported, model, with_constant


class World(Protocol):
    """A registry, and what happens to it."""

    source: ModelSource

    def add(self, onnx: bytes) -> str:
        """Register a version."""

    def promote(self, version: str) -> None:
        """Move the alias `champion`."""

    def go_away(self) -> None:
        """Stop answering."""

    def come_back(self) -> None:
        """Answer again."""


class ChampionContract:
    """Inherit, and give a `world` fixture with an empty registry."""

    def champion(self, world: World, tmp_path: Path) -> Champion:
        return Champion(world.source, tmp_path / "models", poll_s=0.05)

    def test_an_empty_registry_has_no_model_and_says_what_to_do(
        self, world: World, tmp_path: Path
    ) -> None:
        champion = self.champion(world, tmp_path)
        assert champion.refresh() is False
        with pytest.raises(
            NoModelError, match=r"no champion\. `medloop up` installs the first one"
        ):
            champion.current()

    def test_the_alias_is_followed_forth_and_back(self, world: World, tmp_path: Path) -> None:
        champion = self.champion(world, tmp_path)
        first, second = world.add(model(1)), world.add(model(2))
        world.promote(first)
        assert champion.refresh() is True
        assert (champion.current().version, champion.current().notice) == (first, "")
        held = champion.current()
        world.promote(second)
        assert champion.refresh() is True
        assert champion.current().version == second
        assert (
            held.predictor.metadata.labels == champion.current().predictor.metadata.labels
        )  # a request may finish
        world.promote(first)
        assert champion.refresh() is True
        assert champion.current().version == first
        assert champion.refresh() is False

    def test_a_version_that_breaks_the_contract_leaves_the_old_one_serving(
        self, world: World, tmp_path: Path
    ) -> None:
        champion = self.champion(world, tmp_path)
        good, bad = (
            world.add(model(1)),
            world.add(with_constant(model(2), "head_bias", float("nan"))),
        )
        world.promote(good)
        champion.refresh()
        world.promote(bad)
        assert champion.refresh() is False
        served = champion.current()
        assert served.version == good
        assert served.notice.startswith(
            f"Version {bad} cannot be served (the output 'probabilities' must hold finite"
        )
        assert served.notice.endswith(f"version {good} goes on serving.")
        world.promote(good)
        champion.refresh()
        assert champion.current().notice == ""

    def test_without_registry_it_goes_on_and_says_since_when(
        self, world: World, tmp_path: Path
    ) -> None:
        champion = self.champion(world, tmp_path)
        version, newer = world.add(model(1)), world.add(model(2))
        world.promote(version)
        champion.refresh()
        world.go_away()
        try:
            assert champion.refresh() is False
            assert champion.current().version == version
            assert "has not answered since 20" in champion.current().notice
            fresh = self.champion(world, tmp_path)
            assert fresh.current().version == version
            assert "goes on serving" in fresh.current().notice
            with pytest.raises(NoModelError, match="none is cached on this machine"):
                Champion(world.source, tmp_path / "elsewhere", poll_s=1).current()
        finally:
            world.come_back()
        world.promote(newer)
        assert champion.refresh() is True
        assert (champion.current().version, champion.current().notice) == (newer, "")

    def test_labels_come_from_the_file_alone(self, world: World, tmp_path: Path) -> None:
        """The published system ordered them by folder name in one place and by hand in another."""
        champion = self.champion(world, tmp_path)
        labels = ("Knee", "Abdomen", "Zebra")
        world.promote(world.add(exported(3, labels=labels)))
        champion.refresh()
        assert champion.current().predictor.metadata.labels == labels
