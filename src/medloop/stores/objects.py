"""S3, and a store in memory that behaves alike: the one place that knows obstore.

Owns credentials, time limits, conditional writes and the words for what can go wrong. Knows no key
layout.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

import obstore
from obstore import exceptions
from obstore.store import MemoryStore, S3Store

from medloop.errors import AlreadyExistsError, NotFoundError, StaleError, StoreError
from medloop.stores.any_keys import AnyKeys
from medloop.stores.credentials import credential_provider
from medloop.stores.s3_refusals import refusal

if TYPE_CHECKING:
    from medloop.settings import Settings

CLIENT: Final = {"connect_timeout": "3s", "read_timeout": "15s", "timeout": "60s"}
# Few retries here: whoever calls knows better whether to wait (the outbox for days, a page not at
# all).
RETRY: Final[Any] = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
LIST_CHUNK: Final = 1000

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """The facts about an object in a listing."""

    key: str
    size_bytes: int
    e_tag: str | None
    modified: datetime


class ObjectStore:
    """A bucket. Safe to share between threads; opens no connection before the first call.

    Every method raises `StoreUnavailableError` where the store does not answer or asks to come back
    later, and `StoreError` where it refuses; the message says why and what to do.
    """

    def __init__(self, backend: Any, *, name: str, any_keys: AnyKeys | None = None) -> None:
        self._backend = backend
        self._any_keys = any_keys
        self.name = name  # for messages: bucket and address

    @classmethod
    def from_settings(cls, settings: Settings, *, bucket: str | None = None) -> Self:
        """Open the settings' bucket, or another one, at the settings' endpoint or AWS."""
        bucket = bucket or settings.s3_bucket
        endpoint = settings.s3_endpoint_url
        config: dict[str, Any] = {"region": settings.aws_region, "disable_bulk_delete": True}
        client: dict[str, Any] = {
            **CLIENT,
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
        }
        if endpoint:
            config["endpoint"] = endpoint.rstrip("/")
        if settings.s3_encryption:
            config["server_side_encryption"] = settings.s3_encryption
        if settings.s3_kms_key_id:
            config["sse_kms_key_id"] = settings.s3_kms_key_id
        if settings.aws_ca_bundle:
            client["root_certificate"] = settings.aws_ca_bundle.read_bytes()
        backend: Any = S3Store(
            bucket,
            config=cast("Any", config),
            client_options=cast("Any", client),
            retry_config=RETRY,
            credential_provider=cast("Any", credential_provider(settings)),
        )
        name = f"S3 bucket {bucket!r} at {endpoint or 'AWS'}"
        return cls(backend, name=name, any_keys=AnyKeys(settings, bucket))

    @classmethod
    def in_memory(cls) -> Self:
        """Make an empty store that lives as long as the object, for tests."""
        return cls(MemoryStore(), name="the store in memory")

    def get(self, key: str, *, at_most: int | None = None) -> bytes:
        """Read an object, or raise `NotFoundError`, also if it has more bytes than `at_most`."""
        with self._translated("reading", key):
            result = obstore.get(self._backend, key)
            if at_most is not None and result.meta["size"] > at_most:
                raise NotFoundError(f"{self.name}: {key} has more than {at_most:,} bytes")
            return bytes(result.bytes())

    def find(self, key: str, *, at_most: int | None = None) -> bytes | None:
        """Do `get`; None if there is no such object."""
        try:
            return self.get(key, at_most=at_most)
        except NotFoundError:
            return None

    def get_versioned(self, key: str) -> tuple[bytes, str]:
        """Read an object and the e-tag for `replace`, or raise `NotFoundError`."""
        with self._translated("reading", key):
            result = obstore.get(self._backend, key)
            return bytes(result.bytes()), str(result.meta["e_tag"])

    def put(self, key: str, data: bytes) -> None:
        """Write, over whatever is there."""
        with self._translated("writing", key):
            obstore.put(self._backend, key, data)

    def create(self, key: str, data: bytes, *, content_type: str | None = None) -> None:
        """Write where nothing is yet (`If-None-Match: *`), or `AlreadyExistsError`."""
        attributes: Any = {"Content-Type": content_type} if content_type else None
        with self._translated("writing", key):
            obstore.put(self._backend, key, data, mode="create", attributes=attributes)

    def ensure(self, key: str, data: bytes, *, content_type: str | None = None) -> bool:
        """Write unless the key exists; True if it was new.

        For keys that name their content (a hash, an event id): what is there is not compared.
        `content_type` serves people who open the object in a browser.
        """
        try:
            self.create(key, data, content_type=content_type)
        except AlreadyExistsError:
            return False
        return True

    def replace(self, key: str, data: bytes, e_tag: str) -> str:
        """Compare and swap: return the new e-tag, or raise `StaleError` if `e_tag` is outdated."""
        with self._translated("writing", key):
            return str(obstore.put(self._backend, key, data, mode={"e_tag": e_tag})["e_tag"])

    def head(self, key: str) -> ObjectInfo | None:
        """Look an object up; None if there is none."""
        try:
            with self._translated("looking up", key):
                return _info(obstore.head(self._backend, key))
        except NotFoundError:
            return None

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens where there is none."""
        with self._translated("deleting", key):
            obstore.delete(self._backend, key)

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        """Yield objects below the folder `prefix`, at any depth, with keys greater than `after`.

        Among them may be keys that no other method takes, such as one with a newline.
        """
        with self._translated("listing", prefix):
            try:
                for chunk in obstore.list(
                    self._backend, prefix, offset=after, chunk_size=LIST_CHUNK
                ):
                    for info in map(_info, chunk):
                        yield info
                        after = info.key
            except exceptions.InvalidPathError:
                more = {"StartAfter": after} if after else {}
                for page in self._pages(prefix, **more):
                    yield from map(_info_of_any, page.get("Contents", ()))

    def folders(self, prefix: str) -> builtins.list[str]:
        """List the names of the folders directly below `prefix`, sorted."""
        with self._translated("listing", prefix):
            try:
                found = obstore.list_with_delimiter(self._backend, prefix)["common_prefixes"]
            except exceptions.InvalidPathError:
                pages = self._pages(prefix, Delimiter="/")
                found = [part["Prefix"] for p in pages for part in p.get("CommonPrefixes", ())]
            return sorted(path.rstrip("/").rpartition("/")[2] for path in found)

    def _pages(self, folder: str, **more: str) -> Iterator[dict[str, Any]]:
        if self._any_keys is None:
            raise StoreError(f"{self.name} holds keys that cannot be spelled, below {folder}")
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield from self._any_keys.pages(folder, **more)
        except (BotoCoreError, ClientError) as error:
            raise refusal(str(error), store=self.name, act=f"listing {folder}") from error

    def get_many(self, keys: Sequence[str], *, concurrency: int = 64) -> builtins.list[bytes]:
        """Do `get` for each at once, in the order of `keys`."""
        return _at_once(self.get, keys, concurrency)

    def find_many(
        self, keys: Sequence[str], *, at_most: int | None = None, concurrency: int = 64
    ) -> builtins.list[bytes | None]:
        """Do `find` for each at once, in the order of `keys`."""
        return _at_once(partial(self.find, at_most=at_most), keys, concurrency)

    def ensure_many(
        self, items: Sequence[tuple[str, bytes]], *, concurrency: int = 64
    ) -> builtins.list[bool]:
        """Do `ensure` for each (key, data) at once, in order."""
        return _at_once(lambda item: self.ensure(*item), items, concurrency)

    @contextmanager
    def _translated(self, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise refusal(str(error), store=self.name, act=f"{doing} {key}") from error
            raise NotFoundError(f"{self.name} has no {key}") from error
        except exceptions.AlreadyExistsError as error:
            raise AlreadyExistsError(f"{self.name} has {key} already") from error
        except exceptions.PreconditionError as error:
            raise StaleError(
                f"{self.name}: somebody else changed {key} meanwhile; read it again"
            ) from error
        except exceptions.UnauthenticatedError as error:
            reason = str(error).partition("\n")[0].rpartition("Error: ")[2]
            raise StoreError(f"{self.name}: {reason}") from error
        except (exceptions.BaseError, OSError, ValueError) as error:
            raise refusal(str(error), store=self.name, act=f"{doing} {key}") from error


def _at_once(function: Callable[[T], R], items: Sequence[T], concurrency: int) -> list[R]:
    if len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(concurrency, len(items)), thread_name_prefix="s3") as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(
        key=meta["path"],
        size_bytes=meta["size"],
        e_tag=meta["e_tag"],
        modified=meta["last_modified"],
    )


def _info_of_any(item: Any) -> ObjectInfo:
    return ObjectInfo(
        key=item["Key"],
        size_bytes=item["Size"],
        e_tag=item["ETag"],
        modified=item["LastModified"],
    )
