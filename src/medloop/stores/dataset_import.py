"""Import of data sets: class folders in a zip or a folder, and MedMNIST's `.npz`."""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path
from typing import Final

import numpy as np

from medloop.core.data.class_folders import (
    GROUPS_FILE,
    class_of,
    groups_of,
    hidden_paths,
    masks,
    names_in_folders,
    nested_class,
    read_groups,
    visible_paths,
)
from medloop.core.data.datasets import Dataset, thumbnails
from medloop.core.data.groups import near_duplicate_groups
from medloop.core.imaging.decode import decode_pixels
from medloop.core.imaging.preprocess import SIZE, preprocess
from medloop.errors import DatasetError, MedloopError
from medloop.progress import Progress, silent
from medloop.stores.archives import open_zip
from medloop.stores.dataset_files import Files, check_zip, open_files

MEDICAL_MNIST_GROUPS: Final = "medical-mnist-groups.csv.xz"  # of the package's data
BATCH: Final = 256  # files that a thread decodes at a time: the smallest step of progress
MOST_NPZ_BYTES: Final = 8 * 2**30  # of an array in an .npz, which has to fit into memory
NAMED: Final = 20  # arrays of an .npz, in a sentence
MIN_COPIES: Final = 4
COPIED: Final = 0.9  # share of a class's images in other classes that makes it a copy
MEDMNIST_PARTS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """Options for reading a data set."""

    groups: Path | None = None  # CSV: file and group; else groups.csv inside; else computed
    labels: tuple[str, ...] = ()  # names of the classes 0, 1, … of an .npz
    folder: str | None = None  # parent of the class folders, if there are others beside it
    leave_out: str = ""  # pattern of paths, as in fnmatch
    known_groups: bool = False  # those of Medical MNIST, and only the images that they name


DEFAULTS: Final = ImportOptions()


@dataclass(slots=True)
class Imported:
    """A data set and notes on its import."""

    dataset: Dataset
    groups_from: str  # "given" or "computed"
    skipped: list[tuple[str, str]] = field(default_factory=list)  # files left out, and why
    coloured: int = 0  # images in colour; the model sees their brightness alone


def read_dataset(
    path: Path, *, options: ImportOptions = DEFAULTS, progress: Progress = silent
) -> Imported:
    """Read class folders or an `.npz`.

    Raises:
        DatasetError: No file, no images, too few classes, a hostile archive, or unfitting groups.
    """
    if path.suffix.lower() == ".npz":
        return _read_npz(path, options, progress)
    with open_files(path) as files:
        return _read_class_folders(files, options, progress)


def _read_class_folders(files: Files, options: ImportOptions, progress: Progress) -> Imported:
    paths = [
        path
        for path in sorted(visible_paths(files.paths, folder=options.folder))
        if path.rpartition("/")[2] != GROUPS_FILE and not fnmatch(path, options.leave_out)
    ]
    images, read, skipped, coloured = _decode_all(files, paths, progress)
    if not read and skipped:
        raise DatasetError(
            f"None of {len(paths):,} files can be read as an image; the first one: {skipped[0][1]}"
        )
    _refuse_masks(read)
    name_of = names_in_folders(read, folder=options.folder)
    if not name_of:
        raise DatasetError(
            "No images in class folders found: expected paths such as Hand/000001.jpeg."
        )
    skipped += [(path, "It lies in no class folder.") for path in read if path not in name_of]
    table = _group_table(files, options)
    if options.known_groups and table is not None:
        name_of = {path: name for path, name in name_of.items() if name in table}
    hidden = hidden_paths(files.paths, folder=options.folder)
    skipped += [*files.left_out, *((path, "It is hidden.") for path in hidden)]
    in_folders = [at for at, path in enumerate(read) if path in name_of]
    images = images if len(in_folders) == len(images) else images[in_folders]
    names = list(name_of.values())
    classes = [class_of(name) for name in names]
    _refuse_second_copies(images, name_of, classes)
    if table is None:
        targets = np.unique(classes, return_inverse=True)[1]
        groups = near_duplicate_groups(images, targets=targets, progress=progress)
    else:
        groups = np.array(groups_of(names, table), dtype=np.int64)
    dataset = Dataset.build(images=images, classes=classes, groups=groups, names=names)
    return Imported(dataset, "computed" if table is None else "given", skipped, coloured)


def _refuse_masks(paths: Sequence[str]) -> None:
    found = masks(paths)
    if found:
        mask, image = next(iter(found.items()))
        raise DatasetError(
            f"{len(found):,} files look like masks of other images, such as {mask!r} of {image!r}. "
            "They are no class: leave them out with --leave-out, "
            "which takes a pattern such as '*mask*'."
        )


def _refuse_second_copies(
    images: np.ndarray, name_of: Mapping[str, str], classes: Sequence[str]
) -> None:
    """Refuse class folders whose images are in others, too: a second copy of the set."""
    hashes = [hashlib.sha256(image).digest() for image in images]
    classes_of: dict[bytes, set[str]] = {}
    for digest, label in zip(hashes, classes, strict=True):
        classes_of.setdefault(digest, set()).add(label)
    shared: dict[str, list[set[str]]] = {}
    for digest, label in zip(hashes, classes, strict=True):
        shared.setdefault(label, []).append(classes_of[digest])
    copies = {
        label: len(set().union(*others))  # the folder of the most classes is the copy
        for label, others in shared.items()
        if sum(len(found) > 1 for found in others) >= max(MIN_COPIES, COPIED * len(others))
    }
    copy = nested_class(name_of.values()) or max(copies, key=copies.__getitem__, default=None)
    if copy is not None:
        name = next(name for name in name_of.values() if class_of(name) == copy)
        path = next(path for path, other in name_of.items() if other == name)
        folder = path[: len(path) - len(name)] + name.partition(f"{copy}/")[0]
        raise DatasetError(
            f"The folder {copy!r} holds what other class folders hold, too: "
            "it looks like a second copy of the set. "
            f"Leave one of them out, such as with --leave-out {f'{folder}{copy}/*'!r}."
        )


def _decode_all(
    files: Files, paths: list[str], progress: Progress
) -> tuple[np.ndarray, list[str], list[tuple[str, str]], int]:
    """Decode uint8 [N, 64, 64]; return also paths read, paths skipped and why, images in colour."""
    images = np.empty((len(paths), SIZE, SIZE), dtype=np.uint8)
    batches = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    read: list[str] = []
    skipped: list[tuple[str, str]] = []
    seen = coloured = 0
    with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
        for batch, results in zip(
            batches, pool.map(partial(_decode_batch, files), batches), strict=True
        ):
            for path, result in zip(batch, results, strict=True):
                if isinstance(result, str):
                    skipped.append((path, result))
                else:
                    images[len(read)], in_colour = result
                    coloured += in_colour
                    read.append(path)
            seen += len(batch)
            progress(seen / len(paths), "reading images")
    return images[: len(read)], read, skipped, coloured


def _decode_batch(files: Files, paths: list[str]) -> list[tuple[np.ndarray, bool] | str]:
    return [_decode_one(files, path) for path in paths]


def _decode_one(files: Files, path: str) -> tuple[np.ndarray, bool] | str:
    """Decode and preprocess an image, and tell if it is in colour; or return the error's text."""
    try:
        pixels, info = decode_pixels(files.read(path))
        return preprocess(pixels), info.in_colour
    except MedloopError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({type(error).__name__})"


def _group_table(files: Files, options: ImportOptions) -> dict[str, int] | None:
    if options.known_groups:
        packed = (package_files("medloop") / "data" / MEDICAL_MNIST_GROUPS).read_bytes()
        return read_groups(lzma.decompress(packed).decode())
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
    """Read MedMNIST's `train_images`, `train_labels`, `val_…`, `test_…`, without their split."""
    arrays, held = _load_npz(path)
    parts = [
        part for part in MEDMNIST_PARTS if f"{part}_images" in arrays and f"{part}_labels" in arrays
    ]
    if not parts:
        raise DatasetError(
            f"{path.name!r} has no train_images and train_labels; "
            f"it holds: {', '.join(held) or 'nothing'}."
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


def _load_npz(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Load the wanted arrays; return them and the printable names of all."""
    if not path.is_file():
        raise DatasetError(f"There is no file {str(path)!r}.")
    try:
        with open_zip(str(path)) as archive:
            check_zip(archive, most_file_bytes=MOST_NPZ_BYTES)
        with np.load(path, allow_pickle=False) as arrays:
            wanted = [f"{part}_{kind}" for part in MEDMNIST_PARTS for kind in ("images", "labels")]
            held = [ascii(name)[1:-1][:80] for name in arrays.files[:NAMED]]
            return {name: arrays[name] for name in wanted if name in arrays.files}, held
    except DatasetError:
        raise
    except Exception as error:  # zipfile and NumPy raise many types for damaged files
        why = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{path.name!r} is no readable .npz without pickles ({why}).") from error


def _grey(images: np.ndarray) -> np.ndarray:
    """Turn uint8 [N, H, W] or [N, H, W, 3] into grey [N, 64, 64], by ITU-R 601 as PIL does."""
    if (
        images.dtype != np.uint8
        or images.ndim not in (3, 4)
        or (images.ndim == 4 and images.shape[3] != 3)
    ):
        raise DatasetError(
            "Images must be uint8 [N, H, W] or [N, H, W, 3], "
            f"got {images.dtype} of shape {images.shape}."
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
    """Name the classes by `labels`, else by their numbers, padded so that they sort."""
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
