"""Download of a large file: resumes, retries, and shows the file only once it is checked."""

from __future__ import annotations

import errno
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from medloop.errors import DatasetError, StoreUnavailableError
from medloop.progress import Progress, silent

CHUNK_BYTES: Final = 256 * 2**10
TIMEOUT_S: Final = 30.0  # without a byte
ATTEMPTS: Final = 4  # in a row that bring nothing
MOST_BYTES: Final = 8 * 2**30
OF_THIS_MACHINE: Final = frozenset(
    (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
)
TRY_AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504))


def download(
    url: str,
    target: Path,
    *,
    sha256: str | None = None,
    progress: Progress = silent,
    pause_s: float = 0.5,
) -> str:
    """Fetch `url` to `target` and return its SHA-256.

    What is there of an interrupted download (`target` with `.part`) is continued if the server
    still has the same file, else fetched anew. A lost connection is tried again, with growing
    pauses from `pause_s` on.

    Raises:
        StoreUnavailableError: No answer; what has arrived is kept for the next try.
        DatasetError: The server has no such file, or the checksum is another; nothing is kept then.
    """
    _check_scheme(url)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _fetch(url, part, progress)
            break
        except (OSError, http.client.HTTPException) as error:
            _raise_if_final(error, url, part)
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise StoreUnavailableError(
                    f"{url} cannot be downloaded ({_reason(error)}); {_size(part):,} bytes are "
                    "kept for the next try."
                ) from error
            time.sleep(pause_s * 2 ** (failures - 1))
    return _finish(part, target, sha256)


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise DatasetError(f"Only http and https addresses can be fetched, not {url[:200]!r}.")


def _fetch(url: str, part: Path, progress: Progress) -> None:
    """Append to `part` until it is whole; OSError if the connection breaks."""
    validator = _validator_file(part)
    done = _size(part) if validator.is_file() else 0
    headers = {"Accept-Encoding": "identity", "User-Agent": "medloop"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator.read_text("utf-8")}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme was checked
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
        if response.status != 206:
            done = 0
            _remember(validator, response.headers)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as file:
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                progress(done / total if total else 0.0, f"downloading, {done / 1e6:.1f} MB")
                if done > MOST_BYTES:
                    raise DatasetError(f"{url} is larger than {MOST_BYTES:,} bytes: given up.")
    if total is not None and done < total:
        raise ConnectionError(f"the connection broke after {done:,} of {total:,} bytes")


def _remember(validator: Path, headers: Mapping[str, str]) -> None:
    """Keep what identifies the file for `If-Range`, so that two files are never joined."""
    strong = headers.get("ETag", "")
    known = strong if strong and not strong.startswith("W/") else headers.get("Last-Modified", "")
    if known:
        validator.write_text(known, "utf-8")
    else:
        validator.unlink(missing_ok=True)


def _raise_if_final(error: Exception, url: str, part: Path) -> None:
    """Raise where trying again is of no use."""
    if isinstance(error, OSError) and error.errno in OF_THIS_MACHINE:
        raise DatasetError(
            f"The download cannot be written to {part.parent}: {error.strerror}."
        ) from error
    if not isinstance(error, urllib.error.HTTPError) or error.code in TRY_AGAIN:
        return
    if error.code == 416:  # more is here than the server has: start anew
        _discard(part)
        return
    raise DatasetError(
        f"{url} answers {error.code} {error.reason}: check the address (--url)."
    ) from error


def _finish(part: Path, target: Path, sha256: str | None) -> str:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 is not None and found != sha256.strip().lower():
        _discard(part)
        raise DatasetError(
            f"The download has the SHA-256 {found}, expected {sha256}: it was thrown away. "
            "Try again."
        )
    part.replace(target)
    _validator_file(part).unlink(missing_ok=True)
    return found


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"it answers {error.code} {error.reason}"
    return str(getattr(error, "reason", "") or error or type(error).__name__)
