"""Failed tasks of both DAGs: tried again if that may help, and told to people."""

from __future__ import annotations

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule

PATIENCE = ExceptionRetryPolicy(
    rules=[
        RetryRule(
            exception=["medloop.errors.StoreUnavailableError", "medloop.errors.StaleError"],
            action=RetryAction.DEFAULT,
            reason="a store is away or busy: trying again may help",
        ),
        RetryRule(
            exception="medloop.errors.MedloopError",
            action=RetryAction.FAIL,
            reason="trying again would give the same answer",
        ),
    ]
)


def tell(context: Context) -> None:
    """Notify people of a failed task, or of a move of the champion."""
    from medloop.dags.notify import notify

    notify(context)
