"""What `medloop doctor` says of single parts; with whole servers it is tested in tests/services."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from medloop.jobs.doctor import Finding, examine
from medloop.settings import Settings


class _Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(403)  # as S3 refuses strangers, and tells the time all the same
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class PrivateS3:
    """An HTTPS server with a certificate of its own making."""

    url: str
    certificate: Path


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateS3]:
    pem = tmp_path / "ca.pem"
    pem.write_bytes(_certificate(tmp_path / "key.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, tmp_path / "key.pem")
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield PrivateS3(f"https://127.0.0.1:{server.server_port}", pem)
    server.shutdown()
    server.server_close()


def _certificate(key_file: Path) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a clinic's own")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def clock(tmp_path: Path, **settings: object) -> Finding:
    found = {check.name: check for check in examine(lambda: Settings(home=tmp_path, **settings))}
    return found["clock"]


def test_the_clock_is_compared_with_an_s3_behind_a_private_authority(
    tmp_path: Path, private: PrivateS3
) -> None:
    found = clock(tmp_path, s3_endpoint_url=private.url, aws_ca_bundle=private.certificate)
    assert found.outcome == "ok"
    assert found.says.endswith(f" s from the clock of {private.url}")


def test_a_clock_that_nobody_tells_is_no_failure_of_this_one(
    tmp_path: Path, private: PrivateS3
) -> None:
    """Why S3 cannot be reached stands in its own line."""
    found = clock(tmp_path, s3_endpoint_url=private.url)
    assert found.outcome == "warning"
    assert "CERTIFICATE_VERIFY_FAILED" in found.says


def test_a_bundle_that_is_not_there_is_named(tmp_path: Path, private: PrivateS3) -> None:
    found = clock(tmp_path, s3_endpoint_url=private.url, aws_ca_bundle=tmp_path / "missing.pem")
    assert (found.outcome, found.fix) == ("failed", "check AWS_ENDPOINT_URL_S3 and AWS_CA_BUNDLE")
