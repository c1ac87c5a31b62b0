"""Settings inside Airflow: what connections and the Variable say, and what is left to the
environment.
"""

from __future__ import annotations

import json
import os

import pytest

from medloop.errors import SettingsError


@pytest.fixture(scope="module", autouse=True)
def _airflow_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Airflow writes its configuration where AIRFLOW_HOME says at its first import."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    import airflow.sdk  # noqa: F401

    del os.environ["AIRFLOW_HOME"]


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch):
    def define(conn_id: str, **fields: object) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return define


def settings():
    from medloop.dags.connections import airflow_settings

    return airflow_settings()


def test_connections_win_over_the_environment(connection, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    s3 = {"bucket_name": "corrections"}
    extra = {
        "endpoint_url": "http://s3:8333",
        "region_name": "eu-central-1",
        "service_config": {"s3": s3},
    }
    connection(
        "aws_default",
        conn_type="aws",
        login="connection-key",
        password="connection-secret",
        extra=extra,
    )
    connection(
        "mlflow_default",
        conn_type="http",
        host="mlflow",
        port=5001,
        login="me",
        password="mlflow-secret",
    )

    found = settings()

    assert found.aws_access_key_id.get_secret_value() == "connection-key"
    assert found.aws_secret_access_key.get_secret_value() == "connection-secret"
    assert (found.s3_endpoint_url, found.aws_region, found.s3_bucket) == (
        "http://s3:8333",
        "eu-central-1",
        "corrections",
    )
    assert (found.mlflow_tracking_uri, found.mlflow_username) == ("http://mlflow:5001", "me")
    assert found.mlflow_password.get_secret_value() == "mlflow-secret"


def test_without_connections_the_environment_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:5000")
    found = settings()
    assert found.aws_access_key_id.get_secret_value() == "environment-key"
    assert found.mlflow_tracking_uri == "http://environment:5000"


def test_airflows_own_empty_aws_connection_changes_nothing(
    connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "environment-key")
    connection("aws_default", conn_type="aws")
    assert settings().aws_access_key_id.get_secret_value() == "environment-key"


def test_a_connection_without_bucket_takes_the_one_that_is_set(
    connection, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MEDLOOP_S3_BUCKET", "from-environment")
    connection("aws_default", conn_type="aws", login="connection-key", password="connection-secret")
    assert settings().s3_bucket == "from-environment"


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"host": "mlflow.example", "schema": "https"}, "https://mlflow.example"),
        (
            {"host": "https://dagshub.com/me/project.mlflow/"},
            "https://dagshub.com/me/project.mlflow",
        ),
        ({"host": "http://10.0.0.1", "port": 5000}, "http://10.0.0.1:5000"),
    ],
)
def test_mlflow_addresses_in_their_usual_shapes(connection, fields, address):
    connection("mlflow_default", conn_type="http", **fields)
    assert settings().mlflow_tracking_uri == address


def test_a_password_alone_is_a_token(connection):
    connection(
        "mlflow_default",
        conn_type="http",
        host="https://dagshub.com/me/p.mlflow",
        password="dagshub-token",
    )
    found = settings()
    assert (found.mlflow_username, found.mlflow_password.get_secret_value()) == (
        "token",
        "dagshub-token",
    )


def test_secrets_for_another_server_are_not_sent_to_the_connection(
    connection, monkeypatch: pytest.MonkeyPatch
):
    for name in (
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "DAGSHUB_USER_TOKEN",
    ):
        monkeypatch.setenv(name, "for-another-server")
    connection("mlflow_default", conn_type="http", host="http://mlflow:5000")
    found = settings()
    assert (found.mlflow_username, found.mlflow_password, found.mlflow_tracking_token) == (
        None,
        None,
        None,
    )


def test_an_mlflow_connection_without_host_is_named(connection):
    connection("mlflow_default", conn_type="http", password="secret-token")
    with pytest.raises(SettingsError, match="mlflow_default has no host"):
        settings()


def test_the_variable_holds_other_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW_VAR_MEDLOOP", '{"min_new_corrections": 25, "engine": "ray"}')
    found = settings()
    assert (found.min_new_corrections, found.engine) == (25, "ray")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("{broken", "JSON"),
        ("[1]", "is a list"),
        ('{"mim_new": 1}', r"called 'mim_new'"),
        ('{"enginee": "ray"}', "did you mean 'engine'"),
    ],
)
def test_a_broken_variable_is_said_and_not_ignored(
    monkeypatch: pytest.MonkeyPatch, value: str, complaint: str
):
    monkeypatch.setenv("AIRFLOW_VAR_MEDLOOP", value)
    with pytest.raises(SettingsError, match=f"Variable medloop .*{complaint}"):
        settings()
