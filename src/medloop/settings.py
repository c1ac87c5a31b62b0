"""Every setting, from the environment, `.env`, `config.py` and the running local stack, in this order.

Owns names, defaults and where values come from. Opens nothing and connects to nothing.
"""

from __future__ import annotations

import ast
import getpass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from medloop.errors import SettingsError

LOCAL_ENV = "operator.env"  # written by `medloop up` into the state folder, mode 0600
S3_FIELDS = {
    "s3_bucket",
    "s3_endpoint_url",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
}
MLFLOW_FIELDS = {
    "mlflow_tracking_uri",
    "mlflow_tracking_username",
    "mlflow_tracking_password",
    "mlflow_tracking_token",
    "mlflow_tracking_server_cert_path",
}
AIRFLOW_FIELDS = {"airflow_url", "airflow_username", "airflow_password"}
SIGNING_FIELDS = {"review_key", "erasure_key"}
SYSTEMS = (  # which settings name a system, and which belong to it
    ({"s3_bucket", "s3_endpoint_url"}, S3_FIELDS | SIGNING_FIELDS),
    ({"mlflow_tracking_uri"}, MLFLOW_FIELDS),
    ({"airflow_url"}, AIRFLOW_FIELDS),
)


def _named(*names: str, default: str | None = None) -> Any:
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

    # S3. A bucket or an address here means an S3 of yours: then `medloop up` starts none.
    # Without keys the whole AWS credential chain is asked (profile, SSO, role, instance).
    aws_access_key_id: SecretStr | None = _named("AWS_ACCESS_KEY_ID", "aws_key")  # access key
    aws_secret_access_key: SecretStr | None = _named(
        "AWS_SECRET_ACCESS_KEY", "aws_secret"
    )  # secret key
    aws_session_token: SecretStr | None = _named("AWS_SESSION_TOKEN")  # for temporary keys
    aws_region: str = _named(
        "AWS_REGION", "AWS_DEFAULT_REGION", default="us-east-1"
    )  # region of the bucket
    s3_endpoint_url: str | None = _named(
        "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"
    )  # address, where it is not AWS
    s3_bucket: str = _named(
        "MEDLOOP_S3_BUCKET", default="medloop"
    )  # bucket of images and corrections; none: `medloop`
    s3_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = (
        None  # at rest; else the bucket's default
    )
    s3_kms_key_id: str | None = None  # key for aws:kms
    aws_ca_bundle: Path | None = _named(
        "AWS_CA_BUNDLE"
    )  # PEM file of a private certificate authority

    # MLflow. An address here means a server of yours: then `medloop up` starts none.
    mlflow_tracking_uri: str | None = _named("MLFLOW_TRACKING_URI")  # address of the server
    mlflow_tracking_username: str | None = _named("MLFLOW_TRACKING_USERNAME")  # user
    mlflow_tracking_password: SecretStr | None = _named("MLFLOW_TRACKING_PASSWORD")  # password
    mlflow_tracking_token: SecretStr | None = _named(
        "MLFLOW_TRACKING_TOKEN"
    )  # a bearer token, instead of a password
    mlflow_tracking_server_cert_path: Path | None = _named(
        "MLFLOW_TRACKING_SERVER_CERT_PATH"
    )  # PEM, of a private CA
    dagshub_user_token: SecretStr | None = _named(
        "DAGSHUB_USER_TOKEN"
    )  # of DagsHub; taken where there is no password
    model_name: str = "medical-mnist"  # registered model
    experiment: str = "medloop"  # MLflow experiment

    # Airflow, to trigger and to watch the DAG. An address here means one of yours: then `medloop up` starts none.
    airflow_url: str | None = None  # address of the API server
    airflow_username: str | None = None  # user; none: the password is an API token
    airflow_password: SecretStr | None = None  # password or token

    # The local stack.
    home: Path = Path(".medloop")  # state folder: data of the services, caches, outbox, credentials
    host: str = "127.0.0.1"  # where the page listens; the other services always stay on 127.0.0.1
    allow_remote: bool = False  # let `host` be another address without a login
    app_port: int = Field(
        8501, ge=0, le=65535
    )  # of the page; for each port, 0 takes any that is free
    s3_port: int = Field(8333, ge=0, le=65535)  # of SeaweedFS
    mlflow_port: int = Field(5000, ge=0, le=65535)  # of MLflow
    airflow_port: int = Field(8080, ge=0, le=65535)  # of Airflow's API server

    # Login with OpenID Connect. Without it there is one local user, and the page stays on this machine.
    oidc_issuer: str | None = None  # address of the provider
    oidc_client_id: str | None = None  # of the page at the provider
    oidc_client_secret: SecretStr | None = None  # of the page at the provider
    app_url: str | None = (
        None  # address at which people reach the page, where it is not http://HOST:PORT
    )
    oidc_roles_claim: str = (
        "roles"  # claim of the identity token with a person's roles or groups; dots go inside
    )
    oidc_admins: str = ""  # who may promote, roll back and retrain: verified e-mails or values of that claim, by commas
    oidc_reviewers: str = ""  # who may review, likewise
    oidc_correctors: str = ""  # who may correct, likewise
    oidc_default_role: Literal["viewer", "corrector", "reviewer", "admin"] = (
        "viewer"  # of everybody else who signs in
    )
    session_hours: float = Field(12.0, gt=0)  # after which a person has to sign in again

    # Serving.
    poll_s: float = Field(3.0, gt=0)  # how often the champion alias is looked at
    max_upload_mb: int = Field(50, gt=0)  # largest file that is accepted
    session_upload_mb: int = Field(500, gt=0)  # of uploads that one open page may hold
    total_upload_mb: int = Field(2_000, gt=0)  # of uploads that all open pages together may hold

    # Corrections.
    user: str = Field(default_factory=getpass.getuser)  # who corrects, where no login says so
    identity: Literal["hashed", "plain"] = (
        "hashed"  # how names of people are stored: as a keyed hash, or as they are
    )
    identity_key: SecretStr | None = None  # key of the hash; the local stack generates one
    # With both keys, reviews, promotions and erasures count only if they are signed: docs/threat-model.md.
    review_key: SecretStr | None = None  # signs what reviewers decide; the page has it
    erasure_key: SecretStr | None = None  # signs erasures; the page must not have it
    review: Literal["trust", "all", "suspicious"] = (
        "suspicious"  # which corrections wait for a reviewer
    )
    max_per_person: int = Field(
        500, ge=1
    )  # unreviewed corrections of one person a day; more wait for a reviewer
    honeypots: float = Field(
        0.0, ge=0, le=0.5
    )  # pictures with a known answer for each that waits for a reviewer
    least_reliability: float = Field(
        0.0, ge=0, lt=1
    )  # who may be right less often has corrections reviewed; 0 is off
    max_share_per_person: float = Field(
        0.5, gt=0, le=1
    )  # of what is learned, on one person's word; 1 is no limit
    share_allowance: int = Field(
        100, ge=0
    )  # corrections that each person has free of it; 0 binds even who is alone

    # Learning.
    base_dataset: str | None = (
        None  # id of an imported data set; the bundled sample where none is named
    )
    min_new_corrections: int = Field(1, ge=1)  # fewer new ones skip the weekly run
    engine: Literal["local", "ray"] = "local"  # where training runs
    ray_workers: int = Field(
        2, ge=1
    )  # processes of the cluster that share a training; RAY_ADDRESS names the cluster
    watch_days: int = Field(7, ge=0)  # how long a promotion is watched; 0 turns the watch off
    device: str = "auto"  # auto, cpu, cuda, cuda:1 …
    seed: int = 0  # of trainings

    # Telling people.
    notify_webhook: SecretStr | None = None  # URL that gets a JSON POST on failure and on promotion
    notify_email: str | None = (
        None  # address that gets an e-mail then, over Airflow's connection smtp_default
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment before `.env` before `config.py`; the local stack fills in what they leave open."""
        named = (init_settings, env_settings, dotenv_settings, _ConfigPySource(settings_cls))
        local = (_LocalStackSource(settings_cls, named),) if cls.sees_local_stack else ()
        return (_MergedSource(settings_cls, (*local, *named)),)

    @cached_property
    def mlflow_password(self) -> SecretStr | None:
        """MLflow's password; DagsHub's token where none is given."""
        return self.mlflow_tracking_password or self.dagshub_user_token

    @cached_property
    def mlflow_username(self) -> str | None:
        """MLflow's user; DagsHub takes any name beside a token."""
        return self.mlflow_tracking_username or ("token" if self.dagshub_user_token else None)


class NamedSettings(Settings):
    """What the user asked for, without what the local stack wrote: whoever starts that stack goes by this."""

    sees_local_stack: ClassVar[bool] = False


AnySettings = TypeVar("AnySettings", bound=Settings)


class _MergedSource(PydanticBaseSettingsSource):
    """Several sources as one, by field: the first that has a field decides, whatever name it goes by there.

    Left to itself, pydantic would let the order of a field's names decide over the order of the sources.
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
    """`config = {"aws_key": …, "aws_secret": …}` in `./config.py`, parsed as a literal and never executed."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = Path("config.py")
        return read_config_py(path.read_text("utf-8")) if path.is_file() else {}


def read_config_py(source: str) -> dict[str, Any]:
    """The literal dictionary assigned to `config` in a Python source; {} where there is none.

    Raises:
        SettingsError: The source does not parse, or the dictionary is more than a literal.
    """
    try:
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign) and any(
                getattr(t, "id", "") == "config" for t in node.targets
            ):
                value = ast.literal_eval(node.value)
                if not isinstance(value, dict):
                    raise SettingsError(
                        'config.py: `config` must be a dictionary such as {"aws_key": "…"}'
                    )
                return {str(key): item for key, item in value.items()}
    except (
        SyntaxError,
        ValueError,
        TypeError,
        RecursionError,
        MemoryError,
    ) as error:  # all that parsing may raise
        raise SettingsError(
            "config.py must assign a plain dictionary of literals to `config`; it is read, never executed "
            f"({type(error).__name__})"
        ) from None
    return {}


class _LocalStackSource(DotEnvSettingsSource):
    """What `medloop up` wrote for the person at this machine.

    A system is taken whole or not at all, since one system's keys are of no use to another: naming a bucket
    or an S3 endpoint turns off all of the local stack's S3 values, and where none is named they win over
    AWS keys that lie in the environment for something else. MLflow and Airflow likewise.
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


def _by_field(cls: type[BaseSettings], values: dict[str, Any]) -> dict[str, Any]:
    """Values keyed by field name, whatever alias they were found under."""
    names: dict[str, str] = {}
    for field_name, field in cls.model_fields.items():
        alias = field.validation_alias
        choices = (
            [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else []
        )
        names.update({choice.lower(): field_name for choice in (*choices, field_name)})
    return {names[key.lower()]: value for key, value in values.items() if key.lower() in names}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings once, from everywhere.

    Raises:
        SettingsError: A value is wrong; the message names it, without showing secrets.
    """
    return _load(Settings, overrides)


def load_named_settings(**overrides: Any) -> NamedSettings:
    """Read what the user asked for, without the local stack. See `load_settings`."""
    return _load(NamedSettings, overrides)


def variable_name(field: str) -> str:
    """The environment variable that sets a field: its own name in these ecosystems, or MEDLOOP_ and the field's."""
    alias = Settings.model_fields[field].validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"MEDLOOP_{field.upper()}"


def _load(cls: type[AnySettings], overrides: dict[str, Any]) -> AnySettings:
    try:
        return cls(**overrides)
    except ValidationError as error:
        lines = [f"{variable_name(str(e['loc'][0]))}: {e['msg']}" for e in error.errors()]
        raise SettingsError("Settings: " + "; ".join(lines)) from None
