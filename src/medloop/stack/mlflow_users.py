"""Narrow what the page's user may do in the local MLflow, whose own permissions are too wide.

MLflow calls `authenticate` for each request, in the server's own process.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Final

from flask import Response, request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization

from medloop.errors import MedloopError
from medloop.stack.programs import MLFLOW_FRONTEND

MOVE: Final = "/api/2.0/mlflow/registered-models/alias"
TAG: Final = "/api/2.0/mlflow/model-versions/set-tag"
log = logging.getLogger(__name__)


def authenticate() -> Authorization | Response:
    """Know the user by basic auth; refuse the page every write but a move that the ledger names."""
    user = authenticate_request_basic_auth()
    if isinstance(user, Response) or user.username != MLFLOW_FRONTEND:
        return user
    if request.method in {"GET", "HEAD"} or _is_allowed(request.get_json(force=True, silent=True)):
        return user
    return Response("The page's user may not do this.", status=HTTPStatus.FORBIDDEN)


def _is_allowed(body: object) -> bool:
    if request.method != "POST" or not isinstance(body, dict):
        return False
    if request.path == TAG and body.get("key") != "champion_fence":
        return False
    if request.path == MOVE and body.get("alias") != "champion":
        return False
    return request.path in {MOVE, TAG} and _is_in_ledger(body.get("name"), body.get("version"))


def _is_in_ledger(model: object, version: object) -> bool:
    """Tell if this version is the champion by the ledger, where each move is written first."""
    from medloop.core.corrections.lineage import champions
    from medloop.jobs.alias_moves import moves
    from medloop.wiring import connect

    try:
        context = connect()
        named = champions(moves(context))[-1:]
    except MedloopError as error:
        log.warning("the ledger cannot be read, so the page moves no alias: %s", error)
        return False
    return model == context.registry.model and [version] == list(named)
