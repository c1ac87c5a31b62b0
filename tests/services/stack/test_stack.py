"""`medloop up` and its sisters, with every component real; and what is left when somebody is
killed: nothing.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr
from tests.events import correction, image, png, review, sha256_of
from tests.servers import MLflowServer, SeaweedFS, answers, wait_until
from tests.stack import LocalStack, is_loopback

from medloop.core.corrections.events import event_key
from medloop.errors import StoreError
from medloop.jobs.alias_moves import move_alias
from medloop.settings import Settings
from medloop.stores.airflow import DAG_ID, WATCH_DAG_ID, Airflow
from medloop.stores.outbox import OUTBOX_FILE, Outbox
from medloop.stores.registry import CHAMPION
from medloop.wiring import connect

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]


@pytest.fixture
def small(tmp_path: Path, mlflow_server: MLflowServer) -> Iterator[LocalStack]:
    """SeaweedFS and the page, not yet started; MLflow is one that runs already."""
    stack = LocalStack(tmp_path, settings=mlflow_server.environment)
    yield stack
    stack.stop()
    stack.run("down")


def _frontend(stack: LocalStack) -> dict[str, str]:
    """The environment that the page's process really has."""
    pid = stack.pid_of("app/server.py")
    raw = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(item.split("=", 1) for item in raw.split("\0") if "=" in item)


def _s3(environment: dict[str, str]):
    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        region_name="us-east-1",
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(
            signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}
        ),
    )


def test_every_address_answers(stack: LocalStack) -> None:
    for name, path in (
        ("page", "/_stcore/health"),
        ("MLflow", "/health"),
        ("Airflow", "/api/v2/monitor/health"),
    ):
        assert answers(stack.address(name) + path), name
    assert answers(stack.address("S3") + "/healthz")


def test_nothing_listens_beyond_this_machine(stack: LocalStack) -> None:
    listening = stack.listening()
    assert len(listening) >= 12  # four services, and the many ports of SeaweedFS
    assert {(host, port) for host, port in listening if not is_loopback(host)} == set()


def test_only_the_owner_can_read_the_state_folder(stack: LocalStack) -> None:
    assert stat.S_IMODE(stack.home.stat().st_mode) == 0o700
    ours = [
        stack.home / name for name in ("operator.env", "credentials.json", "stack.json", "up.lock")
    ]
    ours += [
        *(stack.home / "config").iterdir(),
        *(stack.home / "logs").iterdir(),
        *(stack.home / "mlflow").glob("*.db"),
    ]
    assert {
        path: oct(path.stat().st_mode & 0o077) for path in ours if path.stat().st_mode & 0o077
    } == {}


def test_no_secret_stands_on_a_command_line(stack: LocalStack) -> None:
    secrets = [
        value for name, value in stack.operator().items() if "KEY" in name or "PASSWORD" in name
    ]
    assert len(secrets) >= 5
    commands = " ".join(stack.processes().values())
    assert [secret for secret in secrets if secret in commands] == []


def test_the_page_appends_to_its_bucket_and_can_do_nothing_else_in_s3(stack: LocalStack) -> None:
    client = _s3(_frontend(stack))
    for key in (
        "corrections/dt=2026-11-23/page.json",
        "promotions/dt=2026-11-23/page.json",
        "leases/promotion.json",
    ):
        client.put_object(Bucket="medloop", Key=key, Body=b"x")
        assert client.get_object(Bucket="medloop", Key=key)["Body"].read() == b"x"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket="medloop", Key=key)
    for call in (
        lambda: client.put_object(Bucket="medloop", Key="snapshots/latest.json", Body=b"x"),
        lambda: client.put_object(Bucket="mlflow", Key="test/page", Body=b"x"),
        lambda: client.list_objects_v2(Bucket="mlflow"),
        lambda: client.create_bucket(Bucket="another"),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def _mlflow(environment: dict[str, str], method: str, path: str, **body: object) -> httpx.Response:
    user = (environment["MLFLOW_TRACKING_USERNAME"], environment["MLFLOW_TRACKING_PASSWORD"])
    url = f"{environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/{path}"
    return httpx.request(
        method, url, auth=user, timeout=60, **{"params" if method == "GET" else "json": body}
    )


def _register(stack: LocalStack, name: str) -> None:
    """A model with one version that nobody can load."""
    operator = stack.operator()
    experiment = _mlflow(operator, "POST", "experiments/create", name=f"of {name}").json()[
        "experiment_id"
    ]
    run = _mlflow(operator, "POST", "runs/create", experiment_id=experiment).json()["run"]["info"]
    assert _mlflow(operator, "POST", "registered-models/create", name=name).status_code == 200
    version = {"name": name, "run_id": run["run_id"], "source": f"{run['artifact_uri']}/model"}
    assert _mlflow(operator, "POST", "model-versions/create", **version).status_code == 200


def test_the_page_moves_the_champion_only_as_the_ledger_says(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, model = _frontend(stack), "medical-mnist"
    _register(stack, model)
    experiment = _mlflow(
        page, "GET", "experiments/get-by-name", experiment_name=f"of {model}"
    ).json()["experiment"]["experiment_id"]
    tag = {"name": model, "version": "1", "value": "yes"}
    champion = {"name": model, "alias": "champion", "version": "1"}
    refused: list[tuple[str, str, dict[str, str]]] = [
        ("POST", "registered-models/alias", champion),  # the ledger does not know of it
        ("POST", "registered-models/alias", {**champion, "alias": "reference"}),
        ("DELETE", "registered-models/alias", champion),
        ("POST", "registered-models/create", {"name": "of the page"}),
        ("POST", "model-versions/create", {"name": model, "source": "s3://mlflow/artifacts/x"}),
        ("POST", "model-versions/set-tag", {**tag, "key": "gate"}),
        ("POST", "model-versions/set-tag", {**tag, "key": "champion_fence"}),
        ("DELETE", "model-versions/delete", {"name": model, "version": "1"}),
        ("DELETE", "registered-models/delete", {"name": model}),
        ("POST", "experiments/create", {"name": "of the page"}),
        ("POST", "experiments/delete", {"experiment_id": experiment}),
        ("POST", "runs/create", {"experiment_id": experiment}),
    ]
    for method, path, body in refused:
        assert _mlflow(page, method, path, **body).status_code == 403, (method, path, body)
    for name, value in page.items():
        monkeypatch.setenv(name, value)
    context = connect()
    with context.promotion_lease.hold("a test's move") as held:
        move_alias(
            context, held, alias=CHAMPION, action="promote", from_version=None,
            to=context.registry.get("1"), by="ada", reason="for a test",
        )  # fmt: skip
    assert context.registry.version_of(CHAMPION) == "1"
    for method, path, body in (
        ("POST", "registered-models/alias", {**champion, "version": "2"}),
        *refused[1:6],
    ):
        assert _mlflow(page, method, path, **body).status_code == 403, (method, path, body)
    _mlflow(stack.operator(), "DELETE", "registered-models/delete", name=model)
    store = _s3(stack.operator())
    for item in store.list_objects_v2(Bucket="medloop", Prefix="promotions/")["Contents"]:
        store.delete_object(Bucket="medloop", Key=item["Key"])


def _airflow_of(environment: dict[str, str]) -> Airflow:
    return Airflow(
        Settings(
            airflow_url=environment["MEDLOOP_AIRFLOW_URL"],
            airflow_username=environment["MEDLOOP_AIRFLOW_USERNAME"],
            airflow_password=SecretStr(environment["MEDLOOP_AIRFLOW_PASSWORD"]),
        )
    )


def test_the_page_starts_a_training_and_does_nothing_else_in_airflow(stack: LocalStack) -> None:
    environment = _frontend(stack)
    airflow = _airflow_of(environment)
    run_id = airflow.trigger({"force": False}, note="started by a test")
    wait_until(
        lambda: airflow.run(run_id).finished, what="the run should end", timeout_s=180, every_s=1
    )
    login = {
        "username": environment["MEDLOOP_AIRFLOW_USERNAME"],
        "password": environment["MEDLOOP_AIRFLOW_PASSWORD"],
    }
    token = httpx.post(f"{airflow.url}/auth/token", json=login, timeout=60).json()["access_token"]
    for dag_id in (DAG_ID, WATCH_DAG_ID):
        with pytest.raises(StoreError, match="403"):
            airflow.set_paused(True, dag_id=dag_id)
    page = httpx.Client(
        base_url=f"{airflow.url}/api/v2/",
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    run = f"dags/{DAG_ID}/dagRuns/{run_id}"
    for method, path, body in (
        ("GET", "connections", None),
        ("GET", "variables", None),
        ("DELETE", f"dags/{WATCH_DAG_ID}", None),
        ("DELETE", run, None),
        ("PATCH", run, {"state": "failed"}),
        ("POST", f"{run}/clear", {"dry_run": False}),
        ("POST", f"dags/{DAG_ID}/clearTaskInstances", {"dag_run_id": run_id, "dry_run": False}),
        ("PATCH", "dags?dag_id_pattern=%25", {"is_paused": True}),
    ):
        answer = page.request(method, path, json=body)
        assert answer.status_code == 403, (method, path, answer.text)


def test_doctor_and_the_page_say_that_the_watch_is_paused_or_gone(stack: LocalStack) -> None:
    operator = _airflow_of(stack.operator())
    operator.set_paused(True, dag_id=WATCH_DAG_ID)
    try:
        assert f"{WATCH_DAG_ID} is paused" in stack.run("doctor").stdout
        with pytest.raises(StoreError, match=f"{WATCH_DAG_ID} is paused"):
            _airflow_of(_frontend(stack)).ping()  # what Monitor shows
    finally:
        operator.set_paused(False, dag_id=WATCH_DAG_ID)
    operator.ping()


def test_the_page_is_given_neither_the_operators_nor_airflows_secrets(stack: LocalStack) -> None:
    operator, environment = stack.operator(), _frontend(stack)
    kept = {operator[name] for name in operator if name.endswith(("PASSWORD", "ACCESS_KEY"))}
    assert kept & set(environment.values()) == set()


def _airflow(stack: LocalStack) -> httpx.Client:
    operator = stack.operator()
    login = {
        "username": operator["MEDLOOP_AIRFLOW_USERNAME"],
        "password": operator["MEDLOOP_AIRFLOW_PASSWORD"],
    }
    url = operator["MEDLOOP_AIRFLOW_URL"]
    token = httpx.post(f"{url}/auth/token", json=login, timeout=60).json()["access_token"]
    return httpx.Client(
        base_url=f"{url}/api/v2", headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


@pytest.mark.parametrize("dag_id", ["medloop_weekly_retrain", "medloop_watch"])
def test_the_dags_are_there_and_open(stack: LocalStack, dag_id: str) -> None:
    assert _airflow(stack).get(f"/dags/{dag_id}").json()["is_paused"] is False


def test_the_watch_looks_at_once_and_finds_nothing_to_watch(stack: LocalStack) -> None:
    airflow = _airflow(stack)

    def ended() -> set[str]:
        runs = airflow.get("/dags/medloop_watch/dagRuns").json()["dag_runs"]
        return {run["state"] for run in runs} & {"success", "failed"}

    wait_until(ended, what="the watch should have run", timeout_s=240, every_s=1)
    assert ended() == {"success"}


def test_airflow_wants_a_password(stack: LocalStack) -> None:
    assert httpx.get(f"{stack.address('Airflow')}/api/v2/dags", timeout=60).status_code == 401


def test_status_names_every_component_and_what_serves(stack: LocalStack) -> None:
    result = stack.run("status")
    assert result.returncode == 0, result.stdout + result.stderr
    for name in (
        "seaweedfs",
        "mlflow",
        "app",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
    ):
        assert any(line.split()[:2] == [name, "running"] for line in result.stdout.splitlines()), (
            name
        )
    assert "champion  none\n" in result.stdout
    assert "outbox    empty" in result.stdout


def test_all_services_idle_take_less_than_two_gibibytes(stack: LocalStack) -> None:
    together = next(
        line for line in stack.run("status").stdout.splitlines() if line.startswith("together")
    )
    assert 300 < int(together.split()[1]) < 2048


def test_a_forged_erasure_with_the_pages_s3_key_is_named_and_not_obeyed(stack: LocalStack) -> None:
    page = _frontend(stack)
    assert "MEDLOOP_REVIEW_KEY" in page
    assert "MEDLOOP_ERASURE_KEY" not in page
    forged = review("0" * 64, "erase", at=datetime.now(UTC))
    _s3(page).put_object(Bucket="medloop", Key=event_key(forged), Body=forged.to_json())
    taken = stack.run("snapshot", "--json")
    assert taken.returncode == 0, taken.stderr
    why = json.loads(taken.stdout)["left_out"][event_key(forged)]
    assert "not signed" in why
    assert (
        _s3(stack.operator()).list_objects_v2(Bucket="medloop", Prefix="images/00/")["KeyCount"]
        == 0
    )
    for command in ("status", "doctor"):
        assert "left out" in stack.run(command).stdout


def test_doctor_finds_what_is_missing_and_nothing_else(stack: LocalStack) -> None:
    result = stack.run("doctor")
    assert result.returncode == 1
    marks = {line.split()[1]: line[0] for line in result.stdout.splitlines() if line[0] in "✓!✗"}
    well = ("settings", "S3", "corrections", "outbox", "Airflow", "disk", "clock", "rights")
    well += ("alias", "restart")
    expected = dict.fromkeys(well, "✓")
    assert marks == {**expected, "MLflow": "✗", "model": "✗", "events": "!"}
    assert "`medloop up` installs the first" in result.stdout


def test_logs_show_one_component_or_all(stack: LocalStack) -> None:
    def prefixes(*component: str) -> set[str]:
        lines = stack.run("logs", *component).stdout.splitlines()
        return {line.split("|")[0].strip() for line in lines if "|" in line[:30]}

    assert prefixes("seaweedfs") == {"seaweedfs"}
    assert prefixes() >= {"seaweedfs", "airflow-scheduler", "mlflow"}
    refused = stack.run("logs", "nobody")
    assert refused.returncode == 1
    assert "There is no log of 'nobody'" in refused.stderr


def test_a_second_up_is_refused(stack: LocalStack) -> None:
    result = stack.run("up", "--no-training")
    assert result.returncode == 1
    assert "already up" in result.stderr
    assert answers(stack.address("page") + "/_stcore/health")


def test_a_killed_component_comes_back_and_the_user_is_told(stack: LocalStack) -> None:
    before = stack.pid_of("mlflow server")
    os.kill(before, signal.SIGKILL)
    wait_until(
        lambda: "mlflow                | ended (killed by SIGKILL)" in stack.output,
        what="the user should be told",
        timeout_s=120,
    )
    wait_until(
        lambda: answers(stack.address("MLflow") + "/health"),
        what="MLflow should be back",
        timeout_s=120,
    )
    assert stack.pid_of("mlflow server") != before
    (line,) = [
        line for line in stack.run("status").stdout.splitlines() if line.startswith("mlflow ")
    ]
    assert line.split()[-1] == "1"


def _read(stack: LocalStack, key: str) -> bytes | None:
    """The object; None while the store cannot say."""
    try:
        return bytes(_s3(stack.operator()).get_object(Bucket="medloop", Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] != "InternalError":
            raise
        return None


def test_objects_survive_a_killed_store(stack: LocalStack) -> None:
    _s3(stack.operator()).put_object(Bucket="medloop", Key="kept", Body=b"still here")
    killed = stack.pid_of("weed mini")
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in stack.processes(), what="S3 should be away")
    wait_until(lambda: answers(stack.address("S3") + "/healthz"), what="S3 should be back")
    # It says that it is healthy before its volumes are there: until then reading is an
    # InternalError, not a loss.
    wait_until(lambda: _read(stack, "kept") is not None, what="S3 should read again", timeout_s=30)
    assert _read(stack, "kept") == b"still here"


def test_no_log_holds_a_secret(stack: LocalStack) -> None:
    """After all that the tests above have done: trainings, refusals, deaths and new starts."""
    secrets = {
        name: value
        for name, value in json.loads((stack.home / "credentials.json").read_text()).items()
        if not name.endswith("_access_key")  # a name, which S3 servers may log
    }
    assert len(secrets) >= 15
    for user, password in (
        ("admin", "mlflow_admin_password"),
        ("frontend", "mlflow_frontend_password"),
    ):
        secrets[f"{password}, as basic auth"] = b64encode(
            f"{user}:{secrets[password]}".encode()
        ).decode()
    logs = [
        path
        for folder in ("logs", "airflow/logs")
        for path in (stack.home / folder).rglob("*")
        if path.is_file()
    ]
    assert {"seaweedfs.log", "mlflow.log", "app.log", "airflow-scheduler.log"} <= {
        path.name for path in logs
    }
    assert any("task_id=" in str(path) for path in logs), "a task's own log is among them"
    texts = {path: path.read_text("utf-8", "replace") for path in logs}
    assert sum(map(len, texts.values())) > 2_000  # they say little while all is well
    assert [
        (str(p), name)
        for p, text in texts.items()
        for name, value in secrets.items()
        if value in text
    ] == []


def test_a_stack_in_the_background_outlives_its_command_and_goes_down(small: LocalStack) -> None:
    started = small.run("up", "--detach", "--no-airflow", "--no-training")
    assert started.returncode == 0, started.stderr
    assert "Ready: open the page" in started.stderr
    assert "medloop down` stops" in started.stderr
    assert small.run("status").returncode == 0
    assert len(small.processes()) >= 6  # guard, supervisord, two guards, SeaweedFS, Streamlit
    assert small.run("down").returncode == 0
    assert small.processes() == {}
    assert "Nothing runs" in small.run("down").stderr
    assert small.run("status").returncode == 1


@pytest.mark.parametrize("victim", ["supervisord", "guard"])
def test_a_killed_supervisor_or_guard_leaves_nothing_of_a_stack_behind(
    small: LocalStack, victim: str
) -> None:
    """Nobody watches it there: what its death leaves, nobody else would find."""
    started = small.run("up", "--detach", "--no-airflow", "--no-training")
    assert started.returncode == 0, started.stderr
    guard = next(pid for pid, command in small.processes().items() if "--outlive-parent" in command)
    os.kill(guard if victim == "guard" else small.pid_of("supervisord"), signal.SIGKILL)
    wait_until(
        lambda: not small.processes(),
        what=f"all of {small.processes()} should be gone",
        timeout_s=60,
    )
    assert "Nothing runs" in small.run("down").stderr


@pytest.mark.parametrize("victim", ["supervisord", "medloop up"])
def test_nothing_is_left_when_somebody_is_killed(small: LocalStack, victim: str) -> None:
    small.up("--no-airflow", "--no-training")
    os.kill(small.pid_of(victim), signal.SIGKILL)
    wait_until(
        lambda: not small.processes(),
        what=f"all of {small.processes()} should be gone",
        timeout_s=60,
    )
    if victim == "supervisord":
        assert "The supervisor ended (killed by SIGKILL)" in small.output


def test_two_stacks_run_side_by_side_and_ctrl_c_stops_one(
    stack: LocalStack, small: LocalStack
) -> None:
    small.up("--no-airflow", "--no-training")
    assert small.listening() & stack.listening() == set()
    assert small.operator()["AWS_SECRET_ACCESS_KEY"] != stack.operator()["AWS_SECRET_ACCESS_KEY"]
    small.stop()
    assert small.processes() == {}
    assert small.output.rstrip().endswith("Stopped.")
    assert answers(stack.address("page") + "/_stcore/health")


def test_systems_that_the_settings_name_are_used_instead_of_local_ones(
    small: LocalStack, seaweedfs: SeaweedFS, mlflow_server: MLflowServer
) -> None:
    small.settings |= seaweedfs.environment
    small.up("--no-airflow", "--no-training")
    commands = " ".join(small.processes().values())
    assert "weed mini" not in commands
    assert "mlflow server" not in commands
    environment = _frontend(small)
    assert environment["AWS_ENDPOINT_URL_S3"] == seaweedfs.endpoint
    assert environment["AWS_SECRET_ACCESS_KEY"] == seaweedfs.secret_key
    assert environment["MLFLOW_TRACKING_URI"] == mlflow_server.uri
    assert small.operator().keys() == {"MEDLOOP_IDENTITY_KEY"}
    assert "bucket medloop" in small.output


def _refusal(stack: LocalStack, *arguments: str) -> str:
    result = stack.run("up", "--no-training", "--no-airflow", *arguments)
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    assert stack.processes() == {}
    return result.stderr.partition("medloop: ")[2]


def test_a_taken_port_is_said_in_a_sentence(small: LocalStack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        small.settings |= {"MEDLOOP_APP_PORT": str(port)}
        assert (
            f"Port {port} for app is taken: stop what listens there, or set MEDLOOP_APP_PORT"
            in _refusal(small)
        )


def test_an_address_for_everybody_is_refused_while_there_is_no_login(small: LocalStack) -> None:
    small.settings |= {"MEDLOOP_HOST": "0.0.0.0"}  # noqa: S104
    assert "MEDLOOP_ALLOW_REMOTE" in _refusal(small)


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(small: LocalStack) -> None:
    (small.folder / "file").write_text("in the way")
    small.settings |= {"MEDLOOP_HOME": str(small.folder / "file" / "home")}
    assert "set MEDLOOP_HOME to a folder that you may write to" in _refusal(small)


def test_broken_credentials_are_never_replaced(small: LocalStack) -> None:
    small.home.mkdir()
    (small.home / "credentials.json").write_text("{")
    assert "restore it from a backup" in _refusal(small)
    assert (small.home / "credentials.json").read_text() == "{"


def test_a_component_that_cannot_start_ends_up_with_its_last_words(small: LocalStack) -> None:
    """A disk that broke, say."""
    (small.home / "seaweedfs").mkdir(parents=True)
    (small.home / "seaweedfs" / "filerldb2").write_text("no database")
    said = _refusal(small)
    assert said.startswith("seaweedfs ends again and again. The end of")
    assert str(small.home / "logs" / "seaweedfs.log") in said
    assert "goroutine" in said  # what it said itself


def test_what_waits_is_sent_before_anybody_visits(small: LocalStack) -> None:
    """Corrections that were made while the stack was down, and nobody opens the page afterwards."""
    outbox = Outbox(small.home / OUTBOX_FILE)
    receipts = [outbox.add(correction(sha256_of(n)), png(image(n))) for n in range(3)]
    small.up("--no-airflow", "--no-training")
    wait_until(lambda: outbox.status().pending == 0, what="all should be stored")
    assert {outbox.state(receipt.event_id) for receipt in receipts} == {"stored"}
    listed = _s3(small.operator()).list_objects_v2(Bucket="medloop", Prefix="corrections/")
    assert listed["KeyCount"] == len(receipts)
