"""A training as an MLflow run: parameters, metrics, data, files and the ONNX model.

The only file that imports mlflow, inside functions: it takes seconds; only trainings need it.
Sets MLflow's environment variables in this process.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from medloop.errors import ModelError, StoreError, StoreUnavailableError
from medloop.settings import Settings
from medloop.stores.run_names import EXPERIMENT
from medloop.stores.version_tags import VersionTags

COME_BACK_LATER: Final = frozenset(
    {
        "INTERNAL_ERROR",
        "TEMPORARILY_UNAVAILABLE",
        "REQUEST_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "DEADLINE_EXCEEDED",
    }
)
MODEL_NAME: Final = "model"  # of the logged model within its run
MODEL_FILE: Final = "model.onnx"
DIGEST_LENGTH: Final = 36  # longest data set digest that MLflow takes
PACKAGES: Final = (
    "onnx",
    "onnxruntime",
    "numpy",
    "pandas",
)  # what serves the model, besides mlflow


@dataclass(frozen=True, slots=True)
class DataInput:
    """A data set that a run learned from or was judged on."""

    name: str
    digest: str
    uri: str
    context: str = "training"
    profile: str = "{}"  # JSON


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """All that is recorded of one training."""

    name: str
    onnx: bytes
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: VersionTags  # of the version and of the run
    inputs: Sequence[DataInput] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)  # path in the run: content
    history: Sequence[Mapping[str, float]] = ()  # one entry a logged step; its "step" is the step


@dataclass(frozen=True, slots=True)
class Logged:
    """The run and the model under which a training was logged."""

    run_id: str
    model_id: str
    source: str  # URI to register a version from


def log_training_run(settings: Settings, uri: str, run: TrainingRun) -> Logged:
    """Write a run with everything, its model last; a failure leaves the run marked as failed.

    Raises:
        StoreUnavailableError: The server stopped answering.
        ModelError: The model file is not one that MLflow would store unchanged.
    """
    import onnx

    proto = onnx.load_model_from_string(run.onnx)
    if proto.SerializeToString() != run.onnx:
        raise ModelError(
            "the model file changes when it is written again: export it deterministically"
        )
    with _mlflow(settings, uri) as mlflow:
        experiment = mlflow.set_experiment(settings.experiment)
        mlflow.set_experiment_tag("mlflow.note.content", EXPERIMENT)
        began = int((time.time() - run.metrics.get("seconds", 0.0)) * 1000)  # with the training
        created = mlflow.MlflowClient().create_run(
            experiment.experiment_id, start_time=began, run_name=run.name
        )
        with mlflow.start_run(run_id=created.info.run_id) as active:
            run_id = active.info.run_id
            _log_values(mlflow, run_id, run)
            _log_files(mlflow, run_id, run.files)
            info = mlflow.onnx.log_model(
                proto,
                name=MODEL_NAME,
                signature=_signature(proto),
                save_as_external_data=False,
                pip_requirements=_requirements(),
                onnx_execution_providers=["CPUExecutionProvider"],
            )
            return Logged(run_id=run_id, model_id=info.model_id, source=info.model_uri)


def log_files(settings: Settings, uri: str, run_id: str, files: Mapping[str, bytes]) -> None:
    """Store files with a run, through whatever artifact store the server names."""
    with _mlflow(settings, uri) as mlflow:
        _log_files(mlflow, run_id, files)


def download(settings: Settings, uri: str, artifact_uri: str) -> bytes:
    """Read a file below an artifact URI that the server does not proxy (S3, a folder …)."""
    with _mlflow(settings, uri) as mlflow, tempfile.TemporaryDirectory() as folder:
        return Path(
            mlflow.artifacts.download_artifacts(artifact_uri=artifact_uri, dst_path=folder)
        ).read_bytes()


def create_version(settings: Settings, uri: str, logged: Logged, tags: Mapping[str, str]) -> str:
    """Register a logged model as the next version, with its tags; give the version."""
    with _mlflow(settings, uri) as mlflow:
        created = mlflow.MlflowClient().create_model_version(
            settings.model_name,
            logged.source,
            logged.run_id,
            tags=dict(tags),
            model_id=logged.model_id,
        )
        return str(created.version)


@contextmanager
def _mlflow(settings: Settings, uri: str) -> Iterator[Any]:
    """Point the mlflow module at the server; its errors come out as medloop's."""
    _set_environment(settings, uri)
    import mlflow
    import mlflow.onnx
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(uri)
    try:
        yield mlflow
    except RequestException as error:
        raise StoreUnavailableError(
            f"MLflow at {uri} stopped answering ({type(error).__name__})"
        ) from error
    except MlflowException as error:
        kind = StoreUnavailableError if error.error_code in COME_BACK_LATER else StoreError
        raise kind(f"MLflow at {uri} did not take it: {str(error)[:300]}") from error


def _set_environment(settings: Settings, uri: str) -> None:
    secrets = {
        "MLFLOW_TRACKING_USERNAME": settings.mlflow_username,
        "MLFLOW_TRACKING_PASSWORD": settings.mlflow_password
        and settings.mlflow_password.get_secret_value(),
        "MLFLOW_TRACKING_TOKEN": settings.mlflow_tracking_token
        and settings.mlflow_tracking_token.get_secret_value(),
    }
    if settings.mlflow_tracking_server_cert_path:
        os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(
            settings.mlflow_tracking_server_cert_path
        )
    os.environ.update({name: value for name, value in secrets.items() if value})
    os.environ["MLFLOW_TRACKING_URI"] = uri
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault(
        "GIT_PYTHON_REFRESH", "quiet"
    )  # a machine without git is no reason to warn


def _log_values(mlflow: Any, run_id: str, run: TrainingRun) -> None:
    mlflow.set_tags(run.tags.of_run())
    mlflow.log_params(dict(run.params))
    mlflow.log_metrics(dict(run.metrics))
    for entry in run.history:
        values = {f"training/{name}": value for name, value in entry.items() if name != "step"}
        mlflow.log_metrics(values, step=int(entry.get("step", 0)))
    inputs = [_dataset_input(mlflow, item) for item in run.inputs]
    mlflow.MlflowClient().log_inputs(run_id, datasets=inputs)


def _dataset_input(mlflow: Any, item: DataInput) -> Any:
    entities = mlflow.entities
    dataset = entities.Dataset(
        name=item.name,
        digest=item.digest[:DIGEST_LENGTH],
        source_type="s3",
        source=f'{{"uri": "{item.uri}"}}',
        profile=item.profile,
    )
    return entities.DatasetInput(
        dataset, tags=[entities.InputTag("mlflow.data.context", item.context)]
    )


def _log_files(mlflow: Any, run_id: str, files: Mapping[str, bytes]) -> None:
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        mlflow.MlflowClient().log_artifacts(run_id, folder)


def _signature(proto: Any) -> Any:
    """Describe inputs and outputs as the file names them; every first axis is the batch."""
    import numpy as np
    import onnx
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    def schema(values: Sequence[Any]) -> Any:
        specs: list[Any] = []
        for value in values:
            tensor = value.type.tensor_type
            shape = tuple(axis.dim_value or -1 for axis in tensor.shape.dim)
            dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
            specs.append(TensorSpec(dtype, shape, value.name))
        return Schema(specs)

    return ModelSignature(inputs=schema(proto.graph.input), outputs=schema(proto.graph.output))


def _requirements() -> list[str]:
    """Pin packages as installed; named by hand, since MLflow would start a process to guess."""
    from importlib.metadata import version

    return [f"{package}=={version(package)}" for package in ("mlflow", *PACKAGES)]
