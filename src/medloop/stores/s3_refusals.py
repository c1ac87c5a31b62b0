"""Refusals of S3 servers, in words that say what to do. Knows error codes, no client library."""

from __future__ import annotations

import re
from typing import Final

from medloop.errors import StoreError, StoreUnavailableError

REMEDIES: Final = {  # S3 error code → what to do
    "AccessDenied": "give these credentials the rights that docs/s3-layout.md lists",
    "ExpiredToken": "the credentials have expired: renew them",
    "ExpiredTokenException": "the credentials have expired: renew them",
    "TokenRefreshRequired": "the credentials have expired: renew them",
    "InvalidToken": "the session token does not belong to this key: renew the credentials",
    "InvalidAccessKeyId": "the store does not know this key: check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret does not fit the access key: check AWS_SECRET_ACCESS_KEY",
    "NoSuchBucket": "create the bucket or correct MEDLOOP_S3_BUCKET",
    "RequestTimeTooSkewed": "set this machine's clock",
    "PermanentRedirect": "the bucket lies in another region: correct AWS_REGION",
    "AuthorizationHeaderMalformed": "the bucket lies in another region: correct AWS_REGION",
    "QuotaExceeded": "the store is full: free space or raise the quota",
    "XMinioStorageFull": "the store is full: free space",
}
COME_BACK: Final = {
    "SlowDown",
    "RequestTimeout",
    "Throttling",
    "ThrottlingException",
    "ServiceUnavailable",
}


def refusal(answer: str, *, store: str, act: str) -> StoreError:
    """Turn an S3 client's error text into an error.

    The answer itself is not repeated: S3 puts the access key into it. What was asked is left out
    if the store as a whole does not work. `act` is what was tried, such as "writing images/…".
    """
    what = f"{store}: {act} failed"
    found = re.search(r"<Code>(\w+)</Code>|\(code: (\w+)\)", answer)
    code = (found[1] or found[2]) if found else ""
    status = re.search(r"status code: (\d{3})", answer)
    number = int(status[1]) if status else 0
    said = " ".join(filter(None, (str(number or ""), code)))
    if code in REMEDIES:
        return StoreError(f"{what} ({code}): {REMEDIES[code]}")
    if number >= 500 or number == 429 or code in COME_BACK:
        return StoreUnavailableError(
            f"{store} answers {said}; it may be overloaded, starting or full"
        )
    if number in (401, 403):
        return StoreError(f"{what} ({said}): {REMEDIES['AccessDenied']}")
    if said:
        return StoreError(f"{what}: the store answers {said}")
    if "kind: Timeout" in answer or "timed out" in answer:
        return StoreUnavailableError(f"{store} does not answer in time")
    if "error sending request" in answer or "HTTP error" in answer:
        return StoreUnavailableError(f"{store} cannot be reached")
    return StoreError(f"{what}: {(answer.strip().splitlines() or ['no reason given'])[0][:200]}")
