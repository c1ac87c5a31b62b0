"""Run one command so that nothing of it outlives this process, its parent or itself.

    python -m medloop.stack.process_guard [--grace SECONDS] [--outlive-parent]
        [--environment FILE] -- COMMAND…

The guard adopts every orphan below it (child subreaper), watches its own parent, and makes the
kernel kill the command if the guard itself is killed. Stopping is: TERM to the command, a grace
period, then KILL to every descendant, whatever session or process group it moved to. The exit
status is the command's, or 128 + signal.

Guards nest: the outer one adopts and stops what an inner one leaves behind when it is killed with
-9. An orphan belongs to nobody, so it is stopped as soon as it is seen. Standard library only, and
nothing of medloop: it must start in milliseconds. Without prctl (not Linux) the parent is polled,
and the command's process group stands in for adoption.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 1.0  # between looks for orphans, and at the parent where no kernel reports its death
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
WAKE = signal.SIGUSR2  # sent by the kernel when the parent dies; means nothing by itself
STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Guard:
    """One command and all that descends from it."""

    def __init__(self, command: list[str], *, grace_s: float, outlive_parent: bool) -> None:
        self.command = command
        self.grace_s = grace_s
        self.parent = None if outlive_parent else os.getppid()
        self.deadlines: dict[int, float] = {}  # of all that was told to stop: pid → time of KILL
        self.signals = _signal_pipe()

    def run(self) -> int:
        """Run the command to its end, leave nothing behind, and return its exit status."""
        _prctl(PR_SET_CHILD_SUBREAPER, 1)
        if self.parent is not None:
            _prctl(PR_SET_PDEATHSIG, WAKE)
        child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )
        while child.poll() is None:
            for number in self._wait():
                self._stop_child(child.pid, number)
            if self._is_orphaned():
                self._stop_child(child.pid, signal.SIGTERM)
            self._stop_orphans(besides=child.pid)
            self._kill_overdue()
        self._leave_nothing(group=child.pid)
        status = child.returncode
        return status if status >= 0 else 128 - status

    def _wait(self) -> list[int]:
        """Sleep until a signal or the next poll; give the stop signals that came."""
        if not select.select([self.signals], [], [], POLL_S)[0]:
            return []
        return [number for number in os.read(self.signals, 4096) if number in STOP]

    def _is_orphaned(self) -> bool:
        return self.parent is not None and os.getppid() != self.parent

    def _stop_child(self, pid: int, number: int) -> None:
        """Pass a stop signal on; a second one while stopping means at once."""
        if pid not in self.deadlines:
            self.deadlines[pid] = time.monotonic() + self.grace_s
            _kill(pid, signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)
        elif number == signal.SIGINT:
            self.deadlines[pid] = 0.0

    def _stop_orphans(self, *, besides: int) -> None:
        """Send TERM to children that were not started here: their own parent is gone."""
        for pid in _children():
            if pid == besides:
                continue
            if _reap(pid):
                self.deadlines.pop(pid, None)
            elif pid not in self.deadlines:
                self.deadlines[pid] = time.monotonic() + self.grace_s
                _kill(pid, signal.SIGTERM)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        if any(deadline <= now for deadline in self.deadlines.values()):
            doomed = [pid for pid, deadline in self.deadlines.items() if deadline <= now]
            for pid in [*doomed, *descendants(doomed)]:
                _kill(pid, signal.SIGKILL)
            self.deadlines = {
                pid: deadline for pid, deadline in self.deadlines.items() if pid not in doomed
            }

    def _leave_nothing(self, *, group: int) -> None:
        """Send TERM to whatever the ended command left, then KILL until nothing answers."""
        until = time.monotonic() + self.grace_s
        told: set[int] = set()
        own_group = None if sys.platform == "linux" else group  # there, adoption finds all of them
        below = functools.partial(descendants, [os.getpid()], group=own_group)
        while rest := [pid for pid in below() if not _reap(pid)]:
            late = time.monotonic() > until
            for pid in rest:
                if late or pid not in told:
                    _kill(pid, signal.SIGKILL if late else signal.SIGTERM)
                    told.add(pid)
            time.sleep(0.02)


def _signal_pipe() -> int:
    """Make a file descriptor that turns readable with the number of each signal that arrives."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in (*STOP, WAKE, signal.SIGCHLD):
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue  # nohup stays nohup
        signal.signal(number, lambda *_: None)
    return read_end


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with(guard: int) -> Callable[[], None]:
    """Prepare a child, between fork and exec, to die when the guard does or did."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # resolved before the fork

    def prepare() -> None:
        if prctl:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    return prepare


def _children() -> list[int]:
    """List direct and adopted children of this process, as cheaply as the system allows."""
    try:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return [int(pid) for pid in listed.split()]
    except OSError:
        return [pid for pid, parent, _ in processes() if parent == os.getpid()]


def descendants(roots: list[int], *, group: int | None = None) -> list[int]:
    """List everything below `roots`, and the members of a process group; without the roots."""
    everybody = processes()
    found = {pid for pid, _, pgid in everybody if group is not None and pgid == group}
    parents = {*roots, *found}
    while new := {pid for pid, parent, _ in everybody if parent in parents} - found - {*roots}:
        found |= new
        parents |= new
    return sorted(found - {*roots})


def processes() -> list[tuple[int, int, int]]:
    """List (pid, parent, process group) of every process on the machine."""
    if not Path("/proc/self/stat").exists():
        command = ["ps", "-axo", "pid=,ppid=,pgid="]
        listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = (line.split() for line in listing.splitlines())
        return [(int(pid), int(parent), int(group)) for pid, parent, group in lines]
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text(errors="replace")
            except OSError:
                continue  # gone meanwhile
            fields = stat.rpartition(")")[2].split()
            found.append((int(entry.name), int(fields[1]), int(fields[2])))
    return found


def _reap(pid: int) -> bool:
    """Tell if `pid` is dead, collecting it if it is a child of ours."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return not Path(f"/proc/{pid}").exists() if sys.platform == "linux" else False


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def main() -> int:
    """Parse the command line and guard the command."""
    prog = "python -m medloop.stack.process_guard"
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    add = parser.add_argument
    add("--grace", type=float, default=10.0, metavar="SECONDS", help="from TERM to KILL")
    add("--outlive-parent", action="store_true", help="go on when the parent dies (a daemon)")
    add("--environment", metavar="FILE", help="JSON object of variables for the command")
    add("command", nargs="+", metavar="COMMAND")
    args = parser.parse_args()
    if args.environment:  # a file keeps secrets out of sight of `ps` and of supervisord's settings
        os.environ.update(json.loads(Path(args.environment).read_text("utf-8")))
    try:
        return Guard(args.command, grace_s=args.grace, outlive_parent=args.outlive_parent).run()
    except (FileNotFoundError, PermissionError) as error:
        sys.stderr.write(f"guard: cannot run {args.command[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
