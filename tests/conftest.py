"""Fixtures that every test may use: a clean environment, and real servers for those that ask for
them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.servers import OWN_PREFIXES, MLflowServer, SeaweedFS

SHARED = {  # what files share that takes long to start, by the beginning of their path
    "tests/e2e/": "a stack with a model",
    "tests/app/test_accessibility": "a page",
    "tests/app/test_browser": "a page",
    "tests/app/test_escape_markdown": "a page",
    "tests/app/test_open_page": "a page",
    "tests/services/stack/": "MLflow",
    "tests/services/test_cli_predict_s3": "MLflow",
    "tests/services/test_commands": "MLflow",
    "tests/services/test_dag": "MLflow",
    "tests/services/test_learning_loop": "MLflow",
    "tests/services/test_registry": "MLflow",
    "tests/services/test_servers": "MLflow",
    "tests/services/test_serving_registry": "MLflow",
    "tests/services/test_tls": "MLflow",
    "tests/services/test_watch_dag": "MLflow",
}


class ByWhatTheyShare(LoadFileScheduling):
    """Gives each worker (`-n`) whole files, and all files to one that share what they start."""

    def _split_scope(self, nodeid: str) -> str:
        groups = (group for start, group in SHARED.items() if nodeid.startswith(start))
        return next(groups, None) or super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWhatTheyShare:
    return ByWhatTheyShare(config, log)


@pytest.fixture(autouse=True)
def _own_place(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the settings or the `.env` of whoever runs it, nor leaves files where it was
    started.
    """
    for name in [name for name in os.environ if name.startswith(OWN_PREFIXES)]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("cwd"))


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves its page as `__main__`, which a later test's spawned process would
    try to run.
    """
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """S3, real, for the whole session: `.endpoint .access_key .secret_key .bucket .environment
    .client()`.

    A test that stops or kills it starts it again before it ends.
    """
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def mlflow_server(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: SeaweedFS
) -> Iterator[MLflowServer]:
    """MLflow, real, for the whole session: `.uri .username .password .environment`; artifacts on
    `seaweedfs`.
    """
    server = MLflowServer(tmp_path_factory.mktemp("mlflow"), seaweedfs)
    server.start()
    yield server
    server.stop()
