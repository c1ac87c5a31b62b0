"""What makes a correction look wrong. Each finding is a reason in words, for a reviewer.

A model that disagrees is no such reason: most corrections of use are ones that the model contradicts. So corrections
are compared with labelled pictures that look the same, and with what other people said of similar ones. The
champion's opinion counts only where it did not learn from the picture and no similar picture bears the label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from scipy.stats import fisher_exact

from medloop.core.holdout import TWIN

NEIGHBOURS: Final = 5
MAJORITY: Final = 4  # of the neighbours, that must agree on another label
SIMILAR: Final = 0.8  # cosine from which a neighbour counts as one
WITNESSES: Final = 10  # pictures nearest in the champion's eyes
AGREED: Final = 7  # of these, that must bear the class that the champion sees
IMPROBABLE: Final = 0.05  # probability of a label under which the champion excludes it
VOTERS: Final = 3  # other people's corrections among the witnesses, that are heard
UNLIKELY: Final = 0.001  # that somebody as careful as the others is contradicted as often
MUCH: Final = 1 / 3  # of somebody's corrections, that must be contradicted
ROWS: Final = 256  # of similarities at a time: 200,000 columns are 200 MiB then
Label = str | None


def look_alikes(
    looks: np.ndarray,
    labels: Sequence[Label],
    *,
    index: np.ndarray,
    index_labels: Sequence[Label],
    own: np.ndarray | None = None,
) -> list[str]:
    """For each image, a reason if its closest look-alike bears another label; "" if not.

    Args:
        looks: float [N, D] of length 1, by `medloop.core.holdout.shapes`.
        labels: What people said, N.
        index: The same of labelled images to compare with, float [M, D].
        index_labels: Their labels, M.
        own: Where each image is itself in the index, int [N], if it is.
    """
    reasons = [""] * len(looks)
    if len(index) == 0:
        return reasons
    for start in range(0, len(looks), ROWS):
        similarities = looks[start : start + ROWS] @ index.T
        if own is not None:
            similarities[np.arange(len(similarities)), own[start : start + ROWS]] = -1
        for row, column in enumerate(similarities.argmax(axis=1)):
            other = index_labels[column]
            if similarities[row, column] >= TWIN and other != labels[start + row]:
                reasons[start + row] = f"nearly the same picture is known as {named(other)}"
    return reasons


def neighbour_disagreement(
    embeddings: np.ndarray, labels: Sequence[Label], *, index: np.ndarray, index_labels: Sequence[Label]
) -> list[str]:
    """For each image, a reason if most of the corrections nearest to it agree on another label; "" if not.

    Args:
        embeddings: float [N, D] of length 1.
        labels: What people said, N.
        index: The same of other corrections that count, best by other people, float [M, D].
        index_labels: Their labels, M.
    """
    reasons = [""] * len(embeddings)
    if len(index) < NEIGHBOURS:
        return reasons
    for start in range(0, len(embeddings), ROWS):
        for row, similarities in enumerate(embeddings[start : start + ROWS] @ index.T, start=start):
            nearest = np.argpartition(-similarities, NEIGHBOURS - 1)[:NEIGHBOURS]
            others = [index_labels[column] for column in nearest if similarities[column] >= SIMILAR]
            most = max(set(others), key=lambda label: (others.count(label), named(label)), default=labels[row])
            if labels[row] not in others and others.count(most) >= MAJORITY:
                reasons[row] = f"{others.count(most)} of the {NEIGHBOURS} most similar corrections say {named(most)}"
    return reasons


def contradicted(
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    labels: Sequence[Label],
    *,
    classes: Sequence[str],
    index: np.ndarray,
    index_labels: Sequence[Label],
) -> list[str]:
    """For each image, a reason if the champion excludes the label and no picture like it speaks for it; "" if not.

    A new scanner's pictures lie together in the champion's eyes, so that honest corrections of them vouch for each
    other however wrong the champion is. Confident learning (Northcutt, Jiang, Chuang, JAIR 2021) with thresholds from
    the corrections themselves would hold a third of them: docs/experiments.md has the numbers behind this rule.

    Args:
        probabilities: float [N, C], the champion's, of images that it did not train on.
        embeddings: float [N, D] of length 1, the champion's.
        labels: What people said, N; only those among `classes` can be contradicted.
        classes: The champion's, in the order of its outputs.
        index: Embeddings of labelled images, float [M, D]; the first N are the images themselves.
        index_labels: Their labels, M.
    """
    if len(index) <= WITNESSES:
        return [""] * len(embeddings)
    places = np.arange(len(index))  # nobody is their own witness
    return [
        _against(label, dict(zip(classes, chances, strict=True)), [index_labels[c] for c in columns])
        for label, chances, columns in zip(
            labels, probabilities, _witnesses(embeddings, index, places[: len(embeddings)], places), strict=True
        )
    ]


def _witnesses(
    embeddings: np.ndarray, index: np.ndarray, origins: np.ndarray, index_origins: np.ndarray
) -> Iterator[np.ndarray]:
    """For each image the columns of the pictures most like it, but for those of its own origin: int [WITNESSES]."""
    for start in range(0, len(embeddings), ROWS):
        similarities = embeddings[start : start + ROWS] @ index.T
        similarities[origins[start : start + ROWS, None] == index_origins] = -2
        yield from np.argpartition(-similarities, WITNESSES - 1, axis=1)[:, :WITNESSES]


def _against(label: Label, probability: Mapping[str, float], witnesses: Sequence[Label]) -> str:
    if label is None or label in witnesses or probability.get(label, 1.0) >= IMPROBABLE:
        return ""
    seen = max(probability, key=lambda name: probability[name])
    agreed = witnesses.count(seen)
    if agreed < AGREED:
        return ""
    return f"the champion excludes {label}, and {agreed} of the {WITNESSES} pictures most like this one are {seen}"


def outvoted(
    embeddings: np.ndarray,
    labels: Sequence[Label],
    *,
    index: np.ndarray,
    index_labels: Sequence[Label],
    index_people: Sequence[str | None],
) -> list[str]:
    """For each image, a reason if other people's corrections of the pictures most like it agree otherwise; "" if not.

    Nobody votes on their own corrections. Where the pictures most like it are no corrections, or too few of them are
    somebody else's, nothing is said: only one person may know that scanner yet.

    Args:
        embeddings: float [N, D] of length 1, the champion's.
        labels: What people said, N.
        index: Embeddings of labelled images, float [M, D]; the first N are the images themselves.
        index_labels: Their labels, M.
        index_people: Who said so, M; None where several did, "" for images that are no corrections.
    """
    if len(index) <= WITNESSES:
        return [""] * len(labels)
    names = {who: number for number, who in enumerate(dict.fromkeys(who for who in index_people if who))}
    origins = np.array([names.get(who or "", -1 - place) for place, who in enumerate(index_people)])
    witnesses = _witnesses(embeddings, index, origins[: len(labels)], origins)
    return [
        _agreed_otherwise(label, [index_labels[c] for c in columns if index_people[c] != "" and origins[c] != own])
        for label, own, columns in zip(labels, origins, witnesses, strict=False)
    ]


def _agreed_otherwise(label: Label, votes: Sequence[Label]) -> str:
    others = [vote for vote in votes if vote != label]
    if len(votes) < VOTERS or len(set(others)) != 1 or len(others) <= 2 * (len(votes) - len(others)):
        return ""
    return f"other people say {named(others[0])} of {len(others)} of the pictures most like this one"


def careless(people: Sequence[str | None], contradicted: Sequence[bool]) -> set[str]:
    """Whose corrections are contradicted far more often than everybody else's.

    Fisher's exact test, one-sided, at a level that the number of people is allowed for. Of somebody who is the only one
    to correct, nothing is said.

    Args:
        people: Who gave each correction, N; None where several agree, which counts for nobody.
        contradicted: Whether something speaks against it, N.
    """
    given = Counter(who for who in people if who is not None)
    against = Counter(who for who, bad in zip(people, contradicted, strict=True) if who is not None and bad)
    found = set()
    for who, n in given.items():
        bad, rest, rest_bad = against[who], given.total() - n, against.total() - against[who]
        if rest and bad >= MUCH * n:
            table = [[bad, n - bad], [rest_bad, rest - rest_bad]]
            if len(given) * float(fisher_exact(table, alternative="greater").pvalue) < UNLIKELY:
                found.add(who)
    return found


def named(label: Label) -> str:
    """A label for people."""
    return "none of these" if label is None else label
