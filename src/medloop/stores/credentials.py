"""S3 credentials from the settings, or else the AWS chain (profile, SSO, role, instance)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from medloop.errors import StoreError

if TYPE_CHECKING:
    from medloop.settings import Settings

TTL: Final = timedelta(minutes=5)  # a renewed profile or role is picked up within this time

Provider = Callable[[], dict[str, Any]]


def credential_provider(settings: Settings) -> Provider:
    """Make what obstore calls before a request: it gives keys, token and their expiry."""
    key, secret, token = (
        settings.aws_access_key_id,
        settings.aws_secret_access_key,
        settings.aws_session_token,
    )
    if not (key and secret):
        return _from_chain
    explicit = {
        "access_key_id": key.get_secret_value(),
        "secret_access_key": secret.get_secret_value(),
        "token": token.get_secret_value() if token else None,
        "expires_at": None,
    }
    return lambda: explicit


def _from_chain() -> dict[str, Any]:
    from botocore.session import Session  # 0.4 s that most calls do not need

    # A new session each time: only so are an edited credentials file and a new SSO login noticed.
    found = Session().get_credentials()
    if found is None:
        raise StoreError(
            "no AWS credentials found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE, or run where a role gives them"
        )
    frozen = found.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key,
        "secret_access_key": frozen.secret_key,
        "token": frozen.token,
        "expires_at": datetime.now(UTC) + TTL,
    }
