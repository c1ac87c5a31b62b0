"""The pages: Streamlit runs this script per session and click; server.py serves it.

Keys that browser tests can rely on; Streamlit puts each into a CSS class `st-key-KEY`:

Classify: `uploads` and `folder` (the file inputs), `stop`, `model-state` (says "Version N answers
now."), `summary` (counts, each a filter), `choose`, `layout`, `export`, `download-KIND`, `gallery`,
`picture`, `answer` (headline, verdict, confidence, version), `main-choices` and `classes`
(buttons), `right-ID`, `none-ID`, `class-LABEL-ID` (one button each; ID is the picture's, or
"chosen": use `[class*="st-key-class-CXR-"]`), `previous`, `next`, `receipt` ("Stored: FILE is
CLASS." or "Saved here: …", with `undo`), `unreadable`.
After an answer the page moves to the next picture without one; for a moment the buttons of both are
in the page, and a click on a button of the former changes nothing. Wait for the receipt to name the
file and for the app's `data-test-script-state` to be `notRunning`, see `settle` in
tests/app/browser.py.

Review: `review-decision`, `review-classes`, `review-approve-ID`, `review-reject-ID`,
`review-class-LABEL-ID`, `review-none-ID`. Models: `retrain`, `retrain-force`, `retrain-start`,
`training-run`, `roll-back`, `roll-back-reason`, `roll-back-sure`, `promote`, `promote-version`,
`promote-reason`, `promote-sure`. Monitor: `health`.

With a login: `sign-in`, `sign-out`, `who`.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.elements import exception

from medloop.app.classify import classify_page
from medloop.app.corrections import corrections_page
from medloop.app.help import help_page
from medloop.app.home import home_page
from medloop.app.kit import sign_in, state
from medloop.app.kit.access import SignInError
from medloop.app.kit.state import session_id, user
from medloop.app.models import models_page
from medloop.app.monitor import monitor_page
from medloop.app.process import housekeeping
from medloop.app.process.backend import backend
from medloop.app.process.front_door import UPLOADS
from medloop.app.review import review_page

# Streamlit's own sentence about a defect speaks of its cloud; tests/app/test_accessibility.py sees
# that this one shows.
exception._GENERIC_UNCAUGHT_EXCEPTION_TEXT = (  # type: ignore[misc]
    "Something failed that medloop did not expect. What was saved or stored is safe. Please reload "
    "the page. If it happens again, tell the person who runs medloop: the details are in its log."
)
SIDEBAR_WIDTH = 232  # pixels
PAGES = (  # in the menu's order: what draws it, title, icon, address
    (home_page.page, "Home", "home", "home"),
    (classify_page.page, "Classify", "radiology", "classify"),
    (corrections_page.page, "My corrections", "history", "corrections"),
    (review_page.page, "Review", "fact_check", "review"),
    (models_page.page, "Models", "model_training", "models"),
    (monitor_page.page, "Monitor", "monitoring", "monitor"),
    (help_page.page, "Help", "help", "help"),
)


def main() -> None:
    """Let the person in, and draw the page that they ask for."""
    folder = Path(__file__).parent
    st.set_page_config(
        page_title="medloop",
        page_icon=str(folder / "icon.svg"),
        layout="wide",
        initial_sidebar_state=SIDEBAR_WIDTH,
    )
    st.logo(str(folder / "logo.svg"), size="large", icon_image=str(folder / "icon.svg"))
    st.html(folder / "style.css")
    back = backend()
    housekeeping.begin()
    if sign_in.is_open_to_all(back.settings):
        sign_in.refuse()
        return
    try:
        who = user(back)
    except SignInError as error:
        UPLOADS.expel(session_id())
        sign_in.page(back.settings, str(error))
        return
    UPLOADS.admit(session_id())
    st.session_state[state.PAGES] = pages = _pages()
    chosen = st.navigation(list(pages.values()))
    st.set_page_config(page_title=f"{chosen.title} · medloop")
    sign_in.foot(back, who)
    chosen.run()


def _pages() -> dict[str, st.Page]:
    return {
        address: st.Page(
            draw,
            title=title,
            icon=f":material/{icon}:",
            url_path=address,
            default=draw is home_page.page,
        )
        for draw, title, icon, address in PAGES
    }


if __name__ == "__main__":
    main()
