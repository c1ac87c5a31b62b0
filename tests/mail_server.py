"""An SMTP server that really listens, and keeps what it is sent."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from email.message import EmailMessage
from typing import Self


class Mailbox(socketserver.ThreadingTCPServer):
    """Takes every message; `messages` holds them as parsed, `recipients` whom the envelopes named."""

    daemon_threads = True

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[str] = []
        super().__init__(("127.0.0.1", 0), _Session)
        self.port = self.server_address[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.shutdown()
        self.server_close()


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
