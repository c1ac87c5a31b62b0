"""The certificate by which the parts of the local SeaweedFS know each other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from medloop.stack.ports import LOOPBACK

# Each `medloop up` makes a new one, so that only a stack that runs for ten years sees it expire.
VALID_FOR: Final = timedelta(days=3650)
CLOCK_MAY_GO_BACK: Final = timedelta(days=365)


def make_certificate() -> str:
    """Make a key and a certificate for this machine's loopback address, both as PEM in one text.

    It is its own authority and may sign no other: who trusts this text trusts only its holder.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "medloop's SeaweedFS")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=now - CLOCK_MAY_GO_BACK,
        not_valid_after=now + VALID_FOR,
    )
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))])
    certificate = builder.add_extension(address, critical=False).sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()
