"""Decides which folded states a model may learn from, and which wait for a reviewer, and why."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from medloop.core.corrections.events import Correction, event_time
from medloop.core.corrections.fold import ImageState

Mode = Literal["trust", "all", "suspicious"]
Verdict = Literal["accepted", "pending", "rejected"]
SECOND_WORD: Final = "a second person or a reviewer has to agree"


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules that send images to a reviewer. Part of a snapshot's identity.

    The defaults are those of manifests that do not name a field yet, not those of the settings.
    """

    review: Mode = "suspicious"
    max_per_person: int = 500  # unreviewed corrections of one person a day
    max_share: float = 1.0  # of all accepted images, that may rest on one person's word alone
    share_allowance: int = 0  # images per person that the share spares; 0 spares nobody at all
    second_word: bool = False  # one person's word against a confident answer waits


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The state of an image (learned from, waiting or left out) and the reasons."""

    state: ImageState
    verdict: Verdict
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """An image that waits for a reviewer, with the answers of people and the model."""

    decision: PolicyDecision
    corrections: tuple[Correction, ...]  # oldest first
    known_label: str | None = None  # of a honeypot: its class, which the reviewer must not see
    newest_id: str = ""  # of all events about it

    @property
    def image_sha256(self) -> str:
        """The image's hash."""
        return self.decision.state.image_sha256

    @property
    def conflict(self) -> bool:
        """Tell whether people disagree, so that there is nothing to approve."""
        return self.decision.state.status == "conflict"

    @property
    def disputed(self) -> bool:
        """Tell whether somebody has contradicted it since it was approved; it is learned from."""
        return bool(self.decision.state.against)


def decide(states: Iterable[ImageState], policy: Policy) -> list[PolicyDecision]:
    """Decide about each state, sorted by image hash; erased images are left out altogether."""
    kept = sorted(
        (state for state in states if state.status != "erased"),
        key=lambda state: state.image_sha256,
    )
    if policy.review != "suspicious":
        return [_decide(state, policy) for state in kept]
    beyond = _beyond_limit(kept, policy)
    decisions = [
        _decide(state, policy, beyond_limit=state.image_sha256 in beyond) for state in kept
    ]
    return _within_share(decisions, policy)


def _decide(state: ImageState, policy: Policy, *, beyond_limit: bool = False) -> PolicyDecision:
    if state.status == "approved":
        return PolicyDecision(
            state, "accepted", (f"approved by {state.decided_by}", *filter(None, (state.why,)))
        )
    if state.status == "rejected":
        return PolicyDecision(state, "rejected", (state.why or f"rejected by {state.decided_by}",))
    if state.status == "withdrawn":
        return PolicyDecision(state, "rejected", ("withdrawn",))
    if state.status == "conflict":
        return PolicyDecision(state, "pending", (state.why, *state.flags))
    if policy.review == "trust":
        return PolicyDecision(state, "accepted")
    reasons = list(state.flags)
    if policy.second_word and state.overrules:
        reasons.append(f"{state.overrules}: {SECOND_WORD}")
    if policy.review == "all":
        reasons.append("every correction is reviewed")
    if beyond_limit:
        reasons.append(
            f"more than {policy.max_per_person} unreviewed corrections of one person that day"
        )
    return PolicyDecision(state, "pending" if reasons else "accepted", tuple(reasons))


def _within_share(decisions: list[PolicyDecision], policy: Policy) -> list[PolicyDecision]:
    """Make the latest images of whoever backs too many alone wait.

    One person may back as many as `max_share` leaves room for beside what others back or reviewers
    approved, or as many as are allowed anyway. What they gave before anybody else's correction was
    accepted comes on top: who was alone is not made to wait afterwards.
    """
    if policy.max_share >= 1:
        return decisions
    alone: dict[str, list[str]] = defaultdict(list)  # image hashes, oldest first
    accepted = [decision.state for decision in decisions if decision.verdict == "accepted"]
    accepted.sort(key=lambda state: state.event_ids[-1:])
    for state in accepted:
        if state.status == "unreviewed" and len(state.who) == 1:
            alone[state.who[0]].append(state.image_sha256)
    spared = _before_others(accepted) if policy.share_allowance else Counter()
    waiting: set[str] = set()
    for who, own in alone.items():
        room = int((len(accepted) - len(own)) * policy.max_share / (1 - policy.max_share))
        waiting.update(own[spared[who] + max(room, policy.share_allowance) :])
    beyond = f"{policy.share_allowance} corrections and " if policy.share_allowance else ""
    share = f"{beyond}{policy.max_share:.0%} of what is learned"
    reason = f"more than {share} would rest on one person's word"
    return [
        PolicyDecision(decision.state, "pending", (reason,))
        if decision.state.image_sha256 in waiting
        else decision
        for decision in decisions
    ]


def _before_others(accepted: Iterable[ImageState]) -> Counter[str]:
    """Count the images that the first person backed alone before there was a second one."""
    alone: Counter[str] = Counter()
    people: set[str] = set()
    for state in accepted:
        people.update(state.who)
        if len(people) > 1:
            break
        if state.status == "unreviewed":
            alone.update(state.who)
    return alone


def _beyond_limit(states: Iterable[ImageState], policy: Policy) -> set[str]:
    """Find images whose only backer had used up that day's limit."""
    alone = [state for state in states if state.status == "unreviewed" and len(state.who) == 1]
    used: Counter[tuple[str, str]] = Counter()
    beyond = set()
    for state in sorted(alone, key=lambda state: state.event_ids[-1]):
        day = event_time(state.event_ids[-1]).strftime("%Y-%m-%d")
        used[state.who[0], day] += 1
        if used[state.who[0], day] > policy.max_per_person:
            beyond.add(state.image_sha256)
    return beyond
