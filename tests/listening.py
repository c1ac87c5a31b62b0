"""Servers of a test's own that really listen and remember: a webhook and a mailbox."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Self


class _Listening(socketserver.BaseServer):
    """Serves from a thread as long as its `with` block."""

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


class Webhook(_Listening, HTTPServer):
    """Answers every POST with `status` and keeps its JSON in `received`."""

    def __init__(self) -> None:
        self.status = 200
        self.received: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Post)
        self.url = f"http://127.0.0.1:{self.server_port}/hook-secret"


class _Post(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.received.append(json.loads(self.rfile.read(length)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Mailbox(_Listening, socketserver.ThreadingTCPServer):
    """Takes every message: `messages` as parsed, `recipients` as the envelopes named them."""

    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        super().__init__(("127.0.0.1", 0), _Session)
        self.port = self.server_address[1]


class _Session(socketserver.StreamRequestHandler):
    """RFC 5321, as much of it as a client needs that neither encrypts nor logs in."""

    def handle(self) -> None:
        self._say("220 mailbox")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                return self._say("221 bye")
            if verb.upper() == "RCPT":
                self.server.recipients.append(rest.partition("<")[2].partition(">")[0])
            if verb.upper() == "DATA":
                self._say("354 go on")
                self._keep()
            self._say("250 ok")
        return None

    def _keep(self) -> None:
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))  # the client doubles a leading dot
        self.server.messages.append(
            email.message_from_bytes(b"".join(lines), policy=email.policy.default)
        )

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())
