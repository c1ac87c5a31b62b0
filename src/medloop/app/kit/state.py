"""What lives in a browser session: its workbench and its user. The one place that names session-state keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st

from medloop.app.kit.access import Rules, SignInError, User, local_user, person
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.workbench import Workbench
from medloop.app.process.backend import Backend
from medloop.errors import MedloopError

WORKBENCH = "workbench"
T = TypeVar("T")
FAILED = "failed"  # a sentence


def workbench() -> Workbench:
    """This session's pictures and answers."""
    if WORKBENCH not in st.session_state:
        st.session_state[WORKBENCH] = Workbench()
    bench: Workbench = st.session_state[WORKBENCH]
    return bench


def user(backend: Backend) -> User:
    """Who is at this page, asked anew for each action.

    Raises:
        SignInError: There is a login, and nobody is signed in any more.
    """
    settings = backend.settings
    if not settings.oidc_issuer:
        return local_user(settings.user)
    return person(st.user.to_dict(), Rules.of(settings), now=backend.context.now())


def visitor(backend: Backend) -> User:
    """Who is at this page, for drawing it. Once nobody is signed in any more, all of it is drawn anew without them."""
    try:
        return user(backend)
    except SignInError:
        st.rerun(scope="app")


def guarded(act: Callable[[], object]) -> Callable[[], None]:
    """A callback that tells the person what failed instead of breaking the page; see `show_failure`."""

    def callback() -> None:
        try:
            act()
        except MedloopError as error:
            st.session_state[FAILED] = str(error)

    return callback


def show_failure() -> None:
    """Say what the last click could not do."""
    if failed := st.session_state.pop(FAILED, None):
        st.error(plain(failed), icon=":material/error:")


def attempt(act: Callable[[], T]) -> T | None:
    """Do something now; where it fails, say so in place and give None."""
    try:
        return act()
    except MedloopError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
