"""Nothing outlives its guard, whoever is killed, and however."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.servers import wait_until

from medloop.stack.supervisor import guard_command

pytestmark = pytest.mark.services

GUARD = [sys.executable, "-m", "medloop.stack.process_guard", "--grace", "1"]
FAMILY_ROLES = ("parent", "child", "orphan")
# Parent, child in its own session, and an orphaned grandchild that ignores TERM: each writes its
# pid.
FAMILY = """
import os, pathlib, signal, subprocess, sys, time
folder, role = pathlib.Path(sys.argv[1]), sys.argv[2]
me = folder / role
if role == "parent":
    subprocess.Popen([sys.executable, __file__, folder, "child"], start_new_session=True)
if role == "child":
    if os.fork() == 0:
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, __file__, str(folder), "orphan"])
        os._exit(0)
if role == "orphan":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
me.write_text(str(os.getpid()))
time.sleep(300)
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "family.py").write_text(FAMILY)
    yield tmp_path / "family.py"
    for role in FAMILY_ROLES:
        if (pid := _pid(tmp_path, role)) and _alive(pid):
            os.kill(pid, signal.SIGKILL)


def _pid(folder: Path, role: str) -> int:
    path = folder / role
    return int(path.read_text() or 0) if path.exists() else 0


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _family_command(script: Path) -> list[str]:
    return [sys.executable, str(script), str(script.parent), "parent"]


def _notice_hangups() -> None:
    """Undo what a `nohup` before the tests would hand down; the guard leaves an ignored
    SIGHUP so.
    """
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _start(script: Path, prefix: list[str] = GUARD, **options: object) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [*prefix, "--", *_family_command(script)], preexec_fn=_notice_hangups, **options
    )  # type: ignore[call-overload]
    wait_until(
        lambda: all(_pid(script.parent, role) for role in FAMILY_ROLES),
        what="the family should be there",
    )
    return process


def _nobody_left(folder: Path, *, within_s: float = 30.0) -> None:
    pids = {role: pid for role in FAMILY_ROLES if (pid := _pid(folder, role))}
    assert len(pids) >= 2
    wait_until(
        lambda: not any(map(_alive, pids.values())),
        what=f"all of {pids} should be gone",
        timeout_s=within_s,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_stops_the_whole_family_on_a_signal(family: Path, number: signal.Signals) -> None:
    guard = _start(family)
    guard.send_signal(number)
    guard.wait(30)
    _nobody_left(family.parent)


def test_an_ignored_hangup_stays_ignored(family: Path) -> None:
    """`nohup make up` goes on when its terminal closes."""
    launcher = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    guard = _start(family, [sys.executable, "-c", launcher, *GUARD])
    guard.send_signal(signal.SIGHUP)
    parent = _pid(family.parent, "parent")
    with pytest.raises(subprocess.TimeoutExpired):
        guard.wait(2)
    assert _alive(parent)
    guard.terminate()
    guard.wait(30)
    _nobody_left(family.parent)


def test_stops_the_whole_family_when_the_command_is_killed(family: Path) -> None:
    guard = _start(family)
    os.kill(_pid(family.parent, "parent"), signal.SIGKILL)
    assert guard.wait(30) == 128 + signal.SIGKILL
    _nobody_left(family.parent)


def test_stops_the_whole_family_when_its_own_parent_is_killed(family: Path) -> None:
    launcher = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    shell = _start(family, [sys.executable, "-c", launcher, *GUARD])
    shell.kill()
    shell.wait()
    _nobody_left(family.parent)


def test_an_outer_guard_stops_what_a_killed_inner_one_leaves(family: Path) -> None:
    outer = _start(family, [*GUARD, "--", *GUARD])
    (inner,) = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[:1]
    os.kill(int(inner), signal.SIGKILL)
    outer.wait(30)
    _nobody_left(family.parent)


def test_an_orphan_is_stopped_while_the_command_goes_on(family: Path) -> None:
    guard = _start(family)
    orphan = _pid(family.parent, "orphan")
    wait_until(lambda: not _alive(orphan), what="the orphan should be gone", timeout_s=30)
    assert guard.poll() is None
    guard.terminate()
    guard.wait(30)


def test_a_daemon_outlives_its_parent_and_stops_on_term(family: Path) -> None:
    launcher = (
        "import subprocess, sys, time; subprocess.Popen(sys.argv[1:], start_new_session=True); "
        "time.sleep(300)"
    )
    shell = _start(family, [sys.executable, "-c", launcher, *GUARD, "--outlive-parent"])
    shell.kill()
    shell.wait()
    time.sleep(1.5)
    parent = _pid(family.parent, "parent")
    assert _alive(parent)
    guard = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(guard, signal.SIGTERM)
    _nobody_left(family.parent)


def test_without_prctl_it_polls_its_parent_and_stops_the_process_group(tmp_path: Path) -> None:
    """As on macOS: no adoption, no parent-death signal."""
    guard = (
        "import sys; from medloop.stack import process_guard; sys.platform = 'darwin'; "
        "sys.exit(process_guard.main())"
    )
    launcher = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    script = f"sleep 300 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/parent; wait"
    shell = subprocess.Popen(
        [
            sys.executable,
            "-c",
            launcher,
            sys.executable,
            "-c",
            guard,
            "--grace",
            "1",
            "--",
            "sh",
            "-c",
            script,
        ]
    )
    wait_until(lambda: _pid(tmp_path, "parent"), what="the command should run")
    shell.kill()
    shell.wait()
    _nobody_left(tmp_path)


@pytest.mark.parametrize(
    ("script", "status"), [("exit 7", 7), ("exit 0", 0), ("kill -TERM $$", 143)]
)
def test_exits_with_the_status_of_the_command(script: str, status: int) -> None:
    assert subprocess.run([*GUARD, "--", "sh", "-c", script], check=False).returncode == status


def test_a_command_that_is_not_there_is_said_in_a_sentence() -> None:
    result = subprocess.run(
        [*GUARD, "--", "/no/such/program"], check=False, capture_output=True, text=True
    )
    assert (result.returncode, result.stderr) == (
        127,
        "guard: cannot run /no/such/program: No such file or directory\n",
    )


def test_gives_the_command_the_environment_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text(json.dumps({"SECRET": 'a "quoted" %value'}))
    command = [
        *GUARD,
        "--environment",
        str(tmp_path / "environment.json"),
        "--",
        "sh",
        "-c",
        'printf %s "$SECRET"',
    ]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        == 'a "quoted" %value'
    )


def test_loads_nothing_but_some_of_the_standard_library() -> None:
    """What makes it start in tens of milliseconds: no site-packages, nothing of medloop, no large
    module.
    """
    python, *options, script, grace, _ = guard_command(grace_s=1)
    assert (python, options, grace) == (sys.executable, ["-I", "-S"], "--grace")
    look = f"""
import atexit, runpy, sys
atexit.register(lambda: print(*{{name.partition(".")[0] for name in sys.modules}}))
sys.argv = ["guard", "--", "true"]
runpy.run_path({script!r}, run_name="__main__")
"""
    loaded = subprocess.run(
        [python, *options, "-c", look], check=True, capture_output=True, text=True
    ).stdout.split()
    assert set(loaded) - {"__main__"} <= sys.stdlib_module_names
    assert not {"asyncio", "logging", "ssl", "http", "email", "inspect", "multiprocessing"} & set(
        loaded
    )
