from __future__ import annotations

from pathlib import Path

import pytest
from tests.models import model

from medloop.stores.model_cache import CachedModel, ModelCache


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with a cached model, and neither registry nor S3 that answers."""
    home = tmp_path / "home"
    monkeypatch.setenv("MEDLOOP_HOME", str(home))
    monkeypatch.setenv("MEDLOOP_IDENTITY", "plain")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    ModelCache(home / "models").write(CachedModel("7", model()))
    return home
