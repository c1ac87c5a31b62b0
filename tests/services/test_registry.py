"""The registry against a real MLflow with users and passwords, its artifacts on a real S3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.servers import wait_until

from medloop.errors import (
    ModelError,
    NotFoundError,
    SettingsError,
    StaleError,
    StoreError,
    StoreUnavailableError,
)
from medloop.settings import Settings, load_settings
from medloop.stack.ports import free_ports
from medloop.stores.mlflow_rest import MlflowRest
from medloop.stores.registry import CHAMPION, WEIGHTS_FILE, Registry
from medloop.stores.training_run import DataInput, TrainingRun
from medloop.stores.version_tags import VersionTags

pytestmark = pytest.mark.services


def model_file(scale: float = 1.0) -> bytes:
    """A valid ONNX file that is quick to make: mean brightness as `probabilities`."""
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["mean", "scale"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 64, 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N"])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [], [scale])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"labels": '["b", "a"]', "another": "1"})
    return model.SerializeToString(deterministic=True)


def training(scale: float = 1.0, **changes) -> TrainingRun:
    values = {
        "name": "a run",
        "onnx": model_file(scale),
        "params": {"seed": 1},
        "metrics": {"accuracy": 0.5},
        "tags": VersionTags(run_key=f"key {scale}", snapshot_id="s1"),
        "inputs": [DataInput("corrections", "0123456789abcdef", "s3://medloop/snapshots/s1")],
        "files": {WEIGHTS_FILE: b"weights", "plots/one.txt": b"drawn"},
        "history": [{"step": 0.0, "loss": 1.0}, {"step": 10.0, "loss": 0.5}],
    }
    return TrainingRun(**values | changes)


@pytest.fixture(scope="module")
def settings(mlflow_server) -> Settings:
    return load_settings(
        mlflow_tracking_uri=mlflow_server.uri,
        mlflow_tracking_username=mlflow_server.username,
        mlflow_tracking_password=mlflow_server.password,
        model_name="registry-test",
    )


@pytest.fixture(scope="module")
def registry(settings) -> Registry:
    return Registry(settings)


@pytest.fixture(scope="module")
def version(registry) -> str:
    return registry.register(training()).version


def test_an_empty_registry_has_no_versions_and_no_champion(settings):
    empty = Registry(settings.model_copy(update={"model_name": "never-used"}))
    assert empty.versions() == []
    assert empty.version_of(CHAMPION) is None


def test_a_training_comes_back_as_it_was_logged(registry, version, settings):
    found = registry.get(version)
    assert registry.model_file(version) == model_file()
    assert registry.weights(version) == b"weights"
    assert registry.attachment(found.run_id, "plots/one.txt") == b"drawn"
    assert registry.metrics(found.run_id) == {"accuracy": 0.5, "training/loss": 0.5}
    assert registry.find("key 1.0") == found
    assert registry.find("another key") is None
    run = MlflowRest(settings).get("/runs/get", run_id=found.run_id)["run"]
    assert {item["dataset"]["name"] for item in run["inputs"]["dataset_inputs"]} == {"corrections"}
    assert {"key": "seed", "value": "1"} in run["data"]["params"]


def test_the_files_of_a_run_can_be_added_and_replaced(registry, version):
    run_id = registry.get(version).run_id
    registry.attach(run_id, {"gate/report.json": b"1", "notes.txt": "ä".encode()})
    registry.attach(run_id, {"gate/report.json": b"2"})
    assert registry.attachment(run_id, "gate/report.json") == b"2"
    assert registry.attachment(run_id, "notes.txt") == "ä".encode()


def test_an_alias_moves_only_from_where_the_caller_believes_it_to_be(registry, version):
    other = registry.register(training(2.0)).version
    registry.move_alias(CHAMPION, version, expected=None)
    assert registry.version_of(CHAMPION) == version
    with pytest.raises(StaleError, match=f"champion is version {version} by now, not 77"):
        registry.move_alias(CHAMPION, other, expected="77")
    registry.move_alias(CHAMPION, other, expected=version)
    registry.move_alias(CHAMPION, other, expected=version)  # a second time changes nothing
    assert [item.version for item in registry.versions() if CHAMPION in item.aliases] == [other]
    registry.drop_alias(CHAMPION)
    registry.drop_alias(CHAMPION)
    assert registry.version_of(CHAMPION) is None


def test_tags_are_written_over(registry, version):
    registry.set_tags(version, VersionTags(gate="no", gate_reasons=("slower", "worse")))
    registry.set_tags(version, VersionTags(gate="yes"))
    assert registry.get(version).tags.gate == "yes"
    assert registry.get(version).tags.gate_reasons == ("slower", "worse")


def test_people_read_in_mlflow_what_came_of_a_version(registry, settings):
    tags = VersionTags(snapshot_id="s1", corrections=110)
    found = registry.register(training(3.0, tags=tags, metrics={"seconds": 60.0}))
    rest, version = MlflowRest(settings), found.version
    run = rest.get("/runs/get", run_id=found.run_id)["run"]["info"]
    assert run["end_time"] - run["start_time"] >= 60_000, "as long as the training took"

    def name() -> str:
        return rest.get("/runs/get", run_id=found.run_id)["run"]["info"]["run_name"]

    assert name() == f"v{version}: 110 corrections, not judged"
    registry.set_tags(version, VersionTags(gate="no", gate_reasons=("slower",), accuracy=0.9996))
    assert name() == f"v{version}: 110 corrections, refused by the gate"
    about = rest.get("/model-versions/get", name=registry.model, version=version)["model_version"]
    assert "110 corrections: refused by the gate. 99.96 % of the base" in about["description"]
    assert f"runs/{found.run_id}/artifacts/model_card.md)" in about["description"]
    registry.set_tags(version, VersionTags(champion_fence=1))
    assert name() == f"v{version}: 110 corrections, promoted"
    registry.log_metrics(found.run_id, {"champion/accuracy": 0.9996})
    assert registry.metrics(found.run_id)["champion/accuracy_percent"] == pytest.approx(99.96)


def test_what_is_missing_is_named(registry, version):
    with pytest.raises(NotFoundError, match="no version '99'"):
        registry.get("99")
    with pytest.raises(NotFoundError, match="no version '99'"):
        registry.model_file("99")
    with pytest.raises(NotFoundError, match=r"nothing\.json"):
        registry.attachment(registry.get(version).run_id, "nothing.json")


def test_a_model_file_that_was_changed_in_the_store_is_refused(registry, seaweedfs):
    client = seaweedfs.client()

    def files() -> set[str]:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket="mlflow")
        keys = {item["Key"] for page in pages for item in page.get("Contents", [])}
        return {key for key in keys if key.endswith("model.onnx")}

    before = files()
    changed = registry.register(training(3.0)).version
    (ours,) = files() - before
    client.put_object(Bucket="mlflow", Key=ours, Body=model_file(666.0))
    with pytest.raises(ModelError, match="digests differ"):
        registry.model_file(changed)


def test_wrong_credentials_name_the_setting_and_never_the_password(settings):
    wrong = Registry(
        load_settings(**_connection(settings) | {"mlflow_tracking_password": "not-the-password"})
    )
    with pytest.raises(StoreError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        wrong.versions()
    assert "not-the-password" not in str(caught.value)


def test_a_server_that_is_away_is_noticed_at_once():
    away = Registry(load_settings(mlflow_tracking_uri="http://127.0.0.1:9"))
    started = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="does not answer"):
        away.version_of(CHAMPION)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("uri", [None, "sqlite:///mlflow.db", "databricks"])
def test_an_address_that_is_no_server_is_a_wrong_setting(uri):
    with pytest.raises(SettingsError, match="MLFLOW_TRACKING_URI"):
        Registry(load_settings(mlflow_tracking_uri=uri)).versions()


def test_a_server_that_is_not_mlflow_is_told_apart(seaweedfs):
    with pytest.raises(StoreError, match="MLflow at"):
        Registry(load_settings(mlflow_tracking_uri=seaweedfs.endpoint)).versions()


def test_the_front_end_reads_with_a_read_only_user_and_cannot_move_the_champion(
    mlflow_server, settings, version
):
    user = {"username": "frontend-test", "password": "a-long-enough-password"}
    rest = MlflowRest(settings)
    rest._send("POST", "/api/2.0/mlflow/users/create", json=user)
    reader = Registry(
        load_settings(
            mlflow_tracking_uri=mlflow_server.uri,
            mlflow_tracking_username=user["username"],
            mlflow_tracking_password=user["password"],
            model_name="registry-test",
        )
    )
    assert reader.model_file(version) == model_file()
    with pytest.raises(StoreError, match="refused this user"):
        reader.move_alias(CHAMPION, version, expected=None)


def test_reading_does_not_import_mlflow(settings, mlflow_server, version):
    """The page and `medloop predict` read the champion: they must not pay 4 s and 140 MiB
    for it.
    """
    code = (
        "import sys; from medloop.settings import load_settings; from medloop.stores.registry "
        "import Registry\n"
        f"assert Registry(load_settings()).model_file({version!r}); assert 'mlflow' not in "
        "sys.modules"
    )
    environment = {
        **mlflow_server.environment,
        "MEDLOOP_MODEL_NAME": "registry-test",
        "PATH": "/usr/bin:/bin",
    }
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)


@pytest.mark.slow
def test_the_registered_model_serves_through_mlflow(registry, mlflow_server):
    """`mlflow models serve -m models:/NAME@champion` answers JSON pixels as onnxruntime does."""
    served = registry.register(training(0.5)).version
    registry.move_alias(CHAMPION, served, expected=None)
    port = free_ports(1)[0]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/registry-test@champion",
    ]
    process = subprocess.Popen(
        [*command, "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)],
        env={
            **_path(),
            **mlflow_server.environment,
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        images = np.arange(2 * 64 * 64, dtype=np.uint64).reshape(2, 64, 64) % 256
        url = f"http://127.0.0.1:{port}/invocations"
        body = json.dumps({"inputs": {"images": images.tolist()}}).encode()
        wait_until(
            lambda: _post(url, body) is not None,
            what="mlflow models serve should answer",
            timeout_s=90,
        )
        answer = _post(url, body)["predictions"]
    finally:
        _end(process)
        registry.drop_alias(CHAMPION)
    assert np.allclose(answer["probabilities"], images.mean((1, 2)) * 0.5)


def test_the_model_file_holds_its_weights_itself(registry, version):
    proto = onnx.load_model_from_string(registry.model_file(version))
    assert not any(tensor.external_data for tensor in proto.graph.initializer)


def _connection(settings: Settings) -> dict:
    return {
        "mlflow_tracking_uri": settings.mlflow_tracking_uri,
        "mlflow_tracking_username": settings.mlflow_tracking_username,
    }


def _path() -> dict[str, str]:

    folder = Path(sys.executable).parent  # MLflow starts uvicorn by name
    return {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": os.environ.get("HOME", "/")}


def _post(url: str, body: bytes):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)
    except (urllib.error.URLError, OSError):
        return None


def _end(process: subprocess.Popen) -> None:
    """The server and its workers: they share the session that was started for them."""

    os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
