"""The champion, once per process: which version answers, and how it is replaced in use.

A thread looks at the registry's alias every few seconds. A new version is loaded beside the old
one, checked, and only then swapped in. Whatever goes wrong, the old one goes on serving, with a
notice that says why.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from medloop.core.imaging.decode import DecodedImage
from medloop.core.imaging.picture import ImageInfo
from medloop.core.imaging.preprocess import preprocess
from medloop.core.prediction.model_contract import load_checked
from medloop.core.prediction.predictor import Prediction, Predictor
from medloop.errors import MedloopError, ModelError, NotFoundError, StoreUnavailableError
from medloop.stores.model_cache import CachedModel, ModelCache

log = logging.getLogger(__name__)

ALIAS: Final = "champion"
REFUSED_FOR_S: Final = 300.0  # a version that failed its checks is tried again only after this
DOUBTED_FOR_S: Final = 10.0  # likewise one that the ledger does not name
THREADS: Final = 1  # cores per call: in a network this small, sharing work costs more than it saves


class NoModelError(ModelError):
    """There is no model to serve yet; the message says why and what to do."""


class ModelSource(Protocol):
    """The part of a registry that the champion needs."""

    def version_of(self, alias: str) -> str | None:
        """The version that the alias points at."""

    def model_file(self, version: str) -> bytes:
        """The version's ONNX file."""


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """A picture as the model saw it, and the model's answer."""

    small: np.ndarray  # uint8 [64, 64], the model's input: another version needs no decoding again
    prediction: Prediction
    version: str


@dataclass(frozen=True, slots=True)
class Served:
    """The model that answers right now. Hold it for one request, then ask `Champion.current`."""

    predictor: Predictor
    version: str
    notice: str = ""  # why it may not be the newest; "" where all is well

    def answer(self, image: DecodedImage | np.ndarray) -> Classified:
        """Classify a decoded picture, or grey pixels uint8 [H, W] of which no more is known."""
        if isinstance(image, DecodedImage):
            pixels, about = image.pixels, image.info
        else:
            pixels, about = image, ImageInfo()
        small = preprocess(pixels, self.predictor.metadata.input_size)
        (prediction,) = self.predictor.predict([small], about=[about])
        return Classified(small, prediction, self.version)


@dataclass(frozen=True, slots=True)
class _Refused:
    version: str
    why: str
    retry_at: float  # on the monotonic clock


class Champion:
    """The process's served model, safe to share between threads. `start` it once, then `stop`."""

    def __init__(
        self,
        registry: ModelSource | None,
        cache: Path,
        *,
        poll_s: float,
        named: Callable[[], Sequence[str]] = tuple,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is asked or loaded before `start`, `refresh` or `current`.

        Args:
            registry: Where the alias is looked up; None serves what the cache holds.
            cache: Folder for the last good model.
            poll_s: Seconds between two looks at the alias.
            named: Reads the champions by the ledger, the one in office last. The alias is not
                followed to another one; it is if the ledger names none or cannot be read.
            now: The clock that notices quote.
            monotonic: The clock that waits are measured with.
        """
        self._registry = registry
        self._cache = ModelCache(cache)
        self._poll_s = poll_s
        self._named, self._now, self._monotonic = named, now, monotonic
        self._served: Served | None = None
        self._refused: _Refused | None = None
        self._lost = False  # the registry had no champion: the next one may bear a known number
        self._away_since: datetime | None = None
        self._reason = ""  # why there is no model
        self._looked_at = float("-inf")
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def current(self) -> Served:
        """The model that answers now; looks for one if there is none yet.

        Raises:
            NoModelError: There is none, neither in the registry nor in the cache.
        """
        if self._served is None:
            with self._refreshing:
                if self._served is None and self._monotonic() - self._looked_at >= self._poll_s:
                    self._refresh()
        served = self._served
        if served is None:
            raise NoModelError(
                self._reason or "No model is loaded yet: try again in a few seconds."
            )
        return served

    def refresh(self) -> bool:
        """Look at the alias now. True if another version answers from now on; never raises."""
        with self._refreshing:
            before = self._served
            self._refresh()
            after = self._served
        return after is not None and (before is None or before.version != after.version)

    def start(self) -> None:
        """Look at the alias in the background until `stop`. A second call does nothing."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._poll, name="medloop-champion", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the background thread; the loaded model goes on answering."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _poll(self) -> None:
        while True:
            self.refresh()
            if self._stopping.wait(self._poll_s):
                return

    def _refresh(self) -> None:
        try:
            self._follow_alias()
        except Exception as error:  # whatever it is, the model that is loaded goes on answering
            self._registry_away(error)
        finally:
            self._looked_at = self._monotonic()

    def _follow_alias(self) -> None:
        if self._registry is None:
            self._serve_cached("No registry is set (MLFLOW_TRACKING_URI)")
            return
        version = self._registry.version_of(ALIAS)
        self._registry_back()
        refused = self._refused
        if version is None:
            self._lost = True
            self._reason = (
                "There is no model yet: the registry has no champion. `medloop up` installs the "
                "first one; `medloop promote VERSION` makes a version champion."
            )
            self._serve_cached("The registry has no champion (`medloop doctor` says what to do)")
        elif self._served is not None and self._served.version == version and not self._lost:
            self._refused = None
            self._notice("")
        elif refused and refused.version == version and self._monotonic() < refused.retry_at:
            self._notice(_cannot(version, refused.why))
        elif why := self._doubt(version):
            self._refuse(version, why, for_s=DOUBTED_FOR_S)
        else:
            self._load(self._registry, version)

    def _doubt(self, version: str) -> str:
        """Say why the alias is not to be followed to this version; "" if nothing speaks against."""
        cached = self._cache.read()
        if cached is not None and cached.version == version:
            return ""
        try:
            named = self._named()
        except MedloopError as error:
            log.warning(
                "version %s is served, though the ledger cannot be read: %s", version, error
            )
            return ""
        # An earlier champion is only served where no other is: a promotion may have been cut off.
        if not named or version == named[-1] or (cached is None and version in named):
            return ""
        return (
            "it is not the ledger's champion: another client moved the alias; see `medloop doctor`"
        )

    def _load(self, registry: ModelSource, version: str) -> None:
        try:
            onnx = registry.model_file(version)
            predictor = load_checked(onnx, threads=THREADS)
        except (ModelError, NotFoundError) as error:
            self._refuse(version, str(error))
            return
        self._swap(Served(predictor, version))
        self._refused, self._lost = None, False
        try:
            self._cache.write(CachedModel(version, onnx))
        except OSError as error:
            log.warning("version %s is served but could not be cached: %s", version, error)

    def _swap(self, served: Served) -> None:
        before, self._served = self._served, served
        old = before.version if before else "none"
        log.info("version %s serves, after %s", served.version, old)

    def _refuse(self, version: str, why: str, *, for_s: float = REFUSED_FOR_S) -> None:
        self._refused = _Refused(version, why, self._monotonic() + for_s)
        log.warning("version %s is refused: %s", version, why)
        self._reason = (
            f"The champion, version {version}, cannot be served: {why}. "
            "`medloop rollback` goes back."
        )
        self._serve_cached(_cannot(version, why))

    def _registry_away(self, error: Exception) -> None:
        if self._away_since is None:
            self._away_since = self._now()
            log.warning("the model registry does not answer: %s", error)
        away = isinstance(error, StoreUnavailableError)
        what = "has not answered" if away else f"has failed ({_sentence(error)})"
        since = self._away_since.astimezone().strftime("%Y-%m-%d %H:%M")
        self._reason = (
            f"There is no model to serve: the registry {what} since {since}, and none is cached "
            "on this machine. `medloop doctor` says what is wrong."
        )
        self._serve_cached(f"The model registry {what} since {since}")

    def _registry_back(self) -> None:
        if self._away_since is not None:
            log.info("the model registry answers again")
            self._away_since = None

    def _serve_cached(self, why: str) -> None:
        """Serve the last good model if none is loaded, and say why in either case."""
        if self._served is None and (cached := self._cache.read()) is not None:
            try:
                self._swap(Served(load_checked(cached.onnx, threads=THREADS), cached.version))
            except ModelError as error:
                log.warning("the cached version %s is refused: %s", cached.version, error)
        self._notice(why)

    def _notice(self, why: str) -> None:
        served = self._served
        if served is not None:
            notice = f"{why}; version {served.version} goes on serving." if why else ""
            if notice != served.notice:
                self._served = replace(served, notice=notice)


def _cannot(version: str, why: str) -> str:
    return f"Version {version} cannot be served ({why.rstrip('.')})"


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
