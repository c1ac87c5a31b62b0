"""A browser session's state: its workbench, its user and the failure of its last click."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from medloop.app.kit.access import Rules, SignInError, User, local_user, person
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.workbench import Workbench
from medloop.app.process.backend import Backend
from medloop.app.process.sign_outs import is_signed_out
from medloop.errors import MedloopError

WORKBENCH = "workbench"
PAGES = "pages"  # Streamlit's, by address
T = TypeVar("T")
FAILED = "failed"  # a sentence


def workbench() -> Workbench:
    """Give this session's pictures and answers."""
    if WORKBENCH not in st.session_state:
        st.session_state[WORKBENCH] = Workbench()
    bench: Workbench = st.session_state[WORKBENCH]
    return bench


def session_id() -> str:
    """Give Streamlit's name for this open page."""
    context = get_script_run_ctx()
    return context.session_id if context else ""


def user(backend: Backend) -> User:
    """Tell who is at this page; asked anew per action.

    Raises:
        SignInError: There is a login, and nobody is signed in any more.
    """
    settings = backend.settings
    if not settings.oidc_issuer:
        return local_user(settings.user)
    claims = st.user.to_dict()
    found = person(claims, Rules.of(settings), now=backend.context.now())
    if is_signed_out(settings.home, claims):
        raise SignInError("You have signed out. Please sign in again.")
    return found


def visitor(backend: Backend) -> User:
    """Tell who is at this page; if nobody is signed in any more, draw the page anew."""
    try:
        return user(backend)
    except SignInError:
        st.rerun(scope="app")


def guarded(act: Callable[[], object]) -> Callable[[], None]:
    """Make a callback that keeps what failed for `show_failure` instead of breaking the page."""

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
    """Do something now; if it fails, say so in place and give None."""
    try:
        return act()
    except MedloopError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return None
