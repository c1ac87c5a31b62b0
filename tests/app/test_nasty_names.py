"""Names and words of others on every page: as text, whatever they are made of."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from tests.app.apptest import give, texts
from tests.app.models import picture
from tests.hostile_names import HOSTILE, NASTY

from medloop.app.kit.escape_markdown import plain
from medloop.core.imaging.decode import encode_png
from medloop.errors import MedloopError
from medloop.stack.programs import PACKAGE

NAMES = (*NASTY, "x" * 3_000, "Hand\x00")
# turn text around, hide it, or steer a terminal
UNSEEN = "\u202e\u2066\u200f\u061c\ufeff\x1b\x07\x00\x9b\u2028"


def words(app: AppTest) -> str:
    """Everything that Streamlit takes for Markdown."""
    labels = [
        element.proto.label
        for kind in ("button", "checkbox", "expander", "text_input", "selectbox", "slider")
        for element in app.get(kind)
        if hasattr(element.proto, "label")
    ]
    found = texts(app)
    for element in app.get("html"):  # HTML is no Markdown, and escaped in its own way
        found = found.replace(element.proto.body, "")
    return "\n".join([found, *labels])


def check(app: AppTest) -> None:
    """No name is there as it was given, and none as HTML."""
    assert not app.exception
    shown = words(app).replace(r"\*", "·")  # escaped; `**` may follow
    assert [name for name in NAMES if name not in plain(name) and name in shown] == []
    assert not set(shown.splitlines()) & set(HOSTILE)
    html = "".join(element.proto.body for element in app.get("html"))
    assert "<img src=https://example.invalid" not in html
    assert [char for char in UNSEEN if char in shown + html] == []


@pytest.fixture
def spoken(site) -> Any:
    """The installation in which people, labels and reasons are called so."""
    for number, name in enumerate(NAMES):
        for label, who in ((name, "ada"), ("Hand", name)):
            try:
                site.say(60 + number, label, who=who)
            except MedloopError:
                continue  # no label or person that medloop takes
    return site


@pytest.mark.parametrize("page", ["review", "corrections", "monitor", "help"])
def test_labels_and_people_are_text_on_every_page(spoken, run_page, page):
    check(run_page(page))


def classified(run_page, name: str) -> AppTest:
    """Classify, given a zip of members with this name, one right, and a damaged zip called so."""
    member = name.replace("\x00", "")  # which no archive holds
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"a/{member}", encode_png(picture(50)))
        archive.writestr(f"b/{member}", b"no picture")
    app = run_page("classify")
    damaged = (f"{name}.zip", b"PK\x03\x04 and no more", "application/zip")
    give(app, [("a.zip", buffer.getvalue(), "application/zip"), damaged])
    return next(b for b in app.button if b.key.startswith("right-")).click().run()


@pytest.mark.parametrize("name", NAMES)
def test_files_are_text_on_classify(site, run_page, name):
    check(classified(run_page, name))


def test_a_name_is_shown_wherever_its_file_is(site, run_page):
    name = "![](https://example.invalid/x.png)"
    app = classified(run_page, name)
    assert not app.exception
    # The damaged zip, the member that is no picture, the picture, and its receipt.
    assert texts(app).count(plain(name)) == 4
    assert name not in texts(app)


def test_reasons_and_notes_of_promotions_are_text_on_models(site, run_page):
    from medloop.jobs.promote import promote

    version = site.add_rejected_version()
    for name in NAMES:
        try:
            promote(site.context, version=version, by=name, reason=name, force=True)
            promote(site.context, version="1", by=name, reason=name, force=True)
        except MedloopError:
            continue  # no reason that medloop takes
    app = run_page("models")
    app.session_state["models-tab"] = "History"
    check(app.run())
    assert "example.invalid" in words(app)


def test_an_address_can_put_no_words_on_a_page(site):
    app = AppTest.from_file(str(PACKAGE / "app" / "main.py"), default_timeout=30)
    for name in NAMES:
        app.query_params["run"] = app.query_params["sign-in"] = name
        check(app.run())
