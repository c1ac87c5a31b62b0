"""Narrow what the role `user` may do in the local Airflow, whose own role may pause and delete."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser


class UsersTrigger(SimpleAuthManager):
    """The simple auth manager, but a `user` reads and starts runs, and does nothing else."""

    def is_authorized_dag(
        self,
        *,
        method: ResourceMethod,
        user: SimpleAuthManagerUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Tell if a user may do this to a DAG."""
        starts = method == "POST" and access_entity is DagAccessEntity.RUN
        if (user.role or "").lower() == "user" and method != "GET" and not starts:
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )
