"""Notices over a webhook, against a server that really listens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from tests.hostile_names import NASTY
from tests.listening import Webhook

from medloop.errors import StoreError, StoreUnavailableError
from medloop.stores.notify import Notice, post_webhook

NOTICE = Notice("promoted", "medloop: version 4 is the champion now", {"version": "4"})


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with Webhook() as server:
        yield server


def test_a_webhook_gets_text_for_chat_services_and_fields_for_programs(hook: Webhook):
    post_webhook(SecretStr(hook.url), NOTICE)
    assert hook.received == [
        {
            "text": "medloop: version 4 is the champion now",
            "event": "promoted",
            "source": "medloop",
            "version": "4",
        }
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, StoreUnavailableError), (429, StoreUnavailableError), (404, StoreError)],
)
def test_a_refusal_names_the_setting_and_never_the_address(
    hook: Webhook, status: int, error: type[Exception]
):
    hook.status = status
    with pytest.raises(error, match=f"MEDLOOP_NOTIFY_WEBHOOK.*{status}") as caught:
        post_webhook(SecretStr(hook.url), NOTICE)
    assert type(caught.value) is error
    assert "hook-secret" not in str(caught.value)


def test_nobody_listening_is_unavailable_and_shows_no_address():
    with Webhook() as hook:
        pass
    with pytest.raises(StoreUnavailableError, match="does not answer") as caught:
        post_webhook(SecretStr(hook.url), NOTICE)
    assert "hook-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("name", [*NASTY, "<!channel>", "@everyone", "<https://example.invalid|x>"])
def test_what_others_wrote_calls_nobody_and_links_nowhere(name: str) -> None:
    body = Notice("failed", f"medloop: {name}", {"run_id": name}).body()
    assert all(value.isprintable() for value in body.values())
    assert not set("<>@[]`&") & set(body["text"])
