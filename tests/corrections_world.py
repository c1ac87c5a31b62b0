"""A loop over any object store, for tests: real stores and jobs, a clock that can be turned, no
registry.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from medloop.core.corrections.events import Correction, Review
from medloop.core.corrections.signatures import SigningKeys
from medloop.core.data.splits import Split, split
from medloop.core.imaging.decode import DecodedImage, content_sha256
from medloop.jobs.correct import correct
from medloop.settings import Settings
from medloop.stores.acceptance_sets import AcceptanceStore
from medloop.stores.corrections import CorrectionStore
from medloop.stores.ledger import Ledger
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import Outbox
from medloop.stores.sender import Sender
from medloop.stores.signatures import Signatures
from medloop.stores.snapshots import SnapshotStore
from medloop.wiring import connect
from tests.events import START, image, png

NO_KEYS = SigningKeys()


@dataclass(frozen=True)
class BaseDataset:
    """A data set of one CXR and one Hand, where little but its id matters."""

    id: str = "base0000base0000"
    labels: tuple[str, ...] = ("CXR", "Hand")
    images: np.ndarray = field(default_factory=lambda: np.stack([image(1001), image(1002)]))
    targets: np.ndarray = field(default_factory=lambda: np.array([0, 1]))
    groups: np.ndarray = field(default_factory=lambda: np.array([0, 1]))

    def split(self) -> Split:
        return split(self.targets, self.groups)


class Datasets:
    def get(self, dataset_id: str | None = None) -> BaseDataset:
        return BaseDataset(dataset_id or BaseDataset.id)

    def labels(self, dataset_id: str | None = None) -> tuple[str, ...]:
        return self.get(dataset_id).labels

    def ids(self) -> list[str]:
        return []

    def published_ids(self) -> list[str]:
        return []


class World:
    """Stores, a clock, and what people do."""

    def __init__(
        self,
        objects: ObjectStore,
        home: Path,
        *,
        registry: Any = None,
        keys: SigningKeys = NO_KEYS,
        **settings: Any,
    ) -> None:
        self.now = START
        self.objects = objects
        signatures = Signatures(objects, keys)
        corrections, outbox = CorrectionStore(objects, signatures), Outbox(home / "outbox.db")
        serial = itertools.count()
        self.context = replace(
            connect(Settings(home=home, **settings)),
            objects=objects,
            acceptance_sets=AcceptanceStore(objects),
            corrections=corrections,
            outbox=outbox,
            sender=Sender(outbox, corrections, lambda: self.now),
            signatures=signatures,
            snapshots=SnapshotStore(objects),
            ledger=Ledger(objects, signatures),
            datasets=Datasets(),
            now=self.tick,
            random=lambda n: hashlib.sha256(str(next(serial)).encode()).digest()[:n],
            identify=lambda who: who,
            **({"registry": registry} if registry else {}),
        )

    def tick(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def pass_days(self, days: int) -> None:
        self.now += timedelta(days=days)

    def correct(
        self, seed: int, label: str | None = "Hand", *, who: str = "ada", size: int = 64
    ) -> str:
        """A person corrects an image and it is sent; the image's hash."""
        shown = decoded(image(seed, size=size))
        correct(
            self.context,
            image=shown,
            given_label=label,
            prediction=None,
            model_version="1",
            who=who,
        )
        self.context.sender.send_once()
        return shown.sha256

    def store(self, event: Correction | Review, pixels: np.ndarray | None = None) -> None:
        """An event straight into the store, under the day of the clock."""
        day = self.now.strftime("%Y-%m-%d")
        if isinstance(event, Correction):
            self.context.corrections.put(
                event, png(pixels) if pixels is not None else None, day=day
            )
        else:
            self.context.corrections.put_review(event, day=day)

    def snapshots_bytes(self) -> dict[str, bytes]:
        """All that lies under snapshots/ but the pointer, by key."""
        keys = sorted(
            info.key for info in self.objects.list("snapshots") if "latest" not in info.key
        )
        return dict(zip(keys, self.objects.get_many(keys), strict=True))


def decoded(pixels: np.ndarray) -> DecodedImage:
    return DecodedImage(pixels=pixels, sha256=content_sha256(pixels), kind="PNG")
