"""Lists a bucket with keys that obstore can't spell, such as a newline: it gives up on all.

botocore spells every key, but takes half a second to start. It is asked only where obstore has
refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from medloop.stores.credentials import credential_provider

if TYPE_CHECKING:
    from medloop.settings import Settings


class AnyKeys:
    """One bucket, to be listed whatever its keys are called."""

    def __init__(self, settings: Settings, bucket: str) -> None:
        self._settings = settings
        self._bucket = bucket

    def pages(self, folder: str, **more: Any) -> Iterator[dict[str, Any]]:
        """Yield the answers to ListObjectsV2 below a folder."""
        yield from (
            self._client()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self._bucket, Prefix=folder.rstrip("/") + "/", **more)
        )

    def _client(self) -> Any:
        from botocore.config import Config
        from botocore.session import Session

        settings, keys = self._settings, credential_provider(self._settings)()
        return Session().create_client(
            "s3",
            region_name=settings.aws_region,
            endpoint_url=settings.s3_endpoint_url,
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            aws_session_token=keys["token"],
            verify=str(settings.aws_ca_bundle) if settings.aws_ca_bundle else None,
            config=Config(
                s3={"addressing_style": "path" if settings.s3_endpoint_url else "auto"},
                connect_timeout=3,
                read_timeout=15,
            ),
        )
