"""Rules for every request to the page: headers, signing in and out, bounds on uploads.

Streamlit's public `App` takes this as ASGI middleware (docs/adr/0020). A websocket carries every
click: here it is only refused to pages of other origins. `medloop.app.kit.access` decides who may
do what.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import runtime

from medloop.settings import Settings

HEADERS: Final = {
    "Content-Security-Policy": (
        "frame-ancestors 'none'; base-uri 'self'; object-src 'none'; img-src 'self' data: blob:"
    ),
    "X-Frame-Options": "DENY",  # for browsers that know no frame-ancestors
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
LOGIN_COOKIE: Final = "_streamlit_user"
POLICY_VIOLATION: Final = 1008  # RFC 6455; before the handshake is done it becomes a 403
SHOWN_S: Final = 60.0  # how long a page says that a file was refused
SMALLEST_BYTES: Final = 16 * 2**10  # what a picture takes beside its file: thumbnail and answer


class Uploads:
    """Which sessions may upload, and which were refused for want of room. One per process."""

    def __init__(self) -> None:
        self._admitted: set[str] = set()
        self._full: dict[str, tuple[str, float]] = {}  # session id to a sentence and its time
        self._coming: Counter[str] = Counter()  # bytes per session that are still on their way

    def admit(self, session_id: str) -> None:
        """Let a session upload: its person was let in."""
        self._admitted.add(session_id)

    def expel(self, session_id: str) -> None:
        """Refuse whatever the session uploads from now on."""
        self._admitted.discard(session_id)

    def refusal(self, session_id: str) -> str:
        """Say why a file of the session was refused lately; "" if none was."""
        sentence, at = self._full.get(session_id, ("", 0.0))
        return sentence if time.monotonic() - at < SHOWN_S else ""

    def refuse(
        self, session_id: str, size: str | None, *, held: Counter[str], settings: Settings
    ) -> int:
        """Give the HTTP status that an upload is refused with; 0 if there is room for it.

        Args:
            session_id: Of the page that uploads.
            size: The request's Content-Length.
            held: Bytes of uploads that are there, per session.
            settings: With the bounds.
        """
        if session_id not in self._admitted:
            return 403
        if size is None or not size.isdecimal():
            return 411
        held = held + self._coming
        bounds = (
            (held[session_id], settings.session_upload_mb, "This page holds"),
            (held.total(), settings.total_upload_mb, "All open pages together hold"),
        )
        for used, bound_mb, who in bounds:
            if used + int(size) > bound_mb * 2**20:
                sentence = (
                    f"A file was refused. {who} {used / 2**20:.0f} MB of uploads, and {bound_mb} "
                    "MB is the limit. Remove files that you no longer need, then add it again."
                )
                self._full[session_id] = sentence, time.monotonic()
                return 413
        return 0

    def expect(self, session_id: str, size: int) -> None:
        """Count bytes that are on their way; a negative size ends it."""
        self._coming[session_id] += size


UPLOADS: Final = Uploads()


class FrontDoor:
    """ASGI middleware around the whole of Streamlit."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on and complete the headers of its response."""
        if scope["type"] == "websocket" and not _is_own_origin(HTTPConnection(scope)):
            await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                _say_why_nobody_is_signed_in(request, headers)
            await send(message)

        *_, folder, session_id, _ = ["", "", *request.url.path.split("/")]
        if request.url.path.endswith("/auth/logout") and not _comes_from_this_page(request):
            refused = PlainTextResponse("Sign out with the button on the page.", 403)
            await refused(scope, receive, send_with_headers)
        elif request.method == "PUT" and folder == "upload_file":
            await self._take_upload(request, session_id, receive, send_with_headers)
        else:
            await self._app(scope, receive, send_with_headers)

    async def _take_upload(
        self, request: Request, session_id: str, receive: Receive, send: Send
    ) -> None:
        size = request.headers.get("content-length")
        held = _held_bytes()
        if status := UPLOADS.refuse(session_id, size, held=held, settings=self._settings):
            await PlainTextResponse("refused", status)(request.scope, receive, send)
            return
        UPLOADS.expect(session_id, int(size or 0))
        try:
            await self._app(request.scope, receive, send)
        finally:
            UPLOADS.expect(session_id, -int(size or 0))


def _held_bytes() -> Counter[str]:
    """Count the bytes of uploads that Streamlit keeps, per session."""
    manager: Any = runtime.get_instance().uploaded_file_mgr
    return Counter(
        {
            session_id: sum(max(len(file.data), SMALLEST_BYTES) for file in list(files.values()))
            for session_id, files in list(manager.file_storage.items())
        }
    )


def _is_own_origin(connection: HTTPConnection) -> bool:
    """Tell if a websocket is this page's own, or no browser's.

    Streamlit admits pages of every port of `localhost`, and such a page would be the local user.
    """
    origin = connection.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == connection.headers.get("host")


def _comes_from_this_page(request: Request) -> bool:
    """Tell a click on this page from a request that a page of another site or port caused.

    Browsers send Sec-Fetch-Site over TLS and to this machine; elsewhere the referrer tells.
    """
    if site := request.headers.get("sec-fetch-site"):
        return site == "same-origin"
    return urlsplit(request.headers.get("referer", "")).netloc == request.headers.get("host")


def _say_why_nobody_is_signed_in(request: Request, headers: MutableHeaders) -> None:
    """Have a sign-in that came to nothing lead to a page that says so; see `sign_in.REFUSALS`."""
    asked = request.query_params
    if not request.url.path.endswith("/oauth2callback") or "location" not in headers:
        return
    cookies = headers.getlist("set-cookie")
    if any(c.startswith(f"{LOGIN_COOKIE}=") and "Max-Age=0" not in c for c in cookies):
        return
    if "error" in asked:
        headers["location"] += "?sign-in=declined"
    elif "code" in asked or "state" in asked:
        headers["location"] += "?sign-in=refused"
