"""Under the menu: who is here, and who else may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest
from tests.app.apptest import texts

from medloop.app.process.backend import install


def _script() -> None:
    from medloop.app.kit.sign_in import foot
    from medloop.app.kit.state import user
    from medloop.app.process.backend import backend

    foot(backend(), user(backend()))


def foot_of(site, **settings: object) -> str:
    changed = site.context.settings.model_copy(update=settings)
    install(replace(site.backend, context=replace(site.context, settings=changed)))
    app = AppTest.from_function(_script, default_timeout=30).run()
    assert not app.exception
    return texts(app)


def test_the_one_local_user_is_told_that_nobody_else_gets_here(site):
    assert "You are ada (admin). No login: one local user, on this machine only." in foot_of(site)


@pytest.mark.parametrize("allow_remote", [True, False])
def test_a_page_that_all_may_reach_without_a_login_warns_of_it(site, allow_remote):
    warned = "No login: everybody who can reach this page is an administrator." in foot_of(
        site, allow_remote=allow_remote
    )
    assert warned == allow_remote
