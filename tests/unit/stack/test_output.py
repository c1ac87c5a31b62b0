"""`medloop status`, in words."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.events import correction, image, png, sha256_of

from medloop.jobs.promote import promote
from medloop.settings import load_named_settings
from medloop.stack.output import StackOutput, print_status
from medloop.stack.plan import Address
from medloop.stack.start_record import StartRecord
from medloop.stack.state_folder import StateFolder
from medloop.stack.status import describe_settings
from medloop.stack.supervisor import Supervisor
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore


def test_it_says_that_the_champion_is_lost_and_which_settings_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = MemoryRegistry()
    objects = ObjectStore.in_memory()
    context = World(objects, tmp_path, registry=registry).context
    context = replace(context, promotion_lease=Lease(objects, "leases/promotion.json"))
    monkeypatch.setattr("medloop.wiring.connect", lambda settings=None: context)
    registry.add(b"")
    promote(context, version=registry.add(b""), by="ada", force=True, reason="a test")
    registry.aliases["champion"] = "1"
    monkeypatch.setattr(Supervisor, "is_running", lambda self: True)
    monkeypatch.setenv("MEDLOOP_MLFLOW_PORT", "0")
    monkeypatch.setenv("MEDLOOP_IDENTITY_KEY", "a secret")
    before = describe_settings(load_named_settings())
    assert "MEDLOOP_MLFLOW_PORT" not in before
    assert "a secret" not in str(before)
    StartRecord(settings=before).write(StateFolder(tmp_path))
    monkeypatch.setenv("MEDLOOP_BASE_DATASET", "97486d4eff08ce22")
    print_status(StateFolder(tmp_path), [])
    shown = capsys.readouterr().out
    assert "`medloop promote 2` makes version 2 the champion again" in shown
    assert "now MEDLOOP_BASE_DATASET=97486d4eff08ce22: `medloop down`, then" in shown


def test_it_says_why_corrections_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    context = World(ObjectStore.in_memory(), tmp_path, registry=MemoryRegistry()).context
    monkeypatch.setattr("medloop.wiring.connect", lambda settings=None: context)
    print_status(StateFolder(tmp_path), [])
    assert "empty: every correction is stored" in capsys.readouterr().out
    context.outbox.add(correction(sha256_of(1)), png(image(1)))
    context.outbox.mark_failed([context.outbox.pending(1)[0].seq], "S3 does not answer")
    print_status(StateFolder(tmp_path), [])
    assert (
        "1 waiting to be stored since 2026-11-02T09:00:00.000+00:00: S3 does not answer"
        in capsys.readouterr().out
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("file", "detached", "shown"),
    [(Terminal(), False, True), (Terminal(), True, False), (io.StringIO(), False, False)],
)
def test_passwords_are_shown_on_a_terminal_and_in_no_log(file, detached, shown) -> None:
    addresses = [Address("MLflow", "http://127.0.0.1:5000", "admin", "s3cret")]
    kept = Path("/state/credentials.json")
    StackOutput(file).summary(addresses, detached=detached, passwords=kept)
    assert ("admin / s3cret" in file.getvalue()) is shown
    assert (f"admin; password in {kept}" in file.getvalue()) is not shown
