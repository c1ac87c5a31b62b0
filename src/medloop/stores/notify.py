"""Notices over a webhook. E-mail goes through Airflow's connection (`medloop.dags.notify`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import httpx
from pydantic import SecretStr

from medloop.core.printable import plain, printable
from medloop.errors import StoreError, StoreUnavailableError

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Notice:
    """An event that people should hear of."""

    event: Literal["failed", "promoted", "rolled back"]
    text: str  # one sentence; what chat services show
    # Ids and addresses; never image content or names.
    details: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, str]:
        """Build the JSON that a webhook gets; chat services read `text`."""
        return {
            "text": plain(self.text),
            "event": self.event,
            "source": "medloop",
            **{key: printable(value) for key, value in self.details.items()},
        }


def post_webhook(url: SecretStr, notice: Notice) -> None:
    """POST the notice as JSON.

    Raises:
        StoreUnavailableError: No answer, or the server asks to come back later.
        StoreError: The server refuses. The address is a secret and stays out of both messages.
    """
    try:
        answer = httpx.post(url.get_secret_value(), json=notice.body(), timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StoreUnavailableError(
            f"The webhook in MEDLOOP_NOTIFY_WEBHOOK does not answer ({type(error).__name__})"
        ) from None
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise StoreUnavailableError(
            f"The webhook in MEDLOOP_NOTIFY_WEBHOOK answered {answer.status_code}"
        )
    if not answer.is_success:
        raise StoreError(
            f"The webhook in MEDLOOP_NOTIFY_WEBHOOK refuses the message ({answer.status_code}): is "
            "its address right?"
        )
