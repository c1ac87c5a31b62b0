"""Fill an installation for its screenshots: `python scripts/demo_content.py [--train]`.

Ten days of answers, of which the last look like another scanner's; corrections by three people,
most of them right; a conflict and a suspicious answer for Review. With `--train`, a new version
learns from the corrections first, which takes minutes. Writes to the store, the outbox and the
registry of the settings: for an installation that is thrown away afterwards.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from medloop.app.process.prediction_recorder import References
from medloop.core.data.datasets import Dataset, scored
from medloop.core.data.splits import split
from medloop.core.gate.corruptions import corrupt
from medloop.core.imaging.decode import decode, encode_png
from medloop.core.monitoring import drift
from medloop.core.prediction.predictor import Prediction
from medloop.jobs.context import Context
from medloop.jobs.correct import correct
from medloop.jobs.screen import screen
from medloop.serving import Champion, Served
from medloop.stores.predictions import PredictionLine, PredictionLog
from medloop.wiring import connect

DAYS: Final = 10
CHANGED: Final = 3  # newest days with pictures of another kind
PER_DAY: Final = (34, 41, 28, 12, 9, 37, 44, 31, 52, 48)
ANSWERED: Final = 8  # a day
OTHERS: Final = ("bea", "carl")


def main() -> None:
    """Fill the installation that the settings name."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--train",
        action="store_true",
        help="train a version on the corrections, which takes minutes",
    )
    train = parser.parse_args().train
    context = connect()
    champion = Champion(
        context.registry, context.settings.home / "models", poll_s=context.settings.poll_s
    )
    champion.refresh()
    fill(context, champion.current(), train=train)


def fill(context: Context, served: Served, *, train: bool) -> None:
    """Write what happened, day by day, then what waits for a reviewer."""
    pictures = _pictures(context.datasets.get(context.settings.base_dataset))
    for day in range(DAYS):
        ago = timedelta(days=DAYS - 1 - day)
        _day(
            _at(context, ago),
            served,
            [next(pictures) for _ in range(PER_DAY[day])],
            changed=day >= DAYS - CHANGED,
        )
    if train:
        from medloop.jobs.retrain import retrain

        retrain(context, force=True)
    for who, wrong in ((context.settings.user, False), ("bea", True)):  # of the same picture
        _answer(context, served, *_conflict(context), who=who, wrong=wrong)
    _answer(context, served, *next(pictures), who="carl", wrong=True)
    screen(context)
    for _ in range(4):
        _answer(context, served, *next(pictures), who=context.settings.user, wrong=False)


def _pictures(dataset: Dataset) -> Iterator[tuple[np.ndarray, str]]:
    """Test pictures with their classes, in an order that mixes these."""
    test = split(dataset.targets, dataset.groups).test
    test = test[scored(dataset.images[test])]
    order = np.random.default_rng(11).permutation(test)
    return ((dataset.images[i], dataset.labels[dataset.targets[i]]) for i in order)


def _conflict(context: Context) -> tuple[np.ndarray, str]:
    pixels, label = next(_pictures(context.datasets.get(context.settings.base_dataset)))
    return np.fliplr(pixels), label


def _day(
    context: Context, served: Served, pictures: list[tuple[np.ndarray, str]], *, changed: bool
) -> None:
    if changed:
        pictures = [
            (corrupt(pixels[None], "low_resolution", 4, seed=3)[0], label)
            for pixels, label in pictures
        ]
    shown = [decode(encode_png(pixels)) for pixels, _ in pictures]
    predictions = served.predictor.predict([image.pixels for image in shown])
    index = References(context).of(served).index
    distances = drift.distances(np.stack([found.embedding for found in predictions]), index)
    context.predictions.add(
        PredictionLine(
            context.new_event()[1], image.sha256, found.label, found.confidence, found.verdict,
            found.ood_score, served.version, "page", float(distance),
        )
        for image, found, distance in zip(shown, predictions, distances, strict=True)
    )  # fmt: skip
    context.predictions.flush()
    people = (context.settings.user, *OTHERS)
    for place, (pixels, label) in enumerate(pictures[:ANSWERED]):
        _answer(context, served, pixels, label, who=people[place % len(people)], wrong=False)


def _answer(
    context: Context, served: Served, pixels: np.ndarray, label: str, *, who: str, wrong: bool
) -> None:
    """Give a person's label for a picture: the truth, or another class."""
    image = decode(encode_png(pixels))
    (found,) = served.predictor.predict([image.pixels])
    given = _another(found, label) if wrong else label
    correct(
        context,
        image=image,
        given_label=given,
        prediction=found,
        model_version=served.version,
        who=who,
    )
    context.sender.send_once()


def _another(found: Prediction, label: str) -> str:
    return next(
        name
        for name in sorted(found.probabilities, key=found.probabilities.__getitem__)
        if name != label
    )


def _at(context: Context, ago: timedelta) -> Context:
    """The same loop that many days ago."""
    real = context.now

    def now() -> datetime:
        return real() - ago

    return replace(
        context, now=now, predictions=PredictionLog(context.objects, now=now, random=context.random)
    )


if __name__ == "__main__":
    main()
