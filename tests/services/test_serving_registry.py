"""The champion's contract over the real MLflow, and the command line that uses both."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import pytest
from tests.champion_contract import ChampionContract
from tests.hostile.corpus import honest
from tests.models import LABELS, model
from tests.servers import MLflowServer

from medloop import load_champion
from medloop.settings import Settings, load_settings
from medloop.stores.registry import CHAMPION, Registry
from medloop.stores.training_run import TrainingRun
from medloop.stores.version_tags import VersionTags

pytestmark = pytest.mark.services


class RealWorld:
    """One registered model on the session's server, new for each test."""

    def __init__(self, server: MLflowServer) -> None:
        self.server = server
        self.settings = load_settings(
            mlflow_tracking_uri=server.uri, mlflow_tracking_username=server.username,
            mlflow_tracking_password=server.password, model_name=f"serving-{uuid4().hex[:8]}",
        )  # fmt: skip
        self.source = Registry(self.settings)

    def add(self, onnx: bytes) -> str:
        return self.source.register(
            TrainingRun(name="serving", onnx=onnx, params={}, metrics={}, tags=VersionTags())
        ).version

    def promote(self, version: str) -> None:
        self.source.move_alias(CHAMPION, version, expected=self.source.version_of(CHAMPION))

    def go_away(self) -> None:
        self.server.stop()

    def come_back(self) -> None:
        self.server.start()


@pytest.fixture
def world(mlflow_server: MLflowServer) -> RealWorld:
    return RealWorld(mlflow_server)


class TestOverMLflow(ChampionContract):
    """The contract, against the server."""


def test_a_program_follows_promotions(world: RealWorld, tmp_path: Path) -> None:
    first, second = world.add(model(1)), world.add(model(2))
    world.promote(first)
    settings = Settings(**world.settings.model_dump() | {"home": tmp_path, "poll_s": 0.1})
    champion = load_champion(settings)
    try:
        assert (champion.version, champion.labels) == (first, LABELS)
        before = champion.predict(honest()["JPEG"])
        assert len(champion.nearest(honest()["JPEG"], k=3)) == 3
        world.promote(second)
        for _ in range(100):
            if champion.version == second:
                break
            time.sleep(0.1)
        assert champion.version == second
        assert champion.predict(honest()["JPEG"]).probabilities != before.probabilities
    finally:
        champion.close()
