"""A TLS front for a test server, and a private authority that vouches for it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Certificate:
    """Paths of PEM files."""

    chain: Path
    key: Path


class Authority:
    """A private certificate authority; `bundle` is the PEM file that clients are told to trust."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")]
        )
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = _signed(
            self._name, self._key.public_key(), self._name, self._key, constraints
        )
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def certificate(self, address: str = LOOPBACK, *, days: int = 1) -> Certificate:
        """For a server at this address; `days` below zero: it expired so long ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
        signed = _signed(name, key.public_key(), self._name, self._key, names, days=days)
        found = Certificate(
            self._folder / f"{address} {days}.pem", self._folder / f"{address} {days}.key"
        )
        found.chain.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        found.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return found


def _signed(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    by: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
    *,
    days: int = 1,
) -> x509.Certificate:
    end = datetime.now(UTC) + timedelta(days=days)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(end - timedelta(days=30)).not_valid_after(end)
    builder = builder.add_extension(
        extension, critical=isinstance(extension, x509.BasicConstraints)
    )
    return builder.sign(by, hashes.SHA256())


class TlsFront:
    """Takes TLS at `.url` and passes what is inside on to a plain port of this machine."""

    def __init__(self, port: int, certificate: Certificate) -> None:
        self._target = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.chain, certificate.key)
        self._listener = socket.create_server((LOOPBACK, 0))
        self.url = f"https://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=self._serve, args=(self._listener.accept()[0],), daemon=True
                ).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):  # a client that does not trust us hangs up
            inside = self._context.wrap_socket(plain, server_side=True)
            target = socket.create_connection((LOOPBACK, self._target))
            threading.Thread(target=_pump, args=(target, inside), daemon=True).start()
            _pump(inside, target)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
