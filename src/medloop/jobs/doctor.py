"""Checks of everything that the loop needs: a finding each, with what to do.

They change nothing but one probe object in S3, which they remove.
"""

from __future__ import annotations

import secrets
import shutil
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx

from medloop.errors import AlreadyExistsError, MedloopError
from medloop.jobs.stored_corrections import take_census
from medloop.settings import Settings, unknown_settings
from medloop.stores.airflow import Airflow
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import OUTBOX_FILE, Outbox
from medloop.stores.registry import CHAMPION, Registry

RESTORE = "restore the bucket from its backup (docs/runbook.md, What to back up)"
START = "or start one: `medloop up`"
MORE_ROOM = "free space, or set MEDLOOP_HOME to a folder on another disk"
PROBE_FOLDER = "doctor/"
MIN_FREE_BYTES = 2 << 30
MAX_SKEW_S = 60  # S3 refuses what is 15 minutes off; ids of events carry the time: be stricter


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a check."""

    name: str
    outcome: Literal["ok", "warning", "failed"]
    says: str
    fix: str = ""


Check = tuple[str, str, Callable[[Settings], Finding]]  # name, what to do if it fails, and itself


def examine(load: Callable[[], Settings], *besides: Check) -> Iterator[Finding]:
    """Look at everything, one after the other, and at last at what the caller wants looked at.

    A check that fails does not stop the next, unless it is the settings'.
    """
    try:
        settings = load()
    except MedloopError as error:
        fix = "correct it in the environment, in .env or in config.py"
        yield Finding("settings", "failed", str(error), fix)
        return
    says = f"read; the state folder is {settings.home.absolute()}"
    if unknown := unknown_settings():
        says += f"; there is no setting {', '.join(unknown)}"
    yield Finding("settings", "warning" if unknown else "ok", says)
    checks: tuple[Check, ...] = (
        ("S3", f"check AWS_ENDPOINT_URL_S3, the AWS keys and MEDLOOP_S3_BUCKET, {START}", _s3),
        ("corrections", f"see S3; {RESTORE}", _corrections),
        ("outbox", "keep outbox.db, and see docs/runbook.md", _outbox),
        ("MLflow", f"check MLFLOW_TRACKING_URI, _USERNAME and _PASSWORD, {START}", _mlflow),
        ("Airflow", f"check MEDLOOP_AIRFLOW_URL, _USERNAME and _PASSWORD, {START}", _airflow),
        ("model", "`medloop models` lists the versions, `medloop rollback` returns to one", _model),
        ("disk", MORE_ROOM, _disk),
        ("clock", "check AWS_ENDPOINT_URL_S3 and AWS_CA_BUNDLE", _clock),
        *besides,
    )
    for name, fix, check in checks:
        try:
            yield check(settings)
        except (MedloopError, httpx.HTTPError, OSError, ValueError) as error:
            yield Finding(name, "failed", str(error), fix)
        except Exception as error:  # a server that answers strangely stops no other check
            yield Finding(name, "failed", f"{type(error).__name__}: {error}", fix)


def _s3(settings: Settings) -> Finding:
    """Do to the bucket what the loop does: write, read, list, delete, refuse to overwrite."""
    objects = ObjectStore.from_settings(settings)
    key = f"{PROBE_FOLDER}{secrets.token_hex(8)}"
    objects.create(key, b"probe")
    try:
        listed = {info.key for info in objects.list(PROBE_FOLDER)}
        if objects.get(key) != b"probe" or key not in listed:
            says = f"{objects.name} loses what it is given"
            return Finding("S3", "failed", says, "use a store that is consistent")
        try:
            objects.create(key, b"second")
        except AlreadyExistsError:
            says = f"{objects.name}: writes, reads, lists, deletes, and refuses to overwrite"
            return Finding("S3", "ok", says)
        says = f"{objects.name} ignores `If-None-Match: *`, so corrections could overwrite others"
        fix = "use AWS S3, or SeaweedFS 4 as `medloop up` starts it: they write conditionally"
        return Finding("S3", "failed", says, fix)
    finally:
        objects.delete(key)


def _corrections(settings: Settings) -> Finding:
    """Read what people said, as far as it can be known that they said it."""
    objects, outbox = ObjectStore.from_settings(settings), _outbox_of(settings)
    census = take_census(objects, outbox, trained_on=_trained_on(settings))
    if census.losses:
        return Finding("corrections", "failed", "; ".join(census.losses), RESTORE)
    says = f"{census.corrections} corrections and {census.reviews} reviews"
    return Finding("corrections", "ok", f"{says}; {census.sampled} read, with their images")


def _trained_on(settings: Settings) -> dict[str, str]:
    """Look up which snapshot each version learned from; nothing where MLflow does not answer."""
    try:
        versions = Registry(settings).versions()
    except MedloopError:  # its own check says why
        return {}
    named = {item.version: item.tags.snapshot_id or "" for item in versions}
    return {version: snapshot_id for version, snapshot_id in named.items() if snapshot_id}


def _outbox_of(settings: Settings) -> Outbox:
    return Outbox(settings.home / OUTBOX_FILE)


def _outbox(settings: Settings) -> Finding:
    outbox = _outbox_of(settings)
    stored, waiting = len(outbox.stored_ids()), outbox.status()
    if waiting.last_error:
        says = f"{waiting.pending} wait since {waiting.oldest_at}: {waiting.last_error}"
        return Finding("outbox", "warning", says, "`medloop outbox --flush` tries at once")
    return Finding("outbox", "ok", f"whole; {waiting.pending} wait, {stored} were sent")


def _mlflow(settings: Settings) -> Finding:
    registry = Registry(settings)
    champion = registry.version_of(CHAMPION)
    address = f"{settings.mlflow_tracking_uri} as {settings.mlflow_username or 'nobody'}"
    if champion is None:
        says = f"{address}: answers, but {settings.model_name} has no champion"
        return Finding("MLflow", "failed", says, _way_to_a_champion(registry))
    says = f"{address}: {settings.model_name} version {champion} is champion"
    return Finding("MLflow", "ok", says)


def _way_to_a_champion(registry: Registry) -> str:
    """Say what gives a registry without champion one."""
    versions = registry.versions()
    if not versions:
        return "`medloop up` installs the first model"
    return f"`medloop promote {versions[-1].version}`, or the version that `alias` names"


def _airflow(settings: Settings) -> Finding:
    if not settings.airflow_url:
        fix = "`medloop retrain` does by hand what it would do weekly"
        return Finding("Airflow", "warning", "none is set", fix)
    url = settings.airflow_url.rstrip("/")
    answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=10.0, follow_redirects=True)
    health = answer.raise_for_status().json()
    parts = ("metadatabase", "scheduler", "dag_processor")
    if ill := [name for name in parts if health[name]["status"] != "healthy"]:
        says = f"{url}: not healthy: {', '.join(ill)}"
        fix = "wait half a minute after a start, then see `medloop logs`"
        return Finding("Airflow", "failed", says, fix)
    airflow = Airflow(settings)
    if idle := airflow.idle_dags():
        fix = "unpause it there; see the import errors there if one is gone"
        return Finding("Airflow", "warning", idle, fix)
    next_run_at = airflow.dag().next_run_at or "not planned"
    return Finding("Airflow", "ok", f"{url}: healthy; next run {next_run_at}")


def _model(settings: Settings) -> Finding:
    from medloop.core.prediction.predictor import Predictor  # `medloop status` needs no onnxruntime

    registry = Registry(settings)
    champion = registry.version_of(CHAMPION)
    if champion is None:
        return Finding("model", "failed", "there is no champion", _way_to_a_champion(registry))
    onnx = registry.model_file(champion)
    labels = Predictor(onnx).metadata.labels
    says = f"version {champion} loads: {len(onnx) / 2**20:.1f} MiB, {', '.join(labels)}"
    return Finding("model", "ok", says)


def _disk(settings: Settings) -> Finding:
    place = settings.home.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    says = f"{free / 2**30:.1f} GiB free at {place}"
    if free < MIN_FREE_BYTES:
        return Finding("disk", "warning", says, MORE_ROOM)
    return Finding("disk", "ok", says)


def _clock(settings: Settings) -> Finding:
    """Compare with the clock of S3, which refuses requests that carry a very different time."""
    url = settings.s3_endpoint_url or f"https://s3.{settings.aws_region}.amazonaws.com"
    trusted = ssl.create_default_context()
    if settings.aws_ca_bundle:
        trusted.load_verify_locations(settings.aws_ca_bundle)
    try:
        answer = httpx.head(url, timeout=10.0, verify=trusted)
    except httpx.HTTPError as error:  # why S3 is away, its own check says
        says = f"{url} does not tell the time ({error})"
        return Finding("clock", "warning", says, "compare it by hand")
    if "date" not in answer.headers:
        return Finding("clock", "warning", f"{url} does not tell the time", "compare it by hand")
    there = parsedate_to_datetime(answer.headers["date"])
    skew_s = abs((datetime.now(UTC) - there).total_seconds())
    says = f"{skew_s:.0f} s from the clock of {url}"
    if skew_s > MAX_SKEW_S:
        return Finding("clock", "failed", says, "set this machine's clock, best by NTP")
    return Finding("clock", "ok", says)
