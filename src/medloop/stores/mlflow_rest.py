"""MLflow's public REST API, as far as reading and moving aliases need it.

Owns the transport, credentials and the translation of errors. Importing mlflow itself costs 4 s and
140 MiB, which a page or a command that only asks for the champion should not pay;
`medloop.stores.training_run` imports it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from medloop.errors import NotFoundError, SettingsError, StoreError, StoreUnavailableError

if TYPE_CHECKING:
    import httpx  # a third of a second, which `medloop correct` does without

    from medloop.settings import Settings

API: Final = "/api/2.0/mlflow"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED: Final = (
    "mlflow-artifacts:/"  # scheme of artifacts that the tracking server hands out itself
)
COME_BACK_LATER: Final = frozenset({408, 429, 500, 502, 503, 504})


class MlflowRest:
    """Calls to one tracking server. Safe to share between threads; connects at the first call."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """Send `GET` below /api/2.0/mlflow."""
        return self._json(self._send("GET", API + path, params=params))

    def send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send `POST`, `DELETE` … below /api/2.0/mlflow with a JSON body."""
        return self._json(self._send(method, API + path, json=body))

    def pages(self, path: str, items: str, **params: str | int) -> Iterator[dict[str, Any]]:
        """Read every entry of a paged search."""
        token = ""
        while True:
            page = self.get(path, **params, **({"page_token": token} if token else {}))
            yield from page.get(items, [])
            token = page.get("next_page_token", "")
            if not token:
                return

    def artifact(self, uri: str) -> bytes:
        """Read one file below an artifact URI that the server proxies (`mlflow-artifacts:/…`).

        Raises:
            NotFoundError: There is no such file.
        """
        path = uri.removeprefix(PROXIED).lstrip("/")
        try:
            return self._send("GET", f"{ARTIFACTS}/{quote(path)}").content
        except StoreUnavailableError as error:  # over S3 MLflow answers 500 for a missing file, too
            if self._lists(path):
                raise
            raise NotFoundError(f"MLflow at {self.uri} has no artifact {path!r}") from error

    def _lists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        files = self._json(self._send("GET", ARTIFACTS, params={"path": folder})).get("files", [])
        return any(item["path"].rpartition("/")[2] == name for item in files)

    def put_artifact(self, uri: str, data: bytes) -> None:
        """Store one file below a proxied artifact URI, over what is there."""
        path = uri.removeprefix(PROXIED).lstrip("/")
        self._send("PUT", f"{ARTIFACTS}/{quote(path)}", content=data)

    @property
    def uri(self) -> str:
        """The tracking server's address.

        Raises:
            SettingsError: None is set, or it is not a server.
        """
        uri = self._settings.mlflow_tracking_uri
        if not uri:
            raise SettingsError(
                "MLFLOW_TRACKING_URI is not set: start the local services with `medloop up`, or "
                "name your server"
            )
        if not uri.startswith(("http://", "https://")):
            raise SettingsError(
                f"MLFLOW_TRACKING_URI must name a server (http:// or https://), not {uri!r}"
            )
        return uri.rstrip("/")

    @cached_property
    def _client(self) -> httpx.Client:
        import httpx

        settings = self._settings
        headers, auth = {}, None
        if settings.mlflow_tracking_token:
            headers["Authorization"] = f"Bearer {settings.mlflow_tracking_token.get_secret_value()}"
        elif settings.mlflow_username and settings.mlflow_password:
            auth = httpx.BasicAuth(
                settings.mlflow_username, settings.mlflow_password.get_secret_value()
            )
        authority = settings.mlflow_tracking_server_cert_path
        return httpx.Client(
            base_url=self.uri,
            auth=auth,
            headers=headers,
            timeout=httpx.Timeout(20.0, connect=3.0),  # a person waits
            follow_redirects=True,
            verify=ssl.create_default_context(cafile=authority) if authority else True,
        )

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        from httpx import TransportError

        try:
            response = self._client.request(method, path, **options)
        except TransportError as error:
            raise StoreUnavailableError(
                f"MLflow at {self.uri} does not answer ({type(error).__name__}): is it running? "
                "`medloop status` says"
            ) from error
        if response.is_success:
            return response
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> StoreError:
        status, said = response.status_code, _message(response)
        if status in {401, 403}:
            return StoreError(
                f"MLflow at {self.uri} refused this user ({status}): check "
                "MLFLOW_TRACKING_USERNAME and "
                f"MLFLOW_TRACKING_PASSWORD (or DAGSHUB_USER_TOKEN). It said: {said}"
            )
        if status == 404:
            return NotFoundError(f"MLflow at {self.uri} has no such thing: {said}")
        if status in COME_BACK_LATER:
            return StoreUnavailableError(
                f"MLflow at {self.uri} cannot answer just now ({status}): {said}"
            )
        return StoreError(f"MLflow at {self.uri} said no ({status}): {said}")

    def _json(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise StoreError(
                f"{self.uri} does not answer as MLflow does: is MLFLOW_TRACKING_URI right?"
            )
        return body


def _message(response: httpx.Response) -> str:
    try:
        said = response.json()["message"]
    except (ValueError, KeyError, TypeError):
        said = response.text
    return str(said)[:300].strip() or response.reason_phrase
