"""One whole local stack for all tests that look at one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.stack import LocalStack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """Everything but the first training, which the browser tests see."""
    stack = LocalStack(tmp_path_factory.mktemp("stack"))
    stack.up("--no-training")
    yield stack
    stack.stop()
    assert stack.processes() == {}
