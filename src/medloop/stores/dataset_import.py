"""Data sets of others, read into ours: class folders in a zip or a folder, and MedMNIST's `.npz`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core.data.class_folders import (
    GROUPS_FILE,
    class_of,
    groups_of,
    image_paths,
    read_groups,
)
from medloop.core.data.datasets import Dataset, thumbnails
from medloop.core.data.groups import near_duplicate_groups
from medloop.core.imaging.decode import decode
from medloop.core.imaging.preprocess import SIZE, preprocess
from medloop.errors import DatasetError, MedloopError
from medloop.progress import Progress, silent
from medloop.stores.archives import open_zip
from medloop.stores.dataset_files import Files, check_zip, open_files

BATCH: Final = 256  # files a thread decodes at a time: the smallest step of the progress
MOST_NPZ_BYTES: Final = 8 * 2**30  # one array of an .npz; it has to fit into memory
MEDMNIST_PARTS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to read somebody's data set."""

    groups: Path | None = (
        None  # CSV with the columns file and group; else groups.csv inside; else computed
    )
    labels: tuple[str, ...] = ()  # names of the classes 0, 1, … of an .npz
    folder: str | None = (
        None  # the folder that holds the class folders, where there are others beside it
    )


DEFAULTS: Final = ImportOptions()


@dataclass(slots=True)
class Imported:
    """A data set and what was said about it on the way."""

    dataset: Dataset
    groups_from: str  # "given" or "computed"
    skipped: list[tuple[str, str]] = field(default_factory=list)  # unreadable files and why


def read_dataset(
    path: Path, *, options: ImportOptions = DEFAULTS, progress: Progress = silent
) -> Imported:
    """Read class folders or an `.npz`.

    Raises:
        DatasetError: Nothing there, no images, too few classes, a hostile archive, or groups that do not fit.
    """
    if path.suffix.lower() == ".npz":
        return _read_npz(path, options, progress)
    with open_files(path) as files:
        return _read_class_folders(files, options, progress)


def _read_class_folders(files: Files, options: ImportOptions, progress: Progress) -> Imported:
    name_of = image_paths(files.paths, folder=options.folder)
    if not name_of:
        raise DatasetError(
            "No images in class folders found: expected paths such as Hand/000001.jpeg."
        )
    paths = sorted(name_of, key=name_of.__getitem__)
    images, skipped = _decode_all(files, paths, progress)
    bad = {path for path, _ in skipped}
    names = [name_of[path] for path in paths if path not in bad]
    if not names:
        raise DatasetError(
            f"None of {len(paths):,} images can be read; the first one: {skipped[0][1]}"
        )
    classes = [class_of(name) for name in names]
    table = _group_table(files, options)
    if table is None:
        targets = np.unique(classes, return_inverse=True)[1]
        groups = near_duplicate_groups(images, targets=targets, progress=progress)
    else:
        groups = np.array(groups_of(names, table), dtype=np.int64)
    dataset = Dataset.build(images=images, classes=classes, groups=groups, names=names)
    return Imported(dataset, "computed" if table is None else "given", skipped)


def _decode_all(
    files: Files, paths: list[str], progress: Progress
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Images uint8 [N, 64, 64] of the readable files, in order; and which files are not readable, and why."""
    images = np.empty((len(paths), SIZE, SIZE), dtype=np.uint8)
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    skipped: list[tuple[str, str]] = []
    done = seen = 0
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        for batch, results in zip(
            batches, pool.map(partial(_decode_batch, files), batches), strict=True
        ):
            for path, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    skipped.append((path, result))
                else:
                    images[done] = result
                    done += 1
            seen += len(batch)
            progress(seen / len(paths), "reading images")
    return images[:done], skipped


def _decode_batch(files: Files, paths: list[str]) -> list[np.ndarray | str]:
    return [_decode_one(files, path) for path in paths]


def _decode_one(files: Files, path: str) -> np.ndarray | str:
    """The image, preprocessed, or why there is none."""
    try:
        return preprocess(decode(files.read(path), find_text=False).pixels)
    except MedloopError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({type(error).__name__})"


def _group_table(files: Files, options: ImportOptions) -> dict[str, int] | None:
    if options.groups is not None:
        return _groups_file(options.groups)
    inside = [path for path in files.paths if path.split("/")[-1] == GROUPS_FILE]
    return read_groups(files.read(inside[0]).decode("utf-8", "replace")) if inside else None


def _groups_file(path: Path) -> dict[str, int]:
    try:
        return read_groups(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The groups file {str(path)!r} cannot be read: {error}") from error


def _read_npz(path: Path, options: ImportOptions, progress: Progress) -> Imported:
    """MedMNIST's layout: `train_images`, `train_labels`, `val_…`, `test_…`. Its own split is not kept."""
    arrays = _load_npz(path)
    parts = [
        part for part in MEDMNIST_PARTS if f"{part}_images" in arrays and f"{part}_labels" in arrays
    ]
    if not parts:
        raise DatasetError(
            f"{path.name!r} has no train_images and train_labels; it holds: {', '.join(arrays) or 'nothing'}."
        )
    images = np.concatenate([_grey(arrays[f"{part}_images"]) for part in parts])
    numbers = np.concatenate([_classes(arrays[f"{part}_labels"]) for part in parts])
    names = [f"{part}/{i:06d}" for part in parts for i in range(len(arrays[f"{part}_labels"]))]
    if len(images) != len(numbers):
        raise DatasetError(
            f"{path.name!r} holds {len(images):,} images but {len(numbers):,} labels."
        )
    classes = _named(numbers, options.labels)
    if options.groups is not None:
        groups = np.array(groups_of(names, _groups_file(options.groups)), dtype=np.int64)
    else:
        groups = near_duplicate_groups(images, targets=numbers, progress=progress)
    dataset = Dataset.build(images=images, classes=classes, groups=groups, names=names)
    return Imported(dataset, "computed" if options.groups is None else "given")


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DatasetError(f"There is no file {str(path)!r}.")
    try:
        with open_zip(str(path)) as archive:
            check_zip(archive, most_file_bytes=MOST_NPZ_BYTES)
        with np.load(path, allow_pickle=False) as arrays:
            wanted = [f"{part}_{kind}" for part in MEDMNIST_PARTS for kind in ("images", "labels")]
            return {name: arrays[name] for name in wanted if name in arrays.files}
    except DatasetError:
        raise
    except (
        Exception
    ) as error:  # what zipfile and NumPy trip over in a damaged file is of many kinds
        why = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{path.name!r} is no readable .npz without pickles ({why}).") from error


def _grey(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W] or [N, H, W, 3] to [N, 64, 64]; colours by the weights of ITU-R 601, as PIL has them."""
    if (
        images.dtype != np.uint8
        or images.ndim not in (3, 4)
        or (images.ndim == 4 and images.shape[3] != 3)
    ):
        raise DatasetError(
            f"Images must be uint8 [N, H, W] or [N, H, W, 3], got {images.dtype} of shape {images.shape}."
        )
    if images.ndim == 4:
        images = ((images @ np.array([19595, 38470, 7471], dtype=np.uint32) + 0x8000) >> 16).astype(
            np.uint8
        )
    return thumbnails(images)


def _classes(labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DatasetError(
            f"Labels must be one integer an image, got {labels.dtype} of shape {labels.shape}."
        )
    return labels.astype(np.int64)


def _named(numbers: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Class names of the numbers; without names the numbers themselves, padded so that they sort as numbers."""
    if not labels:
        width = len(str(numbers.max(initial=0)))
        return [f"class {number:0{width}d}" for number in numbers]
    if (
        numbers.min(initial=0) < 0
        or numbers.max(initial=0) >= len(labels)
        or len(set(labels)) < len(labels)
    ):
        raise DatasetError(
            f"The labels run from {numbers.min(initial=0)} to {numbers.max(initial=0)}: "
            f"{len(labels)} different names cannot name them."
        )
    return [labels[number] for number in numbers]
