"""Every setting: from the environment, `.env`, `config.py` and the running local stack.

Owns names, defaults and where values come from. Opens nothing and connects to nothing.
"""

from __future__ import annotations

import ast
import getpass
import logging
import os
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from dotenv import dotenv_values
from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from medloop.core.spelling import with_closest
from medloop.errors import SettingsError

log = logging.getLogger(__name__)

LOCAL_ENV = "operator.env"  # written by `medloop up` into the state folder, mode 0600
S3_FIELDS = {
    "s3_bucket", "s3_endpoint_url", "aws_access_key_id", "aws_secret_access_key",
    "aws_session_token",
}  # fmt: skip
MLFLOW_FIELDS = {
    "mlflow_tracking_uri", "mlflow_tracking_username", "mlflow_tracking_password",
    "mlflow_tracking_token", "mlflow_tracking_server_cert_path",
}  # fmt: skip
SIGNING_FIELDS = {"review_key", "erasure_key"}  # of the bucket they are signed in
AIRFLOW_FIELDS = {"airflow_url", "airflow_username", "airflow_password"}
SYSTEMS = (  # which settings name a system, and which belong to it
    ({"s3_bucket", "s3_endpoint_url"}, S3_FIELDS | SIGNING_FIELDS),
    ({"mlflow_tracking_uri"}, MLFLOW_FIELDS),
    ({"airflow_url"}, AIRFLOW_FIELDS),
)


Secret = SecretStr | None
Text = str | None
File = Path | None
Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"] | None
Role = Literal["viewer", "corrector", "reviewer", "admin"]


def _as(*names: str, default: str | None = None) -> Any:
    return Field(default=default, validation_alias=AliasChoices(*names))


class Settings(BaseSettings):
    """The one settings object; built once, by `medloop.wiring` or a test."""

    sees_local_stack: ClassVar[bool] = True
    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        env_prefix="MEDLOOP_",
        env_ignore_empty=True,
        populate_by_name=True,
        frozen=True,
    )

    # S3. A bucket or an address here names an S3 of your own; `medloop up` then starts none.
    # Without keys the AWS credential chain is used (profile, SSO, role, instance).
    aws_access_key_id: Secret = _as("AWS_ACCESS_KEY_ID", "aws_key")  # access key
    aws_secret_access_key: Secret = _as("AWS_SECRET_ACCESS_KEY", "aws_secret")  # secret key
    aws_session_token: Secret = _as("AWS_SESSION_TOKEN")  # token of temporary keys
    aws_region: str = _as("AWS_REGION", "AWS_DEFAULT_REGION", default="us-east-1")  # region
    s3_endpoint_url: Text = _as("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")  # address, if not AWS
    s3_bucket: str = _as("MEDLOOP_S3_BUCKET", default="medloop")  # bucket; medloop by default
    s3_encryption: Encryption = None  # encryption at rest; the bucket's default if not set
    s3_kms_key_id: Text = None  # key for aws:kms
    aws_ca_bundle: File = _as("AWS_CA_BUNDLE")  # PEM file of a private certificate authority

    # MLflow. An address here names a server of your own; `medloop up` then starts none.
    mlflow_tracking_uri: Text = _as("MLFLOW_TRACKING_URI")  # address of the server
    mlflow_tracking_username: Text = _as("MLFLOW_TRACKING_USERNAME")  # user
    mlflow_tracking_password: Secret = _as("MLFLOW_TRACKING_PASSWORD")  # password
    mlflow_tracking_token: Secret = _as("MLFLOW_TRACKING_TOKEN")  # bearer token, not a password
    mlflow_tracking_server_cert_path: File = _as("MLFLOW_TRACKING_SERVER_CERT_PATH")  # PEM file
    dagshub_user_token: Secret = _as("DAGSHUB_USER_TOKEN")  # DagsHub's token, if no password is set
    model_name: str = "medical-mnist"  # registered model
    experiment: str = "medloop"  # MLflow experiment

    # Airflow, which runs the weekly training. An address here names a server of your own;
    # `medloop up` then starts none.
    airflow_url: Text = None  # address of the API server
    airflow_username: Text = None  # user; without one the password is an API token
    airflow_password: Secret = None  # password or token

    # The local stack.
    home: Path = Path(".medloop")  # state folder: data of the services, caches, outbox, credentials
    host: str = "127.0.0.1"  # address of the page; the other services stay on 127.0.0.1
    allow_remote: bool = False  # allow another `host` without a login
    app_port: int = Field(8501, ge=0, le=65535)  # port of the page; 0 takes any free port
    s3_port: int = Field(8333, ge=0, le=65535)  # port of SeaweedFS
    mlflow_port: int = Field(5000, ge=0, le=65535)  # port of MLflow
    airflow_port: int = Field(8080, ge=0, le=65535)  # port of Airflow's API server
    postgres_url: Secret = None  # PostgreSQL for MLflow and Airflow: docs/airflow.md

    # Login with OpenID Connect. Without it there is one local user, and only this machine reaches
    # the page.
    oidc_issuer: Text = None  # address of the provider
    oidc_client_id: Text = None  # client id of the page at the provider
    oidc_client_secret: Secret = None  # client secret of the page at the provider
    app_url: Text = None  # address at which people reach the page, if not http://HOST:PORT
    oidc_roles_claim: str = "roles"  # claim of the identity token with roles; a dot goes inside
    oidc_admins: str = ""  # admins (promote, roll back, train): e-mails or roles, by commas
    oidc_reviewers: str = ""  # reviewers, likewise
    oidc_correctors: str = ""  # correctors, likewise
    oidc_default_role: Role = "viewer"  # role of everybody else who signs in
    session_hours: float = Field(12.0, gt=0)  # hours until a person has to sign in again

    # Serving.
    poll_s: float = Field(3.0, gt=0)  # seconds between two looks at the champion alias
    max_upload_mb: int = Field(50, gt=0)  # size of the largest accepted file
    session_upload_mb: int = Field(500, gt=0)  # size of all uploads that one open page may hold
    total_upload_mb: int = Field(2_000, gt=0)  # size of all uploads that all open pages may hold

    # Corrections.
    user: str = Field(default_factory=getpass.getuser)  # person who corrects, if no login says so
    identity: Literal["hashed", "plain"] = "hashed"  # store people as a keyed hash, or by name
    identity_key: Secret = None  # key of the hash; the local stack generates one
    # With both keys, only signed reviews, promotions and erasures count: docs/threat-model.md.
    review_key: Secret = None  # key that signs reviews; the page has it
    erasure_key: Secret = None  # key that signs erasures; the page must not have it
    # Reviews and limits.
    review: Literal["trust", "all", "suspicious"] = "suspicious"  # corrections that are reviewed
    max_per_person: int = Field(500, ge=1)  # unreviewed corrections per person and day
    honeypots: float = Field(0.0, ge=0, le=0.5)  # known pictures per picture that waits for review
    least_reliability: float = Field(0.0, ge=0, lt=1)  # below it a person is reviewed; 0 is off
    max_share_per_person: float = Field(0.5, gt=0, le=1)  # of what is learned; 1 is no limit
    share_allowance: int = Field(100, ge=0)  # corrections per person exempt from the share limit

    # Learning.
    base_dataset: Text = None  # id of an imported data set; the bundled sample by default
    min_new_corrections: int = Field(1, ge=1)  # new corrections that are worth a weekly run
    engine: Literal["local", "ray"] = "local"  # place of training: this machine or a Ray cluster
    ray_workers: int = Field(2, ge=1)  # processes per training on the cluster in RAY_ADDRESS
    watch_days: int = Field(7, ge=0)  # days for which a promotion is watched; 0 is off
    device: str = "auto"  # auto, cpu, cuda, cuda:1 …
    seed: int = 0  # seed of trainings

    # Observation.
    metrics_port: int = Field(0, ge=0, le=65535)  # port of the page's Prometheus metrics; 0 is off
    metrics_host: str = "127.0.0.1"  # address of the metrics
    log_format: Literal["text", "json"] = "text"  # json: an object a line

    # Notices.
    notify_webhook: Secret = None  # URL that gets a JSON POST on failure and on promotion
    notify_email: Text = None  # address that gets an e-mail then, over Airflow's smtp_default

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take the environment before `.env` before `config.py`, and fill in the local stack."""
        named = (init_settings, env_settings, dotenv_settings, _ConfigPySource(settings_cls))
        local = (_LocalStackSource(settings_cls, named),) if cls.sees_local_stack else ()
        return (_MergedSource(settings_cls, (*local, *named)),)

    @cached_property
    def mlflow_password(self) -> SecretStr | None:
        """Return MLflow's password, or DagsHub's token."""
        return self.mlflow_tracking_password or self.dagshub_user_token

    @cached_property
    def mlflow_username(self) -> str | None:
        """Return MLflow's user; DagsHub takes any name beside a token."""
        return self.mlflow_tracking_username or ("token" if self.dagshub_user_token else None)


class NamedSettings(Settings):
    """The user's own settings, without those written by the local stack: it starts with these."""

    sees_local_stack: ClassVar[bool] = False


AnySettings = TypeVar("AnySettings", bound=Settings)


class _MergedSource(PydanticBaseSettingsSource):
    """Several sources as one: the first that has a field decides, whatever its name there.

    pydantic itself would let the order of a field's names decide over the order of the sources.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], sources: tuple[PydanticBaseSettingsSource, ...]
    ) -> None:
        self._sources = sources
        super().__init__(settings_cls)

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for source in reversed(self._sources):
            merged.update(_by_field(self.settings_cls, source()))
        return merged


class _ConfigPySource(PydanticBaseSettingsSource):
    """`config = {"aws_key": …, "aws_secret": …}` in `./config.py`; parsed, never executed."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = Path("config.py")
        return read_config_py(path.read_text("utf-8")) if path.is_file() else {}


def read_config_py(source: str) -> dict[str, Any]:
    """Read the literal dictionary assigned to `config` in a Python source; {} if there is none.

    Raises:
        SettingsError: The source does not parse, or the dictionary is more than a literal.
    """
    try:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and any(
                getattr(target, "id", "") == "config" for target in node.targets
            ):
                value = ast.literal_eval(node.value)
                if not isinstance(value, dict):
                    raise SettingsError(
                        'config.py: `config` must be a dictionary such as {"aws_key": "…"}'
                    )
                return {str(key): item for key, item in value.items()}
    # all that parsing may raise
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise SettingsError(
            "config.py must assign a plain dictionary of literals to `config`; it is read, never "
            f"executed ({type(error).__name__})"
        ) from None
    return {}


class _LocalStackSource(DotEnvSettingsSource):
    """The settings that `medloop up` wrote for the person at this machine.

    A system is taken whole or not at all, since its keys are of no use to another: a bucket or an
    S3 endpoint of the user's turns off all S3 values of the local stack. Without either they win
    over AWS keys that are in the environment for something else. MLflow and Airflow likewise.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], named: tuple[PydanticBaseSettingsSource, ...]
    ) -> None:
        self._named = named
        super().__init__(settings_cls, env_file=None)

    def __call__(self) -> dict[str, Any]:
        given = _MergedSource(self.settings_cls, self._named)()
        path = Path(given.get("home", Path(".medloop"))) / LOCAL_ENV
        if not path.is_file():
            return {}
        local = _by_field(
            self.settings_cls, DotEnvSettingsSource(self.settings_cls, env_file=path)()
        )
        for locators, fields in SYSTEMS:
            if given.keys() & locators:
                local = {name: value for name, value in local.items() if name not in fields}
        whole = {name for _, fields in SYSTEMS for name in fields}
        return {name: value for name, value in local.items() if name in whole or name not in given}


def _names(field: str) -> list[str]:
    """List the variables that set a field, the preferred one first."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices]
    return [f"MEDLOOP_{field.upper()}"]


def _by_field(cls: type[BaseSettings], values: dict[str, Any]) -> dict[str, Any]:
    """Key values by field name, whatever alias they were found under."""
    names = {name.lower(): field for field in cls.model_fields for name in (*_names(field), field)}
    return {names[key.lower()]: value for key, value in values.items() if key.lower() in names}


def unknown_settings() -> list[str]:
    """Name each MEDLOOP_ variable and key of `config.py` that sets nothing, with what is close."""
    variables = {name for field in Settings.model_fields for name in _names(field)}
    small = {name.lower() for name in variables}
    given = {**dotenv_values(".env"), **os.environ}
    wrong = [
        with_closest(name, variables)
        for name in sorted(given)
        if name.lower().startswith("medloop_") and name.lower() not in small
    ]
    keys = variables | set(Settings.model_fields)
    known = {name.lower() for name in keys}
    path = Path("config.py")
    for key in read_config_py(path.read_text("utf-8")) if path.is_file() else {}:
        if key.lower() not in known:
            wrong.append(f"{with_closest(key, keys)} in config.py")
    return wrong


@cache
def _warn(unknown: str) -> None:
    """Say once per process what sets nothing."""
    log.warning("there is no setting %s", unknown)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from everywhere, and warn of names that set nothing.

    Raises:
        SettingsError: A value is wrong; the message names it, without showing secrets.
    """
    return _load(Settings, overrides)


def load_named_settings(**overrides: Any) -> NamedSettings:
    """Read what the user set, without the local stack. See `load_settings`."""
    return _load(NamedSettings, overrides)


def metadata_url(issuer: str) -> str:
    """Find where an OpenID Connect provider describes itself."""
    well_known, issuer = "/.well-known/openid-configuration", issuer.rstrip("/")
    return issuer if issuer.endswith(well_known) else issuer + well_known


def variable_name(field: str) -> str:
    """Return the environment variable that sets a field."""
    return _names(field)[0]


def _load(cls: type[AnySettings], overrides: dict[str, Any]) -> AnySettings:
    try:
        settings = cls(**overrides)
    except ValidationError as error:
        lines = [f"{variable_name(str(e['loc'][0]))}: {e['msg']}" for e in error.errors()]
        raise SettingsError("Settings: " + "; ".join(lines)) from None
    for unknown in unknown_settings():
        _warn(unknown)
    return settings
