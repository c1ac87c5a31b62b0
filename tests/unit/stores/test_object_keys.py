"""Keys of what people say come from what they say, never from what lies in the bucket."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.events import correction

from medloop.core.imaging.decode import content_sha256, encode_png
from medloop.stores.corrections import CorrectionStore
from medloop.stores.objects import ObjectInfo, ObjectStore

MORE_THAN_A_PAGE = 1_005  # S3 lists a thousand keys at a time


class Unlisted(ObjectStore):
    """A store that nobody may list, as long as `closed`."""

    closed = True

    def list(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        assert not self.closed, f"{prefix} was listed"
        return super().list(prefix, after=after)


def test_object_keys_count_no_listing() -> None:
    """The published system's next key was the length of a listing: two at once collided, and 1,000
    was the last.
    """
    objects = Unlisted.in_memory()
    front_ends = CorrectionStore(objects), CorrectionStore(objects)
    for i in range(MORE_THAN_A_PAGE):
        pixels = np.full((1, 2), (i % 256, i // 256), np.uint8)
        event = correction(content_sha256(pixels))
        assert front_ends[i % 2].put(event, encode_png(pixels), day="2026-11-02")
    objects.closed = False
    for folder in ("corrections", "images"):
        assert len({info.key for info in objects.list(folder)}) == MORE_THAN_A_PAGE
