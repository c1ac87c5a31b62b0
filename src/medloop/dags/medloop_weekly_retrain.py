"""The weekly loop: snapshot → train → evaluate → set aside → promote.

Each task calls one job and hands on ids alone.

The DAG processor parses this file every few seconds, so nothing heavier than airflow is imported at
the top. Every id comes from the task before, in the same run: a task that is cleared weeks later
works on what its run worked on, and never on "the latest".
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from medloop.dags.failures import PATIENCE, tell

ABOUT = """
### What it does
Retrains the image classifier on its users' corrections, and lets the new version serve only when it
is good.

| task | what it does | what it hands on |
|---|---|---|
| `snapshot` | folds corrections into a data set version; ends the run without news | snapshot id |
| `train` | trains from the champion's weights; registers the version | model version |
| `evaluate` | judges champion, challenger and reference on held-out images | model version |
| `set_aside` | sets aside whose corrections do harm; trains and judges once more | model version |
| `promote` | moves the alias `champion` if the gate said yes; otherwise *skipped* | model version |

Why a run ended early, or why nothing was promoted, stands in the XCom `reason` of `snapshot` or
`promote` and in its log. Every task may run twice: the same input gives the same id, and work that
is done is found again.

### Parameters
`force`, `min_new` and `engine`; *Trigger* explains them.

### Credentials
From the connections `aws_default` (Amazon Web Services) and `mlflow_default` (HTTP) where they are
defined, else from the environment. Other settings: the Variable `medloop`, a JSON object.

### When a task fails
It is tried again, later each time, while a store does not answer; a wrong setting or a missing
right fails at once, with a sentence that says what to do. The champion goes on serving whatever
happens here.
"""


@dag(
    dag_id="medloop_weekly_retrain",
    description="Corrections → snapshot → training → gate → champion",
    doc_md=ABOUT,
    tags=["medloop", "training"],
    schedule=CronTriggerTimetable("0 3 * * 1", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=24),
    default_args={
        "owner": "medloop",
        "retries": 3,
        "retry_delay": timedelta(seconds=30),
        "retry_exponential_backoff": 3.0,
        "max_retry_delay": timedelta(minutes=15),
        "retry_policy": PATIENCE,
        "execution_timeout": timedelta(hours=1),
        "on_failure_callback": tell,
    },
    params={
        "force": Param(
            False,
            type="boolean",
            title="Go on in any case",
            description="Even when too few corrections are new. No training is done twice, and the "
            "gate still decides what is promoted.",
        ),
        "min_new": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Minimum of new corrections",
            description="With fewer, the run ends here. Empty: MEDLOOP_MIN_NEW_CORRECTIONS.",
        ),
        "engine": Param(
            None,
            type=["null", "string"],
            enum=["local", "ray", None],
            values_display={"local": "local", "ray": "ray", "null": "as set in MEDLOOP_ENGINE"},
            title="Training engine",
            description="local trains where the task runs, ray on a Ray cluster.",
        ),
    },
)
def medloop_weekly_retrain() -> None:
    """Wire the five tasks."""

    @task.short_circuit
    def snapshot() -> str | None:
        """Fold new corrections into a snapshot; None ends the run here."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.retrain import plan

        params = get_current_context()["params"]
        taken = plan(connect_loop(), force=params["force"], min_new=params["min_new"])
        _push("reason", taken.reason)
        return taken.snapshot_id

    @task(execution_timeout=timedelta(hours=8))
    def train(snapshot_id: str) -> str:
        """Train on this snapshot and register the version."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.train import train as job

        engine = get_current_context()["params"]["engine"]
        return job(connect_loop(), snapshot_id=snapshot_id, engine=engine).version

    @task
    def evaluate(version: str) -> str:
        """Put this version before the gate and keep the report."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.evaluate import evaluate as job

        job(connect_loop(), version=version)
        return version

    @task(execution_timeout=timedelta(hours=8))
    def set_aside(version: str) -> str:
        """If somebody's corrections do harm, run the week once more without them."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.set_aside import without_harm

        engine = get_current_context()["params"]["engine"]
        return without_harm(connect_loop(), version=version, engine=engine)

    @task(on_success_callback=tell)
    def promote(version: str) -> str:
        """Make this version the champion if its gate report says so."""
        from medloop.dags.connections import connect_loop
        from medloop.jobs.new_base import settle_reference
        from medloop.jobs.promote import promote as job

        context, by = connect_loop(), f"airflow {get_current_context()['run_id']}"
        outcome = job(context, version=version, by=by)
        if not outcome.promoted:
            _push("reason", reason := "; ".join(outcome.reasons))
            raise AirflowSkipException(reason)
        settle_reference(context, version=version, by=by)
        if outcome.from_version != version:  # otherwise an old run done again: no news
            _push("replaced", outcome.from_version or "")
        return version

    promote(set_aside(evaluate(train(snapshot()))))  # type: ignore[arg-type]  # Airflow passes what the task will return


def _push(key: str, value: str) -> None:
    """Show something beside the task, and to callbacks."""
    get_current_context()["ti"].xcom_push(key=key, value=value)


weekly_retrain = medloop_weekly_retrain()  # the name that a DAG file of an existing Airflow imports
