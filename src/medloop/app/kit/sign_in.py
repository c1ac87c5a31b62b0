"""Signing in and out, and who is here. Widgets; `medloop.app.kit.access` decides."""

from __future__ import annotations

from ipaddress import ip_address

import httpx
import streamlit as st

from medloop.app.kit.access import Rules, SignInError, User
from medloop.app.kit.escape_markdown import plain
from medloop.app.kit.state import user
from medloop.app.process.backend import Backend
from medloop.app.process.front_door import LOGIN_COOKIE
from medloop.app.process.sign_outs import record_sign_out
from medloop.settings import Settings, metadata_url

PROVIDER_WITHIN_S = 5.0
LOOK_S = 10.0  # how soon an open page notices that its session has ended
REFUSALS = {  # after `sign-in=` in the address, put there by `front_door`
    "declined": "The login service did not let you in.",
    "refused": (
        "The answer of the login service was not accepted: it was too late, was used before, or is "
        "not valid here. If this happens again, tell the person who runs medloop: the log says why."
    ),
}
STALE = "Your earlier sign-in is not valid at this address, or not any more."


def is_open_to_all(settings: Settings) -> bool:
    """Tell whether others could reach this page, although it has no login and nobody allowed it."""
    if settings.oidc_issuer or settings.allow_remote:
        return False
    return not _is_loopback(st.get_option("server.address") or "")


def refuse() -> None:
    """Say why there is no page."""
    st.title("This page is not open")
    st.error(
        "Other machines can reach this page, and it has no login. To the person who runs it: set "
        "MEDLOOP_OIDC_ISSUER, or let it listen on 127.0.0.1, or set MEDLOOP_ALLOW_REMOTE=true if "
        "everybody who can reach it may use it.",
        icon=":material/lock:",
    )


def page(settings: Settings, why: str) -> None:
    """Ask for a sign-in instead of any page, and say why the last one does not count."""
    st.title("medloop")
    refusal = REFUSALS.get(st.query_params.get("sign-in", ""))
    if (
        refusal is None
        and LOGIN_COOKIE in st.context.cookies
        and not st.user.to_dict().get("is_logged_in")
    ):
        refusal = STALE
    if refusal:
        st.warning(refusal, icon=":material/lock:")
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
    """Say under the menu who is here, who else may be, and what this is not."""
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
                on_click=lambda: _sign_out(back.settings),
            )
            _leave_in_time(back)
        elif not alone:
            st.warning(
                "No login: everybody who can reach this page is an administrator.",
                icon=":material/no_encryption:",
            )
        st.caption("Not a medical device.")


def _sign_out(settings: Settings) -> None:
    """End this login everywhere, then have Streamlit forget it in this browser."""
    session = Rules.of(settings).session
    record_sign_out(settings.home, st.user.to_dict(), session=session)
    st.logout()


@st.fragment(run_every=LOOK_S)
def _leave_in_time(back: Backend) -> None:
    """Draw the page anew once the session has ended: it then only offers to sign in."""
    try:
        user(back)
    except SignInError:
        st.rerun(scope="app")


def _answers(issuer: str) -> bool:
    """Ask whether the provider is there, before a browser is sent to it and gets stuck."""
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
