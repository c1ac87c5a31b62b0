"""A real HTTP server with one file, that resumes like a good one and fails like a bad one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class FileServer:
    """Serves `content` at `.url`; every request's Range header is kept in `.ranges`."""

    content: bytes
    e_tag: str | None = '"1"'
    accept_ranges: bool = True
    tell_length: bool = True
    break_after: list[int] = field(
        default_factory=list
    )  # bytes after which each next answer breaks off
    statuses: list[int] = field(
        default_factory=list
    )  # what the next answers say instead of the file
    ranges: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/set.zip"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.ranges.append(wanted)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            request.send_error(status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        fresh = request.headers.get("If-Range") in (None, self.e_tag)
        if wanted and self.accept_ranges and fresh and start >= len(self.content):
            request.send_error(416)
            return
        partial = bool(wanted and self.accept_ranges and fresh)
        body = self.content[start:] if partial else self.content
        request.send_response(206 if partial else 200)
        if self.e_tag:
            request.send_header("ETag", self.e_tag)
        if self.tell_length:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.break_after.pop(0)] if self.break_after else body)
        request.close_connection = True
