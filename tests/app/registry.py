"""A model registry in memory: what `medloop.stores.registry.Registry` promises, without MLflow."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from medloop.errors import NotFoundError, StaleError, StoreUnavailableError
from medloop.stores.registry import CHAMPION, REFERENCE, WEIGHTS_FILE, ModelVersion
from medloop.stores.training_run import TrainingRun
from medloop.stores.version_tags import VersionTags

START = datetime(2026, 11, 1, tzinfo=UTC)


class MemoryRegistry:
    """Versions, aliases and files in dictionaries; `away` makes every call fail as an unreachable
    server does.
    """

    model = "medical-mnist"

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], bytes] = {}
        self.aliases: dict[str, str] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.run_metrics: dict[str, dict[str, float]] = {}
        self.away = False

    def add(self, onnx: bytes, *, tags: Mapping[str, str] | None = None, **files: bytes) -> str:
        """Register a version; the first is champion and reference."""
        version = str(len(self.tags) + 1)
        self.tags[version] = dict(tags or {})
        self.files[version, "model.onnx"] = onnx
        for name, data in files.items():
            self.files[version, name] = data
        if version == "1":
            self.aliases |= {CHAMPION: "1", REFERENCE: "1"}
        return version

    def version_of(self, alias: str) -> str | None:
        self._reach()
        return self.aliases.get(alias)

    def get(self, version: str) -> ModelVersion:
        self._reach()
        if version not in self.tags:
            raise NotFoundError(f"no version {version}")
        aliases = tuple(sorted(alias for alias, at in self.aliases.items() if at == version))
        created = START + timedelta(days=int(version))
        tags = VersionTags.read(self.tags[version])
        return ModelVersion(version, f"run-{version}", aliases, tags, created)

    def versions(self) -> list[ModelVersion]:
        self._reach()
        return [self.get(version) for version in self.tags]

    def register(self, run: TrainingRun, *, confirm: Callable[[], object] = bool) -> ModelVersion:
        self._reach()
        confirm()
        return self.get(self.add(run.onnx, tags=run.tags.to_mlflow(), **run.files))

    def find(self, run_key: str) -> ModelVersion | None:
        found = (item for item in reversed(self.versions()) if item.tags.run_key == run_key)
        return next(found, None)

    def weights(self, version: str) -> bytes:
        return self.attachment(f"run-{version}", WEIGHTS_FILE)

    def set_tags(self, version: str, tags: VersionTags) -> None:
        self._reach()
        self.get(version)
        self.tags[version] |= tags.to_mlflow()

    def model_file(self, version: str) -> bytes:
        return self.attachment(f"run-{version}", "model.onnx")

    def attachment(self, run_id: str, path: str) -> bytes:
        self._reach()
        try:
            return self.files[run_id.removeprefix("run-"), path]
        except KeyError:
            raise NotFoundError(f"run {run_id} has no file {path}") from None

    def attach(self, run_id: str, files: Mapping[str, bytes]) -> None:
        self._reach()
        self.files |= {(run_id.removeprefix("run-"), path): data for path, data in files.items()}

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        self._reach()
        self.run_metrics.setdefault(run_id, {}).update(metrics)

    def metrics(self, run_id: str) -> dict[str, float]:
        self._reach()
        return self.run_metrics.get(run_id, {})

    def move_alias(self, alias: str, version: str, *, expected: str | None) -> None:
        self._reach()
        if self.aliases.get(alias) not in (expected, version):
            raise StaleError(f"{alias} is elsewhere")
        self.get(version)
        self.aliases[alias] = version

    def drop_alias(self, alias: str) -> None:
        self._reach()
        self.aliases.pop(alias, None)

    def _reach(self) -> None:
        if self.away:
            raise StoreUnavailableError("MLflow at http://127.0.0.1:1 does not answer")


def labels_tag(*labels: str) -> dict[str, str]:
    return {"labels": json.dumps(labels)}
