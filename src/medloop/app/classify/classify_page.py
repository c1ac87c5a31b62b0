"""Classify: drop pictures, read the answer, say whether it is right."""

from __future__ import annotations

import streamlit as st

from medloop.app.classify import gallery, lost_session
from medloop.app.classify.dicom_controls import dicom_controls
from medloop.app.classify.downloads import KINDS, download
from medloop.app.classify.examples import examples
from medloop.app.classify.uploads import Unpacked, unpack
from medloop.app.kit import actions
from medloop.app.kit.bars import bars
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.explain import explanation
from medloop.app.kit.keyboard import guard_keys
from medloop.app.kit.pictures import framed_png
from medloop.app.kit.state import (
    attempt,
    guarded,
    session_id,
    show_failure,
    user,
    visitor,
    workbench,
)
from medloop.app.kit.wording import NONE_OF_THESE, advice, class_name, count_of, ranked
from medloop.app.kit.workbench import Source, UploadedPicture, Workbench
from medloop.app.process.backend import Backend, backend
from medloop.app.process.front_door import UPLOADS
from medloop.errors import ModelError
from medloop.serving import Served

SHORTCUT_CLASSES = 9  # number keys 1 to 9


def page() -> None:
    """Draw the page."""
    back, bench = backend(), workbench()
    st.title("What does this picture show?")
    sources = _uploads(back, bench)
    # A place of its own for what comes and goes: else all below moves, and for a while the old stays
    # beside the new.
    busy = st.container(key="busy")
    try:
        served = back.champion.current()
    except ModelError as error:
        st.info(plain(f"There is no model yet. {error}"), icon=":material/hourglass_empty:")
        _watch(back, None)
        return
    if bench.version not in (None, served.version):
        bench.renew(served)
        st.session_state["announced"] = served.version
        st.toast(f"Version {served.version} answers now.", icon=":material/new_releases:")
    bench.version = served.version
    fresh, left = bench.sync(sources), 0
    if fresh:
        with busy:
            left = _classify(back, bench, fresh, served)
    lost_session.watch(len(bench.pictures))
    _watch(back, served.version)
    _skipped(bench)
    _unreadable(bench)
    if bench.pictures:
        _work(back, served)
    elif not (bench.unreadable or bench.skipped):
        _empty(back, bench)
    if left:
        st.rerun()


def _uploads(back: Backend, bench: Workbench) -> list[Source]:
    files = st.file_uploader(
        "Pictures: JPEG, PNG, BMP, TIFF, WebP, DICOM, or a zip of them",
        accept_multiple_files=True,
        key="uploads",
        max_upload_size=back.settings.max_upload_mb,
        help=f"They stay in this page's memory, up to {back.settings.session_upload_mb} MB at a "
        "time. DICOM files need no extension.",
    )
    with st.expander("Or a whole folder", icon=":material/folder_open:", key="whole-folder"):
        folder = st.file_uploader(
            "A folder with everything in it",
            accept_multiple_files="directory",
            key="folder",
            max_upload_size=back.settings.max_upload_mb,
        )
    known: Unpacked | None = st.session_state.get("unpacked")
    unpacked = unpack([*files, *folder], known=known, max_bytes=back.settings.max_upload_mb * 2**20)
    st.session_state["unpacked"] = unpacked
    with st.container(key="problems"):
        for problem in unpacked.problems:
            st.warning(plain(problem), icon=":material/folder_zip:")
    return unpacked.sources + bench.examples


def _classify(back: Backend, bench: Workbench, fresh: list[Source], served: Served) -> int:
    """Classify new files until it is time to show some; return how many are left."""
    place, left = st.empty(), len(fresh)
    total = len(bench.pictures) + len(bench.unreadable) + left
    with place.container(horizontal=True, vertical_alignment="bottom"):
        progress = st.progress(1 - left / total, text=_looked_at(total - left, total))
        if total > 1:
            st.button("Stop", key="stop", icon=":material/stop_circle:", on_click=bench.stop)
    for left in actions.classify(back, bench, fresh, served):
        progress.progress(1 - left / total, text=_looked_at(total - left, total))
    if not left:
        place.empty()
    bench.arrange()
    return left


def _looked_at(done: int, total: int) -> str:
    return f"Classified {done} of {count_of(total, 'picture')}"


def _skipped(bench: Workbench) -> None:
    with st.container(key="skipped", horizontal=True, vertical_alignment="center"):
        if bench.skipped:
            st.markdown(f"{count_of(len(bench.skipped), 'picture')} not classified.")
            st.button("Continue", key="go-on", icon=":material/play_arrow:", on_click=bench.go_on)


def _watch(back: Backend, version: str | None) -> None:
    """Look for a new model version now and then, and have it answer everything anew."""

    @st.fragment(run_every=back.settings.poll_s)
    def look() -> None:
        try:
            served = back.champion.current()
        except ModelError:
            return
        if served.version != version:
            st.rerun(scope="app")
        if served.notice:
            st.warning(plain(served.notice), icon=":material/cloud_off:")
        if refusal := UPLOADS.refusal(session_id()):
            st.warning(refusal, icon=":material/memory:")

    with st.container(key="model-state"):
        if version is not None and st.session_state.get("announced") == version:
            st.success(f"Version {version} answers now.", icon=":material/new_releases:")
        look()


def _unreadable(bench: Workbench) -> None:
    with st.container(key="unreadable"):
        for problem in list(bench.unreadable.values())[:5]:
            st.warning(plain(f"{problem.name}: {problem.reason}"), icon=":material/broken_image:")
        if len(bench.unreadable) > 5:
            st.caption(f"and {len(bench.unreadable) - 5} more that could not be read")


def _empty(back: Backend, bench: Workbench) -> None:
    """Say what happens to pictures before there is one, and offer some to try."""
    if lost_session.restarted():
        st.warning(
            "The server was restarted, so the pictures on this page are gone, even if they are still "
            "listed above. Please add them again. Your answers are kept: see My corrections.",
            icon=":material/restart_alt:",
        )
    st.caption(
        "A picture is stored only if you confirm or correct its answer. Of all others only the model's "
        "answer is counted, without the picture, its name or yours."
    )
    if st.button("Try it with example pictures", key="examples", icon=":material/imagesmode:"):
        with st.container(key="fetching"), st.spinner("Fetching example pictures …"):
            found = attempt(lambda: examples(back.context.datasets.get(back.settings.base_dataset)))
        if found:
            bench.examples = found
            st.rerun()


def _work(back: Backend, served: Served) -> None:
    """Draw the bench as a fragment, so that an answer redraws nothing else."""

    @st.fragment(key="bench")
    def draw() -> None:
        bench = workbench()
        actions.refresh(back, bench)
        _summary(back, bench)
        if len(bench.order) > 1:
            gallery.gallery(bench, on_pick=lambda: bench.go(gallery.picked() or ""))
        guard_keys()
        if picture := bench.current:
            _focus(back, bench, picture, served)

    draw()


def _summary(back: Backend, bench: Workbench) -> None:
    counts = bench.counts()
    with st.container(horizontal=True, vertical_alignment="center", key="summary"):
        shown = [
            f"{counts[name]} {name}" for name in ("unknown", "unsure", "confident") if counts[name]
        ]
        st.markdown(
            f"**{count_of(len(bench.pictures), 'picture')}**: {', '.join(shown)}; "
            f"{counts['answered']} answered"
        )
        ready = len(bench.confident_open())
        if ready > 1 and visitor(back).may("correct"):
            st.button(
                f"Confirm all {ready} confident",
                key="confirm-all",
                icon=":material/done_all:",
                on_click=guarded(lambda: actions.confirm_confident(back, bench, user=user(back))),
            )
        for kind in KINDS:
            name = kind.upper()
            st.download_button(
                name,
                lambda kind=kind: download(bench, kind),  # type: ignore[misc]  # made when it is asked for
                file_name=f"medloop.{kind}",
                key=f"download-{kind}",
                type="tertiary",
                icon=":material/download:",
                on_click="ignore",
                help=f"All answers as {name}",
            )


def _focus(back: Backend, bench: Workbench, picture: UploadedPicture, served: Served) -> None:
    words = advice(picture.prediction)
    left, right = st.columns([5, 6], gap="medium")
    # The buttons first: nobody who sees the next picture may press a button of the one before.
    with right, st.container(key="answer"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(words.headline), anchor=False)
            st.badge(words.word, icon=words.icon, color=words.color)
        st.markdown(plain(words.sentence))
        st.html(bars(ranked(picture.prediction)))
        st.caption(f"Answered by model version {picture.version}")
        for warning in picture.info.warnings:
            st.warning(plain(warning), icon=":material/visibility:")
        who = visitor(back)
        if who.may("correct"):
            if picture.info.needs_clearance:
                _clearance(bench, picture)
            _buttons(back, bench, picture)
        else:
            st.info(
                f"You are a {who.role}. To confirm or correct answers you need the role corrector.",
                icon=":material/lock:",
            )
        if len(bench.order) > 1:
            _steps(bench)
    with left, st.container(key="picture"):
        preview = bench.preview(picture, limits=actions.limits(back))
        _preview(picture, preview, words.headline)
        st.caption(
            f"{plain(picture.source.name)} · {picture.info.kind} · "
            f"{picture.width} × {picture.height} pixels"
        )
        _receipt(back, bench)
        dicom_controls(back, bench, picture, served)
        explanation(back, picture, served, preview=preview)


def _preview(picture: UploadedPicture, shown: bytes, headline: str) -> None:
    alt = f"{picture.source.name}, classified as {headline}"
    if picture.info.text_regions:
        shown = framed_png(shown, picture.info.text_regions, width=picture.width)
        alt += "; with a frame where there may be text"
    st.image(shown, width="stretch", alt=alt)


def _clearance(bench: Workbench, picture: UploadedPicture) -> None:
    """Ask for a look at a picture that may name a patient, before it is stored."""
    sha256, key = picture.sha256, f"cleared-{picture.sha256}"
    st.checkbox(
        actions.CLEARANCE,
        value=sha256 in bench.cleared,
        key=key,
        on_change=lambda: bench.clear(sha256, cleared=st.session_state[key]),
    )


def _buttons(back: Backend, bench: Workbench, picture: UploadedPicture) -> None:
    """Offer each answer for one click or key; the picture's id in it keeps late clicks off the next."""
    id_, given = picture.source.id, bench.answers.get(picture.sha256)
    unknown = picture.prediction.verdict == "unknown"

    def button(
        name: str, text: str, label: str | None, shortcut: str | None, *, primary: bool = False
    ) -> None:
        chosen = given is not None and given.label == label
        st.button(
            plain(text),
            key=f"{name}-{id_}",
            type="primary" if primary else "secondary",
            icon=":material/check:" if chosen else None,
            shortcut=shortcut,
            on_click=guarded(
                lambda: actions.answer(back, bench, id_=id_, label=label, user=user(back))
            ),
        )

    predicted = picture.prediction.label
    with st.container(key="choices"):
        with st.container(horizontal=True, key="main-choices"):
            button(
                "right", f"Right: {class_name(predicted)}", predicted, "Enter", primary=not unknown
            )
            button("none", NONE_OF_THESE, None, "0", primary=unknown)
        st.caption("Or it is:")
        with st.container(horizontal=True, key="classes"):
            for place, label in enumerate(picture.prediction.probabilities, start=1):
                shortcut = str(place) if place <= SHORTCUT_CLASSES else None
                button(f"class-{label}", class_name(label), label, shortcut)


def _steps(bench: Workbench) -> None:
    with st.container(horizontal=True, key="steps"):
        st.button(
            "Previous",
            key="previous",
            shortcut="Left",
            type="tertiary",
            on_click=bench.step,
            args=(-1,),
        )
        st.button(
            "Next", key="next", shortcut="Right", type="tertiary", on_click=bench.step, args=(1,)
        )


def _receipt(back: Backend, bench: Workbench) -> None:
    """Say what became of the newest answer, and offer the way back."""
    with st.container(key="receipt"):
        show_failure()
        if bench.last is None:
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            _stored(back, bench)
            undo = guarded(lambda: actions.undo(back, bench, user=user(back)))
            st.button(
                "Undo",
                key="undo",
                type="tertiary",
                icon=":material/undo:",
                shortcut="Z",
                on_click=undo,
            )


def _stored(back: Backend, bench: Workbench) -> None:
    """Say "stored" only once it is; look again until everything is."""

    def draw() -> None:
        waiting = bench.pending()
        if waiting and not actions.refresh(back, bench):
            st.rerun(scope="app")
        if bench.last is None:
            return
        said = f"{bench.name_of(bench.last)} is {class_name(bench.last.label)}."
        if bench.answers[bench.last.sha256].state == "stored":
            st.success(plain(f"Stored: {said}"), icon=":material/cloud_done:")
        else:
            more = f" ({waiting} waiting)" if waiting > 1 else ""
            saved = plain(f"Saved here: {said} It is sent as soon as the store answers{more}.")
            st.info(saved, icon=":material/save:")

    st.fragment(draw, run_every=1.0 if bench.pending() else None)()
