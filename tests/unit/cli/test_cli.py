"""The command line as a whole: quick, and errors are one sentence."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from tests.servers import clean_environment

MEDLOOP = str(Path(sys.executable).with_name("medloop"))
HEAVY = (
    "mlflow",
    "obstore",
    "torch",
    "streamlit",
    "airflow",
    "numpy",
    "pydantic",
    "onnxruntime",
    "httpx",
    "PIL",
    "pydicom",
    "botocore",
    "pyarrow",
    "supervisor",
    "scipy",
    "rich",
    "medloop.settings",
    "medloop.wiring",
)


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MEDLOOP, *arguments],
        env={**clean_environment(), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_says_its_version() -> None:
    assert _run("--version").stdout == f"medloop {version('medloop')}\n"


def test_help_names_the_commands_of_every_topic() -> None:
    shown = _run("--help").stdout
    for command in (
        "up",
        "down",
        "status",
        "logs",
        "doctor",
        "predict",
        "correct",
        "snapshot",
        "retrain",
        "rollback",
        "data",
    ):
        assert f" {command} " in shown


def test_help_imports_nothing_heavy() -> None:
    """What makes it quick, whatever else the machine does."""
    assert _imported(HEAVY, "--help") == "[]"


SCRIPT = """
import atexit, sys
from medloop.cli import main
atexit.register(lambda: print([name for name in {names!r} if name in sys.modules]))
sys.argv = ["medloop", *{arguments!r}]
main()
"""


def _imported(names: tuple[str, ...], *arguments: str, **environment: str) -> str:
    """Which of these modules a command imported, as Python prints a list."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(names=names, arguments=arguments)],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines()[-1]


def test_status_imports_no_library_of_images_or_learning() -> None:
    """What it imports of a running stack: it asks the registry and reads events."""
    heavy = {"torch", "streamlit", "airflow", "mlflow", "onnxruntime", "scipy", "pandas", "pyarrow"}
    parts = "wiring", "stack.output", "stack.status", "jobs.alias_moves", "jobs.left_out"
    script = f"import sys, {', '.join(f'medloop.{part}' for part in parts)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert heavy & set(done.stdout.split()) == set()


def test_quiet_leaves_remarks_out_and_errors_in(tmp_path: Path) -> None:
    environment = {"MEDLOOP_HOME": str(tmp_path), "MEDLOOP_NO_SUCH": "1"}
    assert "no setting 'MEDLOOP_NO_SUCH'" in _run("data", "list", **environment).stderr
    assert _run("--quiet", "data", "list", **environment).stderr == ""
    assert "Nothing runs here" in _run("-q", "status", **environment).stderr


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("medloop correct a.png --label Ha", ["Hand"]),
        ("medloop data info ", ["97486d4eff08ce22"]),
        ("medloop promote ", []),  # no registry answers
    ],
)
def test_a_shell_completes_what_is_known(tmp_path: Path, typed: str, offered: list[str]) -> None:
    done = _run(
        _MEDLOOP_COMPLETE="complete_bash",
        COMP_WORDS=typed,
        COMP_CWORD=str(len(typed.split(" ")) - 1),
        MEDLOOP_HOME=str(tmp_path),
        MLFLOW_TRACKING_URI="http://127.0.0.1:9",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
    )
    assert done.stdout.split() == offered, done.stderr


def test_an_error_is_one_sentence_on_stderr(tmp_path: Path) -> None:
    result = _run("status", MEDLOOP_HOME=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "medloop: Nothing runs here: start it with `medloop up`\n"


def test_verbose_shows_where_an_error_comes_from(tmp_path: Path) -> None:
    result = _run("--verbose", "status", MEDLOOP_HOME=str(tmp_path))
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "Nothing runs here" in result.stderr


@pytest.mark.parametrize("command", [["no-such-command"], ["logs", "--no-such-option"]])
def test_a_wrong_call_exits_with_2(command: list[str]) -> None:
    assert _run(*command).returncode == 2


def test_a_wrong_setting_is_named() -> None:
    result = _run("status", MEDLOOP_APP_PORT="70000")
    assert result.returncode == 1
    assert result.stderr.startswith("medloop: Settings: MEDLOOP_APP_PORT: ")
