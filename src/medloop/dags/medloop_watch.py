"""The hourly watch over a fresh promotion: one task that must not wait for a weekly run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable, dag, get_current_context, task

from medloop.dags.failures import PATIENCE, tell

ABOUT = """
### What it does
For `watch_days` days after a promotion (7 by default), looks once an hour whether people correct
the new champion more than the one before it, or whether it calls more pictures unknown. On an alarm
the earlier champion is the champion again, and people are told. Why, or why not, stands in the XCom
`reason` and in the log.

| task | what it does | what it hands on |
|---|---|---|
| `watch` | compares the two versions and rolls back on an alarm | whether it rolled back |

Without a promotion to watch, and when run twice, it changes nothing. Pausing it turns the watch
off; so does `watch_days = 0`.

### Credentials
From the connections `aws_default` and `mlflow_default`, as for `medloop_weekly_retrain`.
"""


@dag(
    dag_id="medloop_watch",
    description="Is the new champion worse than the last? If so, back",
    doc_md=ABOUT,
    tags=["medloop", "monitoring"],
    schedule=CronTriggerTimetable("17 * * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=50),
    default_args={
        "owner": "medloop",
        "retries": 2,
        "retry_delay": timedelta(minutes=2),
        "retry_policy": PATIENCE,
        "execution_timeout": timedelta(minutes=15),
        "on_failure_callback": tell,
    },
)
def medloop_watch() -> None:
    """Wire the one task."""

    @task(on_success_callback=tell)
    def watch() -> bool:
        """Look once, and roll back on an alarm."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.promotion_watch import watch as job

        found = job(connect_loop())
        push = get_current_context()["ti"].xcom_push
        push(key="reason", value="; ".join(found.reasons))
        if found.rolled_back:
            push(key="rolled_back", value=[found.champion, found.previous])
        return found.rolled_back

    watch()


hourly_watch = medloop_watch()  # the name that a DAG file of an existing Airflow imports
