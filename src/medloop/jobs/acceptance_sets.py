"""Adds and withdraws acceptance sets: a site's own labelled images, with a floor for the gate."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core import none_of_these
from medloop.core.data.class_folders import class_of, image_paths
from medloop.core.imaging.decode import decode
from medloop.core.imaging.preprocess import preprocess
from medloop.core.spelling import with_closest
from medloop.errors import DatasetError, DecodeError, NotFoundError
from medloop.jobs.context import Context
from medloop.jobs.training_overlap import learned
from medloop.progress import Progress, part, silent
from medloop.stores.acceptance_sets import AcceptanceSet, Declaration
from medloop.stores.dataset_files import open_files
from medloop.stores.registry import CHAMPION

DEFAULT_FLOOR: Final = 0.9
NAMED: Final = 5  # wrong folders in a message


@dataclass(frozen=True, slots=True)
class AcceptanceResult:
    """A declared acceptance set."""

    name: str
    set_id: str | None
    images: int
    floor: float
    learned: int = 0  # images that a version was trained on, or on near copies
    unchecked: tuple[str, ...] = ()  # what the images could not be compared with, in words


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """The images of a new acceptance set."""

    images: np.ndarray  # uint8 [N, 64, 64]
    classes: np.ndarray  # str [N]
    image_sha256: tuple[str, ...]


def add(
    context: Context,
    *,
    name: str,
    path: Path,
    by: str,
    floor: float = DEFAULT_FLOOR,
    new_classes: Collection[str] = (),
    keep_learned: bool = False,
    progress: Progress = silent,
) -> AcceptanceResult:
    """Read class folders from a folder or a zip, and hold every gate to them from now on.

    The folder `none` holds images of no class. What a version was trained on, or a near copy of
    it, is left out unless `keep_learned`. `new_classes` may be there before the model knows them.

    Raises:
        DatasetError: An image can't be read (a set with holes would promise more than it checks),
            a class folder is no label of the model, nothing is left, or the floor is no share.
        StoreError: The name can't be used.
    """
    if not 0 < floor <= 1:
        raise DatasetError(
            f"the floor is the least share of right answers, above 0 and at most 1, not {floor:g}"
        )
    brought = _read(path, _labels(context), new_classes, part(progress, 0.0, 0.8))
    found = learned(context, brought.images, brought.image_sha256, part(progress, 0.8, 1.0))
    kept = np.full(len(found.seen), keep_learned) | ~found.seen
    if not kept.any():
        raise DatasetError(
            f"a version was trained on every one of the {len(kept)} images in {path.name!r}, or on "
            "near copies: such a set would only flatter it. Take others, or keep them all the same "
            "with --keep-learned"
        )
    content = _content(name, floor, brought.images[kept], brought.classes[kept])
    declared = _declare(context, name, content, floor=floor, by=by)
    return replace(declared, learned=int(found.seen.sum()), unchecked=found.unchecked)


def withdraw(context: Context, *, name: str, by: str) -> AcceptanceResult:
    """Stop holding the gate to a set. Its images and the history stay.

    Raises:
        NotFoundError: No set of this name counts.
    """
    known = {item.name: item for item in context.acceptance_sets.declarations()}
    if name not in known:
        raise NotFoundError(
            f"there is no acceptance set {name!r}: `medloop acceptance list` shows them"
        )
    return _declare(context, name, None, floor=known[name].floor, by=by)


def _declare(
    context: Context, name: str, content: AcceptanceSet | None, *, floor: float, by: str
) -> AcceptanceResult:
    """Write what counts under this name from now on; None for nothing."""
    identifier, at = context.new_event(after=context.acceptance_sets.newest_id(name))
    set_id, images = (content.set_id, len(content.images)) if content else (None, 0)
    declaration = Declaration(identifier, at, name, set_id, floor, images, by)
    context.acceptance_sets.declare(declaration, content)
    return AcceptanceResult(name, set_id, images, floor)


def _labels(context: Context) -> Sequence[str]:
    """Return the champion's labels, or the base data set's before the first champion."""
    champion = context.registry.version_of(CHAMPION)
    if champion is None:
        return context.datasets.labels(context.settings.base_dataset)
    return context.registry.get(champion).tags.labels


def _read(
    path: Path, labels: Sequence[str], new_classes: Collection[str], report: Progress
) -> _Images:
    images, classes, hashes = [], [], []
    with open_files(path) as files:
        name_of = image_paths(files.paths)
        paths = sorted(name_of, key=name_of.__getitem__)
        _check_folders(path, {class_of(name) for name in name_of.values()}, labels, new_classes)
        for i, inside in enumerate(paths):
            report(i / len(paths), f"image {i + 1} of {len(paths)}")
            try:
                decoded = decode(files.read(inside))
                images.append(preprocess(decoded.pixels))
            except (DecodeError, DatasetError, OSError) as error:
                raise DatasetError(
                    f"{name_of[inside]} in {path.name!r} can't be read: {error}"
                ) from error
            label = class_of(name_of[inside])
            classes.append(none_of_these.CLASS if _is_none(label) else label)
            hashes.append(decoded.sha256)
    if not images:
        raise DatasetError(
            f"{path.name!r} holds no images in class folders, such as Hand/000001.jpeg"
        )
    return _Images(np.stack(images), np.array(classes), tuple(hashes))


def _is_none(folder: str) -> bool:
    return folder.lower() == none_of_these.WORD


def _check_folders(
    path: Path, folders: Collection[str], labels: Sequence[str], new_classes: Collection[str]
) -> None:
    """Refuse a misspelt class: wrong for every model, it would never be worse than before."""
    wrong = sorted(
        folder
        for folder in folders
        if not _is_none(folder) and folder not in (*labels, *new_classes)
    )
    if not wrong:
        return
    named = ", ".join(
        with_closest(folder, (none_of_these.WORD, *labels)) for folder in wrong[:NAMED]
    )
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    raise DatasetError(
        f"{path.name!r} has class folders that are no label of the model: {named}{more}. Its "
        f"labels are {', '.join(labels)}; `{none_of_these.WORD}` is for images of no class. Rename "
        "the folders, or name each class that the model is yet to learn with --new-class"
    )


def _content(name: str, floor: float, images: np.ndarray, classes: np.ndarray) -> AcceptanceSet:
    digest = hashlib.sha256(images.tobytes() + "\0".join(classes).encode()).hexdigest()[:16]
    return AcceptanceSet(
        name=name,
        set_id=digest,
        floor=floor,
        images=images,
        classes=classes,
        groups=np.arange(len(classes)),
    )
