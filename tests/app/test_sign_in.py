"""Signing in at a real OpenID Connect provider: two people in two browsers, each with their own
rights.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Browser, Page, expect
from tests.app.axe import serious
from tests.app.browser import app_over_memory, settle, upload

from medloop.stack.ports import free_ports
from medloop.stack.programs import Login

pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]  # the provider's
PEOPLE = [
    User(sub="1", claims={"name": "Ada", "email": "ada@clinic.example", "email_verified": True}),
    User(sub="2", claims={"name": "Cora", "roles": ["corrector"]}),
    User(sub="3", claims={"name": "Vera"}),
]


@contextmanager
def app_with_login(folder: Path, **settings: str) -> Iterator[str]:
    """The app behind a provider that knows `PEOPLE`."""
    (port,) = free_ports(1)
    with run_server_in_thread(user_claims=PEOPLE) as provider:
        issuer = f"http://localhost:{provider.server_port}"
        login = Login(
            issuer, "medloop", "s3cret", app_url=f"http://127.0.0.1:{port}", cookie_key="k" * 32
        )
        (folder / "login.toml").write_text(login.secrets_toml())
        own = {
            "MEDLOOP_OIDC_ISSUER": issuer,
            "MEDLOOP_OIDC_ADMINS": "ada@clinic.example",
        } | settings
        options = ["--secrets.files", str(folder / "login.toml")]
        with app_over_memory(folder, port=port, options=options, settings=own) as url:
            yield url


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    with app_with_login(tmp_path_factory.mktemp("site")) as url:
        yield url


@contextmanager
def signed_in(browser: Browser, url: str, sub: str) -> Iterator[Page]:
    """A browser of its own in which this person has signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = context.new_page()
    page.goto(url)
    page.locator(".st-key-sign-in button").click()
    page.get_by_role("button", name=sub, exact=True).click()
    expect(page.locator(".st-key-sign-out")).to_be_visible()
    settle(page)
    yield page
    context.close()


def test_nobody_sees_anything_before_signing_in(browser, address):
    context = browser.new_context()
    page = context.new_page()
    for path in ("", "/models", "/monitor"):
        page.goto(address + path)
        expect(page.locator(".st-key-sign-in")).to_be_visible()
        expect(page.locator(".st-key-uploads, .st-key-health, .st-key-levers")).to_have_count(0)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert serious(page) == []
    context.close()


def test_two_people_in_two_browsers_have_their_own_rights(browser, address):
    with signed_in(browser, address, "1") as ada, signed_in(browser, address, "2") as cora:
        expect(ada.get_by_text("You are Ada (admin).")).to_be_visible()
        expect(cora.get_by_text("You are Cora (corrector).")).to_be_visible()

        upload(cora, 50)
        cora.locator('[class*="st-key-class-Hand-"] button').first.click()
        expect(cora.locator(".st-key-receipt", has_text="50.png is Hand.").first).to_be_visible()
        for page in (cora, ada):
            page.goto(f"{address}/models")
            expect(page.locator(".st-key-promote")).to_be_visible()
        for lever in ("promote", "roll-back", "retrain"):
            expect(cora.locator(f".st-key-{lever} button")).to_be_disabled()

        ada.locator(".st-key-promote button").click()
        ada.get_by_role("dialog").get_by_label("Reason").fill("better on our scanner")
        ada.keyboard.press("Tab")
        ada.locator(".st-key-promote-sure button").click()
        expect(ada.get_by_text("Version 2 answers from now on.")).to_be_visible()
        ada.get_by_role("tab", name="History").click()
        # An address is shown so that no browser makes a link of it: with an invisible joiner behind
        # the @.
        expect(ada.get_by_text(re.compile(r"by ada@\W?clinic\.example"))).to_be_visible()


def test_each_sees_their_own_corrections_alone(browser, address):
    with signed_in(browser, address, "1") as ada:
        ada.goto(f"{address}/corrections")
        expect(ada.get_by_text("You have not corrected or confirmed anything")).to_be_visible()


def test_a_viewer_looks_and_cannot_correct(browser, address):
    with signed_in(browser, address, "3") as vera:
        upload(vera, 50)
        expect(vera.get_by_text("you need the role corrector")).to_be_visible()
        expect(vera.locator('[class*="st-key-class-"], [class*="st-key-right-"]')).to_have_count(0)
        vera.goto(f"{address}/review")
        expect(vera.get_by_text("Reviewing needs the role reviewer")).to_be_visible()


def test_signing_out_ends_it(browser, address):
    with signed_in(browser, address, "2") as cora:
        cora.locator(".st-key-sign-out button").click()
        cora.get_by_role("button", name="End session").click()  # at the provider, which comes back
        expect(cora.locator(".st-key-sign-in")).to_be_visible()
        cora.goto(f"{address}/models")
        expect(cora.locator(".st-key-sign-in")).to_be_visible()


def test_signing_out_ends_every_tab_and_every_copy_of_the_cookie(browser, address):
    with signed_in(browser, address, "1") as ada:
        second = ada.context.new_page()
        second.goto(f"{address}/models")
        expect(second.locator(".st-key-promote button")).to_be_enabled()
        copied = ada.context.cookies()
        ada.locator(".st-key-sign-out button").click()
        ada.get_by_role("button", name="End session").click()
        second.locator(".st-key-promote button").click()
        expect(second.get_by_text("You have signed out.")).to_be_visible()
        expect(second.get_by_role("dialog")).to_have_count(0)
    thief = browser.new_context()
    thief.add_cookies(copied)
    page = thief.new_page()
    page.goto(address)
    expect(page.get_by_text("You have signed out.")).to_be_visible()
    thief.close()


def test_an_open_tab_notices_a_sign_out_by_itself(browser, address):
    with signed_in(browser, address, "2") as cora:
        second = cora.context.new_page()
        second.goto(f"{address}/models")
        expect(second.locator(".st-key-promote")).to_be_visible()
        cora.locator(".st-key-sign-out button").click()
        expect(second.get_by_text("You have signed out.")).to_be_visible()


def test_after_a_sign_out_the_same_person_signs_in_again(browser, address):
    with signed_in(browser, address, "2") as cora:
        cora.locator(".st-key-sign-out button").click()
        cora.get_by_role("button", name="End session").click()
    with signed_in(browser, address, "2") as cora:
        expect(cora.get_by_text("You are Cora (corrector).")).to_be_visible()


def test_a_sign_in_that_is_not_accepted_says_so_and_no_more(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/oauth2callback?code=forged&state=forged")
    expect(page.get_by_text("The answer of the login service was not accepted")).to_be_visible()
    page.goto(f"{address}/?sign-in=<b>anything</b>")
    expect(page.locator(".st-key-sign-in")).to_be_visible()
    expect(page.get_by_text("anything")).to_have_count(0)
    page.context.add_cookies([{"name": "_streamlit_user", "value": "forged", "url": address}])
    page.goto(address)
    expect(page.get_by_text("Your earlier sign-in is not valid")).to_be_visible()
    page.close()


def test_a_session_whose_time_is_over_shows_nothing_more(browser, tmp_path):
    with (
        app_with_login(tmp_path, MEDLOOP_SESSION_HOURS=str(20 / 3600)) as url,
        signed_in(browser, url, "2") as cora,
    ):
        upload(cora, 50)
        expect(cora.get_by_text("Your session has ended")).to_be_visible(timeout=60_000)
        expect(cora.locator(".st-key-uploads")).to_have_count(0)


def test_a_provider_that_is_away_is_told(browser, tmp_path):
    (port,) = free_ports(1)
    own = {"MEDLOOP_OIDC_ISSUER": f"http://127.0.0.1:{port}"}
    with app_over_memory(tmp_path, settings=own) as url:
        page = browser.new_page()
        page.goto(url)
        page.locator(".st-key-sign-in button").click()
        expect(page.get_by_text("The login service does not answer just now.")).to_be_visible()
        page.close()
