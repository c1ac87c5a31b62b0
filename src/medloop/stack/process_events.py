"""Events of a running stack: log lines, and components that end, return or are given up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from medloop.stack.exit_log import read_ends
from medloop.stack.log_tail import Tail
from medloop.stack.programs import Program
from medloop.stack.state_folder import StateFolder

if TYPE_CHECKING:
    from medloop.stack.supervisor import State, Supervisor


@dataclass(frozen=True, slots=True)
class Event:
    """One thing to tell the user."""

    kind: Literal["log", "ready", "trouble", "progress"]
    component: str
    text: str
    fraction: float = 0.0  # of progress


class Watch:
    """Compares the stack with what it was at the last look."""

    def __init__(
        self, folder: StateFolder, programs: Iterable[Program], supervisor: Supervisor
    ) -> None:
        programs = list(programs)
        self._supervisor = supervisor
        self._supervisor_log = folder.supervisor_log
        self._once = {program.name for program in programs if program.once}
        self._tail = Tail(
            {program.name: folder.logs / f"{program.name}.log" for program in programs}
        )
        self._seen: dict[str, State] = {}
        self.deaths: Counter[str] = Counter()

    def look(self) -> Iterator[Event]:
        """Yield everything since the last look.

        Raises:
            ServiceError: The supervisor is gone.
        """
        for name, line in self._tail.lines():
            yield _event(name, line)
        for state in self._supervisor.states():
            before = self._seen.get(state.name)
            self._seen[state.name] = state
            if before is not None and state.name not in self._once:
                yield from self._compare(before, state)

    def states(self) -> dict[str, State]:
        """Give the states that the last look found, by component."""
        return self._seen

    def _compare(self, before: State, now: State) -> Iterator[Event]:
        ended = before.is_up and now.pid != before.pid
        if ended:
            self.deaths[now.name] += 1
            how = dict(read_ends(self._supervisor_log)).get(now.name, "nobody knows how")
            yield Event("trouble", now.name, f"ended ({how}); it is started again")
        if now.state == "FATAL" and before.state != "FATAL":
            hint = f"see `medloop logs {now.name}`, then `medloop down` and `medloop up`"
            yield Event("trouble", now.name, f"is given up after too many tries: {hint}")
        if now.is_up and now.pid != before.pid and self.deaths[now.name]:
            yield Event("ready", now.name, f"runs again (process {now.pid})")


def _event(name: str, line: str) -> Event:
    if line.startswith('{"fraction"'):
        try:
            body: dict[str, Any] = json.loads(line)
            return Event("progress", name, str(body["message"]), float(body["fraction"]))
        except (ValueError, KeyError, TypeError):
            pass
    return Event("log", name, line)
