"""Commands for the local stack: up, down, status, logs, doctor."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathlib import Path

    from medloop.stack.lifecycle import LocalStack
    from medloop.stack.output import StackOutput
    from medloop.stack.plan import StackPlan
    from medloop.stack.state_folder import StateFolder

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LAST_LINES = 40


def register(app: typer.Typer) -> None:
    """Register the commands of the local stack."""
    for command in (up, down, status, logs, doctor):
        app.command()(command)


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once everything is ready.")
    ] = False,
    no_airflow: Annotated[
        bool, typer.Option("--no-airflow", help="Leave Airflow out; retrain by hand.")
    ] = False,
    no_training: Annotated[
        bool,
        typer.Option(
            "--no-training", help="Start without a first model, to train one on your own data."
        ),
    ] = False,
) -> None:
    """Start SeaweedFS, MLflow, Airflow and the page, and show what they say until Ctrl-C.

    It starts no system that MLFLOW_TRACKING_URI, MEDLOOP_S3_BUCKET or AWS_ENDPOINT_URL_S3, or
    MEDLOOP_AIRFLOW_URL names, and uses that one. The first model comes with the package; on a base
    data set of your own it is trained, the first time.

    Examples: `medloop up`, `medloop up --detach`, `MEDLOOP_APP_PORT=0 medloop up` (any free port).
    """
    from medloop.settings import load_named_settings
    from medloop.stack.lifecycle import LocalStack
    from medloop.stack.output import StackOutput

    stack = LocalStack(
        load_named_settings(), with_airflow=not no_airflow, with_training=not no_training
    )
    output = StackOutput()
    with _stopped_on_signals():
        plan = stack.launch(daemon=detach)
        _bring_up(stack, plan, output)
    output.summary(plan.addresses, detached=detach, passwords=stack.folder.credentials)
    if not detach:
        _stay(stack, plan, output)


def _bring_up(stack: LocalStack, plan: StackPlan, output: StackOutput) -> None:
    """Show how everything starts; nothing stays half started."""
    try:
        with output.progress():
            for event in stack.bring_up(plan):
                output.show(event)
    except BaseException:
        output.say("Stopping …")
        stack.stop()
        raise


def _stay(stack: LocalStack, plan: StackPlan, output: StackOutput) -> None:
    """Show events until the stack ends, a signal comes, or whoever started this process is gone."""
    outlives = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # nohup stays nohup
    parent = None if outlives else os.getppid()
    try:
        with _stopped_on_signals():
            for event in stack.watch(plan):
                if event.text:
                    output.show(event)
                if parent is not None and os.getppid() != parent:
                    break
        output.say("Stopping …")
        stack.stop()
    except KeyboardInterrupt:
        output.say("Stopping … (Ctrl-C again: at once)")
        try:
            stack.stop()
        except KeyboardInterrupt:
            stack.kill()
    output.say("Stopped.")


@contextlib.contextmanager
def _stopped_on_signals() -> Iterator[None]:
    """Turn TERM and a closed terminal into Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def down() -> None:
    """Stop what `medloop up` started, in this state folder (MEDLOOP_HOME). The data stays.

    Example: `medloop down`
    """
    from medloop.stack.lifecycle import shut_down

    folder = _folder()
    done = "Stopped; the data stays" if shut_down(folder) else "Nothing runs"
    typer.echo(f"{done} in {folder.home}.", err=True)


def status(as_json: AsJson = False) -> None:
    """Show what runs, with process, uptime, memory and restarts, and what serves.

    Exit code 1 if something is wrong.

    Example: `medloop status`
    """
    from medloop.stack.output import describe_status, print_status
    from medloop.stack.status import component_statuses

    folder = _folder()
    components = component_statuses(folder)
    if as_json:
        typer.echo(json.dumps(describe_status(folder, components), indent=1))
    else:
        print_status(folder, components)
    if not all(component.is_well for component in components):
        raise typer.Exit(1)


def logs(
    component: Annotated[
        str | None, typer.Argument(help="Only this one, such as mlflow; all by default.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")
    ] = False,
) -> None:
    """Show the last lines of the components' logs.

    Examples: `medloop logs`, `medloop logs airflow-scheduler -f`.
    """
    import time

    from medloop.errors import ServiceError
    from medloop.stack.log_tail import Tail, last_lines
    from medloop.stack.output import StackOutput
    from medloop.stack.process_events import Event

    folder = _folder().logs
    paths: dict[str, Path] = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if component is not None and component not in paths:
        raise ServiceError(
            f"There is no log of {component!r} in {folder}, but of {', '.join(paths) or 'nothing'}"
        )
    chosen = {component: paths[component]} if component else paths
    tail = Tail(chosen)
    output = StackOutput(file=sys.stdout)
    for name, path in chosen.items():
        for line in last_lines(path, LAST_LINES):
            output.show(Event("log", name, line))
    while follow:
        for name, line in tail.lines():
            output.show(Event("log", name, line))
        time.sleep(0.3)


def doctor(as_json: AsJson = False) -> None:
    """Check every part, the stored corrections and who may reach them: a line each, with the fix.

    Exit code 1 if a check fails.

    Example: `medloop doctor`
    """
    from dataclasses import asdict

    from medloop.jobs.doctor import examine
    from medloop.jobs.left_out import FIX, examine_events
    from medloop.settings import load_settings
    from medloop.stack.drift_checks import CHAMPION, SETTINGS
    from medloop.stack.exposure import RIGHTS
    from medloop.stack.output import print_check
    from medloop.wiring import connect

    events = ("events", FIX, lambda settings: examine_events(connect(settings)))
    well, found = True, []
    for finding in examine(load_settings, events, CHAMPION, SETTINGS, RIGHTS):
        found.append(asdict(finding))
        well &= finding.outcome != "failed"
        if not as_json:
            print_check(finding)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    if not well:
        raise typer.Exit(1)


def _folder() -> StateFolder:
    from medloop.settings import load_settings
    from medloop.stack.state_folder import StateFolder

    return StateFolder(load_settings().home.absolute())
