"""Settings inside an Airflow task: its connections and its Variable, then medloop's own sources.

A connection is taken as a whole: a password for another server is never sent to its host.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, Variable
from airflow.sdk.exceptions import AirflowNotFoundException

from medloop.core.spelling import with_closest
from medloop.errors import SettingsError
from medloop.settings import Settings, load_settings

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from medloop.jobs.context import Context

AWS_CONNECTION = "aws_default"
MLFLOW_CONNECTION = "mlflow_default"
VARIABLE = "medloop"


def connect_loop() -> Context:
    """Connect the stores for one task."""
    from medloop.wiring import connect  # callbacks need the settings alone

    return connect(airflow_settings())


def airflow_settings() -> Settings:
    """Read the settings that this task should have.

    Raises:
        SettingsError: A connection or the Variable says something that medloop cannot use; the
        message names it.
    """
    overrides = _variable()
    if mlflow := _connection(MLFLOW_CONNECTION):
        overrides |= mlflow_overrides(mlflow)
    if aws := _connection(AWS_CONNECTION):
        overrides |= aws_overrides(aws)
        overrides.setdefault("s3_bucket", load_settings(**overrides).s3_bucket)
    return load_settings(**overrides)


def mlflow_overrides(connection: Connection) -> dict[str, Any]:
    """Read settings from an HTTP connection.

    The host may be a whole address (`https://dagshub.com/me/project.mlflow`); a password alone is a
    token.

    Raises:
        SettingsError: It has no host.
    """
    if not connection.host:
        raise SettingsError(
            f"The Airflow connection {MLFLOW_CONNECTION} has no host: give MLflow's address there."
        )
    address = connection.host.rstrip("/")
    if "://" not in address:
        address = f"{connection.schema or 'http'}://{address}"
    if connection.port:
        address = f"{address}:{connection.port}"
    return {
        "mlflow_tracking_uri": address,
        "mlflow_tracking_username": connection.login or ("token" if connection.password else None),
        "mlflow_tracking_password": connection.password,
        "mlflow_tracking_token": None,
        "dagshub_user_token": None,
    }


def aws_overrides(connection: Connection) -> dict[str, Any]:
    """Read settings from an AWS connection through the Amazon provider, roles and profiles too.

    `service_config.s3.bucket_name` in the extra names the bucket, as for Airflow's own S3
    operators. {} for the empty connection that Airflow creates by default.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    if not (connection.login or connection.extra_dejson):
        return {}
    hook: AwsBaseHook = AwsBaseHook(aws_conn_id=AWS_CONNECTION, client_type="s3")
    found: dict[str, Any] = {}
    if credentials := hook.get_session().get_credentials():
        keys = credentials.get_frozen_credentials()
        found["aws_access_key_id"] = keys.access_key
        found["aws_secret_access_key"] = keys.secret_key
        found["aws_session_token"] = keys.token
    config = hook.conn_config
    if config.region_name:
        found["aws_region"] = config.region_name
    if endpoint_url := config.get_service_endpoint_url("s3"):
        found["s3_endpoint_url"] = endpoint_url
    if bucket := config.get_service_config("s3").get("bucket_name"):
        found["s3_bucket"] = bucket
    return found


def _connection(conn_id: str) -> Connection | None:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


def _variable() -> dict[str, Any]:
    """Read the Variable `medloop`, a JSON object of settings; {} without it."""
    said = f"The Airflow Variable {VARIABLE} must be a JSON object of setting names and values"
    try:
        # Airflow's own parsing ignores broken JSON.
        values = json.loads(Variable.get(VARIABLE, default="{}"))
    except ValueError as error:
        raise SettingsError(f"{said}: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{said}, and is a {type(values).__name__}")
    if unknown := sorted(values.keys() - Settings.model_fields.keys()):
        named = ", ".join(with_closest(name, Settings.model_fields) for name in unknown)
        raise SettingsError(f"{said}; no setting is called {named}")
    return values
