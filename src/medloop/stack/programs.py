"""The command line and environment of each component of the local stack.

Owns how SeaweedFS, MLflow, Airflow and Streamlit are called. It starts and writes nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from medloop.settings import metadata_url
from medloop.stack.ports import LOOPBACK

MLFLOW_ADMIN: Final = "admin"
MLFLOW_FRONTEND: Final = "frontend"
PACKAGE: Final = Path(__file__).resolve().parents[1]
QUIET: Final = {  # nothing phones home
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
}
# One process, in which each server has an HTTP and a gRPC port.
SEAWEED_SERVERS: Final = ("s3", "master", "volume", "filer")
# And an admin server; its worker looks for its gRPC port at this distance, whatever
# -admin.port.grpc says.
SEAWEED_ROOM: Final = {"admin": 10_000}
SEAWEED_OPTIONS: Final = {
    "ip": LOOPBACK,
    "ip.bind": LOOPBACK,  # its default is every interface
    "master.telemetry": "false",
    "webdav": "false",
    "admin.ui": "false",
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
}
SEAWEED_GRPC: Final = ("MASTER", "VOLUME", "FILER", "S3", "ADMIN", "WORKER", "CLIENT")
SEAWEED_HTTPS: Final = ("MASTER", "VOLUME", "FILER", "ADMIN", "CLIENT")


@dataclass(frozen=True, slots=True)
class Program:
    """A component of the stack as a command."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)  # holds secrets
    health_url: str = ""  # answers 200 once the component works; "": it works while it runs
    after: tuple[str, ...] = ()  # names of what must be ready before it starts
    once: bool = False  # runs to its end, which is when it is ready


def executable(name: str) -> str:
    """Find a program of this environment by path: the caller's PATH need not hold it."""
    return str(Path(sys.executable).parent / name)


def seaweed_port_names() -> list[str]:
    """Name the ports that `seaweedfs` wants; `s3` is the one for clients."""
    return [*(name + kind for name in SEAWEED_SERVERS for kind in ("", "_grpc")), *SEAWEED_ROOM]


def seaweedfs(
    *,
    folder: Path,
    identities: Path,
    buckets: Sequence[str],
    ports: Mapping[str, int],
    certificate: Path,
    secrets: Mapping[str, str],
) -> Program:
    """Write how SeaweedFS with its S3 API is called.

    Args:
        folder: Where the objects lie.
        identities: The JSON file of S3's access keys and their rights.
        buckets: Created where they are not there yet.
        ports: By the names of `seaweed_port_names`.
        certificate: PEM, certificate and key. Every port but S3's wants it from whoever calls:
            without it the master's HTTP and all of gRPC obey anybody.
        secrets: Environment variables: four signing keys, which are a second lock on the data of
            filer and volumes, and the key of S3's own encryption.
    """
    options = {
        **SEAWEED_OPTIONS,
        "dir": folder,
        "s3.config": identities,
        "bucket": ",".join(buckets),
        "admin.port": ports["admin"],
        **{f"{name}.port": ports[name] for name in SEAWEED_SERVERS},
        **{f"{name}.port.grpc": ports[f"{name}_grpc"] for name in SEAWEED_SERVERS},
    }
    environment = {**_seaweed_tls(certificate), **secrets}
    command = (executable("weed"), "mini", *(f"-{name}={value}" for name, value in options.items()))
    return Program(
        "seaweedfs", command, environment, health_url=f"http://{LOOPBACK}:{ports['s3']}/healthz"
    )


def _seaweed_tls(certificate: Path) -> dict[str, str]:
    """Make every part show the one certificate, and talk to nobody who does not."""
    parts = [f"GRPC_{name}" for name in SEAWEED_GRPC] + [f"HTTPS_{name}" for name in SEAWEED_HTTPS]
    roles = [f"{part}_{role}" for part in parts for role in ("CERT", "KEY")]
    roles += ["GRPC_CA", *(f"HTTPS_{name}_CA" for name in SEAWEED_HTTPS)]
    paths = {f"WEED_{role}": str(certificate) for role in roles}
    return {**paths, "WEED_HTTPS_CLIENT_ENABLED": "true"}


def seaweed_sockets(ports: Mapping[str, int]) -> list[Path]:
    """List the sockets that a killed SeaweedFS leaves in /tmp; it offers no other place."""
    names = [f"{name}-{ports[name]}" for name in SEAWEED_SERVERS]
    names += [f"{name}-grpc-{ports[f'{name}_grpc']}" for name in SEAWEED_SERVERS]
    names += [f"admin-grpc-{ports['admin'] + SEAWEED_ROOM['admin']}"]
    return [Path("/tmp", f"seaweedfs-{name}.sock") for name in names]  # noqa: S108


def mlflow(
    *,
    database: str,
    port: int,
    artifacts: str,
    auth_config: Path,
    session_key: str,
    environment: Mapping[str, str],
    after: tuple[str, ...] = (),
) -> Program:
    """Write how MLflow behind basic auth is called; `environment` has its S3 endpoint and keys.

    `database` is a SQLAlchemy URL. `ps` must not show it: it may hold a password.
    """
    options = {
        "artifacts-destination": artifacts,
        "host": LOOPBACK,
        "port": port,
        "workers": 1,
        "app-name": "basic-auth",
        "uvicorn-opts": "--no-access-log --log-level warning",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = (executable("mlflow"), "server", "--serve-artifacts", *words)
    settings = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_AUTH_CONFIG_PATH": str(auth_config),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": session_key,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nobody uses its eight processes, 900 MiB
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    health_url = f"http://{LOOPBACK}:{port}/health"
    environment = {**QUIET, **settings, **environment}
    return Program("mlflow", command, environment, health_url=health_url, after=after)


def mlflow_auth_config(database: str, *, username: str, password: str) -> str:
    """Write MLflow's basic-auth file. Those it knows may read; only the admin may write."""
    return (
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {database.replace('%', '%%')}\n"
        f"admin_username = {username}\n"
        f"admin_password = {password}\n"
        "authorization_function = medloop.stack.mlflow_users:authenticate\n"
        "auth_cache_ttl_seconds = 60\n"  # without it every call costs 0.4 s of password hashing
    )


@dataclass(frozen=True, slots=True, repr=False)
class AirflowSecrets:
    """The secrets that Airflow's own parts share."""

    passwords_file: Path  # JSON object: user → password
    jwt_secret: str
    fernet_key: str


def airflow_environment(
    *, folder: Path, database: str, port: int, roles: Mapping[str, str], secrets: AirflowSecrets
) -> dict[str, str]:
    """Write Airflow's configuration, the same for each of its processes; `roles` are by user."""
    url = f"http://{LOOPBACK}:{port}"
    options = {
        "CORE__DAGS_FOLDER": str(PACKAGE / "dags"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__AUTH_MANAGER": "medloop.stack.airflow_users.UsersTrigger",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
            f"{user}:{role}" for user, role in roles.items()
        ),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(secrets.passwords_file),
        "CORE__FERNET_KEY": secrets.fernet_key,
        "DATABASE__SQL_ALCHEMY_CONN": database,
        "DATABASE__SQL_ALCHEMY_CONN_ASYNC": database.replace("sqlite:", "sqlite+aiosqlite:"),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "API__BASE_URL": url,
        "API__HOST": LOOPBACK,
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API__SECRET_KEY": secrets.jwt_secret,
        "API_AUTH__JWT_SECRET": secrets.jwt_secret,
        "LOGGING__LOGGING_LEVEL": "WARNING",
    }
    return {
        **QUIET,
        "AIRFLOW_HOME": str(folder),
        **{f"AIRFLOW__{name}": value for name, value in options.items()},
    }


def airflow_migration(environment: Mapping[str, str]) -> Program:
    """Write the command that creates or upgrades Airflow's database, and ends."""
    return Program(
        "airflow-migration", (executable("airflow"), "db", "migrate"), environment, once=True
    )


def airflow(
    *, port: int, environment: Mapping[str, str], task_environment: Mapping[str, str]
) -> list[Program]:
    """Split Airflow: `standalone` orphans its children on TERM, and takes half as much more.

    `task_environment` reaches the scheduler, whose children run the tasks, and the DAG processor,
    which runs callbacks; the API server does without its secrets.
    """
    command = executable("airflow")
    for_tasks = {**environment, **task_environment}
    health_url = f"http://{LOOPBACK}:{port}/api/v2/monitor/health"
    after = ("airflow-migration",)
    # Its log server would listen on every interface; here the API server reads the files.
    scheduler = (command, "scheduler", "--skip-serve-logs")
    return [
        Program("airflow-api-server", (command, "api-server"), environment, health_url, after),
        Program("airflow-scheduler", scheduler, for_tasks, after=after),
        Program("airflow-dag-processor", (command, "dag-processor"), for_tasks, after=after),
    ]


def aws_connection(s3: Mapping[str, str]) -> str:
    """Write Airflow's `aws_default` for the S3 of an environment, as AIRFLOW_CONN_AWS_DEFAULT."""
    service = {"s3": {"bucket_name": s3["MEDLOOP_S3_BUCKET"]}}
    extra = {"region_name": s3["AWS_REGION"], "service_config": service}
    if "AWS_ENDPOINT_URL_S3" in s3:
        extra["endpoint_url"] = s3["AWS_ENDPOINT_URL_S3"]
    if "AWS_SESSION_TOKEN" in s3:
        extra["aws_session_token"] = s3["AWS_SESSION_TOKEN"]
    keys = {"login": s3["AWS_ACCESS_KEY_ID"], "password": s3["AWS_SECRET_ACCESS_KEY"]}
    return json.dumps({"conn_type": "aws", **keys, "extra": extra})


def mlflow_connection(tracking: Mapping[str, str]) -> str:
    """Write Airflow's `mlflow_default` for an environment, as AIRFLOW_CONN_MLFLOW_DEFAULT."""
    uri, password = tracking["MLFLOW_TRACKING_URI"], tracking["MLFLOW_TRACKING_PASSWORD"]
    login = {"login": tracking.get("MLFLOW_TRACKING_USERNAME", ""), "password": password}
    return json.dumps({"conn_type": "http", "host": uri, **login})


def first_model(*, after: tuple[str, ...], environment: Mapping[str, str]) -> Program:
    """Write the command that trains the first model where the registry has none."""
    command = (sys.executable, "-m", "medloop.stack.first_model")
    return Program("first-model", command, {**QUIET, **environment}, after=after, once=True)


@dataclass(frozen=True, slots=True, repr=False)
class Login:
    """The settings of people's sign-in at the page."""

    issuer: str
    client_id: str
    client_secret: str
    app_url: str
    cookie_key: str

    def secrets_toml(self) -> str:
        """Write what Streamlit's `st.login` reads."""
        values = {
            "redirect_uri": f"{self.app_url.rstrip('/')}/oauth2callback",
            "cookie_secret": self.cookie_key,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "server_metadata_url": metadata_url(self.issuer),
        }
        lines = [f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in values.items()]
        return "\n".join(["[auth]", *lines, ""])


def app(
    *,
    host: str,
    port: int,
    max_upload_mb: int,
    environment: Mapping[str, str],
    login_file: Path,
    known_as: Sequence[str] = (),
) -> Program:
    """Write how the page is called.

    `login_file` need not exist; `known_as` are the host names of its address, none: any.
    """
    options: dict[str, object] = {
        "server.headless": "true",
        "server.address": host,
        "server.port": port,
        "server.fileWatcherType": "none",
        "server.maxUploadSize": max_upload_mb,
        "server.enableXsrfProtection": "true",  # uploads need a token no other site's page can read
        "server.enableCORS": "true",  # and such a page gets no session
        "browser.gatherUsageStats": "false",
        "secrets.files": login_file,  # its only one: nothing in a home folder may add a login
    }
    command = (
        executable("streamlit"),
        "run",
        str(PACKAGE / "app" / "server.py"),
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--server.allowedHosts={name}" for name in known_as),
    )
    near = LOOPBACK if host == "0.0.0.0" else host  # noqa: S104  the wildcard
    health_url = f"http://{near}:{port}/_stcore/health"
    return Program("app", command, {**QUIET, **environment}, health_url=health_url)
