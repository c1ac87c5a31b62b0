"""One browser session's pictures and answers, in memory. Knows no widget.

Nothing here is shared between sessions or written to disk: file names stay in this object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from medloop.app.kit.pictures import preview_png, thumbnail_url
from medloop.app.kit.wording import need
from medloop.core.imaging.decode import DecodedImage, Limits, decode
from medloop.core.imaging.picture import ImageInfo
from medloop.core.prediction.predictor import Prediction
from medloop.errors import DecodeError
from medloop.serving import Served
from medloop.stores.outbox import State

Window = tuple[float, float]  # centre and width, in the DICOM's own units
DOUBLE_CLICK_S: Final = 0.4  # the second click of a double click must not answer the next picture
PREVIEWS: Final = 3  # pictures kept at the size one judges them at: the current and those before


@dataclass(frozen=True, slots=True)
class Source:
    """A file as it was given: uploaded, taken from a zip, or an example."""

    id: str  # unique within the session
    name: str  # shown to the person who gave it, never stored
    content: bytes | Callable[[], bytes]  # a zip's member is unpacked when it is its turn

    def read(self) -> bytes:
        """Read the file's bytes.

        Raises:
            DecodeError: It is a zip's member, and damaged.
        """
        return self.content if isinstance(self.content, bytes) else self.content()


@dataclass(frozen=True, slots=True)
class UploadedPicture:
    """A readable picture with its answer."""

    source: Source
    sha256: str  # of the decoded pixels
    info: ImageInfo
    height: int
    width: int
    volume: bool  # a cut across the frames can be shown
    window: Window | None  # None: as the file says
    small: np.ndarray  # uint8 [64, 64], what a new version answers without decoding again
    thumbnail: str  # data URL
    prediction: Prediction
    version: str  # of the model that answered

    @property
    def shown_frame(self) -> int | None:
        """What `decode` is asked for to see this again."""
        return None if self.info.resliced else self.info.frame


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is not a picture medloop can read."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """What the person said about a picture, and whether it is stored."""

    sha256: str
    source_id: str  # the file that was looked at; another slice or window of it has another hash
    label: str | None  # None: none of these
    event_id: str
    state: State
    at: float  # seconds, the clock of `Workbench.is_double_click`


@dataclass(slots=True)
class Workbench:
    """The pictures on the page, their order, the one being looked at, and the answers so far."""

    pictures: dict[str, UploadedPicture] = field(default_factory=dict)  # by source id
    unreadable: dict[str, Unreadable] = field(default_factory=dict)  # by source id
    answers: dict[str, GivenAnswer] = field(default_factory=dict)  # by content hash
    cleared: set[str] = field(default_factory=set)  # hashes: the person saw no patient named
    examples: list[Source] = field(default_factory=list)
    order: list[str] = field(default_factory=list)  # source ids, what needs a person first
    current_id: str | None = None
    version: str | None = None  # that the pictures were last answered with
    last: GivenAnswer | None = None  # the newest, for undo
    skipped: set[str] = field(default_factory=set)  # source ids that nobody wanted to wait for
    stopping: bool = False  # the person has just said so
    previews: dict[tuple[str, int | None, Window | None], bytes] = field(default_factory=dict)

    def sync(self, sources: Sequence[Source]) -> list[Source]:
        """Forget pictures whose file was taken away; return the files not yet looked at."""
        kept = {source.id for source in sources}
        self.pictures = {id_: picture for id_, picture in self.pictures.items() if id_ in kept}
        self.unreadable = {id_: reason for id_, reason in self.unreadable.items() if id_ in kept}
        self.previews = {key: png for key, png in self.previews.items() if key[0] in kept}
        self.order = [id_ for id_ in self.order if id_ in kept]
        shown = {picture.sha256 for picture in self.pictures.values()}
        self.answers = {
            sha256: answer
            for sha256, answer in self.answers.items()
            if sha256 in shown or answer.source_id in kept
        }
        if self.last and self.last.sha256 not in self.answers:
            self.last = None
        if self.current_id not in self.pictures:
            self.current_id = self.next_open() or next(iter(self.order), None)
        fresh = [s for s in sources if s.id not in self.pictures and s.id not in self.unreadable]
        if self.stopping:
            self.stopping = False
            self.skipped |= {source.id for source in fresh}
            self.arrange()
        self.skipped &= {source.id for source in fresh}
        return [source for source in fresh if source.id not in self.skipped]

    def stop(self) -> None:
        """Look at no more of the files that are there now."""
        self.stopping = True

    def go_on(self) -> None:
        """Look at the skipped files after all."""
        self.skipped.clear()

    def add(
        self, sources: Iterable[Source], served: Served, *, limits: Limits
    ) -> list[UploadedPicture]:
        """Decode and classify files; return the readable ones, keep a sentence on the others."""
        added = []
        for source in sources:  # one at a time: a decoded picture may take 64 MB
            try:
                image = decode(source.read(), limits=limits)
            except DecodeError as error:
                self.unreadable[source.id] = Unreadable(source.name, str(error))
            else:
                added.append(_picture(source, image, served))
        self.pictures |= {picture.source.id: picture for picture in added}
        return added

    def arrange(self) -> None:
        """Put what needs a person first, and look at the first picture that has no answer yet."""
        self.order = sorted(self.pictures, key=lambda id_: need(self.pictures[id_].prediction))
        if self.current_id not in self.pictures:
            self.current_id = self.next_open() or next(iter(self.order), None)

    def renew(self, served: Served) -> int:
        """Answer every picture with another version; return how many answers changed."""
        pictures = list(self.pictures.values())
        predictions = served.predictor.predict(
            [p.small for p in pictures], about=[p.info for p in pictures]
        )
        changed = 0
        for picture, prediction in zip(pictures, predictions, strict=True):
            before = picture.prediction
            changed += (before.label, before.verdict) != (prediction.label, prediction.verdict)
            self.pictures[picture.source.id] = replace(
                picture, prediction=prediction, version=served.version
            )
        self.version = served.version
        return changed

    def look(
        self, id_: str, served: Served, *, limits: Limits, frame: int | None, window: Window | None
    ) -> None:
        """Show another slice or window of a DICOM, and classify it; None is the default slice.

        Raises:
            DecodeError: That slice cannot be read.
        """
        before = self.pictures[id_]
        image = decode(before.source.read(), limits=limits, frame=frame, window=window)
        shown = _picture(before.source, image, served)
        self.pictures[id_] = replace(shown, window=window, volume=before.volume or shown.volume)

    def preview(self, picture: UploadedPicture, *, limits: Limits) -> bytes:
        """Make the picture as PNG at the size one judges it at, from its file, when it is looked at.

        Fifty of them kept would be most of a session's memory.
        """
        key = picture.source.id, picture.shown_frame, picture.window
        if key not in self.previews:
            image = decode(
                picture.source.read(),
                limits=limits,
                frame=picture.shown_frame,
                window=picture.window,
            )
            kept = list(self.previews.items())[1 - PREVIEWS :]
            self.previews = {**dict(kept), key: preview_png(image.pixels)}
        return self.previews[key]

    @property
    def current(self) -> UploadedPicture | None:
        """The picture being looked at."""
        return self.pictures.get(self.current_id) if self.current_id else None

    def go(self, id_: str) -> None:
        """Look at this picture, if it is still there."""
        if id_ in self.pictures:
            self.current_id = id_

    def step(self, places: int) -> None:
        """Look at the picture so many places further, around the end."""
        if self.order and self.current_id in self.order:
            place = self.order.index(self.current_id) + places
            self.current_id = self.order[place % len(self.order)]

    def next_open(self) -> str | None:
        """Find the next picture without an answer, around the end; None if all have one."""
        start = self.order.index(self.current_id) + 1 if self.current_id in self.order else 0
        around = self.order[start:] + self.order[:start]
        return next((id_ for id_ in around if self.pictures[id_].sha256 not in self.answers), None)

    def record(self, answer: GivenAnswer) -> None:
        """Keep an answer that was handed to the outbox."""
        self.answers[answer.sha256] = answer
        self.last = answer

    def name_of(self, answer: GivenAnswer) -> str:
        """Name the file that was answered, as this session's person knows it."""
        return next(
            (self.pictures[id_].source.name for id_ in self._files_of(answer)), "The picture"
        )

    def withdraw(self, sha256: str) -> None:
        """Forget an answer that was taken back, and look at its file; the one before is `last` again."""
        answer = self.answers.pop(sha256, None)
        self.last = max(self.answers.values(), key=lambda answer: answer.at, default=None)
        if answer and (files := self._files_of(answer)):
            self.current_id = files[0]

    def _files_of(self, answer: GivenAnswer) -> list[str]:
        """List the file in which it was seen, if it is still there, then those that show the same."""
        same = [id_ for id_ in self.order if self.pictures[id_].sha256 == answer.sha256]
        return [id_ for id_ in (answer.source_id, *same) if id_ in self.pictures]

    def is_double_click(self, picture: UploadedPicture, label: str | None, *, at: float) -> bool:
        """Tell whether a click is the tail of one that answered another picture with this button."""
        if self.last is None or picture.sha256 in self.answers:
            return False
        return self.last.label == label and at - self.last.at < DOUBLE_CLICK_S

    def refresh(self, state: Callable[[str], State]) -> bool:
        """Ask for the state of answers not yet stored; return whether one changed."""
        changed = False
        for sha256, answer in self.answers.items():
            if answer.state == "pending" and state(answer.event_id) == "stored":
                self.answers[sha256] = replace(answer, state="stored")
                changed = True
        return changed

    def clear(self, sha256: str, *, cleared: bool) -> None:
        """Keep whether the person says that no name and no date of a patient is in a picture."""
        (self.cleared.add if cleared else self.cleared.discard)(sha256)

    def may_be_stored(self, picture: UploadedPicture) -> bool:
        """Tell whether it names no patient, by what the file or else the person says."""
        return not picture.info.needs_clearance or picture.sha256 in self.cleared

    def confident_open(self) -> list[UploadedPicture]:
        """List pictures with a confident answer that nobody has answered, each content once.

        Left out is what may name a patient, until somebody has looked at it.
        """
        found = {
            picture.sha256: picture
            for picture in self.pictures.values()
            if picture.prediction.verdict == "confident"
            and picture.sha256 not in self.answers
            and self.may_be_stored(picture)
        }
        return list(found.values())

    def counts(self) -> dict[str, int]:
        """Count the pictures per verdict, and those that are answered."""
        counts = dict.fromkeys(("unknown", "unsure", "confident", "answered"), 0)
        for picture in self.pictures.values():
            counts[picture.prediction.verdict] += 1
            counts["answered"] += picture.sha256 in self.answers
        return counts

    def pending(self) -> int:
        """Count the answers that are saved here but not yet stored."""
        return sum(answer.state == "pending" for answer in self.answers.values())


def _picture(source: Source, image: DecodedImage, served: Served) -> UploadedPicture:
    height, width = image.pixels.shape
    answered = served.answer(image)
    return UploadedPicture(
        source=source,
        sha256=image.sha256,
        info=image.info,
        height=height,
        width=width,
        volume=image.resliced,
        window=None,
        small=answered.small,
        thumbnail=thumbnail_url(image.pixels),
        prediction=answered.prediction,
        version=answered.version,
    )
