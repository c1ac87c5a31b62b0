"""The model registry: versions, aliases, tags and files of one registered model in MLflow.

Owns which tag and which file means what. Knows nothing of gates: jobs decide, this applies.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from medloop.errors import ModelError, NotFoundError, StaleError, StoreError
from medloop.settings import Settings
from medloop.stores.mlflow_rest import PROXIED, MlflowRest
from medloop.stores.run_names import MODEL, describe_version, name_run
from medloop.stores.training_run import (
    MODEL_FILE,
    TrainingRun,
    create_version,
    download,
    log_files,
    log_training_run,
)
from medloop.stores.version_tags import VersionTags

CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
REFERENCE: Final = "reference"
WEIGHTS_FILE: Final = "model.safetensors"
REPORT_FILE: Final = "gate/report.json"
CARD_FILE: Final = "model_card.md"
NOTE: Final = "mlflow.note.content"  # MLflow's own tag for a description

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of the registered model."""

    version: str
    run_id: str
    aliases: tuple[str, ...]
    tags: VersionTags
    created_at: datetime


class Registry:
    """The registered model that `settings.model_name` names. Connects at the first call."""

    def __init__(self, settings: Settings) -> None:
        self.model = settings.model_name
        self._settings = settings
        self._rest = MlflowRest(settings)

    def version_of(self, alias: str) -> str | None:
        """Look up the version that an alias points at; None while there is none."""
        return self._aliases().get(alias)

    def get(self, version: str) -> ModelVersion:
        """Look up one version.

        Raises:
            NotFoundError: The model has no such version.
        """
        try:
            body = self._rest.get("/model-versions/get", name=self.model, version=version)
        except NotFoundError as error:
            raise NotFoundError(
                f"model {self.model!r} has no version {version!r}: see `medloop models`"
            ) from error
        item = body["model_version"]
        return _version(item, tuple(item.get("aliases", ())))

    def versions(self) -> list[ModelVersion]:
        """List every version, oldest first; [] while there is no such model."""
        query: dict[str, str | int] = {"filter": f"name = '{self.model}'", "max_results": 1000}
        found = list(self._rest.pages("/model-versions/search", "model_versions", **query))
        pointed = self._aliases() if found else {}
        named = [_version(item, _names_of(str(item["version"]), pointed)) for item in found]
        return sorted(named, key=lambda item: int(item.version))

    def find(self, run_key: str) -> ModelVersion | None:
        """Find the newest version trained under this key."""
        found = (item for item in reversed(self.versions()) if item.tags.run_key == run_key)
        return next(found, None)

    def model_file(self, version: str) -> bytes:
        """Read the ONNX file of a version, exactly as it was trained.

        Raises:
            ModelError: The bytes are not those whose digest was recorded.
        """
        recorded = self.get(version).tags.onnx_sha256
        data = self._artifact(self._source(version), MODEL_FILE)
        if recorded and hashlib.sha256(data).hexdigest() != recorded:
            raise ModelError(
                f"the file of version {version} is not the one that was registered: digests differ"
            )
        return data

    def weights(self, version: str) -> bytes:
        """Read the safetensors file of a version, for a warm start."""
        return self.attachment(self.get(version).run_id, WEIGHTS_FILE)

    def attachment(self, run_id: str, path: str) -> bytes:
        """Read a file of a run.

        Raises:
            NotFoundError: The run has no such file.
        """
        return self._artifact(self._run_root(run_id), path)

    def attach(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Store files with a run, over those of the same path."""
        root = self._run_root(run_id)
        if root.startswith(PROXIED):
            for path, data in files.items():
                self._rest.put_artifact(f"{root}/{path}", data)
        else:
            log_files(self._settings, self._rest.uri, run_id, files)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Add metrics to a run; accuracies in percent too: MLflow charts 0.9996 as 1."""
        now = int(datetime.now(UTC).timestamp() * 1000)
        shares = {name: x for name, x in metrics.items() if name.endswith("accuracy")}
        metrics = {**metrics, **{f"{name}_percent": 100 * x for name, x in shares.items()}}
        entries = [
            {"key": key, "value": value, "timestamp": now, "step": 0}
            for key, value in metrics.items()
        ]
        for start in range(0, len(entries), 500):
            self._rest.send(
                "POST", "/runs/log-batch", run_id=run_id, metrics=entries[start : start + 500]
            )

    def metrics(self, run_id: str) -> dict[str, float]:
        """Read a run's latest metrics."""
        data = self._rest.get("/runs/get", run_id=run_id)["run"]["data"]
        return {item["key"]: float(item["value"]) for item in data.get("metrics", [])}

    def register(self, run: TrainingRun, *, confirm: Callable[[], object] = bool) -> ModelVersion:
        """Log a training and register its model as a new version, which appears last.

        `confirm` is called right before that, seconds after the beginning; what it raises leaves a
        run and no version.
        """
        logged = log_training_run(self._settings, self._rest.uri, run)
        self._ensure_model()
        confirm()
        tags = replace(run.tags, onnx_sha256=hashlib.sha256(run.onnx).hexdigest())
        version = create_version(self._settings, self._rest.uri, logged, tags.to_mlflow())
        self._describe(version)
        return self.get(version)

    def set_tags(self, version: str, tags: VersionTags) -> None:
        """Write the tags of a version that are not empty, over those of the same name.

        The names that people read follow.
        """
        target = {"name": self.model, "version": version}
        for key, value in tags.to_mlflow().items():
            self._rest.send("POST", "/model-versions/set-tag", **target, key=key, value=value)
        self._describe(version)

    def _describe(self, version: str) -> None:
        """Name the run and describe the version; the page's user may not, and need not."""
        found = self.get(version)
        try:
            run = self._rest.get("/runs/get", run_id=found.run_id)["run"]["info"]
            place = f"#/experiments/{run['experiment_id']}/runs/{found.run_id}"
            text = describe_version(version, found.tags, card=f"{place}/artifacts/{CARD_FILE}")
            name = name_run(version, found.tags)
            self._rest.send("POST", "/runs/update", run_id=found.run_id, run_name=name)
            self._rest.send("POST", "/runs/set-tag", run_id=found.run_id, key=NOTE, value=text)
            target = {"name": self.model, "version": version}
            self._rest.send("PATCH", "/model-versions/update", **target, description=text)
        except StoreError as error:
            log.info("version %s was not described in MLflow: %s", version, error)

    def move_alias(self, alias: str, version: str, *, expected: str | None) -> None:
        """Point an alias at a version, if it is where the caller believes it is.

        MLflow has no conditional write for aliases: callers that may race hold the lease; this
        catches the rest.

        Raises:
            StaleError: The alias points elsewhere by now.
            NotFoundError: There is no such version.
        """
        actual = self.version_of(alias)
        if actual == version:
            return
        if actual != expected:
            raise StaleError(
                f"{alias} is version {actual or 'none'} by now, not {expected or 'none'}: "
                "evaluate again against it"
            )
        self.get(version)
        self._rest.send(
            "POST", "/registered-models/alias", name=self.model, alias=alias, version=version
        )

    def drop_alias(self, alias: str) -> None:
        """Remove an alias; nothing happens if there is none."""
        if self.version_of(alias) is not None:
            self._rest.send("DELETE", "/registered-models/alias", name=self.model, alias=alias)

    def _aliases(self) -> dict[str, str]:
        """Map alias to version.

        Asking for a single one that is missing answers 400, as for any fault.
        """
        try:
            model = self._rest.get("/registered-models/get", name=self.model)["registered_model"]
        except NotFoundError:
            return {}
        return {item["alias"]: str(item["version"]) for item in model.get("aliases", [])}

    def _ensure_model(self) -> None:
        try:
            self._rest.get("/registered-models/get", name=self.model)
        except NotFoundError:
            create = {"name": self.model, "description": MODEL}
            self._rest.send("POST", "/registered-models/create", **create)

    def _source(self, version: str) -> str:
        query = {"name": self.model, "version": version}
        return str(
            self._rest.get("/model-versions/get-download-uri", **query)["artifact_uri"]
        ).rstrip("/")

    def _run_root(self, run_id: str) -> str:
        return str(
            self._rest.get("/runs/get", run_id=run_id)["run"]["info"]["artifact_uri"]
        ).rstrip("/")

    def _artifact(self, root: str, path: str) -> bytes:
        uri = f"{root}/{path}"
        return (
            self._rest.artifact(uri)
            if uri.startswith(PROXIED)
            else download(self._settings, self._rest.uri, uri)
        )


def _names_of(version: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(alias for alias, target in aliases.items() if target == version))


def _version(item: Mapping[str, Any], aliases: tuple[str, ...]) -> ModelVersion:
    return ModelVersion(
        version=str(item["version"]),
        run_id=str(item.get("run_id", "")),
        aliases=aliases,
        tags=VersionTags.read({t["key"]: t.get("value", "") for t in item.get("tags", [])}),
        created_at=datetime.fromtimestamp(int(item["creation_timestamp"]) / 1000, tz=UTC),
    )
