"""Notices to people: a task failed for good, a version was promoted, or the watch rolled back.

Airflow's callbacks run where the task ran, or in the DAG processor if its process was killed. Their
exceptions are logged and change no task's state.
"""

from __future__ import annotations

import html
import logging
from typing import TYPE_CHECKING

from medloop.core.printable import printable
from medloop.dags.connections import airflow_settings
from medloop.errors import StoreError
from medloop.stores.notify import Notice, post_webhook

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def notify(context: Context) -> None:
    """Send the notice of this context to the webhook and the address in the settings."""
    settings = airflow_settings()
    notice = describe(context, model=settings.model_name)
    if notice is None:
        return
    if settings.notify_webhook:
        try:
            post_webhook(settings.notify_webhook, notice)
        except StoreError as error:  # the e-mail is still to go out
            log.warning("%s", error)
    if settings.notify_email:
        send_email(settings.notify_email, notice)


def describe(context: Context, *, model: str) -> Notice | None:
    """Describe a task's failure or its move of the champion; None if there is no news."""
    ti, run_id = context["ti"], str(context["run_id"])
    details = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": run_id, "log_url": ti.log_url}
    if failure := context.get("exception"):
        text = f"medloop: {ti.task_id} failed in {run_id}: {failure}"
        return Notice("failed", text, details)
    if rolled_back := ti.xcom_pull(task_ids=ti.task_id, key="rolled_back"):
        worse, champion = rolled_back
        why = ti.xcom_pull(task_ids=ti.task_id, key="reason")
        back = f"version {champion} of {model} is the champion again"
        text = f"medloop: {back}, version {worse} was worse: {why}"
        return Notice(
            "rolled back", text, details | {"model": model, "version": champion, "replaced": worse}
        )
    replaced = ti.xcom_pull(task_ids=ti.task_id, key="replaced")
    if replaced is None:
        return None
    version = str(ti.xcom_pull(task_ids=ti.task_id))
    text = (
        f"medloop: version {version} of {model} is the champion now, in place of version {replaced}"
    )
    return Notice(
        "promoted", text, details | {"model": model, "version": version, "replaced": str(replaced)}
    )


def send_email(address: str, notice: Notice) -> None:
    """Send a notice over Airflow's connection `smtp_default`, which also names the sender."""
    from airflow.providers.smtp.hooks.smtp import SmtpHook  # not needed for a webhook alone

    subject = printable(" ".join(notice.text.split()))[:200]  # no line break: the next header
    rows = "".join(
        f"<li>{html.escape(key)}: {html.escape(printable(value))}</li>"
        for key, value in notice.details.items()
    )
    with SmtpHook() as smtp:
        smtp.send_email_smtp(
            to=address,
            subject=subject,
            html_content=f"<p>{html.escape(printable(notice.text))}</p><ul>{rows}</ul>",
        )
