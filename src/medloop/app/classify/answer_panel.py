"""The picture that is looked at, or the chosen ones, with the answer and the buttons beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib.resources import files

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from medloop.app.classify.dicom_controls import dicom_controls
from medloop.app.classify.gallery import SHORTCUT_CLASSES, labels, meant
from medloop.app.kit import actions
from medloop.app.kit.bars import bars
from medloop.app.kit.escape_markdown import plain, plain_html
from medloop.app.kit.explain import explanation
from medloop.app.kit.pictures import framed_png
from medloop.app.kit.state import guarded, user, visitor
from medloop.app.kit.wording import NONE_OF_THESE, advice, class_name, percent, ranked
from medloop.app.kit.workbench import UploadedPicture, Workbench
from medloop.app.process.backend import Backend
from medloop.serving import Served

MOSAIC = 60  # chosen pictures that are shown
TINY = 48  # pixels a side; such a picture is shown pixel by pixel
CLASS_WIDTH = 112  # pixels, of the narrowest button
VIEWER = (files("medloop.app.classify") / "viewer.js").read_text("utf-8")
_mount_viewer = st.components.v2.component("medloop.viewer", js=VIEWER)


def answer_panel(back: Backend, bench: Workbench, served: Served) -> None:
    """Draw picture and answer of the one looked at; of several chosen, what they have in common."""
    if bench.chosen:
        _chosen(back, bench)
    elif picture := bench.current:
        _one(back, bench, picture, served)
    else:
        st.info("No picture is like that. Change the filter above.", icon=":material/filter_list:")


def _sides(bench: Workbench) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Make room for picture and answer: side by side, or beside the wall one above the other."""
    if bench.view.wall:
        below = st.container()
        return st.container(), below
    left, right = st.columns([6, 5], gap="medium")
    return left, right


def _one(back: Backend, bench: Workbench, picture: UploadedPicture, served: Served) -> None:
    words = advice(picture.prediction)
    left, right = _sides(bench)
    # The buttons first: nobody who sees the next picture may press a button of the one before.
    with right, st.container(key="answer"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.header(plain(words.headline), anchor=False)
            st.badge(words.word, icon=words.icon, color=words.color)
        st.markdown(plain(words.sentence))
        for warning in picture.info.warnings:
            st.warning(plain(warning), icon=":material/visibility:")
        who = visitor(back)
        if who.may("correct"):
            if picture.info.needs_clearance:
                _clearance(bench, picture)
            _buttons_of_one(back, bench, picture)
        else:
            st.info(
                f"You are a {who.role}. To confirm or correct answers you need the role corrector.",
                icon=":material/lock:",
            )
        if len(bench.order) > 1:
            _steps(bench)
        st.html(bars(ranked(picture.prediction)))
        st.caption(f"Answered by model version {picture.version}")
    with left, st.container(key="picture"):
        preview = bench.preview(picture, limits=actions.limits(back))
        _preview(picture, preview, words.headline)
        st.caption(
            f"{plain(picture.source.name)} · {picture.info.kind} · "
            f"{picture.width} × {picture.height} pixels"
        )
        _mount_viewer(key="viewer", height=0)
        dicom_controls(back, bench, picture, served)
        explanation(back, picture, served, preview=preview)


def _preview(picture: UploadedPicture, shown: bytes, headline: str) -> None:
    alt = f"{picture.source.name}, classified as {headline}"
    if picture.info.text_regions:
        shown = framed_png(shown, picture.info.text_regions, width=picture.width)
        alt += "; with a frame where there may be text"
    with st.container(key="tiny" if max(picture.width, picture.height) <= TINY else "shown"):
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


def _buttons_of_one(back: Backend, bench: Workbench, picture: UploadedPicture) -> None:
    """Put the picture's id into each button, which keeps late clicks off the next."""
    id_, advised = picture.source.id, advice(picture.prediction)
    given = bench.answers.get(picture.sha256)

    def answer(key: str) -> None:
        label = meant(bench, [id_], key)[id_]
        actions.answer(back, bench, id_=id_, label=label, user=user(back))
        actions.settle(back, bench)

    _buttons(
        bench,
        id_,
        answer,
        told=f"{advised.headline} · {advised.word}, {percent(picture.prediction.confidence)}",
        confirm=f"Right: {class_name(picture.prediction.label)}",
        primary="none" if picture.prediction.verdict == "unknown" else "right",
        given=_name(given.label) if given else "",
    )


def _chosen(back: Backend, bench: Workbench) -> None:
    """Show the chosen pictures by the model's class, and the buttons for all of them."""
    ids = bench.answered_next()
    left, right = _sides(bench)

    def answer(key: str) -> None:
        actions.answer_all(back, bench, meant(bench, ids, key), user=user(back))
        actions.settle(back, bench)

    with right, st.container(key="answer"):
        st.header(f"{len(ids)} chosen", anchor=False)
        counts = Counter(class_name(bench.pictures[id_].prediction.label) for id_ in ids)
        told = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        st.markdown(plain(f"The model says: {told}."))
        if locked := sum(not bench.may_be_stored(bench.pictures[id_]) for id_ in ids):
            st.warning(
                f"{locked} may name a patient, and stay out until you have looked at each.",
                icon=":material/visibility:",
            )
        _buttons(
            bench,
            "chosen",
            answer,
            told=f"{len(ids)} chosen",
            confirm=f"Right: all {len(ids)}",
        )
        st.button(
            "Choose none", key="choose-none", type="tertiary", on_click=bench.choose, args=((),)
        )
    if not bench.view.wall:  # which shows them, too
        with left, st.container(key="picture"):
            _mosaic([bench.pictures[id_] for id_ in ids])


def _mosaic(pictures: list[UploadedPicture]) -> None:
    shown = sorted(pictures, key=lambda picture: picture.prediction.label)[:MOSAIC]
    tiles = "".join(
        f'<img src="{picture.thumbnail}" alt="{plain_html(picture.source.name)}">'
        for picture in shown
    )
    st.html(f'<div class="ml-mosaic">{tiles}</div>')
    if len(pictures) > MOSAIC:
        st.caption(f"and {len(pictures) - MOSAIC} more")


def _name(label: str | None) -> str:
    return "none" if label is None else f"class-{label}"


def _buttons(
    bench: Workbench,
    id_: str,
    answer: Callable[[str], None],
    *,
    told: str,
    confirm: str,
    primary: str = "right",
    given: str = "",
) -> None:
    """Offer a button and key per answer; each calls `answer` with its key, see `meant`.

    Narrow screens show what is `told`. `primary` names the likeliest button and `given` the one
    pressed before; `id_` ends their keys.
    """

    def button(name: str, text: str, key: str) -> None:
        st.button(
            plain(text),
            key=f"{name}-{id_}",
            type="primary" if name == primary else "secondary",
            icon=":material/check:" if name == given else None,
            shortcut=key if key == "Enter" or int(key) <= SHORTCUT_CLASSES else None,
            on_click=guarded(lambda: answer(key)),
            width="stretch",
        )

    with st.container(key="choices"):
        st.html(f'<p class="ml-told">{plain_html(told)}</p>')
        with st.grid(2, min_column_width=CLASS_WIDTH, gap="xsmall", key="main-choices"):
            button("right", confirm, "Enter")
            button(_name(None), NONE_OF_THESE, "0")
        with st.grid(min_column_width=CLASS_WIDTH, gap="xsmall", key="classes"):
            for place, label in enumerate(labels(bench), start=1):
                button(_name(label), class_name(label), str(place))


def _steps(bench: Workbench) -> None:
    with st.container(horizontal=True, key="steps"):
        for name, key, places in (("Previous", "Left", -1), ("Next", "Right", 1)):
            st.button(
                name,
                key=name.lower(),
                shortcut=key,
                type="tertiary",
                on_click=bench.step,
                args=(places,),
            )
