"""What medloop says where only a part of it is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from tests.servers import clean_environment

from medloop.errors import ServiceError
from medloop.missing_extras import LIBRARIES, how_to_install, what_is_missing
from medloop.stack.lifecycle import check_program
from medloop.stack.programs import Program

WITHOUT = (
    "import sys; sys.modules |= dict.fromkeys({names!r}); from medloop.cli import main; main()"
)
SERVICES, TRAIN, APP = LIBRARIES["services"], LIBRARIES["train"], LIBRARIES["app"]


def run_without(
    names: tuple[str, ...], home: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """`medloop …` where these libraries cannot be imported."""
    own = {"MEDLOOP_HOME": str(home), "COLUMNS": "200", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(names=names), *arguments],
        env={**clean_environment(), **own},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [
        ("up", "supervisor", "services"),
        ("down", "supervisor", "services"),
        ("status", "supervisor", "services"),
        ("snapshot", "scipy", "train"),
        ("retrain", "scipy", "train"),
    ],
)
def test_a_missing_extra_is_named_in_one_sentence(
    tmp_path: Path, command: str, library: str, extra: str
) -> None:
    done = run_without((*SERVICES, *TRAIN), tmp_path, command)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"medloop: {library} is not installed: ")
    assert line.endswith("`make setup` installs everything")
    assert extra in LIBRARIES


def test_a_wheel_names_the_file_it_came_from(tmp_path: Path) -> None:
    """Where there is no Makefile, the command is pip's, with the address that pip recorded."""
    command = how_to_install("train", root=tmp_path)
    assert command.startswith("`python -m pip install 'medloop[train] @ file:///")


def test_doctor_works_where_only_trainings_run(tmp_path: Path) -> None:
    """On a worker of somebody's Airflow there is neither a supervisor nor a page."""
    done = run_without((*SERVICES, *APP), tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (1, "")  # no server is set
    assert [line.split()[1] for line in done.stdout.splitlines() if line[0] in "✓!✗"] == [
        "settings",
        "S3",
        "corrections",
        "outbox",
        "MLflow",
        "Airflow",
        "model",
        "disk",
        "clock",
        "events",
        "alias",
        "restart",
        "rights",
    ]


def test_a_defect_of_medloops_own_is_no_missing_extra() -> None:
    assert what_is_missing(ModuleNotFoundError("no", name="medloop.nowhere")) is None
    assert what_is_missing(ModuleNotFoundError("no")) is None


def test_every_extra_that_is_named_exists() -> None:
    known = {
        line.rpartition("extra == ")[2].strip("'\"")
        for line in requires("medloop") or []
        if "extra ==" in line
    }
    assert LIBRARIES.keys() <= known


@pytest.mark.parametrize(
    ("program", "file", "remedy"),
    [
        ("seaweedfs", "weed", "`make setup` installs everything"),
        ("app", "streamlit", "`make setup` installs everything"),
        ("airflow-scheduler", "airflow", "`medloop up --no-airflow` does without"),
    ],
)
def test_a_missing_program_is_said_with_what_to_do(
    tmp_path: Path, program: str, file: str, remedy: str
) -> None:
    missing = Program(program, (str(tmp_path / file),), {})
    with pytest.raises(
        ServiceError, match=rf"^{file} is missing beside /.*python: `make setup`"
    ) as caught:
        check_program(missing)
    assert remedy in str(caught.value)


def test_a_program_that_may_not_be_run_counts_as_missing(tmp_path: Path) -> None:
    weed = tmp_path / "weed"
    weed.write_text("#!/bin/sh\n")
    with pytest.raises(ServiceError, match="is missing"):
        check_program(Program("seaweedfs", (str(weed),), {}))
    weed.chmod(0o755)
    check_program(Program("seaweedfs", (str(weed),), {}))
