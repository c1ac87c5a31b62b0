"""What a stack consists of, and who in it may do what; nothing is started."""

from __future__ import annotations

import configparser
import json
import tomllib
from pathlib import Path

import pytest

from medloop.errors import ServiceError
from medloop.settings import Settings, load_named_settings, load_settings
from medloop.stack import ports, programs
from medloop.stack.credentials import Credentials, load_or_create
from medloop.stack.lifecycle import check_database, check_host, inherited_environment
from medloop.stack.plan import Locals, Planner, StackPlan
from medloop.stack.programs import Program
from medloop.stack.state_folder import SOCKET_PATH_LIMIT, StateFolder, write_private
from medloop.stack.supervisor import configuration

ROOT = Path(__file__).parents[3]
CREDENTIALS = Credentials()


def _plan(tmp_path: Path, *, with_airflow: bool = True, **overrides: object) -> StackPlan:
    settings = load_named_settings(**overrides)
    local = Locals.of(settings, with_airflow=with_airflow)
    assigned = {name: 20_000 + number for number, name in enumerate(local.wanted_ports(settings))}
    return Planner(settings, StateFolder(tmp_path), CREDENTIALS, local=local, ports=assigned).plan()


def _program(plan: StackPlan, name: str) -> Program:
    (found,) = [program for program in plan.programs if program.name == name]
    return found


def _file(plan: StackPlan, name: str) -> dict:
    (text,) = [text for path, text in plan.files.items() if path.name == name]
    return json.loads(text)


def test_each_identity_of_s3_has_no_more_rights_than_it_needs(tmp_path: Path) -> None:
    s3 = _file(_plan(tmp_path), "s3.json")
    operator, *others = s3["identities"]
    assert "Admin" in operator["actions"]
    assert [(entry["name"], entry["policyNames"]) for entry in others] == [
        (name, [name]) for name in ("frontend", "trainer", "mlflow")
    ]
    assert not any("actions" in entry for entry in others)
    *documented, mlflow = s3["policies"]
    everything, _, ledger = json.loads(mlflow["content"])["Statement"]
    assert everything["Resource"] == ["arn:aws:s3:::mlflow", "arn:aws:s3:::mlflow/*"]
    assert ledger["Action"] == "s3:GetObject"
    for document in documented:
        written = (ROOT / "docs" / f"iam-{document['name']}.json").read_text()
        assert json.loads(document["content"]) == json.loads(written), (
            "docs/iam-*.json and services.rights differ"
        )


def test_the_page_has_a_user_of_its_own_in_airflow(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    environment = _program(plan, "app").environment
    user, password = (
        environment["MEDLOOP_AIRFLOW_USERNAME"],
        environment["MEDLOOP_AIRFLOW_PASSWORD"],
    )
    assert _file(plan, "airflow-passwords.json")[user] == password
    roles = _program(plan, "airflow-api-server").environment[
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"
    ]
    assert roles == "admin:admin,frontend:user"


LOGIN = {
    "oidc_issuer": "https://login.clinic.example/",
    "oidc_client_id": "medloop",
    "oidc_client_secret": 'geh"eim\\',
    "oidc_admins": "ada@clinic.example",
}


def test_the_login_lies_in_a_file_for_the_page_alone(tmp_path: Path) -> None:
    plan = _plan(tmp_path, **LOGIN)
    auth = tomllib.loads(_login_text(plan))["auth"]
    assert (
        auth["server_metadata_url"]
        == "https://login.clinic.example/.well-known/openid-configuration"
    )
    assert auth["redirect_uri"] == f"http://127.0.0.1:{_port(plan, 'page')}/oauth2callback"
    assert (auth["client_secret"], auth["cookie_secret"]) == (
        LOGIN["oidc_client_secret"],
        CREDENTIALS.cookie_key,
    )
    environment = _program(plan, "app").environment
    assert environment["MEDLOOP_OIDC_ADMINS"] == "ada@clinic.example"
    for program in plan.programs:
        assert LOGIN["oidc_client_secret"] not in " ".join(
            [*program.command, *program.environment.values()]
        )


def test_without_a_login_there_is_an_empty_file_and_not_somebody_elses(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    assert _login_text(plan) == ""
    assert f"--secrets.files={tmp_path}/config/login.toml" in _program(plan, "app").command


def _login_text(plan: StackPlan) -> str:
    (text,) = [text for path, text in plan.files.items() if path.name == "login.toml"]
    return text


def test_the_page_answers_under_its_own_names_alone(tmp_path: Path) -> None:
    def names(**settings: str) -> set[str]:
        command = _program(_plan(tmp_path, **settings), "app").command
        return {
            part.partition("=")[2] for part in command if part.startswith("--server.allowedHosts=")
        }

    assert names() == {"127.0.0.1", "localhost"}
    assert names(app_url="https://medloop.clinic.example/") == {
        "127.0.0.1",
        "localhost",
        "medloop.clinic.example",
    }
    assert names(host="192.168.1.5") == {"127.0.0.1", "localhost", "192.168.1.5"}
    everywhere = {"host": "0.0.0.0"}  # noqa: S104
    assert names(**everywhere) == set(), "nobody said what it is called"
    assert names(**everywhere, app_url="https://medloop.clinic.example/") == {
        "127.0.0.1", "localhost", "medloop.clinic.example",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"host": "0.0.0.0"}, "MEDLOOP_ALLOW_REMOTE"),  # noqa: S104
        ({"host": "0.0.0.0", "allow_remote": True}, ""),  # noqa: S104
        ({"host": "0.0.0.0", **LOGIN}, ""),  # noqa: S104
        ({"oidc_issuer": "https://login.clinic.example"}, "MEDLOOP_OIDC_CLIENT_ID"),
    ],
)
def test_a_page_for_others_needs_a_login(settings: dict[str, object], refused: str) -> None:
    named = load_named_settings(**settings)
    if not refused:
        check_host(named)
        return
    with pytest.raises(ServiceError, match=refused):
        check_host(named)


def test_each_component_holds_only_its_own_keys(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    holders = {
        "s3_operator_secret_key": set(),
        "s3_frontend_secret_key": {"app"},
        "s3_mlflow_secret_key": {"mlflow"},
        "s3_trainer_secret_key": {"first-model", "airflow-scheduler", "airflow-dag-processor"},
        "mlflow_frontend_password": {"app"},
        "mlflow_admin_password": {"first-model", "airflow-scheduler", "airflow-dag-processor"},
        "seaweed_filer_write_key": {"seaweedfs"},
        "airflow_password": set(),
        "airflow_frontend_password": {"app"},
        "cookie_key": set(),
    }
    for secret, expected in holders.items():
        value = getattr(CREDENTIALS, secret)
        found = {
            p.name for p in plan.programs if any(value in text for text in p.environment.values())
        }
        assert found == expected, secret


def test_no_secret_stands_on_a_command_line_or_in_the_supervisors_configuration(
    tmp_path: Path,
) -> None:
    plan = _plan(tmp_path)
    shown = configuration(StateFolder(tmp_path), plan.programs) + repr(plan.programs)
    shown += " ".join(" ".join(program.command) for program in plan.programs)
    assert [name for name in Credentials.__slots__ if getattr(CREDENTIALS, name) in shown] == []


def test_the_operators_settings_point_at_the_local_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tmp_path)
    write_private(
        StateFolder(tmp_path).operator_env,
        "".join(f"{name}={value}\n" for name, value in plan.operator_env.items()),
    )
    settings = load_settings(home=tmp_path)
    assert settings.s3_endpoint_url == f"http://127.0.0.1:{_port(plan, 'S3')}"
    assert settings.mlflow_tracking_uri == f"http://127.0.0.1:{_port(plan, 'MLflow')}"
    assert settings.airflow_url == f"http://127.0.0.1:{_port(plan, 'Airflow')}"
    assert settings.airflow_password is not None
    assert settings.identity_key is not None


def _port(plan: StackPlan, name: str) -> str:
    (address,) = [address for address in plan.addresses if address.name == name]
    return address.url.rpartition(":")[2]


def test_settings_of_medloop_reach_the_components_with_their_names(tmp_path: Path) -> None:
    plan = _plan(
        tmp_path, model_name="hands", poll_s=0.5, notify_webhook="https://hook.example/geheim"
    )
    for name in ("app", "first-model", "airflow-scheduler"):
        environment = _program(plan, name).environment
        assert environment["MEDLOOP_MODEL_NAME"] == "hands"
        assert environment["MEDLOOP_POLL_S"] == "0.5"
        assert environment["MEDLOOP_NOTIFY_WEBHOOK"] == "https://hook.example/geheim"
        assert environment["MEDLOOP_HOME"] == str(tmp_path)


def test_what_a_component_reads_from_its_environment_is_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = _plan(tmp_path, max_upload_mb=7, identity="plain")
    for name, value in _program(plan, "app").environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert (settings.max_upload_mb, settings.identity, settings.home) == (7, "plain", tmp_path)
    assert settings.mlflow_username == "frontend"
    assert settings.airflow_url is not None
    assert settings.airflow_password is not None


def test_airflow_gets_its_connections(tmp_path: Path) -> None:
    environment = _program(_plan(tmp_path), "airflow-scheduler").environment
    aws = json.loads(environment["AIRFLOW_CONN_AWS_DEFAULT"])
    assert aws["login"] == CREDENTIALS.s3_trainer_access_key
    assert aws["extra"]["endpoint_url"] == environment["AWS_ENDPOINT_URL_S3"]
    assert aws["extra"]["service_config"] == {"s3": {"bucket_name": "medloop"}}
    mlflow = json.loads(environment["AIRFLOW_CONN_MLFLOW_DEFAULT"])
    assert (mlflow["conn_type"], mlflow["host"]) == ("http", environment["MLFLOW_TRACKING_URI"])
    assert (
        "AIRFLOW_CONN_AWS_DEFAULT"
        not in _program(_plan(tmp_path), "airflow-api-server").environment
    )


def test_the_callers_mail_connection_reaches_those_that_run_tasks_and_callbacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", "smtp://me:geheim@mail.example:465")
    holders = [
        program.name
        for program in _plan(tmp_path).programs
        if program.environment.get("AIRFLOW_CONN_SMTP_DEFAULT")
        == "smtp://me:geheim@mail.example:465"
    ]
    assert holders == ["airflow-scheduler", "airflow-dag-processor"]
    assert "AIRFLOW_CONN_SMTP_DEFAULT" not in inherited_environment(
        {"AIRFLOW_CONN_SMTP_DEFAULT": "x"}
    )


class TestExternalSystems:
    def test_s3_of_the_user_with_keys(self, tmp_path: Path) -> None:
        plan = _plan(
            tmp_path,
            s3_bucket="clinic",
            aws_access_key_id="k",
            aws_secret_access_key="s",
            aws_region="eu-1",
        )
        environment = _program(plan, "app").environment
        assert "seaweedfs" not in {program.name for program in plan.programs}
        assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_REGION"]) == ("k", "eu-1")
        assert environment["MEDLOOP_S3_BUCKET"] == "clinic"
        assert "AWS_ENDPOINT_URL_S3" not in environment
        assert "AWS_ACCESS_KEY_ID" not in plan.operator_env
        artifacts = _program(plan, "mlflow").command
        assert f"{tmp_path}/mlflow/artifacts" in artifacts
        connection = json.loads(
            _program(plan, "airflow-scheduler").environment["AIRFLOW_CONN_AWS_DEFAULT"]
        )
        assert connection["login"] == "k"
        assert "endpoint_url" not in connection["extra"]

    def test_s3_of_the_user_with_a_profile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "clinic")
        plan = _plan(tmp_path, s3_bucket="clinic")
        environment = _program(plan, "airflow-scheduler").environment
        assert environment["AWS_PROFILE"] == "clinic"
        assert "AIRFLOW_CONN_AWS_DEFAULT" not in environment

    def test_a_profile_for_something_else_stays_away_from_the_local_s3(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_PROFILE", "another-project")
        plan = _plan(tmp_path)
        assert all("AWS_PROFILE" not in program.environment for program in plan.programs)

    def test_mlflow_on_dagshub(self, tmp_path: Path) -> None:
        plan = _plan(
            tmp_path,
            mlflow_tracking_uri="https://dagshub.com/a/b.mlflow",
            dagshub_user_token="token",
        )
        assert "mlflow" not in {program.name for program in plan.programs}
        for name in ("app", "first-model", "airflow-scheduler"):
            environment = _program(plan, name).environment
            assert environment["MLFLOW_TRACKING_URI"] == "https://dagshub.com/a/b.mlflow"
            assert environment["DAGSHUB_USER_TOKEN"] == "token"
        assert _program(plan, "first-model").after == ("seaweedfs",)

    def test_an_airflow_of_the_user(self, tmp_path: Path) -> None:
        plan = _plan(tmp_path, airflow_url="https://airflow.example", airflow_password="geheim")
        assert [program.name for program in plan.programs] == [
            "seaweedfs",
            "mlflow",
            "app",
            "first-model",
        ]
        environment = _program(plan, "app").environment
        assert environment["MEDLOOP_AIRFLOW_URL"] == "https://airflow.example"
        assert environment["MEDLOOP_AIRFLOW_PASSWORD"] == "geheim"
        assert "geheim" not in _program(plan, "first-model").environment.values()

    def test_without_airflow(self, tmp_path: Path) -> None:
        plan = _plan(tmp_path, with_airflow=False)
        assert [program.name for program in plan.programs] == [
            "seaweedfs",
            "mlflow",
            "app",
            "first-model",
        ]
        assert "MEDLOOP_AIRFLOW_URL" not in plan.operator_env


def test_components_inherit_no_settings_or_keys_and_bypass_a_proxy() -> None:
    caller = {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "AWS_ACCESS_KEY_ID": "k",
        "MLFLOW_TRACKING_URI": "u",
        "MEDLOOP_HOME": "h",
        "AIRFLOW_HOME": "a",
        "DAGSHUB_USER_TOKEN": "t",
        "STREAMLIT_SERVER_PORT": "1",
        "HTTP_PROXY": "http://proxy",
        "NO_PROXY": "intranet",
    }
    inherited = inherited_environment(caller)
    assert {"PATH", "LANG", "HTTP_PROXY"} <= inherited.keys()
    assert (
        not {
            "AWS_ACCESS_KEY_ID",
            "MLFLOW_TRACKING_URI",
            "MEDLOOP_HOME",
            "AIRFLOW_HOME",
            "DAGSHUB_USER_TOKEN",
            "STREAMLIT_SERVER_PORT",
        }
        & inherited.keys()
    )
    assert inherited["NO_PROXY"] == inherited["no_proxy"] == "intranet,127.0.0.1,localhost"


class TestCredentials:
    def test_are_generated_once_for_their_owner_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "credentials.json"
        first = load_or_create(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert load_or_create(path) == first
        assert load_or_create(tmp_path / "another.json") != first

    def test_a_secret_of_a_newer_version_is_added_to_the_old_ones(self, tmp_path: Path) -> None:
        path = tmp_path / "credentials.json"
        first = json.loads(path.read_text()) if load_or_create(path) else {}
        del first["airflow_jwt_secret"]
        path.write_text(json.dumps(first))
        now = load_or_create(path)
        assert now.identity_key == first["identity_key"]
        assert json.loads(path.read_text())["airflow_jwt_secret"] == now.airflow_jwt_secret

    def test_are_never_shown(self) -> None:
        assert CREDENTIALS.identity_key not in repr(CREDENTIALS)
        assert CREDENTIALS.mlflow_frontend_password not in repr(_plan(Path("/nowhere")))


class TestPorts:
    def test_zero_takes_last_times_port_again(self) -> None:
        first = ports.assign({"app": 0, "s3": 0}, before={}, room={})
        assert ports.assign({"app": 0, "s3": 0}, before=first, room={}) == first

    def test_all_are_different_and_a_wish_is_kept(self) -> None:
        names = programs.seaweed_port_names()
        (wish,) = ports.free_ports(1)
        assigned = ports.assign(
            {**dict.fromkeys(names, 0), "app": wish}, before={}, room=programs.SEAWEED_ROOM
        )
        assert assigned["app"] == wish
        assert len(set(assigned.values())) == len(names) + 1

    def test_last_times_port_gives_way_to_a_wish(self) -> None:
        (wish,) = ports.free_ports(1)
        assigned = ports.assign({"app": 0, "s3": wish}, before={"app": wish}, room={})
        assert assigned["app"] != wish


def test_the_supervisors_socket_fits_however_long_the_folders_name_is(tmp_path: Path) -> None:
    short, long = StateFolder(tmp_path), StateFolder(tmp_path / ("long" * 30))
    assert short.socket.is_relative_to(tmp_path)
    assert len(str(long.socket)) <= SOCKET_PATH_LIMIT
    assert long.socket != StateFolder(tmp_path / ("long" * 31)).socket


def test_a_percent_sign_in_a_path_reaches_the_supervisor_whole(tmp_path: Path) -> None:
    from configparser import ConfigParser

    folder = StateFolder(tmp_path / "100% sure")
    parser = ConfigParser()
    parser.read_string(configuration(folder, _plan(tmp_path).programs))
    assert parser["program:app"]["directory"] == str(folder.home)


def test_the_page_can_sign_reviews_and_no_erasures(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    names = ("MEDLOOP_REVIEW_KEY", "MEDLOOP_ERASURE_KEY")
    both = dict(zip(names, (CREDENTIALS.review_key, CREDENTIALS.erasure_key), strict=True))
    assert both.items() <= _program(plan, "first-model").environment.items()
    assert both.items() <= plan.operator_env.items()
    page = _program(plan, "app").environment
    assert [page.get(name) for name in names] == [CREDENTIALS.review_key, None]


def test_a_bucket_of_others_has_signing_keys_of_its_own(tmp_path: Path) -> None:
    """Each machine's generated keys would not be each other's, and would make reviews worth
    nothing.
    """
    plan = _plan(tmp_path, s3_bucket="ours")
    for environment in (*(program.environment for program in plan.programs), plan.operator_env):
        assert not environment.keys() & {"MEDLOOP_REVIEW_KEY", "MEDLOOP_ERASURE_KEY"}
    own = _plan(tmp_path, s3_bucket="ours", review_key="r", erasure_key="e")
    page = _program(own, "app").environment
    assert page["MEDLOOP_REVIEW_KEY"] == "r"
    assert "MEDLOOP_ERASURE_KEY" not in page
    assert _program(own, "first-model").environment["MEDLOOP_ERASURE_KEY"] == "e"


def test_a_postgresql_takes_the_place_of_all_sqlite_files(tmp_path: Path) -> None:
    url = "postgresql://medloop:a%25b@db.example:5432?sslmode=require"
    plan = _plan(tmp_path, postgres_url=url)
    mlflow, airflow = (
        f"postgresql+psycopg://medloop:a%25b@db.example:5432/{name}?sslmode=require"
        for name in ("mlflow", "airflow")
    )
    assert _program(plan, "mlflow").environment["MLFLOW_BACKEND_STORE_URI"] == mlflow
    (auth,) = [text for path, text in plan.files.items() if path.name == "mlflow-auth.ini"]
    ini = configparser.ConfigParser()
    ini.read_string(auth)
    assert ini["mlflow"]["database_uri"] == mlflow
    scheduler = _program(plan, "airflow-scheduler").environment
    for name in ("", "_ASYNC"):
        assert scheduler[f"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN{name}"] == airflow
    everything = "".join(repr(program.environment) for program in plan.programs)
    assert "sqlite" not in everything
    assert "MEDLOOP_POSTGRES_URL" not in everything
    assert not any("a%25b" in word for program in plan.programs for word in program.command)


def test_a_postgresql_is_refused_beside_models_in_a_file(tmp_path: Path) -> None:
    settings = load_named_settings(postgres_url="postgresql://db.example")
    folder = StateFolder(tmp_path)
    check_database(settings, folder)
    folder.mlflow.mkdir()
    folder.mlflow_database.touch()
    check_database(load_named_settings(), folder)
    with pytest.raises(ServiceError, match="nothing moves them: use another MEDLOOP_HOME"):
        check_database(settings, folder)
