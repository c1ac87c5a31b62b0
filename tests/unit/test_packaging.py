"""The wheel: what it needs, what it holds, and that it works by itself."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.hostile.corpus import honest
from tests.models import model
from tests.servers import clean_environment

from medloop.stores.model_cache import CachedModel, ModelCache

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
NOT_SHIPPED = {"dev", "all"}


def imported() -> set[str]:
    """The top packages that the code imports anywhere, type checking included."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {"medloop"}


def test_every_direct_import_is_a_declared_dependency():
    shipped = [
        *PROJECT["dependencies"],
        *(line for extra, lines in EXTRAS.items() if extra not in NOT_SHIPPED for line in lines),
    ]
    declared = {canonicalize_name(Requirement(line).name) for line in shipped}
    brought_by = packages_distributions()
    undeclared = {
        name
        for name in imported()
        if declared.isdisjoint(map(canonicalize_name, brought_by.get(name, [name])))
    }
    assert undeclared == set()


def test_one_extra_brings_every_other():
    (everything,) = EXTRAS["all"]
    assert Requirement(everything).extras == EXTRAS.keys() - NOT_SHIPPED


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT]
    subprocess.run(command, check=True, env=dict(os.environ))
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_licences_types_settings_and_policies(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (path,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        metadata = Parser().parsestr(archive.read(path).decode())
    assert metadata["License-Expression"] == "Apache-2.0 AND CC-BY-SA-4.0"
    assert metadata.get_all("License-File") == ["LICENSE", "src/medloop/data/LICENSE"]
    inside = {"py.typed", "docs/settings.env", "docs/iam-frontend.json", "docs/iam-trainer.json"}
    assert {f"medloop/{name}" for name in inside} <= set(names)
    assert "](" not in metadata.get_payload(), "a link in the description would lead nowhere"


def test_the_wheel_alone_classifies(wheel: Path, tmp_path: Path):
    """Without any extra, in a fresh environment, with the locked versions."""
    fresh = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, fresh], check=True)
    locked = ["--constraint", ROOT / "requirements.txt"]
    install = [UV, "pip", "install", "--quiet", "--python", fresh / "bin/python", *locked, wheel]
    subprocess.run(install, check=True)
    ModelCache(tmp_path / "home/models").write(CachedModel("7", model()))
    (tmp_path / "scan.png").write_bytes(honest()["PNG"])
    own = {"MEDLOOP_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}

    def medloop(*arguments: str) -> str:
        command = [str(fresh / "bin/medloop"), *arguments]
        environment = {**clean_environment(), **own}
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    assert medloop("--version").strip() == f"medloop {PROJECT['version']}"
    assert "predict" in medloop("--help")
    assert '"status": "ok"' in medloop("predict", "scan.png", "--format", "jsonl")
