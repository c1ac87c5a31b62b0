"""Who may do what. Every action asks here, on the server, whatever a page shows.

Without a login there is one local user with every right, and the app listens on loopback only. With
a login the provider says who somebody is, and the settings say which role that means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from medloop.errors import MedloopError
from medloop.settings import Settings

Role = Literal["viewer", "corrector", "reviewer", "admin"]
Action = Literal["classify", "correct", "review", "retrain", "promote", "rollback"]

# Each may do what those before it may.
ROLES: Final[tuple[Role, ...]] = ("viewer", "corrector", "reviewer", "admin")
MIN_ROLE: Final[Mapping[Action, Role]] = {
    "classify": "viewer",
    "correct": "corrector",
    "review": "reviewer",
    "retrain": "admin",
    "promote": "admin",
    "rollback": "admin",
}


class AccessError(MedloopError):
    """This person may not do that."""


class SignInError(AccessError):
    """Nobody is signed in, or not any more."""


@dataclass(frozen=True, slots=True)
class User:
    """The person at the page."""

    name: str  # stored as the privacy setting says
    role: Role
    local: bool  # no login: whoever sits at this machine
    shown_as: str = ""  # to the person; "": the name

    def may(self, action: Action) -> bool:
        """Tell whether the role allows it."""
        return ROLES.index(self.role) >= ROLES.index(MIN_ROLE[action])

    def require(self, action: Action) -> None:
        """Pass, or refuse.

        Raises:
            AccessError: The role does not allow it.
        """
        if not self.may(action):
            who = self.shown_as or self.name
            raise AccessError(
                f"{who} is a {self.role}, and this needs the role {MIN_ROLE[action]}. "
                "Ask an administrator for it."
            )


@dataclass(frozen=True, slots=True)
class Rules:
    """What makes somebody an admin, a reviewer or a corrector, and for how long a login holds."""

    claim: str  # of the identity token
    members: Mapping[Role, frozenset[str]]  # e-mail addresses and values of the claim, lower case
    default: Role
    session: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Read the settings."""
        named: dict[Role, str] = {
            "admin": settings.oidc_admins,
            "reviewer": settings.oidc_reviewers,
            "corrector": settings.oidc_correctors,
        }
        return cls(
            claim=settings.oidc_roles_claim,
            members={role: frozenset(_words(text)) | {role} for role, text in named.items()},
            default=settings.oidc_default_role,
            session=timedelta(hours=settings.session_hours),
        )


def local_user(name: str) -> User:
    """Make the one user of an installation without a login."""
    return User(name=name, role="admin", local=True)


def person(claims: Mapping[str, Any], rules: Rules, *, now: datetime) -> User:
    """Tell whom an identity token names.

    An e-mail address counts only if the provider vouches for it: else anybody could claim another's.

    Raises:
        SignInError: Nobody is signed in, or too long ago.
    """
    if not claims.get("is_logged_in") or not claims.get("sub"):
        raise SignInError("Please sign in.")
    since = claims.get("iat")
    if (
        not isinstance(since, (int, float))
        or now.timestamp() - since > rules.session.total_seconds()
    ):
        raise SignInError("Your session has ended: please sign in again.")
    email = str(claims.get("email") or "").lower() if claims.get("email_verified") is True else ""
    says = _values(claims, rules.claim) | ({email} if email else set())
    roles = [role for role, members in rules.members.items() if says & members]
    best = max([*roles, rules.default], key=ROLES.index)
    shown_as = str(claims.get("name") or email or claims["sub"])
    return User(name=email or f"sub:{claims['sub']}", role=best, local=False, shown_as=shown_as)


def _values(claims: Mapping[str, Any], name: str) -> set[str]:
    """Read the claim's values in lower case; a dot in its name goes inside unless it has that name."""
    value: Any = claims
    for part in [name] if name in claims else name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    found = value if isinstance(value, (list, tuple)) else [value]
    return {str(item).lower() for item in found if item}


def _words(text: str) -> list[str]:
    return [word.strip().lower() for word in text.split(",") if word.strip()]
