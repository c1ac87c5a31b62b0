"""Every action asks for its role on the server, whatever a page shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from tests.app.site import Site
from tests.app.test_workbench import source

from medloop.app.kit import actions
from medloop.app.kit.access import MIN_ROLE, ROLES, AccessError, Action, User
from medloop.app.kit.workbench import GivenAnswer, Workbench
from medloop.app.models import model_actions
from medloop.core.imaging.decode import Limits
from medloop.errors import MedloopError
from medloop.jobs.review import queue


@dataclass
class Scene:
    """An installation with something for every action to act on."""

    site: Site
    bench: Workbench = field(default_factory=Workbench)
    said: str = ""  # hash of a picture that ada has answered

    def set(self) -> Scene:
        files = [source("a", 50), source("b", 200)]
        self.bench.add(
            self.bench.sync(files), self.site.backend.champion.current(), limits=Limits()
        )
        self.bench.arrange()
        self.said = self.site.say(120, "Hand", who="ada")
        shown = self.bench.pictures["b"].sha256
        self.bench.record(
            [GivenAnswer(shown, "b", label="Hand", event_id=self._event(), state="stored", at=0.0)]
        )
        self.site.say(50, "Hand", who="eve", seed=3)
        self.site.say(50, "CXR", who="mallory", seed=3)
        self.site.add_rejected_version()
        return self

    def state(self) -> tuple[object, ...]:
        """All that an action could change."""
        outbox, registry = self.site.context.outbox, self.site.registry
        everybody = [len(outbox.history(who, 100)) for who in ("ada", "eve", "mallory")]
        return (
            everybody,
            len(queue(self.site.context)),
            dict(self.bench.answers),
            dict(registry.aliases),
        )

    def _event(self) -> str:
        self.site.say(200, "Hand", who="ada")
        return self.site.context.outbox.history("ada", 1)[0].event.id


ACTIONS: Mapping[str, tuple[Action, Callable[[Scene, User], object]]] = {
    "answer": (
        "correct",
        lambda s, user: actions.answer(
            s.site.backend, s.bench, id_=s.bench.current_id, label="CXR", user=user
        ),
    ),
    "answer_all": (
        "correct",
        lambda s, user: actions.answer_all(
            s.site.backend, s.bench, dict.fromkeys(s.bench.order, "CXR"), user=user
        ),
    ),
    "undo": ("correct", lambda s, user: actions.undo(s.site.backend, s.bench, user=user)),
    "withdraw": (
        "correct",
        lambda s, user: actions.withdraw(s.site.backend, image_sha256=s.said, user=user),
    ),
    "decide": (
        "review",
        lambda s, user: actions.decide(s.site.backend, queue(s.site.context), "reject", user=user),
    ),
    "roll_back": (
        "rollback",
        lambda s, user: model_actions.roll_back(s.site.backend, user=user, reason="worse", to="2"),
    ),
    "promote_by_hand": (
        "promote",
        lambda s, user: model_actions.promote_by_hand(
            s.site.backend, user=user, version="2", reason="better"
        ),
    ),
    "start_training": (
        "retrain",
        lambda s, user: model_actions.start_training(s.site.backend, user=user, force=False),
    ),
}


@pytest.fixture
def scene(site) -> Scene:
    return Scene(site).set()


def test_no_action_is_left_out_here():
    acting = {
        name
        for module in (actions, model_actions)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and "user" in inspect.signature(function).parameters
    }
    assert {name for name in acting if not name.startswith("_")} == set(ACTIONS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_is_refused_below_its_role_and_changes_nothing(scene, name, role):
    least, act = ACTIONS[name]
    user, before = User("ada", role, local=False), scene.state()
    if ROLES.index(role) < ROLES.index(MIN_ROLE[least]):
        with pytest.raises(
            AccessError, match=f"ada is a {role}, and this needs the role {MIN_ROLE[least]}"
        ):
            act(scene, user)
        assert scene.state() == before
    elif name == "start_training":  # allowed, and there is no Airflow here
        with pytest.raises(MedloopError) as refused:
            act(scene, user)
        assert not isinstance(refused.value, AccessError)
    else:
        act(scene, user)
        assert scene.state() != before
