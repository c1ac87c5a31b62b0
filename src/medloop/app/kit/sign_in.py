"""Signing in and out, and who is here. Widgets; `medloop.app.kit.access` decides."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
import streamlit as st

from medloop.app.kit.access import SignInError, User
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import user
from medloop.app.process.backend import Backend
from medloop.settings import Settings
from medloop.stack.programs import metadata_url

PROVIDER_WITHIN_S = 5.0
LOOK_S = 30.0  # how soon an open page notices that its session has ended


def is_open_to_all(settings: Settings) -> bool:
    """Whether people elsewhere could reach this page, which knows no login, and nobody said that they may."""
    if settings.oidc_issuer or settings.allow_remote:
        return False
    return not _is_loopback(st.get_option("server.address") or "")


def refuse() -> None:
    """Instead of any page."""
    st.title("This page is not open")
    st.error(
        "It listens beyond this machine and has no login. Whoever runs it: set MEDLOOP_OIDC_ISSUER, or let it listen "
        "on 127.0.0.1, or set MEDLOOP_ALLOW_REMOTE=true if everybody who reaches it may use it.",
        icon=":material/lock:",
    )


def page(settings: Settings, why: str) -> None:
    """Instead of any page, while nobody is signed in."""
    st.title("medloop")
    st.markdown(why)
    if st.button("Sign in", key="sign-in", type="primary", icon=":material/login:"):
        if _answers(settings.oidc_issuer or ""):
            st.login()
        else:
            st.error(
                "The login service does not answer just now. Please try again in a moment.",
                icon=":material/cloud_off:",
            )
    st.caption("Not a medical device.")


def foot(back: Backend, who: User) -> None:
    """Under the menu: who is here, who else may be, and what this is not."""
    with st.sidebar:
        alone = who.local and not back.settings.allow_remote
        st.caption(
            plain(f"You are {who.shown_as or who.name} ({who.role}).")
            + (" No login: one local user, on this machine only." if alone else "")
        )
        if not who.local:
            st.button(
                "Sign out",
                key="sign-out",
                type="tertiary",
                icon=":material/logout:",
                on_click=st.logout,
            )
            _leave_in_time(back)
        elif not alone:
            st.warning(
                "No login: everybody who reaches this page is an administrator.",
                icon=":material/no_encryption:",
            )
        st.caption("Not a medical device.")


@st.fragment(run_every=LOOK_S)
def _leave_in_time(back: Backend) -> None:
    """Draw the page anew once the session has ended: it then shows nothing but the way to sign in."""
    try:
        user(back)
    except SignInError:
        st.rerun(scope="app")


def _answers(issuer: str) -> bool:
    """Whether the provider is there: a browser that is sent to one that is not sees nothing to go on with."""
    try:
        return httpx.get(
            metadata_url(issuer), timeout=PROVIDER_WITHIN_S, follow_redirects=True
        ).is_success
    except httpx.HTTPError:
        return False


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
