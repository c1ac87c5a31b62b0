"""Adds and withdraws acceptance sets: a site's own labelled images that the gate holds to a floor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core.class_folders import class_of, image_paths
from medloop.core.decode import decode
from medloop.core.evaluation import NONE_OF_THESE
from medloop.core.preprocess import preprocess
from medloop.errors import DatasetError, DecodeError, NotFoundError
from medloop.jobs.loop import Loop
from medloop.jobs.train import Progress, silent
from medloop.stores.acceptance_sets import AcceptanceSet, Declaration
from medloop.stores.dataset_files import open_files

NONE_FOLDER: Final = "none"  # class folder of images that belong to no class
DEFAULT_FLOOR: Final = 0.9


@dataclass(frozen=True, slots=True)
class AcceptanceResult:
    """What was declared."""

    name: str
    set_id: str | None
    images: int
    floor: float


def add(
    loop: Loop, *, name: str, path: Path, by: str, floor: float = DEFAULT_FLOOR, progress: Progress | None = None
) -> AcceptanceResult:
    """Read class folders (a folder or a zip; `none` holds images of no class) and hold every gate to them from now on.

    Raises:
        DatasetError: An image can't be read, there are none, or the floor is no share. Nothing is skipped: a set with
            holes would promise more than it checks.
        StoreError: The name can't be used.
    """
    if not 0 < floor <= 1:
        raise DatasetError(f"the floor is the least share of right answers, above 0 and at most 1, not {floor:g}")
    content = _read(name, path, floor, progress or silent)
    identifier, at = loop.new_event()
    declaration = Declaration(
        id=identifier, at=at, name=name, set_id=content.set_id, floor=floor, images=len(content.images), by=by
    )
    loop.acceptance_sets.declare(declaration, content)
    return AcceptanceResult(name, content.set_id, len(content.images), floor)


def withdraw(loop: Loop, *, name: str, by: str) -> AcceptanceResult:
    """Stop holding the gate to a set. Its images and the history stay.

    Raises:
        NotFoundError: No set of this name counts.
    """
    known = {item.name: item for item in loop.acceptance_sets.declarations()}
    if name not in known:
        raise NotFoundError(f"there is no acceptance set {name!r}: `medloop acceptance list` shows them")
    identifier, at = loop.new_event()
    old = known[name]
    declaration = Declaration(id=identifier, at=at, name=name, set_id=None, floor=old.floor, images=0, by=by)
    loop.acceptance_sets.declare(declaration, None)
    return AcceptanceResult(name, None, 0, old.floor)


def _read(name: str, path: Path, floor: float, report: Progress) -> AcceptanceSet:
    images, classes = [], []
    with open_files(path) as files:
        name_of = image_paths(files.paths)
        paths = sorted(name_of, key=name_of.__getitem__)
        for i, inside in enumerate(paths):
            report(i / len(paths), f"image {i + 1} of {len(paths)}")
            try:
                images.append(preprocess(decode(files.read(inside)).pixels))
            except (DecodeError, DatasetError, OSError) as error:
                raise DatasetError(f"{name_of[inside]} in {path.name!r} can't be read: {error}") from error
            label = class_of(name_of[inside])
            classes.append(NONE_OF_THESE if label.lower() == NONE_FOLDER else label)
    if not images:
        raise DatasetError(f"{path.name!r} holds no images in class folders, such as Hand/000001.jpeg")
    stacked, given = np.stack(images), np.array(classes)
    digest = hashlib.sha256(stacked.tobytes() + "\0".join(classes).encode()).hexdigest()[:16]
    return AcceptanceSet(
        name=name, set_id=digest, floor=floor, images=stacked, classes=given, groups=np.arange(len(given))
    )
