"""The pictures and answers of a browser session, in memory. Knows no widget.

Nothing here is shared between sessions or written to disk: file names stay in this object.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from medloop.app.kit.pictures import preview_png, thumbnail_url
from medloop.app.kit.wording import class_name, need
from medloop.core.imaging.decode import DecodedImage, Limits, decode
from medloop.core.imaging.picture import ImageInfo
from medloop.core.prediction.predictor import Prediction
from medloop.errors import DecodeError
from medloop.serving import Served
from medloop.stores.outbox import State

Window = tuple[float, float]  # centre and width, in the DICOM's own units
Sorting = Literal["need", "name", "class", "confidence"]
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
        """Give the frame number with which `decode` shows this picture again."""
        return None if self.info.resliced else self.info.frame


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is not a picture medloop can read."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """A person's answer about a picture, and its storage state."""

    sha256: str
    source_id: str  # the file that was looked at; another slice or window of it has another hash
    label: str | None  # None: none of these
    event_id: str
    state: State
    at: float  # seconds, the clock of `Workbench.is_double_click`; the same for all given at once
    who: str = ""  # the person's name
    when: str = ""  # ISO 8601


@dataclass(slots=True)
class View:
    """The pictures that a person wants to see, and their order."""

    verdict: str | None = None  # or "answered"; None: all
    open_only: bool = False  # none that are answered
    said: str = ""  # name of the class, as the person says, else the model; "": all
    name: str = ""  # a part of the file name
    sorting: Sorting = "need"
    wall: bool = False  # a wall of pictures instead of a strip


@dataclass(slots=True, weakref_slot=True)
class Workbench:
    """The pictures on the page, their order, the one being looked at, and the answers so far."""

    sources: list[Source] = field(default_factory=list)  # in the order in which they came
    pictures: dict[str, UploadedPicture] = field(default_factory=dict)  # by source id
    unreadable: dict[str, Unreadable] = field(default_factory=dict)  # by source id
    answers: dict[str, GivenAnswer] = field(default_factory=dict)  # by content hash
    cleared: set[str] = field(default_factory=set)  # hashes: the person saw no patient named
    examples: set[str] = field(default_factory=set)  # source ids
    order: list[str] = field(default_factory=list)  # source ids, what needs a person first
    view: View = field(default_factory=View)
    current_id: str | None = None
    chosen: set[str] = field(default_factory=set)  # source ids that the next answer is for
    heard: int = 0  # number of the last event that came from the gallery
    version: str | None = None  # that the pictures were last answered with
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # the browser tab's
    session_id: str = ""  # Streamlit's, that shows it
    owner: str = ""  # the person's name
    problems: list[str] = field(default_factory=list)  # sentences about uploads
    skipped: set[str] = field(default_factory=set)  # source ids that nobody wanted to wait for
    stopping: bool = False  # the person has just said so
    previews: dict[tuple[str, int | None, Window | None], bytes] = field(default_factory=dict)

    def sync(self, sources: Sequence[Source]) -> list[Source]:
        """Forget pictures whose file was taken away; return the files not yet looked at."""
        self.sources = list(sources)
        kept = {source.id for source in sources}
        self.examples &= kept
        self.chosen &= kept
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
        self._keep_current()
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
        self._keep_current()

    def _keep_current(self) -> None:
        """Look at another picture if the one looked at is not there, or not to be seen."""
        shown = self.shown()
        if self.current_id not in shown:
            self.current_id = self.next_open() or next(iter(shown), None)

    def name_of(self, id_: str) -> str:
        """Name the class of a picture, as the person says, else the model."""
        picture = self.pictures[id_]
        answer = self.answers.get(picture.sha256)
        return class_name(answer.label if answer else picture.prediction.label)

    def shown(self) -> list[str]:
        """List the source ids that the view asks for, in its order."""
        view, found = self.view, [id_ for id_ in self.order if self._is_asked_for(id_)]
        if view.sorting == "name":
            found.sort(key=lambda id_: self.pictures[id_].source.name.lower())
        elif view.sorting == "class":
            found.sort(key=self.name_of)
        elif view.sorting == "confidence":
            found.sort(key=lambda id_: self.pictures[id_].prediction.confidence)
        return found

    def _is_asked_for(self, id_: str) -> bool:
        picture, view = self.pictures[id_], self.view
        answered = picture.sha256 in self.answers
        kinds = {None, picture.prediction.verdict, "answered" if answered else None}
        return (
            view.verdict in kinds
            and not (view.open_only and answered)
            and view.name.lower() in picture.source.name.lower()
            and view.said in ("", self.name_of(id_))
        )

    def look_for(self, view: View) -> None:
        """Show other pictures, or in another order."""
        if view != self.view:
            self.view = view
            self.chosen &= set(self.shown())
            self._keep_current()

    def choose(self, ids: Iterable[str]) -> None:
        """Choose pictures for the next answer; what is not there is left out."""
        self.chosen = set(ids) & self.pictures.keys()

    def answered_next(self) -> list[str]:
        """List the source ids that an answer is for: the chosen ones, or the one looked at."""
        if self.chosen:
            return [id_ for id_ in self.order if id_ in self.chosen]
        return [self.current_id] if self.current_id else []

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
        """Make a PNG of the picture from its file, at the size for judging it, when it is viewed.

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
        shown = self.shown()
        if shown and self.current_id in shown:
            self.current_id = shown[(shown.index(self.current_id) + places) % len(shown)]

    def next_open(self, besides: Iterable[str] = ()) -> str | None:
        """Find the next shown picture without an answer, around the end; None if all have one.

        `besides` are hashes of pictures that are about to get one.
        """
        shown, answered = self.shown(), self.answers.keys() | besides
        start = shown.index(self.current_id) + 1 if self.current_id in shown else 0
        around = shown[start:] + shown[:start]
        return next((id_ for id_ in around if self.pictures[id_].sha256 not in answered), None)

    def record(self, answers: Iterable[GivenAnswer]) -> None:
        """Keep answers that were handed to the outbox at once."""
        self.answers |= {answer.sha256: answer for answer in answers}

    def last(self) -> list[GivenAnswer]:
        """List the answers that were given last, all of one time: what undo takes back."""
        newest = max((answer.at for answer in self.answers.values()), default=None)
        return [answer for answer in self.answers.values() if answer.at == newest]

    def file_of(self, answer: GivenAnswer) -> UploadedPicture | None:
        """Find the answered file, if it is still there, else one that shows the same picture."""
        same = (p for p in self.pictures.values() if p.sha256 == answer.sha256)
        return self.pictures.get(answer.source_id) or next(same, None)

    def withdraw(self, hashes: Iterable[str]) -> None:
        """Forget withdrawn answers and look at their first file; the ones before are last again."""
        taken = [answer for sha256 in hashes if (answer := self.answers.pop(sha256, None))]
        if file := next(filter(None, map(self.file_of, taken)), None):
            self.go(file.source.id)

    def is_double_click(self, picture: UploadedPicture, label: str | None, *, at: float) -> bool:
        """Tell whether a click belongs to one that answered another picture with this button."""
        if picture.sha256 in self.answers:
            return False
        return any(last.label == label and at - last.at < DOUBLE_CLICK_S for last in self.last())

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

    def counts(self) -> Counter[str]:
        """Count the pictures per verdict, and those that are answered."""
        counts = Counter[str](p.prediction.verdict for p in self.pictures.values())
        counts["answered"] = sum(p.sha256 in self.answers for p in self.pictures.values())
        return counts

    def open_with(self, verdict: str | None, label: str | None = None) -> list[str]:
        """List shown pictures without an answer that have this verdict and this class, if given."""
        return [
            id_
            for id_ in self.shown()
            if (picture := self.pictures[id_]).sha256 not in self.answers
            and verdict in (None, picture.prediction.verdict)
            and label in (None, picture.prediction.label)
        ]

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
