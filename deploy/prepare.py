"""Write what the containers of compose.yaml need, and do what is done once they run.

    python prepare.py write|finish

It is the local stack's own plan with other addresses. Each component gets a folder of its own, so
that none sees the secrets of another. Credentials are generated once and kept.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

from medloop.settings import load_named_settings, load_settings
from medloop.stack import programs
from medloop.stack.bring_up import create_frontend_user
from medloop.stack.credentials import load_or_create
from medloop.stack.plan import Locals, Planner, StackPlan
from medloop.stack.state_folder import StateFolder, write_private
from medloop.wiring import connect

CONFIG = Path("/config")
HOSTS = {"app": "page", "s3": "seaweedfs", "mlflow": "mlflow", "airflow": "airflow"}
PORTS = {name: 20_000 + number for number, name in enumerate(programs.seaweed_port_names())} | {
    "app": 8501, "s3": 8333, "mlflow": 5000, "airflow": 8080,
}  # fmt: skip
# The scheduler's children run the tasks: the API server does not see their secrets.
FOLDERS = {"airflow-scheduler": "tasks", "airflow-dag-processor": "tasks", "first-model": "trainer"}
FILES = {
    "s3.json": "seaweedfs", "seaweedfs.pem": "seaweedfs", "mlflow-auth.ini": "mlflow",
    "airflow-passwords.json": "airflow", "login.toml": "app",
}  # fmt: skip


def plan(config: Path) -> StackPlan:
    """Plan the stack as `medloop up` does."""
    for name in ("postgres", "prepare"):
        (config / name).mkdir(parents=True, exist_ok=True)
    password = config / "postgres/password"
    if not password.exists():
        password.write_text(secrets.token_hex(24))
        password.chmod(0o644)  # PostgreSQL's image has another user; nobody else sees the folder
    settings = load_named_settings(
        home=Path("/state"),
        host="0.0.0.0",  # noqa: S104
        app_url=f"http://127.0.0.1:{PORTS['app']}",
        postgres_url=f"postgresql://medloop:{password.read_text()}@postgres:5432",
    )
    credentials = load_or_create(config / "prepare/credentials.json")
    local = Locals.of(settings, with_airflow=True)
    state = StateFolder(settings.home)
    return Planner(settings, state, credentials, local=local, ports=PORTS).plan()


def address(text: str) -> str:
    """Put the names of the containers, and their folder, in the place of this machine's."""
    text = text.replace("/state/config/", "/config/")
    for name, host in HOSTS.items():
        text = text.replace(f"http://127.0.0.1:{PORTS[name]}", f"http://{host}:{PORTS[name]}")
    listening = ('"-ip.bind={}"', '"--host", "{}"', '"AIRFLOW__API__HOST": "{}"')
    for option in listening:
        text = text.replace(option.format("127.0.0.1"), option.format("0.0.0.0"))  # noqa: S104
    return text


def write(config: Path) -> None:
    """Write command, environment and files of each component into its folder."""
    made = plan(config)
    for program in made.programs:
        folder = config / FOLDERS.get(program.name, program.name.partition("-")[0])
        folder.mkdir(exist_ok=True)
        written = {"command": program.command, "environment": dict(program.environment)}
        write_private(folder / f"{program.name}.json", address(json.dumps(written)))
    for path, text in made.files.items():
        write_private(config / FILES[path.name] / path.name, text)


def finish(config: Path) -> None:
    """Create the page's user in MLflow, and begin the signatures in the bucket."""
    made = plan(config)
    operator = json.loads(address(json.dumps(dict(made.operator_env))))
    os.environ.update(operator)
    create_frontend_user(made, operator)
    connect(load_settings()).signatures.begin()


if __name__ == "__main__":
    {"write": write, "finish": finish}[sys.argv[1]](CONFIG)
