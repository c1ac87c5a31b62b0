"""Who may do what."""

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st

from medloop.app.kit.access import (
    MIN_ROLE,
    ROLES,
    AccessError,
    Rules,
    SignInError,
    User,
    local_user,
    person,
)
from medloop.app.kit.sign_in import is_open_to_all
from medloop.settings import Settings

EVERYWHERE = "0.0.0.0"  # noqa: S104
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RULES = Rules.of(
    Settings(
        oidc_admins="Ada@Clinic.example, it-staff",
        oidc_reviewers="radiologists",
        oidc_correctors="eve@clinic.example",
        session_hours=8,
    )
)


def claims(**more: object) -> dict[str, object]:
    return {
        "is_logged_in": True,
        "sub": "1f2e",
        "iat": (NOW - timedelta(hours=1)).timestamp(),
        **more,
    }


def role(**more: object) -> str:
    return person(claims(**more), RULES, now=NOW).role


@pytest.mark.parametrize("action", MIN_ROLE)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_roles_below_it_may(role, action):
    user = User("ada", role, local=False)
    allowed = ROLES.index(role) >= ROLES.index(MIN_ROLE[action])
    assert user.may(action) == allowed
    if allowed:
        user.require(action)
    else:
        with pytest.raises(AccessError, match=f"needs the role {MIN_ROLE[action]}"):
            user.require(action)


def test_without_a_login_there_is_one_local_user_with_every_right():
    user = local_user("ada")
    assert user.local
    assert all(user.may(action) for action in MIN_ROLE)


@pytest.mark.parametrize(
    ("listens_at", "settings", "expected"),
    [
        ("127.0.0.1", {}, False),
        ("localhost", {}, False),
        ("::1", {}, False),
        (EVERYWHERE, {}, True),
        ("", {}, True),
        ("scanner.clinic.example", {}, True),
        (EVERYWHERE, {"allow_remote": True}, False),
        (EVERYWHERE, {"oidc_issuer": "https://login.clinic.example"}, False),
    ],
)
def test_a_page_that_others_reach_needs_a_login(monkeypatch, listens_at, settings, expected):
    monkeypatch.setattr(st, "get_option", lambda name: {"server.address": listens_at}[name])
    assert is_open_to_all(Settings(**settings)) == expected


def test_an_address_counts_only_where_the_provider_vouches_for_it():
    assert role(email="ada@clinic.example", email_verified=True) == "admin"
    assert role(email="ada@clinic.example", email_verified=False) == "viewer"
    assert role(email="ada@clinic.example") == "viewer"
    assert role(email="ada@clinic.example", email_verified="true") == "viewer"
    assert person(claims(email="ada@clinic.example"), RULES, now=NOW).name == "sub:1f2e"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("radiologists", "reviewer"),
        (["physics", "IT-Staff"], "admin"),
        (["radiologists", "it-staff"], "admin"),
        (["corrector"], "corrector"),
        ([], "viewer"),
        ({"it-staff": True}, "viewer"),
        (None, "viewer"),
    ],
)
def test_the_best_role_that_the_claim_gives_counts(value, expected):
    assert role(roles=value) == expected


def test_a_claim_may_lie_inside_another_or_have_dots_in_its_name():
    inside = Rules.of(Settings(oidc_roles_claim="realm_access.roles"))
    assert person(claims(realm_access={"roles": ["reviewer"]}), inside, now=NOW).role == "reviewer"
    assert person(claims(realm_access="odd"), inside, now=NOW).role == "viewer"
    dotted = Rules.of(Settings(oidc_roles_claim="https://medloop.example/roles"))
    assert (
        person(claims(**{"https://medloop.example/roles": "admin"}), dotted, now=NOW).role
        == "admin"
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"is_logged_in": False},
        {"sub": ""},
        {"iat": None},
        {"iat": "now"},
        {"iat": (NOW - timedelta(hours=8, seconds=1)).timestamp()},
    ],
)
def test_nobody_is_let_in_without_a_fresh_login(wrong):
    with pytest.raises(SignInError):
        person(claims(**wrong), RULES, now=NOW)
    with pytest.raises(SignInError):
        person({}, RULES, now=NOW)
