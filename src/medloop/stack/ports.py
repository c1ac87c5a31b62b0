"""TCP ports of the local stack: which are free, and choosing some."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping
from typing import Final

from medloop.errors import ServiceError

LOOPBACK: Final = "127.0.0.1"
# Below the range from which Linux serves outgoing connections, so that none of them takes a port
# between its choice and its use; above the ports that well-known services use.
CANDIDATES: Final = range(20_000, 32_000)


def is_free(port: int, *, host: str = LOOPBACK) -> bool:
    """Tell if a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int, *, besides: frozenset[int] = frozenset(), room: int = 0) -> list[int]:
    """Choose ports that are free now, at random so that two stacks seldom want the same.

    Args:
        count: How many.
        besides: Ports that are spoken for.
        room: If not 0, the port that lies so much higher is free, too.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.choice(CANDIDATES)  # noqa: S311  no secret: it only spreads
        if port not in besides and port not in found and is_free(port) and is_free(port + room):
            found.append(port)
    return found


def assign(
    wanted: Mapping[str, int], *, before: Mapping[str, int], room: Mapping[str, int]
) -> dict[str, int]:
    """Assign a port to each name: the wanted one, or for 0 the last one if it is free, or any.

    Args:
        wanted: Name → port, or 0 for any.
        before: Name → port of last time.
        room: Name → distance to a second port that must be free with it.

    Raises:
        ServiceError: A wanted port is taken, or wanted twice.
    """
    fixed = [port for port in wanted.values() if port]
    for name, port in wanted.items():
        if port and (fixed.count(port) > 1 or not is_free(port)):
            raise ServiceError(
                f"Port {port} for {name} is taken: stop what listens there, or set "
                f"MEDLOOP_{name.upper()}_PORT to another port (0 takes any that is free)"
            )
    assigned = {name: port for name, port in wanted.items() if port}
    for name in wanted.keys() - assigned.keys():
        last = before.get(name, 0)
        distance = room.get(name, 0)
        reusable = (
            last and last not in assigned.values() and is_free(last) and is_free(last + distance)
        )
        besides = frozenset(assigned.values())
        assigned[name] = last if reusable else free_ports(1, besides=besides, room=distance)[0]
    return {name: assigned[name] for name in wanted}
