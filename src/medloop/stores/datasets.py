"""Data sets in the state folder and on S3, and the bundled sample.

The full Medical MNIST, as far as its examinations are known, splits as the sample does: no image
that one of the two trains on tests in the other.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cache, partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from medloop.core.data.datasets import Dataset, content_id
from medloop.errors import DatasetError, NotFoundError, StoreError
from medloop.progress import Progress, silent
from medloop.stores.dataset_import import DEFAULTS, Imported, ImportOptions, read_dataset

if TYPE_CHECKING:
    from medloop.stores.objects import ObjectStore

SAMPLE: Final = "medical-mnist-sample.zip"  # beside it: its licence
FULL_SET: Final = "6c5bb5165aecfad8"  # Medical MNIST, imported with `known_groups`
LICENCE: Final = "Dr. Bradley J. Erickson, Mayo Clinic; CC BY-SA 4.0"
PART_IMAGES: Final = 4096  # images in one object on S3: 16 MiB
AT_ONCE: Final = 4  # such objects on their way
DATASET_ID: Final = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """The facts about a stored data set that need no opening of it."""

    id: str
    labels: tuple[str, ...]
    images: int
    groups: int
    source: str  # name of the file or folder it came from
    groups_from: str  # "given" or "computed"
    skipped: int = 0  # files that were left out
    note: str = ""  # licence, how a download was verified


@contextmanager
def sample_file() -> Iterator[Path]:
    """Open the sample's zip, even if the package itself is in one."""
    with as_file(files("medloop") / "data" / SAMPLE) as path:
        yield path


@cache
def bundled_sample() -> Dataset:
    """Read 6,000 images of Medical MNIST in six classes, once per process and read-only."""
    with sample_file() as path:
        dataset = read_dataset(path).dataset
    dataset.images.flags.writeable = False
    return dataset


def sample_labels() -> tuple[str, ...]:
    """List the classes of the bundled sample, which are its folders."""
    with sample_file() as path, zipfile.ZipFile(path) as archive:
        return tuple(sorted({name.split("/")[0] for name in archive.namelist() if "/" in name}))


@cache
def _places_in_sample() -> Mapping[int, int]:
    """Map the sample's groups to the part of the split that each is in."""
    sample = bundled_sample()
    parts = sample.split()
    rows = (parts.train, parts.validation, parts.test)
    return {int(group): part for part in range(3) for group in np.unique(sample.groups[rows[part]])}


def split_alike(dataset_id: str) -> frozenset[str]:
    """List the data sets of which none trains on what this one tests on, itself among them."""
    alike = frozenset({bundled_sample().id, FULL_SET})
    return alike if dataset_id in alike else frozenset({dataset_id})


class DatasetStore:
    """Data sets by id: the bundled sample, those in `home/datasets`, and those on S3."""

    def __init__(self, home: Path, objects: ObjectStore | None = None) -> None:
        self._folder = home / "datasets"
        self._objects = objects

    def get(self, dataset_id: str | None = None) -> Dataset:
        """Load a data set; None is the bundled sample.

        Raises:
            NotFoundError: Neither here nor on S3.
            DatasetError: The stored file is damaged.
        """
        if dataset_id is None:
            return bundled_sample()
        if not DATASET_ID.fullmatch(dataset_id):
            raise DatasetError(
                f"{dataset_id[:80]!r} is no id of a data set: `medloop data list` shows them."
            )
        if (self._folder / f"{dataset_id}.npz").is_file():
            return _placed(_unpack(self._folder / f"{dataset_id}.npz", dataset_id))
        sample = bundled_sample()
        if dataset_id == sample.id:
            return sample
        return _placed(self._download(dataset_id))

    def largest_alike(self, dataset_id: str) -> str:
        """Find the largest data set on this machine that splits like this one."""
        here = FULL_SET in split_alike(dataset_id) and FULL_SET in self.ids()
        sampled = dataset_id == FULL_SET and not here
        return FULL_SET if here else bundled_sample().id if sampled else dataset_id

    def labels(self, dataset_id: str | None = None) -> tuple[str, ...]:
        """List the classes of a data set, without its images where they are on this machine."""
        if dataset_id is None:
            return sample_labels()
        known = self._folder / f"{dataset_id}.json"
        if DATASET_ID.fullmatch(dataset_id) and known.is_file():
            return _parse_info(known.read_bytes()).labels
        return self.get(dataset_id).labels

    def import_path(
        self,
        path: Path,
        progress: Progress = silent,
        *,
        options: ImportOptions = DEFAULTS,
        note: str = "",
    ) -> Imported:
        """Read a data set and keep it; the same content is kept once."""
        imported = read_dataset(path, options=options, progress=progress)
        dataset = imported.dataset
        info = DatasetInfo(
            id=dataset.id,
            labels=dataset.labels,
            images=len(dataset.images),
            groups=len(np.unique(dataset.groups)),
            source=path.name,
            groups_from=imported.groups_from,
            skipped=len(imported.skipped),
            note=note,
        )
        self._save(dataset, info)
        return imported

    def publish(self, dataset: Dataset, progress: Progress = silent) -> bool:
        """Put it on S3 for other machines to train on; True if it was not there yet.

        Raises:
            StoreError: No object store is set up, or it refuses.
        """
        objects = self._need_objects()
        prefix = f"datasets/{dataset.id}"
        if objects.head(f"{prefix}/manifest.json") is not None:
            return False
        parts = _parts(dataset)
        items = [(f"{prefix}/{name}", data) for name, data in parts.items()]
        for done in range(0, len(items), AT_ONCE):
            objects.ensure_many(items[done : done + AT_ONCE], concurrency=AT_ONCE)
            progress(min(done + AT_ONCE, len(items)) / len(items), "publishing")
        manifest = {
            "schema": 1,
            **asdict(self.info(dataset.id)),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
        }
        return objects.ensure(f"{prefix}/manifest.json", json.dumps(manifest, indent=1).encode())

    def info(self, dataset_id: str) -> DatasetInfo:
        """Read what is known about a data set.

        Raises:
            NotFoundError: There is no such data set here.
        """
        sample = bundled_sample()
        if dataset_id == sample.id:
            groups = len(np.unique(sample.groups))
            return DatasetInfo(
                sample.id, sample.labels, len(sample.images), groups, SAMPLE, "given", note=LICENCE
            )
        try:
            return _parse_info((self._folder / f"{dataset_id}.json").read_bytes())
        except FileNotFoundError as error:
            raise NotFoundError(
                f"There is no data set {dataset_id!r} here: `medloop data list` shows them."
            ) from error

    def ids(self) -> list[str]:
        """List the ids of the data sets on this machine, the bundled sample first."""
        stored = sorted(path.stem for path in self._folder.glob("*.json"))
        sample = bundled_sample().id
        return [sample, *(dataset_id for dataset_id in stored if dataset_id != sample)]

    def published_ids(self) -> list[str]:
        """List the ids of the data sets on S3; none without an object store."""
        return self._objects.folders("datasets") if self._objects else []

    def images(self, dataset_id: str) -> Iterator[np.ndarray]:
        """Read its images, uint8 [K, 64, 64] at a time; what is on S3 alone is not kept here."""
        if dataset_id in self.ids():
            yield self.get(dataset_id).images
            return
        objects = self._need_objects()
        for info in objects.list(f"datasets/{dataset_id}"):
            if info.key.endswith(".npy"):
                yield np.load(io.BytesIO(objects.get(info.key)), allow_pickle=False)

    def _need_objects(self) -> ObjectStore:
        if self._objects is None:
            raise StoreError(
                "No object store is set up: name a bucket in the settings, or start one with "
                "`medloop up`."
            )
        return self._objects

    def _save(self, dataset: Dataset, info: DatasetInfo) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = self._folder / f"{dataset.id}.npz"
        if not data.is_file():
            with _replacing(data) as file:
                np.savez(file, allow_pickle=False, images=dataset.images, **_table(dataset))
        with _replacing(data.with_suffix(".json")) as file:
            file.write(json.dumps(asdict(info), indent=1).encode())

    def _download(self, dataset_id: str) -> Dataset:
        if self._objects is None:
            raise NotFoundError(
                f"There is no data set {dataset_id!r} here, and no object store is set up to look "
                f"in.{_remedy(dataset_id)}"
            )
        prefix = f"datasets/{dataset_id}"
        raw = self._objects.find(f"{prefix}/manifest.json")
        if raw is None:
            raise NotFoundError(
                f"There is no data set {dataset_id!r}, neither here nor in {self._objects.name}."
                f"{_remedy(dataset_id)}"
            )
        manifest = json.loads(raw)
        names = sorted(manifest["files"])
        parts = dict(
            zip(
                names,
                self._objects.get_many([f"{prefix}/{name}" for name in names], concurrency=AT_ONCE),
                strict=True,
            )
        )
        for name, data in parts.items():
            if hashlib.sha256(data).hexdigest() != manifest["files"][name]:
                raise DatasetError(
                    f"{prefix}/{name} in {self._objects.name} is damaged: delete {prefix} there "
                    "and publish it again."
                )
        dataset = _join(parts, dataset_id)
        self._save(dataset, _parse_info(raw))
        return dataset


def _placed(dataset: Dataset) -> Dataset:
    return replace(dataset, placed=_places_in_sample()) if dataset.id == FULL_SET else dataset


def _remedy(dataset_id: str) -> str:
    full = " It is the full Medical MNIST: `medloop data fetch` downloads it."
    return full if dataset_id == FULL_SET else ""


def _table(dataset: Dataset) -> dict[str, np.ndarray]:
    """Collect everything but the pixels, as arrays that need no pickle."""
    return {
        "labels": np.array(dataset.labels), "targets": dataset.targets, "groups": dataset.groups,
        "names": np.array(dataset.names),
    }  # fmt: skip


def _unpack(path: Path, dataset_id: str) -> Dataset:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _dataset(arrays["images"], arrays, dataset_id)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetError(
            f"The stored data set {dataset_id} is damaged ({error}): import it again."
        ) from error


def _dataset(images: np.ndarray, table: Mapping[str, np.ndarray], dataset_id: str) -> Dataset:
    """Build the data set; ValueError if its content does not fit its id."""
    labels, names = (tuple(str(item) for item in table[key]) for key in ("labels", "names"))
    if content_id(labels, images, table["targets"], table["groups"], names) != dataset_id:
        raise ValueError("its content does not fit its id")
    return Dataset(dataset_id, labels, images, table["targets"], table["groups"], names)


def _parts(dataset: Dataset) -> dict[str, bytes]:
    """Pack into files, bytes by name; the same data set gives the same bytes."""
    parts = {
        "table.npz": _bytes(
            lambda file: np.savez_compressed(file, allow_pickle=False, **_table(dataset))
        )
    }
    for start in range(0, len(dataset.images), PART_IMAGES):
        part = dataset.images[start : start + PART_IMAGES]
        parts[f"images-{start // PART_IMAGES:05d}.npy"] = _bytes(
            partial(np.save, arr=part, allow_pickle=False)
        )
    return parts


def _join(parts: Mapping[str, bytes], dataset_id: str) -> Dataset:
    images = [
        np.load(io.BytesIO(parts[name]), allow_pickle=False)
        for name in sorted(parts)
        if name.endswith(".npy")
    ]
    with np.load(io.BytesIO(parts["table.npz"]), allow_pickle=False) as table:
        return _dataset(np.concatenate(images), table, dataset_id)


def _bytes(write: Callable[[io.BytesIO], Any]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _parse_info(raw: bytes) -> DatasetInfo:
    """Read what is known; keys added by a newer version are ignored."""
    body = json.loads(raw)
    known = {field.name: body[field.name] for field in fields(DatasetInfo) if field.name in body}
    return DatasetInfo(**known | {"labels": tuple(body["labels"])})


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears under its name once it is complete, or not at all."""
    partial_path = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with partial_path.open("wb") as file:
            yield file
        partial_path.replace(path)
    finally:
        partial_path.unlink(missing_ok=True)
