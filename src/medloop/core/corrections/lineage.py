"""Who was champion before whom, from the ledger of promotions, and who started from whose weights.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medloop.core.corrections.events import Promotion


def forebears(parents: Mapping[str, str], version: str) -> tuple[str, ...]:
    """List the versions whose weights `version` started from, the nearest first.

    `parents` names each version's parent, "" for random weights. The last may be one that it lacks,
    deleted since: what that one started from is not known.
    """
    found = []
    while parent := parents.get(version, ""):
        found.append(parent)
        version = parent
    return tuple(found)


def champions(moves: Sequence[Promotion]) -> list[str]:
    """Line up the champions that rollbacks would walk back along, the one in office last.

    A promotion puts a version on top; a rollback takes those above its target off again, so that
    rolling back twice goes back two champions and not to and fro. `moves` are the ledger's entries,
    oldest first.
    """
    line: list[str] = []
    for move in moves:
        if move.action == "bootstrap":
            line.clear()  # a new registry beside an old bucket: its versions are others
        if move.from_version is not None:
            _cut_above(
                line, move.from_version
            )  # also drops a move that was written down and never made
            if line[-1:] != [move.from_version]:
                line.append(move.from_version)  # made by other means than medloop's
        if move.action == "rollback" and move.to_version in line:
            _cut_above(line, move.to_version)
        elif line[-1:] != [move.to_version]:
            line.append(move.to_version)
    return line


def earlier_champions(moves: Sequence[Promotion], current: str | None) -> list[str]:
    """Line up the champions before `current`; all if the ledger does not know it."""
    line = champions(moves)
    if current in line:
        _cut_above(line, current)
        line.pop()
    return line


def rollback_from(moves: Sequence[Promotion], version: str) -> Promotion | None:
    """Find the last rollback that took `version`, or one above it, out of office; None without."""
    for i in range(len(moves) - 1, -1, -1):
        if moves[i].action == "rollback":
            before, after = champions(moves[:i]), champions(moves[: i + 1])
            if version in (moves[i].from_version, *before) and version not in after:
                return moves[i]
    return None


def _cut_above(line: list[str], version: str | None) -> None:
    """Take off what stands above the newest entry of `version`, if there is one."""
    for i in range(len(line) - 1, -1, -1):
        if line[i] == version:
            del line[i + 1 :]
            return
