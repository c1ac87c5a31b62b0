"""Home: what this is, how the loop stands, and where to go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from medloop.app.home.loop_state import Fact, answering, next_training, promise, waiting
from medloop.app.kit.access import Role
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import PAGES, visitor, workbench
from medloop.app.kit.wording import count_of
from medloop.app.process.backend import Backend, backend
from medloop.core.corrections.events import Correction, Promotion, Review
from medloop.errors import MedloopError, ModelError
from medloop.jobs.alias_moves import moves
from medloop.jobs.review import all_events
from medloop.stores.airflow import Airflow

KNOWN_S: Final = 30.0  # for which nothing is asked again
ABOUT: Final[Mapping[str, str]] = {  # by a page's address
    "classify": "Drop pictures, read the answers, confirm or correct them.",
    "corrections": "What became of each answer that you gave.",
    "review": "Pictures about which people disagree, or that need a second look.",
    "models": "Every version with its tests, and which one answers.",
    "monitor": "How sure the model is, what was corrected, and if pictures change.",
    "help": "How it learns, what its words mean, and the keys.",
}
FIRST_STEPS: Final[Mapping[Role, str]] = {
    "viewer": "Drop pictures on **Classify** and read the answers. To confirm or correct them, ask "
    "an administrator for the role corrector.",
    "corrector": "Drop pictures on **Classify**, and confirm or correct the answers, one or many "
    "at once. **My corrections** shows what became of each.",
    "reviewer": "**Review** has the pictures about which people disagree. Your word decides what "
    "the next version learns.",
    "admin": "Drop pictures on **Classify** and correct what is wrong. **Models** has every "
    "version with its tests, and the way back. **Monitor** tells if the pictures change.",
}


def page() -> None:
    """Draw the page."""
    back = backend()
    st.title("medloop", anchor=False)
    st.markdown("Sorts medical pictures by what they show, and learns from every correction.")
    st.info(FIRST_STEPS[visitor(back).role], icon=":material/waving_hand:")
    _loop(back)
    _ways()


def _ways() -> None:
    """Link the other pages, each with a line about it."""
    with st.grid(3, min_column_width=250, key="ways"):
        for address, page_of in st.session_state.get(PAGES, {}).items():
            if about := ABOUT.get(address):
                with st.container(border=True, height="stretch"):
                    st.page_link(page_of)
                    here = len(workbench().sources) if address == "classify" else 0
                    st.caption(about + (f" {count_of(here, 'picture')} there now." if here else ""))


def _loop(back: Backend) -> None:
    """Show four numbers; what takes long or is away holds up no other."""
    now, home = back.context.now(), str(back.settings.home)
    try:
        version = back.champion.current().version
    except ModelError:
        version = None
    with st.grid(4, min_column_width=200, key="loop"):
        places = [st.empty() for _ in range(4)]
    made: Sequence[Promotion] = ()
    try:
        made, events, until = _records(version, home, back)
        _show(places[1], waiting(events, snapshot_until=until))
        _show(places[3], promise(events, now=now))
    except MedloopError as error:
        said = plain(f"Not everything is known at the moment. {error}")
        st.warning(said, icon=":material/cloud_off:")
    _show(places[0], answering(version, made, now=now))
    _show(places[2], next_training(_next_run(home, back), now=now))


def _show(place: DeltaGenerator, fact: Fact) -> None:
    with place.container(border=True, height="stretch"):
        st.metric(fact.name, fact.value)
        st.caption(fact.about)


@st.cache_resource(ttl=KNOWN_S, max_entries=2, show_spinner="Looking how the loop stands …")
def _records(
    version: str | None, home: str, _back: Backend
) -> tuple[list[Promotion], list[Correction | Review], str]:
    """Read promotions, events, and the last event's id in the latest snapshot.

    The version and the folder `home` are the cache's key.
    """
    latest = _back.context.snapshots.latest()
    until = latest.chunks[-1].last if latest and latest.chunks else ""
    return moves(_back.context), all_events(_back.context), until


@st.cache_resource(ttl=KNOWN_S, max_entries=2, show_spinner=False)
def _next_run(home: str, _back: Backend) -> str | None:
    try:
        return Airflow(_back.settings).dag().next_run_at
    except MedloopError:
        return None
