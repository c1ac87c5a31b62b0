"""Checks of `medloop doctor` for what drifted apart: alias from ledger, stack from settings."""

from __future__ import annotations

from typing import Final

from medloop.jobs.doctor import Check, Finding
from medloop.settings import Settings, load_named_settings
from medloop.stack.state_folder import StateFolder

RESTART: Final = "`medloop down`, then `medloop up`: what runs goes by the settings of its start"


def check_champion(settings: Settings) -> Finding:
    """Compare the champion's alias with the ledger."""
    from medloop.jobs.alias_moves import explain_champion
    from medloop.wiring import connect

    if wrong := explain_champion(connect(settings)):
        return Finding("alias", "failed", wrong, "see above")
    return Finding("alias", "ok", "the champion is the one that the ledger names")


def check_settings(settings: Settings) -> Finding:
    """Compare the running stack's settings with today's."""
    folder = StateFolder(settings.home.absolute())
    if not folder.record.exists():
        return Finding("restart", "ok", "no local stack has been started here")
    from medloop.stack.status import changed_settings  # a machine that only trains lacks supervisor

    changed = changed_settings(folder, load_named_settings())
    if changed:
        return Finding("restart", "warning", "; ".join(changed), RESTART)
    return Finding("restart", "ok", "what runs here was started with these settings")


CHAMPION: Final[Check] = ("alias", "check S3 and MLflow", check_champion)
SETTINGS: Final[Check] = ("restart", RESTART, check_settings)
