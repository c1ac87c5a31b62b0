"""Puts the parts together: settings in, stores and clock out. Nowhere else are stores chosen."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from medloop import structured_logs
from medloop.core.corrections.signatures import SigningKeys
from medloop.errors import SettingsError
from medloop.jobs.context import Context
from medloop.settings import Settings, load_settings
from medloop.stores.acceptance_sets import AcceptanceStore
from medloop.stores.corrections import CorrectionStore
from medloop.stores.datasets import DatasetStore
from medloop.stores.lease import Lease
from medloop.stores.ledger import Ledger
from medloop.stores.objects import ObjectStore
from medloop.stores.outbox import OUTBOX_FILE, Outbox
from medloop.stores.predictions import PredictionLog
from medloop.stores.registry import Registry
from medloop.stores.sender import Sender
from medloop.stores.signatures import Signatures
from medloop.stores.snapshots import SnapshotStore

if TYPE_CHECKING:
    from medloop.serving import Champion

TRAINING_LEASE_KEY: Final = "leases/training.json"
PROMOTION_LEASE_KEY: Final = "leases/promotion.json"


def connect(settings: Settings | None = None) -> Context:
    """Connect the jobs to real stores. Nothing is opened or asked before its first use."""
    settings = settings or load_settings()
    if settings.log_format == "json":
        structured_logs.begin()
    objects = ObjectStore.from_settings(settings)
    signatures = Signatures(objects, signing_keys(settings))
    corrections = CorrectionStore(objects, signatures)
    outbox = Outbox(settings.home / OUTBOX_FILE)
    return Context(
        settings=settings,
        objects=objects,
        corrections=corrections,
        outbox=outbox,
        sender=Sender(outbox, corrections, utc_now),
        predictions=PredictionLog(objects, now=utc_now, random=os.urandom),
        signatures=signatures,
        snapshots=SnapshotStore(objects),
        ledger=Ledger(objects, signatures),
        lease=Lease(objects, TRAINING_LEASE_KEY),
        promotion_lease=Lease(objects, PROMOTION_LEASE_KEY),
        acceptance_sets=AcceptanceStore(objects),
        registry=Registry(settings),
        datasets=DatasetStore(settings.home, objects),
        now=utc_now,
        random=os.urandom,
        identify=identifier(settings),
    )


def open_champion(context: Context) -> Champion:
    """Prepare to serve the champion; the alias is followed to versions that the ledger names."""
    from medloop.serving import Champion

    def named() -> list[str]:
        from medloop.core.corrections.lineage import champions
        from medloop.jobs.alias_moves import moves

        return champions(moves(context))

    settings = context.settings
    return Champion(
        context.registry,
        settings.home / "models",
        poll_s=settings.poll_s,
        named=named,
    )


def signing_keys(settings: Settings) -> SigningKeys:
    """Read the keys of reviews and erasures that this process has."""
    review, erasure = (
        secret.get_secret_value().encode() if secret else None
        for secret in (settings.review_key, settings.erasure_key)
    )
    return SigningKeys(review=review, erasure=erasure)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def identifier(settings: Settings) -> Callable[[str], str]:
    """Make the function from a person's name to what is stored: a keyed hash, or the name."""

    def identify(who: str) -> str:
        if settings.identity == "plain":
            return who
        if settings.identity_key is None:
            raise SettingsError(
                "MEDLOOP_IDENTITY_KEY is not set: identities are stored as a keyed hash. Set it to "
                "a long random text that every front end shares, or set MEDLOOP_IDENTITY=plain"
            )
        key = settings.identity_key.get_secret_value().encode()
        return hmac.new(key, who.encode(), hashlib.sha256).hexdigest()[:16]

    return identify
