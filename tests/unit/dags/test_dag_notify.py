"""What Airflow's callbacks send, over a mail server and a webhook that really listen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from tests.hostile_names import STEERING
from tests.listening import Mailbox, Webhook

ADDRESS = "pacs-team@clinic.example"


@pytest.fixture(scope="module", autouse=True)
def _airflow_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Airflow writes its configuration where AIRFLOW_HOME says at its first import."""
    os.environ["AIRFLOW_HOME"] = str(tmp_path_factory.mktemp("airflow"))
    import airflow.sdk  # noqa: F401

    del os.environ["AIRFLOW_HOME"]


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that `smtp_default` and the settings name."""
    with Mailbox() as server:
        extra = {"from_email": "medloop@clinic.example", "disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("MEDLOOP_NOTIFY_EMAIL", ADDRESS)
        yield server


def end_of_task(task_id: str, *, exception: str | None = None, **handed_on: Any) -> Any:
    """What Airflow gives a callback: the task instance, the run's id, the exception."""
    ti = SimpleNamespace(
        dag_id="medloop_weekly_retrain",
        task_id=task_id,
        log_url="http://airflow.example/log?a=1&b=2",
        xcom_pull=lambda *, task_ids, key="return_value": handed_on.get(key),
    )
    failure = {"exception": RuntimeError(exception)} if exception else {}
    return {"ti": ti, "run_id": "scheduled__2026-11-23", **failure}


def notify(context: Any) -> None:
    from medloop.dags.notify import notify as callback

    callback(context)


def test_a_promotion_comes_by_e_mail(mailbox: Mailbox) -> None:
    notify(end_of_task("promote", return_value="4", replaced="3"))
    (message,) = mailbox.messages
    assert mailbox.recipients == [ADDRESS]
    assert (message["To"], message["From"]) == (ADDRESS, "medloop@clinic.example")
    assert (
        message["Subject"]
        == "medloop: version 4 of medical-mnist is the champion now, in place of version 3"
    )
    body = message.get_body().get_content()
    assert "scheduled__2026-11-23" in body
    assert "http://airflow.example/log?a=1&amp;b=2" in body


def test_a_failure_of_several_lines_has_one_subject_line_and_runs_nothing(mailbox: Mailbox) -> None:
    notify(end_of_task("train", exception="S3 says:\n<b>no</b>\n" + "x" * 500))
    (message,) = mailbox.messages
    assert message["Subject"].startswith(
        "medloop: train failed in scheduled__2026-11-23: S3 says: <b>no</b> xxx"
    )
    assert len(message["Subject"]) <= 200
    assert "&lt;b&gt;no&lt;/b&gt;" in message.get_body().get_content()


@pytest.mark.parametrize("name", STEERING)
def test_no_name_steers_who_reads_the_e_mail(mailbox: Mailbox, name: str) -> None:
    notify(end_of_task("train", exception=name))
    (message,) = mailbox.messages
    assert message["Subject"].isprintable()
    assert message.get_body().get_content().replace("\n", "").replace("\r", "").isprintable()


def test_a_promotion_done_again_is_no_news(mailbox: Mailbox) -> None:
    notify(end_of_task("promote", return_value="4"))
    assert mailbox.messages == []


def test_a_webhook_that_refuses_does_not_keep_the_e_mail_back(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Webhook() as hook:
        hook.status = 500
        monkeypatch.setenv("MEDLOOP_NOTIFY_WEBHOOK", hook.url)
        notify(
            end_of_task("medloop_watch", rolled_back=("4", "3"), reason="people correct it more")
        )
    assert len(hook.received) == 1
    (message,) = mailbox.messages
    assert message["Subject"] == (
        "medloop: version 3 of medical-mnist is the champion again, version 4 was worse: people "
        "correct it more"
    )
