from __future__ import annotations

import pytest
from tests.events import review, sha256_of

from medloop.core.corrections.events import Review
from medloop.core.corrections.signatures import SigningKeys

KEYS = SigningKeys(review=b"of the page", erasure=b"of the operator")
PAGE = SigningKeys(review=b"of the page")


def test_what_a_key_signed_it_verifies() -> None:
    for action in ("approve", "erase"):
        signed = KEYS.sign(review(sha256_of(1), action))
        assert KEYS.verify(signed, signed.to_json())
        assert KEYS.sign(signed) == signed


def test_the_page_cannot_sign_an_erasure() -> None:
    erasure = PAGE.sign(review(sha256_of(1), "erase"))
    assert erasure.signature == ""
    approval = PAGE.sign(review(sha256_of(1), "approve"))
    as_erasure = approval.to_json().replace(b'"approve"', b'"erase"')
    assert not KEYS.verify(Review.from_json(as_erasure), as_erasure)


@pytest.mark.parametrize(
    "change",
    [
        (b'"approve"', b'"reject"'),
        (sha256_of(1).encode(), sha256_of(2).encode()),
        (b'"action": "approve"', b'"action": "reject", "action": "approve"'),
        (b'"action": "approve"', b'"action":  "approve"'),
        (b'{"', b'{"more": 1, "'),
    ],
)
def test_any_change_breaks_it(change: tuple[bytes, bytes]) -> None:
    raw = KEYS.sign(review(sha256_of(1), "approve")).to_json()
    changed = raw.replace(*change)
    assert changed != raw
    assert not KEYS.verify(Review.from_json(changed), changed)


def test_a_field_of_a_newer_version_is_signed_too() -> None:
    """An older version checks what it does not know."""
    raw = KEYS.sign(review(sha256_of(1), "approve")).to_json()
    assert not KEYS.verify(Review.from_json(raw), raw.replace(b'"schema": 1', b'"schema": 2'))


def test_other_keys_sign_otherwise_and_none_signs_nothing() -> None:
    signed = KEYS.sign(review(sha256_of(1), "approve"))
    assert not SigningKeys(review=b"another").verify(signed, signed.to_json())
    assert not SigningKeys().verify(signed, signed.to_json())
    assert SigningKeys().sign(review(sha256_of(1), "approve")).signature == ""
