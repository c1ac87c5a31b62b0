"""Who may do what: every action of the pages passes through here, on the server, whatever a page shows.

Without a login there is one local user with every right; the app listens on loopback alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from medloop.errors import MedloopError

Role = Literal["viewer", "corrector", "reviewer", "admin"]
Action = Literal["classify", "correct", "review", "retrain", "promote", "rollback"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "corrector", "reviewer", "admin")  # each may do what those before it may
LEAST: Final[Mapping[Action, Role]] = {
    "classify": "viewer",
    "correct": "corrector",
    "review": "reviewer",
    "retrain": "admin",
    "promote": "admin",
    "rollback": "admin",
}


class AccessError(MedloopError):
    """This person may not do that."""


@dataclass(frozen=True, slots=True)
class User:
    """The person at the page."""

    name: str
    role: Role
    local: bool  # no login: whoever sits at this machine

    def may(self, action: Action) -> bool:
        """Whether the role allows it."""
        return ROLES.index(self.role) >= ROLES.index(LEAST[action])

    def require(self, action: Action) -> None:
        """Pass, or refuse.

        Raises:
            AccessError: The role does not allow it.
        """
        if not self.may(action):
            raise AccessError(
                f"{self.name} is a {self.role}; this needs the role {LEAST[action]}: ask an administrator"
            )


def local_user(name: str) -> User:
    """The one user of an installation without a login."""
    return User(name=name, role="admin", local=True)
