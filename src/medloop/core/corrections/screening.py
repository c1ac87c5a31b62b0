"""Searches for corrections that look wrong. Each finding is a reason in words, for a reviewer.

A model that disagrees is no such reason: most corrections of use are ones that the model
contradicts. So corrections are compared with labelled pictures that look the same, and with what
other people said of similar ones. The champion's opinion counts only where it did not learn from
the picture and no similar picture bears the label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from scipy.stats import fisher_exact

from medloop.core import none_of_these
from medloop.core.corrections.holdout import TWIN, shapes, shifted_shapes, within

WITNESSES: Final = 10  # pictures nearest in the champion's eyes
AGREED: Final = 7  # of these, that must bear the class that the champion sees
IMPROBABLE: Final = 0.05  # probability of a label under which the champion excludes it
VOTERS: Final = 3  # other people's corrections among the witnesses, that are heard
UNLIKELY: Final = 0.001  # that somebody as careful as the others is contradicted as often
MUCH: Final = 1 / 3  # of somebody's corrections, that must be contradicted
ROWS: Final = 256  # of similarities at a time: 200,000 columns are 200 MiB then
Label = str | None


def look_alikes(
    looks: np.ndarray, labels: Sequence[Label], *, index: np.ndarray, index_labels: Sequence[Label]
) -> list[str]:
    """Find for each image a reason if any look-alike bears another label; "" if not.

    The closest one would not do: it may be a copy that somebody gave the same wrong label.

    Args:
        looks: float [N, D] of length 1, by `medloop.core.corrections.holdout.shapes`.
        labels: What people said, N.
        index: The same of labelled images to compare with, float [M, D]; the images themselves may
            be among them.
        index_labels: Their labels, M.
    """
    reasons = [""] * len(looks)
    if len(index) == 0:
        return reasons
    for start in range(0, len(looks), ROWS):
        similarities = looks[start : start + ROWS] @ index.T
        rows, columns = np.nonzero(similarities >= TWIN)
        for hit in np.argsort(similarities[rows, columns]):  # the closest last
            row, other = start + rows[hit], index_labels[columns[hit]]
            if other != labels[row]:
                reasons[row] = (
                    f"nearly the same picture is known as {none_of_these.describe(other)}"
                )
    return reasons


def contradicted(
    probabilities: np.ndarray,
    embeddings: np.ndarray,
    labels: Sequence[Label],
    *,
    classes: Sequence[str],
    index: np.ndarray,
    index_labels: Sequence[Label],
    pictures: np.ndarray,
    people: Sequence[str | None],
) -> list[str]:
    """Find for each image a reason if the champion excludes the label and no picture speaks for it.

    A new scanner's pictures lie together in the champion's eyes, so that honest corrections of them
    vouch for each other however wrong the champion is; but for near copies by the same person,
    which say one thing twice. Confident learning (Northcutt, Jiang, Chuang, JAIR 2021) with
    thresholds from the corrections themselves would hold a third of
    them: docs/experiments.md has the numbers behind this rule.

    Args:
        probabilities: float [N, C], the champion's, of images that it did not train on.
        embeddings: float [N, D] of length 1, the champion's.
        labels: What people said, N; only those among `classes` can be contradicted.
        classes: The champion's, in the order of its outputs.
        index: Embeddings of labelled images, float [M, D]; corrections come first, the images
            themselves before others.
        index_labels: Their labels, M.
        pictures: The corrections among these, uint8 [K, 64, 64].
        people: On whose word alone each of the corrections rests, K; None where it rests on no one
            person's.
    """
    if len(index) <= WITNESSES:
        return [""] * len(embeddings)
    chances = [dict(zip(classes, row, strict=True)) for row in probabilities]
    excluded = [
        row for row, label in enumerate(labels) if chances[row].get(label or "", 1.0) < IMPROBABLE
    ]
    copies = _copies(pictures, people, index_labels)
    reasons = [""] * len(embeddings)
    for row, similarities in zip(excluded, _similarities(embeddings[excluded], index), strict=True):
        witnesses = _nearest_but(partial(copies, row), similarities)
        reasons[row] = _against(
            labels[row], chances[row], [index_labels[column] for column in witnesses]
        )
    return reasons


def _copies(
    pictures: np.ndarray, people: Sequence[str | None], labels: Sequence[Label]
) -> Callable[[int, np.ndarray], np.ndarray]:
    """Return a test for which others nearly are a picture, with its label by the same person.

    Nearness is not handed on, or the slices of a volume, each nearly the next one, would all be
    copies of each other.
    """
    inner = shapes(within(pictures))
    padded = [*people, *[None] * (len(labels) - len(people))]
    said = _numbered(
        [(who, label) if who else None for who, label in zip(padded, labels, strict=True)]
    )

    def copies(row: int, columns: np.ndarray) -> np.ndarray:
        found = np.asarray(columns == row)
        same = said[columns] == said[row]
        if (same & ~found).any():
            found[same] |= (shifted_shapes(pictures[row]) @ inner[columns[same]].T).max(
                axis=0
            ) >= TWIN
        return found

    return copies


def _numbered(keys: Sequence[Hashable | None]) -> np.ndarray:
    """Number the keys, the same for the same one, but a new one for each None: int [N]."""
    numbers: dict[Hashable, int] = {}
    return np.array(
        [
            -1 - place if key is None else numbers.setdefault(key, len(numbers))
            for place, key in enumerate(keys)
        ]
    )


def _similarities(embeddings: np.ndarray, index: np.ndarray) -> Iterator[np.ndarray]:
    """Yield for each image its similarities with all of the index: float [M]."""
    for start in range(0, len(embeddings), ROWS):
        yield from embeddings[start : start + ROWS] @ index.T


def _nearest_but(
    copies: Callable[[np.ndarray], np.ndarray], similarities: np.ndarray
) -> np.ndarray:
    """Find the columns of the greatest similarities but for copies: int [WITNESSES at most].

    Asks about near columns alone, and about more of them as long as too few are left.
    """
    asked = WITNESSES
    while True:
        asked = min(4 * asked, len(similarities))
        columns = np.flatnonzero(similarities >= np.partition(similarities, -asked)[-asked])
        columns = columns[np.argsort(-similarities[columns], kind="stable")]
        found = columns[~copies(columns)][:WITNESSES]
        if len(found) == WITNESSES or asked == len(similarities):
            return np.asarray(found)


def _against(label: Label, probability: Mapping[str, float], witnesses: Sequence[Label]) -> str:
    if label in witnesses:
        return ""
    seen = max(probability, key=lambda name: probability[name])
    agreed = witnesses.count(seen)
    if agreed < AGREED:
        return ""
    most_like = f"{agreed} of the {WITNESSES} pictures most like this one"
    return f"the champion excludes {label}, and {most_like} are {seen}"


def outvoted(
    embeddings: np.ndarray,
    labels: Sequence[Label],
    *,
    index: np.ndarray,
    index_labels: Sequence[Label],
    index_people: Sequence[str | None],
) -> list[str]:
    """Find for each image a reason if other people agree otherwise on pictures like it; "" if not.

    Nobody votes on their own corrections. Where the pictures most like it are no corrections, or
    too few of them are somebody else's, nothing is said: only one person may know that scanner yet.

    Args:
        embeddings: float [N, D] of length 1, the champion's.
        labels: What people said, N.
        index: Embeddings of labelled images, float [M, D]; the first N are the images themselves.
        index_labels: Their labels, M.
        index_people: Who said so, M; None where several did, "" for images that are no corrections.
    """
    if len(index) <= WITNESSES:
        return [""] * len(labels)
    origins = _numbered([who or None for who in index_people])
    reasons = []
    for own, label, similarities in zip(
        origins, labels, _similarities(embeddings, index), strict=False
    ):
        similarities[origins == own] = -2
        nearest = np.argpartition(-similarities, WITNESSES - 1)[:WITNESSES]
        votes = [index_labels[c] for c in nearest if index_people[c] != "" and origins[c] != own]
        reasons.append(_agreed_otherwise(label, votes))
    return reasons


def _agreed_otherwise(label: Label, votes: Sequence[Label]) -> str:
    others = [vote for vote in votes if vote != label]
    if (
        len(votes) < VOTERS
        or len(set(others)) != 1
        or len(others) <= 2 * (len(votes) - len(others))
    ):
        return ""
    most_like = f"{len(others)} of the pictures most like this one"
    return f"other people say {none_of_these.describe(others[0])} of {most_like}"


def careless(people: Sequence[str | None], contradicted: Sequence[bool]) -> set[str]:
    """Find whose corrections are contradicted far more often than everybody else's.

    Fisher's exact test, one-sided, at a level that the number of people is allowed for. Of somebody
    who is the only one to correct, nothing is said.

    Args:
        people: Who gave each correction, N; None where several agree, which counts for nobody.
        contradicted: Whether something speaks against it, N.
    """
    given = Counter(who for who in people if who is not None)
    against = Counter(
        who for who, bad in zip(people, contradicted, strict=True) if who is not None and bad
    )
    found = set()
    for who, n in given.items():
        bad, rest, rest_bad = against[who], given.total() - n, against.total() - against[who]
        if rest and bad >= MUCH * n:
            table = [[bad, n - bad], [rest_bad, rest - rest_bad]]
            if len(given) * float(fisher_exact(table, alternative="greater").pvalue) < UNLIKELY:
                found.add(who)
    return found
