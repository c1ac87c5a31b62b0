"""The certificate of the local SeaweedFS: whoever trusts it trusts nobody else."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from medloop.stack.certificate import make_certificate


def talk(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Shake hands in memory, and carry one word to the server."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(down, up, server_hostname="127.0.0.1")
    there = server.wrap_bio(up, down, server_side=True)
    for _ in range(3):
        for side in (here, there):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    here.write(b"word")
    assert there.read() == b"word"


def contexts(path: Path, *, shown: Path | None) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server with the certificate that wants it of its clients, and a client that shows
    `shown`.
    """
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(path))
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(path)
    client = ssl.create_default_context(cafile=str(path))
    if shown is not None:
        client.load_cert_chain(shown)
    return server, client


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    own, foreign = tmp_path / "own.pem", tmp_path / "foreign.pem"
    for path in (own, foreign):
        path.write_text(make_certificate())
    return own, foreign


def test_who_holds_the_file_is_let_in_from_both_sides(files: tuple[Path, Path]) -> None:
    talk(*contexts(files[0], shown=files[0]))


@pytest.mark.parametrize("shown", [1, None])
def test_nobody_else_is(files: tuple[Path, Path], shown: int | None) -> None:
    with pytest.raises(ssl.SSLError):
        talk(*contexts(files[0], shown=files[shown] if shown else None))


def test_it_outlives_any_stack_and_a_clock_that_goes_back() -> None:
    certificate = x509.load_pem_x509_certificate(make_certificate().encode())
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(days=300)
    assert certificate.not_valid_after_utc > now + timedelta(days=3000)
