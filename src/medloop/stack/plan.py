"""The plan of one local stack: its components, with which files and with whose rights.

It decides, and writes nothing: `medloop.stack.lifecycle` applies it. A system that the user's
settings name (S3, MLflow, Airflow) is not started; the components are pointed at the user's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from medloop.settings import (
    AIRFLOW_FIELDS,
    MLFLOW_FIELDS,
    S3_FIELDS,
    SIGNING_FIELDS,
    SYSTEMS,
    NamedSettings,
    Settings,
    variable_name,
)
from medloop.stack import programs, rights
from medloop.stack.credentials import Credentials
from medloop.stack.ports import LOOPBACK
from medloop.stack.programs import MLFLOW_ADMIN, MLFLOW_FRONTEND, Program
from medloop.stack.state_folder import StateFolder

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104
BUCKET, MLFLOW_BUCKET = "medloop", "mlflow"
AIRFLOW_ADMIN, AIRFLOW_FRONTEND = "admin", "frontend"
# The one connection that `medloop up` takes over from its caller.
MAIL_CONNECTION = "AIRFLOW_CONN_SMTP_DEFAULT"
AIRFLOW_ROLES = {AIRFLOW_ADMIN: "admin", AIRFLOW_FRONTEND: "user"}  # see `airflow_users`
# Settings of the stack itself; each component is told what it needs of them in its own words.
STACK_FIELDS = S3_FIELDS | SIGNING_FIELDS | MLFLOW_FIELDS | AIRFLOW_FIELDS | {
    "dagshub_user_token", "aws_region", "home", "host", "identity_key", "oidc_client_id",
    "oidc_client_secret", "app_port", "s3_port", "mlflow_port", "airflow_port", "postgres_url",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Locals:
    """Which systems this stack runs itself."""

    s3: bool
    mlflow: bool
    airflow: bool

    @classmethod
    def of(cls, settings: NamedSettings, *, with_airflow: bool) -> Locals:
        """Choose those that the settings do not name."""
        s3, mlflow, airflow = (not settings.model_fields_set & locators for locators, _ in SYSTEMS)
        return cls(s3=s3, mlflow=mlflow, airflow=airflow and with_airflow)

    def wanted_ports(self, settings: Settings) -> dict[str, int]:
        """List the ports to assign by name; 0 is any."""
        wanted = {"app": settings.app_port}
        if self.s3:
            wanted |= dict.fromkeys(programs.seaweed_port_names(), 0) | {"s3": settings.s3_port}
        if self.mlflow:
            wanted["mlflow"] = settings.mlflow_port
        if self.airflow:
            wanted["airflow"] = settings.airflow_port
        return wanted


@dataclass(frozen=True, slots=True)
class Address:
    """Something that a person can open."""

    name: str
    url: str
    login: str = ""  # the user to sign in as, or what else there is to know
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class StackPlan:
    """Everything about one stack, decided."""

    programs: tuple[Program, ...]
    files: Mapping[Path, str]  # all hold secrets
    operator_env: Mapping[str, str]
    frontend_password: str  # of MLflow's user for the page
    model_name: str  # the registered model whose aliases that user may move
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Planner:
    """Makes the plan for one state folder. Of its environment it reads AWS variables and mail."""

    settings: NamedSettings
    folder: StateFolder
    credentials: Credentials
    _: KW_ONLY
    local: Locals
    ports: Mapping[str, int]

    def plan(self, *, with_training: bool = True, with_migration: bool = True) -> StackPlan:
        """Decide everything.

        Args:
            with_training: Train a first model where there is none; the user may want to.
            with_migration: Create or upgrade Airflow's database first.
        """
        files = {}
        if self.local.s3:
            from medloop.stack.certificate import make_certificate  # of the extra `services`

            files[self.folder.s3_identities] = self._s3_rights()
            files[self.folder.s3_certificate] = make_certificate()
        if self.local.mlflow:
            files[self.folder.mlflow_auth] = programs.mlflow_auth_config(
                self._database("mlflow", self.folder.mlflow / "auth.db"),
                username=MLFLOW_ADMIN,
                password=self.credentials.mlflow_admin_password,
            )
        if self.local.airflow:
            logins = {
                AIRFLOW_ADMIN: self.credentials.airflow_password,
                AIRFLOW_FRONTEND: self.credentials.airflow_frontend_password,
            }
            files[self.folder.airflow_passwords] = json.dumps(logins)
        files[self.folder.login_file] = login.secrets_toml() if (login := self._login()) else ""
        found = self._programs(with_training=with_training, with_migration=with_migration)
        return StackPlan(
            programs=tuple(found),
            files=files,
            operator_env=self._operator_env(),
            frontend_password=self.credentials.mlflow_frontend_password,
            model_name=self.settings.model_name,
            addresses=tuple(self._addresses()),
        )

    def url(self, name: str) -> str:
        """Write the address of a component of this stack."""
        return f"http://{self.settings.host if name == 'app' else LOOPBACK}:{self.ports[name]}"

    def _login(self) -> programs.Login | None:
        settings = self.settings
        if not (settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret):
            return None
        return programs.Login(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            app_url=settings.app_url or self.url("app"),
            cookie_key=self.credentials.cookie_key,
        )

    def _names_of_the_page(self) -> list[str]:
        """List the host names at which the page answers: no name of a foreign site may lead here.

        It is any, where it listens on every address and no setting says what people call it.
        """
        everywhere = self.settings.host in EVERY_ADDRESS
        outside = urlsplit(self.settings.app_url or "").hostname
        if everywhere and not outside:
            return []
        names = [LOOPBACK, "localhost", "" if everywhere else self.settings.host, outside or ""]
        return list(dict.fromkeys(filter(None, names)))

    def _s3_rights(self) -> str:
        """Give each identity what it needs: SeaweedFS' actions take writing for deleting."""
        policies = {
            "frontend": rights.policy("frontend", bucket=BUCKET),
            "trainer": rights.policy("trainer", bucket=BUCKET),
            "mlflow": rights.mlflow_policy(bucket=BUCKET, own_bucket=MLFLOW_BUCKET),
        }
        allowed: dict[str, dict[str, list[str]]] = {
            "operator": {"actions": ["Admin", "Read", "Write", "List", "Tagging"]},
            **{name: {"policyNames": [name]} for name in policies},
        }
        identities = []
        for name, may in allowed.items():
            access_key, secret_key = self.credentials.s3(name)
            keys = [{"accessKey": access_key, "secretKey": secret_key}]
            identities.append({"name": name, "credentials": keys, **may})
        documents = [
            {"name": name, "content": json.dumps(document)} for name, document in policies.items()
        ]
        return json.dumps({"identities": identities, "policies": documents}, indent=1)

    def _programs(self, *, with_training: bool, with_migration: bool) -> list[Program]:
        found = []
        if self.local.s3:
            found.append(self._seaweedfs())
        if self.local.mlflow:
            found.append(self._mlflow())
        found.append(
            programs.app(
                host=self.settings.host,
                port=self.ports["app"],
                max_upload_mb=self.settings.max_upload_mb,
                environment={
                    **self._own(),
                    **self._s3("frontend"),
                    **self._tracking(MLFLOW_FRONTEND),
                    **self._airflow_login(),
                },
                login_file=self.folder.login_file,
                known_as=self._names_of_the_page(),
            )
        )
        if self.local.airflow:
            found += self._airflow(with_migration=with_migration)
        if with_training:
            names = {program.name for program in found} & {"seaweedfs", "mlflow"}
            found.append(
                programs.first_model(after=tuple(sorted(names)), environment=self._training())
            )
        return found

    def _seaweedfs(self) -> Program:
        keys = self.credentials
        return programs.seaweedfs(
            folder=self.folder.seaweedfs,
            identities=self.folder.s3_identities,
            buckets=[BUCKET, MLFLOW_BUCKET],
            ports=self.ports,
            certificate=self.folder.s3_certificate,
            secrets={
                "WEED_JWT_SIGNING_KEY": keys.seaweed_write_key,
                "WEED_JWT_SIGNING_READ_KEY": keys.seaweed_read_key,
                "WEED_JWT_FILER_SIGNING_KEY": keys.seaweed_filer_write_key,
                "WEED_JWT_FILER_SIGNING_READ_KEY": keys.seaweed_filer_read_key,
                "WEED_S3_SSE_KEY": keys.seaweed_sse_key,
            },
        )

    def _mlflow(self) -> Program:
        """Plan MLflow, which reads the ledger of champions before it lets the page move one.

        Artifacts lie on the local S3, but beside the database if S3 is the user's: no bucket is
        theirs there.
        """
        artifacts = f"{self.folder.mlflow}/artifacts"
        environment = {
            **named_environment(self.settings, only={"model_name"}),
            **self._signing("review_key"),
            **self._s3("mlflow"),
        }
        if self.local.s3:
            artifacts = f"s3://{MLFLOW_BUCKET}/artifacts"
            environment["MLFLOW_S3_ENDPOINT_URL"] = self.url("s3")
        return programs.mlflow(
            database=self._database("mlflow", self.folder.mlflow_database),
            port=self.ports["mlflow"],
            artifacts=artifacts,
            auth_config=self.folder.mlflow_auth,
            session_key=self.credentials.mlflow_session_key,
            environment=environment,
            after=("seaweedfs",) if self.local.s3 else (),
        )

    def _airflow(self, *, with_migration: bool) -> list[Program]:
        environment = programs.airflow_environment(
            folder=self.folder.airflow,
            database=self._database("airflow", self.folder.airflow / "airflow.db"),
            port=self.ports["airflow"],
            roles=AIRFLOW_ROLES,
            secrets=programs.AirflowSecrets(
                passwords_file=self.folder.airflow_passwords,
                jwt_secret=self.credentials.airflow_jwt_secret,
                fernet_key=self.credentials.airflow_fernet_key,
            ),
        )
        tasks = {**self._training(), **self._connections()}
        servers = programs.airflow(
            port=self.ports["airflow"], environment=environment, task_environment=tasks
        )
        return [programs.airflow_migration(environment), *servers] if with_migration else servers

    def _database(self, name: str, file: Path) -> str:
        """Choose the database `name` of the user's PostgreSQL, or else a SQLite file."""
        if self.settings.postgres_url is None:
            return f"sqlite:///{file}"
        server = urlsplit(self.settings.postgres_url.get_secret_value())
        return server._replace(scheme="postgresql+psycopg", path=f"/{name}").geturl()

    def _training(self) -> dict[str, str]:
        return {
            **self._own(),
            **self._signing("erasure_key"),
            **self._s3("trainer"),
            **self._tracking(MLFLOW_ADMIN),
        }

    def _signing(self, *names: str) -> dict[str, str]:
        """Pick keys of signatures: the user's, or the stack's own on its own S3."""
        own = asdict(self.credentials) if self.local.s3 else {}
        own |= {name: _text(key) for name in names if (key := getattr(self.settings, name))}
        return {variable_name(name): own[name] for name in names if name in own}

    def _connections(self) -> dict[str, str]:
        """Build Airflow's connections to S3 and MLflow, if they have keys, and to mail if given."""
        s3, tracking = self._s3("trainer"), self._tracking(MLFLOW_ADMIN)
        found = {name: os.environ[name] for name in {MAIL_CONNECTION} & os.environ.keys()}
        if "AWS_ACCESS_KEY_ID" in s3 and "AWS_SECRET_ACCESS_KEY" in s3:
            found["AIRFLOW_CONN_AWS_DEFAULT"] = programs.aws_connection(s3)
        if "MLFLOW_TRACKING_PASSWORD" in tracking:
            found["AIRFLOW_CONN_MLFLOW_DEFAULT"] = programs.mlflow_connection(tracking)
        return found

    def _airflow_login(self) -> dict[str, str]:
        """Pick the page's login to Airflow: its own on the local one, else the user's."""
        if not self.local.airflow:
            return named_environment(self.settings, only=AIRFLOW_FIELDS)
        return {
            "MEDLOOP_AIRFLOW_USERNAME": AIRFLOW_FRONTEND,
            "MEDLOOP_AIRFLOW_PASSWORD": self.credentials.airflow_frontend_password,
        }

    def _own(self) -> dict[str, str]:
        """Pass on what the user set of medloop: a component sees none of the user's files."""
        found = named_environment(self.settings, without=STACK_FIELDS)
        found["MEDLOOP_HOME"] = str(self.folder.home)
        key = self.settings.identity_key
        found["MEDLOOP_IDENTITY_KEY"] = _text(key or self.credentials.identity_key)
        found |= self._signing("review_key")
        if self.local.airflow:
            found["MEDLOOP_AIRFLOW_URL"] = self.url("airflow")
        elif self.settings.airflow_url:
            found["MEDLOOP_AIRFLOW_URL"] = self.settings.airflow_url
        return found

    def _s3(self, identity: str) -> dict[str, str]:
        """Say how to reach S3: as `identity` on the local one, else as the user does."""
        if not self.local.s3:
            chain = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
            given = named_environment(self.settings, only=S3_FIELDS)
            return {
                **chain,
                **given,
                "AWS_REGION": self.settings.aws_region,
                "MEDLOOP_S3_BUCKET": self.settings.s3_bucket,
            }
        access_key, secret_key = self.credentials.s3(identity)
        return {
            "AWS_ENDPOINT_URL_S3": self.url("s3"),
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
            "AWS_REGION": self.settings.aws_region,
            "MEDLOOP_S3_BUCKET": BUCKET,
        }

    def _tracking(self, username: str) -> dict[str, str]:
        """Say how to reach MLflow: as `username` on the local one, else as the user does."""
        if not self.local.mlflow:
            return named_environment(self.settings, only=MLFLOW_FIELDS | {"dagshub_user_token"})
        return {
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "MLFLOW_TRACKING_USERNAME": username,
            "MLFLOW_TRACKING_PASSWORD": getattr(self.credentials, f"mlflow_{username}_password"),
        }

    def _operator_env(self) -> dict[str, str]:
        """Give the person here all rights on the local systems, for `medloop.settings`."""
        found = {"MEDLOOP_IDENTITY_KEY": self.credentials.identity_key}
        if self.local.s3:
            found |= self._s3("operator") | self._signing("review_key", "erasure_key")
            del found["AWS_REGION"]
        if self.local.mlflow:
            found |= self._tracking(MLFLOW_ADMIN)
        if self.local.airflow:
            found["MEDLOOP_AIRFLOW_URL"] = self.url("airflow")
            found["MEDLOOP_AIRFLOW_USERNAME"] = AIRFLOW_ADMIN
            found["MEDLOOP_AIRFLOW_PASSWORD"] = self.credentials.airflow_password
        return found

    def _addresses(self) -> list[Address]:
        credentials, settings, local = self.credentials, self.settings, self.local
        found = [Address("page", self.url("app"))]
        if local.mlflow:
            login = (MLFLOW_ADMIN, credentials.mlflow_admin_password)
            found.append(Address("MLflow", self.url("mlflow"), *login))
        else:
            found.append(Address("MLflow", settings.mlflow_tracking_uri or ""))
        if local.airflow:
            login = (AIRFLOW_ADMIN, credentials.airflow_password)
            found.append(Address("Airflow", self.url("airflow"), *login))
        elif settings.airflow_url:
            found.append(Address("Airflow", settings.airflow_url))
        if local.s3:
            keys = f"bucket {BUCKET}; keys are in {self.folder.operator_env}"
            found.append(Address("S3", self.url("s3"), keys))
        else:
            bucket = f"bucket {settings.s3_bucket}"
            found.append(Address("S3", settings.s3_endpoint_url or "AWS", bucket))
        return found


def named_environment(
    settings: Settings, *, only: set[str] | None = None, without: set[str] | None = None
) -> dict[str, str]:
    """Write the fields that have a value as the environment variables that `Settings` reads."""
    chosen = settings.model_fields_set - (without or set())
    if only is not None:
        chosen &= only
    given = {name: getattr(settings, name) for name in sorted(chosen)}
    return {variable_name(name): _text(value) for name, value in given.items() if value is not None}


def _text(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
