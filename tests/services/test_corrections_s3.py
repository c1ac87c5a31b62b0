"""Corrections against real SeaweedFS: outages, kills, rights, snapshots and the command line."""

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.corrections_world import World, decoded
from tests.events import START, image, new_id, objects_at
from tests.events import review as review_event
from tests.servers import SeaweedFS, wait_until
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.corrections.correction_policy import Waiting
from medloop.core.corrections.events import Promotion, event_key, image_key
from medloop.core.corrections.signatures import SigningKeys
from medloop.core.imaging.decode import content_sha256, encode_png
from medloop.errors import AlreadyExistsError, NotFoundError, StoreError
from medloop.jobs.correct import correct
from medloop.jobs.erase import erase
from medloop.jobs.left_out import left_out
from medloop.jobs.review import queue, review
from medloop.jobs.screen import screen
from medloop.jobs.snapshot import describe_left_out, snapshot
from medloop.stores.corrections import CorrectionStore, event_id_of
from medloop.stores.datasets import DatasetStore, bundled_sample
from medloop.stores.lease import Lease, LeaseHeldError
from medloop.stores.objects import ObjectStore
from medloop.stores.predictions import PredictionLog

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[2]
KEYS = SigningKeys(review=b"of the page", erasure=b"of the operator")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A SeaweedFS of this file's own, to kill at will, and with an IAM API that takes policies."""
    folder = tmp_path_factory.mktemp("seaweedfs-own")
    own = SeaweedFS(folder)
    own.program = replace(own.program, command=(*own.program.command, "-s3.iam.readOnly=false"))
    own.start()
    yield own
    own.stop()


@pytest.fixture
def bucket(server: SeaweedFS) -> str:
    name = f"test-{os.urandom(6).hex()}"
    server.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def objects(server: SeaweedFS, bucket: str) -> ObjectStore:
    return objects_at(
        server.endpoint, access_key=server.access_key, secret_key=server.secret_key, bucket=bucket
    )


@pytest.fixture
def world(objects: ObjectStore, tmp_path: Path) -> World:
    return World(objects, tmp_path)


def say(world: World, seed: int, label: str | None = "Hand", who: str = "ada") -> str:
    """A correction onto the disk; its event id."""
    shown = decoded(image(seed))
    return correct(
        world.context, image=shown, given_label=label, prediction=None, model_version="1", who=who
    ).event_id  # fmt: skip


def stored_ids(objects: ObjectStore) -> Counter[str]:
    return Counter(event_id_of(info.key) for info in objects.list("corrections"))


def test_the_whole_way_of_corrections(world: World) -> None:
    kept, disputed, gone = world.correct(1), world.correct(2), world.correct(3)
    world.correct(2, "CXR", who="bob")
    screen(world.context)
    snapshot(world.context)
    review(world.context, items=queue(world.context), verdict="relabel", label="CXR", who="rev")
    world.context.sender.send_once()
    erase(world.context, image_sha256=gone, who="dpo")
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert dict(zip(data.image_sha256, data.labels, strict=True)) == {kept: "Hand", disputed: "CXR"}
    assert (data.images[data.image_sha256.index(kept)] == image(1)).all()
    assert world.objects.head(image_key(gone)) is None


def test_snapshots_at_once_from_several_jobs_agree(world: World) -> None:
    for n in range(60):
        say(world, n)
    world.context.sender.send_once()
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: snapshot(world.context), range(4)))
    assert len({result.snapshot_id for result in results}) == 1
    assert len(world.context.snapshots.load(results[0].snapshot_id).images) == 60


def test_an_outage_delays_corrections_and_loses_none(server: SeaweedFS, world: World) -> None:
    world.context.sender.start()
    try:
        before = say(world, 1)
        assert world.context.sender.settle(before, 10) == "stored"
        server.stop()
        during = [say(world, n) for n in range(2, 12)]
        assert world.context.sender.settle(during[-1], 2) == "pending"
        status = world.context.outbox.status()
        assert status.pending == 10
        assert "cannot be reached" in str(status.last_error)
        server.start()
        assert [world.context.sender.settle(event_id, 60) for event_id in during] == ["stored"] * 10
    finally:
        world.context.sender.stop()
        if server.process is None or server.process.poll() is not None:
            server.start()
    assert stored_ids(world.objects) == Counter([before, *during])


def test_killing_the_store_while_corrections_flow_loses_and_doubles_none(
    server: SeaweedFS, world: World
) -> None:
    """`kill -9` of SeaweedFS, three times, with corrections from four threads."""
    world.context.sender.start()
    acknowledged: list[str] = []
    stop = threading.Event()

    def person(number: int) -> None:
        for n in range(number * 10_000, number * 10_000 + 9_999):
            if stop.is_set():
                return
            acknowledged.append(say(world, n, who=f"person {number}"))
            time.sleep(0.02)

    people = [threading.Thread(target=person, args=(number,)) for number in range(4)]
    for thread in people:
        thread.start()
    try:
        for pause in (0.5, 0.9, 0.3):
            time.sleep(pause)
            server.kill()
            server.start()
    finally:
        stop.set()
        for thread in people:
            thread.join()
    until = time.monotonic() + 60
    while world.context.outbox.status().pending and time.monotonic() < until:
        time.sleep(0.1)
    world.context.sender.stop()
    assert world.context.outbox.status().pending == 0
    assert len(acknowledged) > 40
    assert stored_ids(world.objects) == Counter(acknowledged)
    data = world.context.snapshots.load(snapshot(world.context).snapshot_id)
    assert len(data.images) == len(acknowledged), "every event's image is there and whole"


def test_a_lease_keeps_two_schedulers_apart(objects: ObjectStore) -> None:
    with Lease(objects, "leases/retrain.json").hold("scheduler a") as held:
        with (
            pytest.raises(LeaseHeldError, match="scheduler a"),
            Lease(objects, "leases/retrain.json").hold("b"),
        ):
            pass
        held.check()
    with Lease(objects, "leases/retrain.json").hold("b") as second:
        assert second.token == held.token + 1


@pytest.fixture
def as_role(server: SeaweedFS, bucket: str):
    """A store that may do what docs/iam-ROLE.json says, and no more."""
    iam = boto3.client(
        "iam",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )

    def make(role: str) -> ObjectStore:
        name = f"{role}-{bucket}"
        iam.create_user(UserName=name)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        policy = (
            (ROOT / "docs" / f"iam-{role}.json").read_text().replace(":::medloop", f":::{bucket}")
        )
        iam.put_user_policy(UserName=name, PolicyName=role, PolicyDocument=policy)
        role_objects = objects_at(
            server.endpoint,
            access_key=key["AccessKeyId"],
            secret_key=key["SecretAccessKey"],
            bucket=bucket,
        )
        until = time.monotonic() + 15
        while time.monotonic() < until:  # SeaweedFS takes a moment to hear of a new policy
            try:
                role_objects.folders("corrections")
                break
            except StoreError:
                time.sleep(0.1)
        return role_objects

    return make


def test_the_front_ends_policy_lets_it_append_and_nothing_else(
    as_role, objects: ObjectStore, tmp_path: Path
) -> None:
    objects.put("promotions/dt=2026-11-02/a.json", b"{}")
    world = World(as_role("frontend"), tmp_path)
    sha256 = world.correct(1)
    assert world.context.outbox.status().pending == 0
    assert world.context.corrections.image(sha256) == encode_png(image(1))
    assert world.context.ledger._objects.get("promotions/dt=2026-11-02/a.json") == b"{}"
    with Lease(world.objects, "leases/promotion.json").hold("rollback"):
        world.objects.create("promotions/dt=2026-11-02/b.json", b"{}")
    for forbidden in (
        lambda: world.objects.delete(image_key(sha256)),
        lambda: world.objects.delete("promotions/dt=2026-11-02/a.json"),
        lambda: world.objects.put("snapshots/latest.json", b"{}"),
        lambda: world.objects.put("leases/retrain.json", b"{}"),
        lambda: world.objects.put("anything", b"{}"),
        lambda: world.objects.put(image_key(sha256).replace(".png", ".erased"), b""),
    ):
        with pytest.raises(StoreError, match="rights"):
            forbidden()


def test_a_forged_review_with_the_front_ends_key_is_not_obeyed(
    as_role, objects: ObjectStore, tmp_path: Path
) -> None:
    """The page's S3 key may write below reviews/; what it writes there counts only if it is
    signed.
    """
    old = World(objects, tmp_path / "old")
    before, later = old.correct(3, "Hand"), old.now + timedelta(hours=1)
    old.store(review_event(before, "relabel", "CXR", at=later))
    trainer = World(as_role("trainer"), tmp_path / "trainer", keys=KEYS)
    trainer.context.signatures.begin()
    page = World(as_role("frontend"), tmp_path / "page", keys=SigningKeys(review=KEYS.review))
    page.now += timedelta(minutes=1)
    kept, decided = page.correct(1, "Hand"), page.correct(2, "Hand")
    stolen = page.objects
    for action in ("erase", "relabel", "approve", "reject", "withdraw", "flag"):
        forged = review_event(kept, action, "CXR", who="ada", at=later)
        stolen.put(event_key(forged), forged.to_json())
        bogus = replace(review_event(kept, action, "CXR", at=later), signature="0" * 64)
        stolen.put(event_key(bogus), bogus.to_json())
    move = Promotion(
        id=new_id(page.now),
        at=later.isoformat(),
        model="m",
        action="promote",
        from_version="1",
        to_version="9",
        by="eve",
        reason="",
    )
    stolen.put(event_key(move), move.to_json())
    with pytest.raises(StoreError, match="rights"):
        stolen.put("snapshots/unsigned.json", b"{}")
    item = next(item for item in queue_of_all(page) if item.image_sha256 == decided)
    review(page.context, items=[item], verdict="relabel", label="CXR", who="rev")
    page.context.sender.send_once()
    taken = snapshot(trainer.context)
    data = trainer.context.snapshots.load(taken.snapshot_id)
    told = dict(zip(data.image_sha256, data.labels, strict=True))
    assert told == {kept: "Hand", decided: "CXR", before: "CXR"}
    assert len(taken.left_out) == 12
    assert objects.head(image_key(kept)) is not None
    assert trainer.context.ledger.entries() == []
    assert "13 objects are left out" in describe_left_out(left_out(page.context) | taken.left_out)


def queue_of_all(world: World) -> list[Waiting]:
    settings = world.context.settings.model_copy(update={"review": "all"})
    return queue(replace(world.context, settings=settings))


BAD_KEYS = (
    "corrections/dt=TODAY/b\n.json",
    "corrections/dt=TODAY/z\x01.json",
    "corrections/dt=TODAY/z//y.json",
    "corrections/dt=\n/x.json",
    "corrections/dt=TODAY/q\u202e.json",
    "reviews/dt=TODAY/\n",
    "promotions/dt=TODAY/x\ny.json",
    "predictions/dt=TODAY/x\ny.parquet",
)


def test_keys_that_the_client_cannot_spell_stop_nothing(
    server: SeaweedFS, bucket: str, world: World, medloop
) -> None:
    world.now = datetime.now(UTC)
    said = world.correct(1)
    for key in BAD_KEYS:
        own = key.replace("TODAY", world.now.strftime("%Y-%m-%d"))
        server.client().put_object(Bucket=bucket, Key=own, Body=b"{}")
    taken = snapshot(world.context)
    assert world.context.snapshots.load(taken.snapshot_id).image_sha256 == (said,)
    assert len(taken.left_out) == 6
    assert describe_left_out(taken.left_out).isprintable()
    assert world.context.ledger.entries() == []
    log = PredictionLog(world.objects, now=world.context.now, random=os.urandom)
    assert log.read(f"{world.now:%Y-%m-%d}") == []
    assert len(medloop("snapshot").strip()) == len(taken.snapshot_id)
    assert "Nothing waits" in medloop("review", "list")
    medloop("erase", said, "--yes")
    assert world.context.snapshots.load(snapshot(world.context).snapshot_id).image_sha256 == ()


def test_seaweedfs_cannot_refuse_the_front_end_an_overwrite(
    as_role, objects: ObjectStore, tmp_path: Path
) -> None:
    """It knows no right to create without the right to overwrite; only medloop's own writes are
    conditional.

    docs/s3-layout.md says so. Where this test fails, a new SeaweedFS can, and the page should be
    denied it.
    """
    world = World(as_role("frontend"), tmp_path)
    sha256 = world.correct(1)
    (event,) = (info.key for info in objects.list("corrections"))
    for key in (event, image_key(sha256)):
        with pytest.raises(AlreadyExistsError):
            world.objects.create(key, b"forged")
        world.objects.put(key, b"forged")
        assert objects.get(key) == b"forged"
    world_of_all = World(objects, tmp_path / "all")
    assert (
        len(world_of_all.context.snapshots.load(snapshot(world_of_all.context).snapshot_id).images)
        == 0
    ), "not believed"


def test_of_the_bucket_policy_seaweedfs_keeps_the_part_about_deleting(
    server: SeaweedFS, bucket: str
) -> None:
    """It takes the part about overwriting, too, and lets everybody overwrite all the same."""
    client, key = server.client(), "corrections/dt=2026-11-02/a.json"
    document = json.loads(
        (ROOT / "docs" / "iam-bucket-append-only.json")
        .read_text()
        .replace(":::medloop", f":::{bucket}")
    )
    document["Statement"] = [
        part for part in document["Statement"] if part["Sid"] != "OnlyOverTLS"
    ]  # these tests do without
    client.put_object(Bucket=bucket, Key=key, Body=b"{}")
    client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def refused() -> bool:
        try:
            client.delete_object(Bucket=bucket, Key=key)
        except ClientError as error:
            return error.response["Error"]["Code"] == "AccessDenied"
        client.put_object(Bucket=bucket, Key=key, Body=b"{}")
        return False

    wait_until(refused, what="the policy should hold")
    client.put_object(Bucket=bucket, Key=key, Body=b"forged")
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"forged"


def test_the_trainers_policy_is_enough_for_snapshots_and_no_more(
    as_role, world: World, tmp_path: Path
) -> None:
    world.correct(1)
    gone = world.correct(2)
    erase(world.context, image_sha256=gone, who="dpo")
    trainer = World(as_role("trainer"), tmp_path / "trainer")
    screen(trainer.context)
    result = snapshot(trainer.context)
    assert len(trainer.context.snapshots.load(result.snapshot_id).images) == 1
    with Lease(trainer.objects, "leases/retrain.json").hold("run"):
        trainer.objects.put("promotions/dt=2026-11-02/b.json", b"{}")
    assert DatasetStore(tmp_path / "sets", trainer.objects).publish(bundled_sample())
    event = next(info.key for info in world.objects.list("corrections"))
    for forbidden in (
        lambda: trainer.objects.delete(event),
        lambda: trainer.objects.delete(image_key(gone).replace(".png", ".erased")),
        lambda: trainer.objects.put(image_key(gone), b"another"),
        lambda: trainer.objects.put("corrections/dt=2026-11-02/forged.json", b"{}"),
        lambda: trainer.objects.put("predictions/dt=2026-11-02/forged.parquet", b""),
    ):
        with pytest.raises(StoreError, match="rights"):
            forbidden()


def test_the_operators_policy_is_enough_to_erase(as_role, world: World, tmp_path: Path) -> None:
    sha256 = world.correct(1)
    snapshot(world.context)
    operator = World(as_role("operator"), tmp_path / "operator")
    done = erase(operator.context, image_sha256=sha256, who="dpo")
    assert (done.was_stored, len(done.shards)) == (True, 1)
    for key in (
        next(info.key for info in world.objects.list("corrections")),
        image_key(sha256).replace(".png", ".erased"),
    ):
        with pytest.raises(StoreError, match="rights"):
            operator.objects.delete(key)


def test_a_store_that_may_not_be_written_keeps_corrections_pending_and_says_why(
    as_role, tmp_path: Path
) -> None:
    world = World(as_role("trainer"), tmp_path)  # may not write corrections
    event_id = say(world, 1)
    assert world.context.sender.send_once().sent == 0
    assert "rights" in str(world.context.outbox.status().last_error)
    assert world.context.outbox.state(event_id) == "pending"


@pytest.fixture
def medloop(server: SeaweedFS, bucket: str, tmp_path: Path):
    environment = {
        **server.environment,
        "MEDLOOP_S3_BUCKET": bucket,
        "MEDLOOP_HOME": str(tmp_path / "home"),
        "MEDLOOP_IDENTITY": "plain",
        "MEDLOOP_USER": "rev",
    }
    runner = CliRunner()

    def run(*arguments: str, error: type[BaseException] | None = None) -> str:
        result = runner.invoke(build_app(), arguments, env=environment)
        if error is None:
            assert result.exit_code == 0, result.output + repr(result.exception)
        else:
            assert isinstance(result.exception, error), result.output
        return result.stdout

    return run


def test_the_commands(medloop, objects: ObjectStore, tmp_path: Path) -> None:
    world = World(objects, tmp_path / "home")
    world.now = datetime.now(UTC)
    fine, disputed = world.correct(1), world.correct(2)
    world.correct(2, None, who="bob")
    taken = json.loads(medloop("snapshot", "--json"))
    assert (taken["corrections"], taken["flagged"]) == (3, 0)
    assert medloop("snapshot").strip() == taken["snapshot_id"]
    (waiting,) = json.loads(medloop("review", "list", "--json"))
    assert (waiting["image_sha256"], waiting["status"]) == (disputed, "conflict")
    assert disputed[:12] in medloop("review", "list")
    assert "1 decided" in medloop(
        "review", "relabel", disputed[:12], "--label", "none", "--why", "looked"
    )
    assert "Nothing waits" in medloop("review", "list")
    judged = {
        line["who"]: (line["judged"], line["right"])
        for line in json.loads(medloop("review", "people", "--json"))
    }
    assert judged == {"ada": (1, 0), "bob": (1, 1)}
    assert "bob" in medloop("review", "people")
    (tmp_path / "scan.png").write_bytes(encode_png(image(1)))
    assert "is erased" in medloop("erase", str(tmp_path / "scan.png"), "--yes")
    data = world.context.snapshots.load(medloop("snapshot").strip())
    assert (data.image_sha256, data.labels) == ((disputed,), (None,))
    assert fine == content_sha256(image(1))


def test_many_are_decided_at_once_and_each_once(
    medloop, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(objects, tmp_path / "home")
    monkeypatch.setenv("MEDLOOP_REVIEW", "all")
    first, second, third = (world.correct(n, "Hand") for n in range(3))
    medloop("review", "approve", first[:12], "0123456789ab", error=NotFoundError)
    assert len(json.loads(medloop("review", "list", "--json"))) == 3, (
        "one that is not there, and nothing is decided"
    )
    assert "2 decided" in medloop("review", "approve", first[:12], second, first)
    (left,) = json.loads(medloop("review", "list", "--json"))
    assert left["image_sha256"] == third


def test_the_list_shows_remarks_without_what_would_steer_a_terminal(
    medloop, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(objects, tmp_path / "home")
    monkeypatch.setenv("MEDLOOP_REVIEW", "all")
    monkeypatch.setenv("COLUMNS", "160")
    world.correct(1, "Hand")
    assert "Remarks" not in medloop("review", "list")
    note = "[red]a plaster\x1b[2J cast"
    correct(
        world.context,
        image=decoded(image(2)),
        given_label="Hand",
        prediction=None,
        model_version="1",
        who="eve",
        note=note,
    )
    world.context.sender.send_once()
    shown = medloop("review", "list")
    assert "Remarks" in shown
    assert "[red]a plaster\\x1b[2J cast" in shown
    assert "\x1b[2J" not in shown
    _, remark = json.loads(medloop("review", "list", "--json"))
    assert [correction["note"] for correction in remark["corrections"]] == [note]


def test_honeypots_on_the_command_line(
    medloop, objects: ObjectStore, tmp_path: Path, monkeypatch
) -> None:
    world = World(objects, tmp_path / "home")
    real = {world.correct(n, "Hand") for n in range(12)}
    monkeypatch.setenv("MEDLOOP_HONEYPOTS", "0.5")
    monkeypatch.setenv("MEDLOOP_REVIEW", "all")
    waiting = json.loads(medloop("review", "list", "--json"))
    (honeypot, *_) = [item["image_sha256"] for item in waiting if item["image_sha256"] not in real]
    assert len({tuple(item) for item in waiting}) == 1, "one looks like another"
    assert "1 decided" in medloop("review", "approve", honeypot)
    people = json.loads(medloop("review", "people", "--json"))
    assert [person["judged"] for person in people if person["who"] == "rev"] == [1]
    assert honeypot not in medloop("review", "list", "--json")


def test_the_outbox_command_tells_what_waits_and_sends_it(
    medloop, objects: ObjectStore, tmp_path: Path
) -> None:
    world = World(objects, tmp_path / "home")
    assert "Nothing waits" in medloop("outbox")
    event_id = say(world, 1)
    assert "1 wait since 2026-11-02" in medloop("outbox")
    assert json.loads(medloop("outbox", "--json"))["pending"] == 1
    assert "Nothing waits" in medloop("outbox", "--flush")
    assert set(stored_ids(objects)) == {event_id}


def test_snapshot_sends_what_waits_first_and_says_what_still_waits(
    medloop, objects: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(objects, tmp_path / "home")
    say(world, 1)
    taken = json.loads(medloop("snapshot", "--json"))
    assert (taken["corrections"], taken["waiting"]) == (1, 0)
    monkeypatch.setattr(CorrectionStore, "put", refuse)
    say(world, 2)
    taken = json.loads(medloop("snapshot", "--json"))
    assert (taken["corrections"], taken["waiting"]) == (1, 1)


def refuse(*_: object, **__: object) -> None:
    raise StoreError("the store is full")


def test_the_last_word_counts_whichever_machine_it_was_said_on(
    objects: ObjectStore, tmp_path: Path
) -> None:
    """Hand here, CXR there, Hand here again within seconds; and a double click is one event."""
    here, there = World(objects, tmp_path / "here"), World(objects, tmp_path / "there")
    for seconds, (machine, label) in enumerate(
        [(here, "Hand"), (here, "Hand"), (there, "CXR"), (here, "Hand")]
    ):
        machine.now = START + timedelta(seconds=3 * seconds)
        sha256 = machine.correct(1, label)
    stored = [
        key
        for day in here.context.corrections.days("corrections")
        for key in here.context.corrections.keys("corrections", day)
    ]
    assert len(stored) == 3
    taken = here.context.snapshots.load(snapshot(here.context).snapshot_id)
    assert (taken.image_sha256, taken.labels) == ((sha256,), ("Hand",))
