"""A labelled set of images in memory, and the order of its labels. Knows no file and no store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np

from medloop.core.class_names import check_class_name
from medloop.core.data.splits import Split, split
from medloop.core.imaging.preprocess import SIZE, preprocess
from medloop.errors import DatasetError

BLANK_SHARE: Final = 0.01  # an image with fewer pixels than this off its background shows nothing
BLANK_DISTANCE: Final = 12  # grey levels; JPEG noise around a flat background stays below
CHUNK: Final = 512  # images at a time, so that the temporaries stay small


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images with classes and groups. `labels` is the one order of classes, also in models."""

    id: str  # of the content: the same images, classes, groups and names give the same id
    labels: tuple[str, ...]  # sorted
    images: np.ndarray  # uint8 [N, 64, 64]
    targets: np.ndarray  # int64 [N], index into labels
    groups: np.ndarray  # int64 [N]; images of one examination, or near-duplicates, share a group
    names: tuple[str, ...]  # of the files, relative to the class folders' root; sorted
    # groups that another data set has put into a part, see `splits`
    placed: Mapping[int, int] = field(default_factory=dict)

    def split(self) -> Split:
        """Split into training, validation and test images, by whole group."""
        return split(self.targets, self.groups, placed=self.placed)

    @classmethod
    def build(
        cls, *, images: np.ndarray, classes: Sequence[str], groups: np.ndarray, names: Sequence[str]
    ) -> Self:
        """Sort by name, number the classes once, and hash the whole.

        Raises:
            DatasetError: The lengths differ, a name repeats, there are fewer than two classes, or
                a class has a name that nobody could give (`core.class_names`).
        """
        _check(images, classes, groups, names)
        labels = tuple(sorted(set(classes)))
        try:
            all(map(check_class_name, labels))
        except ValueError as error:
            raise DatasetError(f"In a data set, {error}: rename its folder.") from error
        if len(labels) < 2:
            raise DatasetError(
                f"A data set needs two classes or more, found {', '.join(labels) or 'none'}."
            )
        order = sorted(range(len(names)), key=names.__getitem__)
        if order != list(range(len(order))):  # else spare a copy of the pixels
            images = images[order]
        targets = np.array([labels.index(classes[i]) for i in order], dtype=np.int64)
        groups = np.asarray(groups, dtype=np.int64)[order]
        names = tuple(names[i] for i in order)
        id_ = content_id(labels, images, targets, groups, names)
        return cls(id_, labels, images, targets, groups, names)


def _check(
    images: np.ndarray, classes: Sequence[str], groups: np.ndarray, names: Sequence[str]
) -> None:
    if images.dtype != np.uint8 or images.shape[1:] != (SIZE, SIZE):
        raise DatasetError(
            f"Images must be uint8 [N, {SIZE}, {SIZE}], got {images.dtype} of shape {images.shape}."
        )
    lengths = sorted({len(images), len(classes), len(groups), len(names)})
    if len(lengths) > 1:
        raise DatasetError(f"Images, classes, groups and names differ in length: {lengths}.")
    if len(set(names)) < len(names):
        raise DatasetError("Two images of the data set have the same name.")


def content_id(
    labels: tuple[str, ...],
    images: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    names: tuple[str, ...],
) -> str:
    """Give 16 hexadecimal digits of a SHA-256 over everything that a data set holds."""
    digest = hashlib.sha256(b"medloop data set 1\0")
    for part in ("\0".join(labels), "\0".join(names)):
        digest.update(hashlib.sha256(part.encode()).digest())
    for array, dtype in ((images, "u1"), (targets, "<i8"), (groups, "<i8")):
        digest.update(np.ascontiguousarray(array, dtype=dtype).data)
    return digest.hexdigest()[:16]


def thumbnails(images: np.ndarray) -> np.ndarray:
    """Bring grey images uint8 [N, H, W] of any one size to [N, 64, 64]."""
    if images.shape[1:] == (SIZE, SIZE):
        return images
    return np.stack([preprocess(image) for image in images])


def blank(images: np.ndarray) -> np.ndarray:
    """Find images [N, H, W] that show nothing: bool [N].

    Under 1 % of their pixels leave their most frequent grey.
    """
    pixels = images.reshape(len(images), -1)
    found = np.zeros(len(images), dtype=bool)
    for start in range(0, len(images), CHUNK):
        chunk = pixels[start : start + CHUNK].astype(np.int64)
        away = np.abs(chunk - background(chunk)[:, None]) > BLANK_DISTANCE
        found[start : start + CHUNK] = away.mean(axis=1) < BLANK_SHARE
    return found


def background(pixels: np.ndarray) -> np.ndarray:
    """Find the commonest grey of each row of `pixels` [N, P], the darkest of equals: int64 [N]."""
    rows = np.arange(len(pixels), dtype=np.int64)[:, None] * 256
    counts = np.bincount((rows + pixels).ravel(), minlength=len(pixels) * 256)
    return np.asarray(counts.reshape(len(pixels), 256).argmax(axis=1), dtype=np.int64)


def exact_duplicates(images: np.ndarray) -> np.ndarray:
    """Give per image the index of the first one with the same pixels, or its own: int64 [N]."""
    seen: dict[bytes, int] = {}
    contents = (np.ascontiguousarray(image).data for image in images)
    digests = (hashlib.blake2b(content, digest_size=16).digest() for content in contents)
    return np.array([seen.setdefault(d, i) for i, d in enumerate(digests)], dtype=np.int64)


def scored(images: np.ndarray) -> np.ndarray:
    """Find images that belong into a score: not blank, of exact duplicates the first: bool [N]."""
    first = exact_duplicates(images) == np.arange(len(images))
    return np.asarray(first & ~blank(images), dtype=bool)
