"""Every way in for other people's files, each as a function of one file's bytes.

Each gives "read" or "refused"; a refusal is a MedloopError, anything else that is raised is a
defect.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from medloop.app.classify.uploads import unpack
from medloop.app.kit.workbench import Workbench
from medloop.cli import build_app
from medloop.core.imaging.decode import Limits, decode
from medloop.core.prediction.predictor import Predictor
from medloop.errors import DecodeError, MedloopError
from medloop.jobs import acceptance_sets
from medloop.serving import Served
from medloop.stores.dataset_import import read_dataset
from medloop.stores.inputs import iter_inputs
from medloop.stores.model_cache import CachedModel, ModelCache
from medloop.stores.objects import ObjectStore
from tests.app.models import brightness_model
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.hostile.archives import packed
from tests.hostile.corpus import honest

AWAY = "http://127.0.0.1:9"
ENVIRONMENT = {
    "MEDLOOP_IDENTITY": "plain",
    "MLFLOW_TRACKING_URI": AWAY,
    "AWS_ENDPOINT_URL_S3": AWAY,
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
}
LIMITS = Limits()
EntryPoint = Callable[[bytes], str]


@dataclass(frozen=True)
class Upload:
    """A file as the browser sends it."""

    file_id: str
    name: str
    data: bytes

    def getvalue(self) -> bytes:
        return self.data


class EntryPoints:
    """All of them, over a home folder with a model in its cache, and neither registry nor S3 that
    answers.
    """

    def __init__(
        self, home: Path, *, set_environment: Callable[[str, str], object] = os.environ.__setitem__
    ) -> None:
        self.home = home
        model = brightness_model()
        ModelCache(home / "models").write(CachedModel("1", model))
        self._served = Served(Predictor(model, threads=1), "1")
        self._world = World(ObjectStore.in_memory(), home / "world", registry=MemoryRegistry())
        self._numbers = itertools.count()
        self._app = build_app()
        for name, value in {**ENVIRONMENT, "MEDLOOP_HOME": str(home)}.items():
            set_environment(name, value)

    def all(self) -> Mapping[str, EntryPoint]:
        return {
            "decode": self.decode,
            "inputs": self.inputs,
            "page": self.page,
            "page, in a zip": self.page_zip,
            "medloop predict": self.predict,
            "medloop predict, in a zip": self.predict_zip,
            "medloop correct": self.correct,
            "data import, a folder": self.import_folder,
            "data import, a zip": self.import_zip,
            "data import, as the zip": self.import_as_zip,
            "data import, as an npz": self.import_npz,
            "acceptance add, a zip": self.accept_zip,
            "acceptance add, as the zip": self.accept_as_zip,
        }

    def decode(self, data: bytes) -> str:
        return _refusable(lambda: decode(data))

    def inputs(self, data: bytes) -> str:
        """As the one file that is named: an archive is opened."""
        states = set()
        for item in iter_inputs([str(self._file(data))]):
            states.add(_refusable(item.read))
        return "read" if states == {"read"} else "refused"

    def page(self, data: bytes) -> str:
        return self._look(Upload("1", "scan", data))

    def page_zip(self, data: bytes) -> str:
        return self._look(
            Upload("1", "scans.zip", packed({"Hand/scan.png": data, "good.png": honest()["PNG"]}))
        )

    def _look(self, upload: Upload) -> str:
        bench = Workbench()
        unpacked = unpack([upload], max_bytes=LIMITS.max_bytes)
        bench.add(bench.sync(unpacked.sources), self._served, limits=LIMITS)
        bench.arrange()
        assert all(problem.reason.endswith(".") for problem in bench.unreadable.values())
        return "refused" if bench.unreadable or unpacked.problems else "read"

    def predict(self, data: bytes) -> str:
        return self._run("predict", self._file(data), "--format", "jsonl")

    def predict_zip(self, data: bytes) -> str:
        return self._run("predict", self._file(packed({"a.png": data}), "a.zip"), "--format", "csv")

    def correct(self, data: bytes) -> str:
        return self._run("correct", self._file(data), "--label", "Hand", "--no-wait", "--yes")

    def import_folder(self, data: bytes) -> str:
        folder = self.home / "in" / str(next(self._numbers))
        for name, content in _class_folders(data).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return _refusable(lambda: read_dataset(folder))

    def import_zip(self, data: bytes) -> str:
        return _refusable(lambda: read_dataset(self._file(packed(_class_folders(data)), "set.zip")))

    def import_as_zip(self, data: bytes) -> str:
        return self._run("data", "import", self._file(data, "set.zip"))

    def import_npz(self, data: bytes) -> str:
        return _refusable(lambda: read_dataset(self._file(data, "set.npz")))

    def accept_zip(self, data: bytes) -> str:
        return self._accept(packed(_class_folders(data)))

    def accept_as_zip(self, data: bytes) -> str:
        return self._accept(data)

    def _accept(self, data: bytes) -> str:
        path = self._file(data, "set.zip")
        return _refusable(
            lambda: acceptance_sets.add(self._world.context, name="ours", path=path, by="ada")
        )

    def _file(self, data: bytes, name: str = "scan") -> Path:
        path = self.home / "in" / str(next(self._numbers)) / name
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        return path

    def _run(self, *arguments: object) -> str:
        """A command as a person would give it; what it raises but foresees is what its `main`
        prints as a sentence. It may also name what it could not do, and end with 1.
        """
        result = CliRunner().invoke(self._app, [str(argument) for argument in arguments])
        named = result.exit_code == 1 and "not corrected" in result.stdout
        expected = (MedloopError, SystemExit) if named else MedloopError
        if result.exception is not None and not isinstance(result.exception, expected):
            raise result.exception
        return "refused" if result.exception or '"status": "error"' in result.stdout else "read"


def _class_folders(data: bytes) -> dict[str, bytes]:
    files = honest()
    return {"Hand/1.png": data, "Hand/2.png": files["PNG"], "CXR/1.png": files["JPEG"]}


def _refusable(act: Callable[[], object]) -> str:
    try:
        act()
    except MedloopError as error:
        return "refused" if _is_sentence(error) else f"no sentence: {error}"
    return "read"


def _is_sentence(error: MedloopError) -> bool:
    message = str(error)
    return "\n" not in message and (message.endswith(".") or not isinstance(error, DecodeError))
