"""The page's role in the local Airflow; tests/services/stack/test_stack.py asks a real one."""

from __future__ import annotations

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from medloop.stack.airflow_users import UsersTrigger

RUN, TASK = DagAccessEntity.RUN, DagAccessEntity.TASK_INSTANCE


@pytest.mark.parametrize(
    ("method", "entity", "may"),
    [
        ("GET", None, True),
        ("GET", RUN, True),
        ("POST", RUN, True),
        ("PUT", None, False),  # pause
        ("DELETE", None, False),
        ("PUT", RUN, False),
        ("DELETE", RUN, False),
        ("PUT", TASK, False),  # clear
    ],
)
def test_a_user_reads_and_starts_and_an_operator_does_more(
    method: str, entity: DagAccessEntity | None, may: bool
) -> None:
    for role, expected in (("user", may), ("USER", may), ("op", True), ("viewer", method == "GET")):
        user = SimpleAuthManagerUser(username="somebody", role=role)
        found = UsersTrigger().is_authorized_dag(method=method, user=user, access_entity=entity)
        assert found == expected, role
