"""Classify: drop pictures, read the answer, say whether it is right."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from medloop.app.classify import gallery, intake, same_page
from medloop.app.classify.answer_panel import answer_panel
from medloop.app.classify.examples import examples
from medloop.app.classify.receipt import receipt
from medloop.app.classify.toolbar import toolbar
from medloop.app.kit import actions
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.keyboard import guard_keys
from medloop.app.kit.state import attempt, guarded, session_id, user, visitor, workbench
from medloop.app.kit.wording import count_of
from medloop.app.kit.workbench import Source, Workbench
from medloop.app.process.backend import Backend, backend
from medloop.app.process.front_door import UPLOADS
from medloop.errors import ModelError
from medloop.serving import Served


def page() -> None:
    """Draw the page."""
    back, bench = backend(), workbench()
    _head(back, bench)
    # A placeholder for what comes and goes: else all below it moves, and for a while old and new
    # stand side by side.
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
    fresh, left = bench.sync(bench.sources), 0
    if fresh:
        with busy:
            left = _classify(back, bench, fresh, served)
    _watch(back, served.version)
    _skipped(bench)
    intake.unreadable(bench)
    if bench.pictures:
        _work(back, served)
        gallery.send_thumbnails(bench)
    elif not (bench.unreadable or bench.skipped):
        _empty(back, bench)
    same_page.remember(bench, user=visitor(back))
    if left:
        st.rerun()


def _head(back: Backend, bench: Workbench) -> None:
    """Draw the title and the inputs; once there are pictures, in one line."""
    if not bench.sources:
        st.title("What does this picture show?", anchor=False)
        intake.file_input(back, bench, folded=False)
        with st.expander("Or a whole folder", icon=":material/folder_open:", key="whole-folder"):
            intake.folder_input(back, bench)
        return
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.title("Classify", anchor=False, width="content")
        intake.file_input(back, bench, folded=True)
        with st.popover("More", icon=":material/more_horiz:", key="more"):
            intake.folder_input(back, bench)
            intake.removal(bench)
            st.caption(f"On this page: {intake.held(back)}")


def _classify(back: Backend, bench: Workbench, fresh: Sequence[Source], served: Served) -> int:
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


def _empty(back: Backend, bench: Workbench) -> None:
    """Say what happens to pictures before there is one, and offer some to try."""
    if same_page.are_gone():
        st.warning(
            "The pictures of this page are gone: the server was restarted, or the page was closed "
            "for more than two minutes. Please add them again. Your answers are kept: see My "
            "corrections.",
            icon=":material/restart_alt:",
        )
    st.caption(
        "A picture is stored only if you confirm or correct its answer. Of all others only the "
        "model's answer is counted, without the picture, its name or yours."
    )
    if st.button("Try it with example pictures", key="examples", icon=":material/imagesmode:"):
        with st.container(key="fetching"), st.spinner("Fetching example pictures …"):
            found = attempt(lambda: examples(back.context.datasets.get(back.settings.base_dataset)))
        if found:
            bench.examples = {source.id for source in found}
            bench.sources += found
            st.rerun()


def _work(back: Backend, served: Served) -> None:
    """Draw the bench as a fragment, so that an answer redraws nothing else."""

    @st.fragment(key="bench")
    def draw() -> None:
        bench, may_answer = workbench(), visitor(back).may("correct")
        actions.refresh(back, bench)
        head, shown, place = st.container(), st.container(), st.container()
        if len(bench.order) > 1:
            with head:
                toolbar(bench, may_answer=may_answer)
            if bench.view.wall:
                shown, place = st.columns([7, 5], gap="medium")
            with shown:
                gallery.gallery(bench, may_answer=may_answer, on_events=guarded(hear))
        guard_keys()
        with place:
            receipt(back, bench)
            answer_panel(back, bench, served)

    def hear() -> None:
        bench = workbench()
        gallery.hear(back, bench, gallery.events(), user=user(back))
        actions.settle(back, bench)

    draw()
