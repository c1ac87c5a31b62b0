"""Encryption at rest, as a server is asked for it: what the settings say stands in the headers of
each write.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from medloop.settings import load_settings
from medloop.stores.objects import ObjectStore

KMS = "arn:aws:kms:eu-central-1:111122223333:key/clinic"


class Recording(HTTPServer):
    """Takes every object, and keeps the headers that came with it."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Recording

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {}),
        ({"MEDLOOP_S3_ENCRYPTION": "AES256"}, {"x-amz-server-side-encryption": "AES256"}),
        (
            {"MEDLOOP_S3_ENCRYPTION": "aws:kms", "MEDLOOP_S3_KMS_KEY_ID": KMS},
            {
                "x-amz-server-side-encryption": "aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id": KMS,
            },
        ),
        (
            {"MEDLOOP_S3_ENCRYPTION": "aws:kms:dsse", "MEDLOOP_S3_KMS_KEY_ID": KMS},
            {
                "x-amz-server-side-encryption": "aws:kms:dsse",
                "x-amz-server-side-encryption-aws-kms-key-id": KMS,
            },
        ),
    ],
)
def test_each_write_says_how_it_is_to_be_encrypted(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: dict[str, str]
) -> None:
    with Recording() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        keys = {
            "AWS_ENDPOINT_URL_S3": address,
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
        }
        for name, value in {**keys, **settings}.items():
            monkeypatch.setenv(name, value)
        objects = ObjectStore.from_settings(load_settings())
        objects.put("a", b"x")
        objects.create("b", b"x")
        objects.replace("c", b"x", '"0"')
        server.shutdown()
    found = [
        {name: value for name, value in headers.items() if "encryption" in name}
        for headers in server.headers
    ]
    assert found == [expected] * 3
