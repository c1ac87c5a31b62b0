"""Which folded states a model may learn from, and which wait for a reviewer, with the reasons in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from medloop.core.events import event_time
from medloop.core.fold import ImageState

Mode = Literal["trust", "all", "suspicious"]
Verdict = Literal["accepted", "pending", "rejected"]


@dataclass(frozen=True, slots=True)
class Policy:
    """What waits for a reviewer. Part of a snapshot's identity: another policy, another snapshot."""

    review: Mode = "suspicious"
    max_per_person: int = 500  # unreviewed corrections of one person a day
    max_share: float = 1.0  # of all accepted images, that may rest on one person's word alone


@dataclass(frozen=True, slots=True)
class Decision:
    """One image: learned from, waiting or left out, and why."""

    state: ImageState
    verdict: Verdict
    reasons: tuple[str, ...] = ()


def decide(states: Iterable[ImageState], policy: Policy) -> list[Decision]:
    """One decision a state, sorted by image hash; erased images are left out altogether."""
    kept = sorted((state for state in states if state.status != "erased"), key=lambda state: state.image_sha256)
    if policy.review != "suspicious":
        return [_decide(state, policy) for state in kept]
    beyond = _beyond_limit(kept, policy)
    decisions = [_decide(state, policy, beyond_limit=state.image_sha256 in beyond) for state in kept]
    return _within_share(decisions, policy)


def _decide(state: ImageState, policy: Policy, *, beyond_limit: bool = False) -> Decision:
    if state.status == "approved":
        return Decision(state, "accepted", (f"approved by {state.decided_by}", *filter(None, (state.why,))))
    if state.status == "rejected":
        return Decision(state, "rejected", (state.why or f"rejected by {state.decided_by}",))
    if state.status == "withdrawn":
        return Decision(state, "rejected", ("withdrawn",))
    if state.status == "conflict":
        return Decision(state, "pending", (state.why, *state.flags))
    if policy.review == "trust":
        return Decision(state, "accepted")
    reasons = list(state.flags)
    if policy.review == "all":
        reasons.append("every correction is reviewed")
    if beyond_limit:
        reasons.append(f"more than {policy.max_per_person} unreviewed corrections of one person that day")
    return Decision(state, "pending" if reasons else "accepted", tuple(reasons))


def _within_share(decisions: list[Decision], policy: Policy) -> list[Decision]:
    """The decisions, with the latest images of whoever backs too many alone made to wait.

    One person may back as many as `max_share` leaves room for beside what others back or reviewers approved.
    """
    if policy.max_share >= 1:
        return decisions
    alone: dict[str, list[Decision]] = defaultdict(list)
    accepted = [decision for decision in decisions if decision.verdict == "accepted"]
    for decision in sorted(accepted, key=lambda decision: decision.state.event_ids[-1:]):
        if decision.state.status == "unreviewed" and len(decision.state.who) == 1:
            alone[decision.state.who[0]].append(decision)
    reason = f"more than {policy.max_share:.0%} of what is learned would rest on one person's word"
    waiting = set()
    for own in alone.values():
        allowed = int((len(accepted) - len(own)) * policy.max_share / (1 - policy.max_share))
        waiting |= {decision.state.image_sha256 for decision in own[allowed:]}
    return [
        Decision(decision.state, "pending", (reason,)) if decision.state.image_sha256 in waiting else decision
        for decision in decisions
    ]


def _beyond_limit(states: Iterable[ImageState], policy: Policy) -> set[str]:
    """Images whose only backer had used up that day's limit. Two people who agree vouch for each other."""
    alone = [state for state in states if state.status == "unreviewed" and len(state.who) == 1]
    used: Counter[tuple[str, str]] = Counter()
    beyond = set()
    for state in sorted(alone, key=lambda state: state.event_ids[-1]):
        day = event_time(state.event_ids[-1]).strftime("%Y-%m-%d")
        used[state.who[0], day] += 1
        if used[state.who[0], day] > policy.max_per_person:
            beyond.add(state.image_sha256)
    return beyond
