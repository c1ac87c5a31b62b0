"""compose.yaml, the Dockerfile and the Helm chart set settings that exist and start what exists."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
import yaml

from medloop.settings import Settings, variable_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
CHART = ROOT / "deploy/chart"
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
KNOWN = {variable_name(name) for name in Settings.model_fields}
OURS = re.compile(r"\b(?:MEDLOOP|DAGSHUB)_[A-Z0-9_]+\b")
TARGETS = re.findall(r"^FROM base AS (\w+)$", DOCKERFILE, re.MULTILINE)


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "deploy"))
    yield importlib.import_module("prepare")
    del sys.modules["prepare"]


@pytest.mark.parametrize(
    "path",
    [ROOT / "compose.yaml", ROOT / "Dockerfile", *sorted(CHART.rglob("*.*ml"))],
    ids=lambda path: path.name,
)
def test_every_setting_that_is_named_exists(path: Path):
    assert set(OURS.findall(path.read_text())) - KNOWN == set()


def test_each_service_of_compose_starts_what_prepare_writes(prepare: ModuleType, tmp_path: Path):
    prepare.write(tmp_path)
    own = {"prepare", "finish", "postgres"}
    for name, service in COMPOSE["services"].items():
        if name in own:
            continue
        (config,) = [volume for volume in service["volumes"] if ":/config" in volume]
        folder, _, options = config.partition(":/config:")
        assert options == "ro", name
        assert (tmp_path / folder / f"{service['command'][0]}.json").is_file(), name


def test_no_service_of_compose_sees_the_secrets_of_another(prepare: ModuleType, tmp_path: Path):
    prepare.write(tmp_path)
    shown = {folder.name: "".join(file.read_text() for file in folder.iterdir())
             for folder in tmp_path.iterdir()}  # fmt: skip
    keys = json.loads((tmp_path / "prepare/credentials.json").read_text())
    holders = {
        name: {folder for folder, text in shown.items() if keys[name] in text} - {"prepare"}
        for name in ("erasure_key", "review_key", "s3_operator_secret_key", "mlflow_admin_password")
    }
    assert holders == {
        "erasure_key": {"tasks", "trainer"},
        "review_key": {"app", "mlflow", "tasks", "trainer"},
        "s3_operator_secret_key": {"seaweedfs"},
        "mlflow_admin_password": {"mlflow", "tasks", "trainer"},
    }


def test_the_second_prepare_changes_no_secret(prepare: ModuleType, tmp_path: Path):
    prepare.write(tmp_path)
    before = {file: file.read_text() for file in tmp_path.rglob("*.json")}
    prepare.write(tmp_path)
    assert {file: file.read_text() for file in tmp_path.rglob("*.json")} == before


def test_no_component_of_compose_looks_for_another_on_its_own_loopback(
    prepare: ModuleType, tmp_path: Path
):
    prepare.write(tmp_path)
    for file in tmp_path.rglob("*.json"):
        asked = re.findall(r"http://127\.0\.0\.1:(\d+)", file.read_text())
        assert set(asked) <= {str(prepare.PORTS["app"])}, file.name  # what people call the page


def test_compose_publishes_on_this_machine_alone_and_gives_no_rights():
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if name != "postgres":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["build"]["target"] in TARGETS, name
            assert service["image"] == f"medloop-{service['build']['target']}", name


def test_images_run_without_root_and_without_build_tools():
    base = DOCKERFILE.partition("AS base\n")[2]
    assert "USER 10001" in base
    assert not re.search(r"gcc|build-essential|python3-(?:venv|pip|dev)", base)
    assert {"page", "trainer", "mlflow", "airflow"} == set(TARGETS)
    for target in set(TARGETS) - {"trainer"}:
        stage = DOCKERFILE.partition(f"FROM base AS {target}\n")[2].partition("\nFROM")[0]
        assert "HEALTHCHECK" in stage, target


def test_the_images_and_make_install_the_same_uv():
    pinned = re.search(r"^UV_VERSION := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"uv=={pinned[1]}" in DOCKERFILE


def test_the_charts_values_follow_its_schema():
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"MLFLOW_TRACKING_PASSWORD": "secret"}},
        {"page": {**VALUES["page"], "image": "medloop-page:latest"}},
        {"page": {**VALUES["page"], "replica": 3}},
        {"retrain": {**VALUES["retrain"], "by": "hand"}},
    ],
    ids=["a password", "an image without a version", "no such value", "no such way"],
)
def test_the_charts_schema_refuses(wrong: dict):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **wrong}, SCHEMA)
