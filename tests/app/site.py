"""A whole installation in memory: real stores, a registry in dictionaries, and a model whose
answers are known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.app.models import OTHER_LEVELS, brightness_model, picture
from tests.app.registry import MemoryRegistry
from tests.app.reports import report

from medloop.app.process.backend import Backend, install
from medloop.app.process.prediction_recorder import Recorder
from medloop.core.corrections.signatures import SigningKeys
from medloop.core.imaging.decode import decode, encode_png
from medloop.errors import StoreUnavailableError
from medloop.jobs.correct import correct
from medloop.serving import Champion
from medloop.settings import Settings
from medloop.stores.acceptance_sets import AcceptanceStore
from medloop.stores.corrections import CorrectionStore
from medloop.stores.datasets import DatasetStore
from medloop.stores.lease import Lease
from medloop.stores.ledger import Ledger
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.predictions import PredictionLog
from medloop.stores.sender import Sender
from medloop.stores.signatures import Signatures
from medloop.stores.snapshots import SnapshotStore
from medloop.wiring import connect, utc_now


class SwitchedObjects(ObjectStore):
    """A bucket that can be unplugged."""

    away = False

    @contextmanager
    def _translated(self, doing: str, key: str) -> Iterator[None]:
        if self.away:
            raise StoreUnavailableError("S3 at http://127.0.0.1:1 does not answer")
        with super()._translated(doing, key):
            yield


@dataclass
class Site:
    """The installation, with its switches."""

    backend: Backend
    registry: MemoryRegistry
    store: SwitchedObjects

    @property
    def context(self):
        return self.backend.context

    def promote(self, version: str) -> None:
        """Move the champion, and let the front end notice."""
        self.registry.aliases["champion"] = version
        self.backend.champion.refresh()

    def say(
        self,
        level: int,
        label: str | None,
        *,
        who: str = "ada",
        seed: int = 0,
        by_reviewer: bool = True,
    ) -> str:
        """A person answers a picture; its hash, once it is stored."""
        image = decode(encode_png(picture(level, seed=seed)))
        served = self.backend.champion.current()
        prediction = served.answer(image).prediction
        receipt = correct(
            self.context,
            image=image,
            given_label=label,
            prediction=prediction,
            model_version=served.version,
            who=who,
            by_reviewer=by_reviewer,
        )
        self.context.sender.settle(receipt.event_id, 10)
        return image.sha256

    def add_rejected_version(self) -> str:
        """A second version, which the gate refused."""
        tags = {
            "gate": "no",
            "gate_reasons": "worse on the base test",
            "corrections": "3",
            "accuracy": "0.95",
        }
        body = report(passed=False, base_id=self.context.datasets.get(None).id)
        files = {"gate/report.json": body.to_json()}
        version = self.registry.add(brightness_model(OTHER_LEVELS), tags=tags, **files)
        self.registry.run_metrics[f"run-{version}"] = {
            "challenger/accuracy": 0.95,
            "challenger/recall/CXR": 0.9,
        }
        return version


@contextmanager
def open_site(
    home: Path, *, with_model: bool = True, registry: MemoryRegistry | None = None
) -> Iterator[Site]:
    """The installation as the process's backend, until the block ends."""
    objects, registry = SwitchedObjects.in_memory(), registry or MemoryRegistry()
    if with_model:
        registry.add(brightness_model())
    signatures = Signatures(objects, SigningKeys(review=b"review key", erasure=b"erasure key"))
    store, outbox = CorrectionStore(objects, signatures), Outbox(home / "outbox.db")
    context = replace(
        connect(Settings(home=home, identity="plain", user="ada")),
        objects=objects,
        corrections=store,
        outbox=outbox,
        sender=Sender(outbox, store, utc_now),
        predictions=PredictionLog(objects, now=utc_now, random=os.urandom),
        snapshots=SnapshotStore(objects),
        acceptance_sets=AcceptanceStore(objects),
        signatures=signatures,
        ledger=Ledger(objects, signatures),
        lease=Lease(objects, "leases/training.json"),
        promotion_lease=Lease(objects, "leases/promotion.json"),
        registry=registry,
        datasets=DatasetStore(home, objects),
        random=os.urandom,
    )
    champion = Champion(registry, home / "models", poll_s=context.settings.poll_s)
    champion.refresh()
    context.sender.start()
    recorder = Recorder(context)
    recorder.start()
    backend = Backend(context, champion, recorder)
    install(backend)
    try:
        yield Site(backend, registry, objects)
    finally:
        install(None)
        recorder.stop()
        context.sender.stop()
