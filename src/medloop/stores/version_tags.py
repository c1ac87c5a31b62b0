"""A version's tags in the registry, typed: from and to MLflow's strings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

MAX_TAG_LENGTH = 4000  # MLflow takes 5,000 characters
HASHES = ("run_key", "data_key", "weights_sha256", "onnx_sha256")


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionTags:
    """Tags of one version. An empty one is not written, and one that is missing reads as empty."""

    run_key: str = ""  # of training, see `medloop.jobs.training_record.Recipe`
    data_key: str = ""
    snapshot_id: str = ""  # "" for the base data alone
    base_id: str = ""
    parent_version: str = ""  # "" for random weights
    weights_sha256: str = ""
    onnx_sha256: str = ""
    labels: tuple[str, ...] = ()  # in the order of the outputs
    corrections: int = 0  # trained on
    accuracy: float | None = None  # on the base test images
    balanced_accuracy: float | None = None  # the same, each class counting alike
    warning: str = ""  # what a first model will not do well
    gate: str = ""  # yes, no, or "" before the first judgement
    gate_reasons: tuple[str, ...] = ()
    gate_champion: str = ""  # judged against
    training_fence: int | None = None  # fencing tokens of the leases under which it was trained,
    champion_fence: int | None = None  # and last made the champion

    @classmethod
    def read(cls, tags: Mapping[str, str]) -> Self:
        """Read MLflow's tags; those that nobody here knows, or that are damaged, are left out."""
        found = {}
        for field in fields(cls):
            try:
                found[field.name] = _parse(field.name, tags[field.name])
            except (KeyError, ValueError, TypeError):
                continue
        return cls(**found)

    def to_mlflow(self) -> dict[str, str]:
        """Write the tags that are not empty."""
        return {
            field.name: _format(field.name, value)
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }

    def of_run(self) -> dict[str, str]:
        """Write the tags of the run, where people look: hashes share one."""
        tags = self.to_mlflow()
        hashes = {name: tags.pop(name) for name in HASHES if name in tags}
        return {**tags, "hashes": json.dumps(hashes)}


def _parse(name: str, text: str) -> Any:
    match name:
        case "labels":
            return tuple(json.loads(text))
        case "gate_reasons":
            return tuple(text.splitlines())
        case "accuracy" | "balanced_accuracy":
            return float(text)
        case "corrections" | "training_fence" | "champion_fence":
            return int(text)
    return text


def _format(name: str, value: Any) -> str:
    match name:
        case "labels":
            return json.dumps(list(value))
        case "gate_reasons":
            return "\n".join(value)[:MAX_TAG_LENGTH]
        case "warning":
            return str(value)[:MAX_TAG_LENGTH]
        case "accuracy" | "balanced_accuracy":
            return f"{value:.6f}"
    return str(value)
