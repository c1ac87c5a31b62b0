"""The predictor of Python programs: `from medloop import load_champion`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from medloop.core.decode import Limits, decode
from medloop.core.predict import Prediction
from medloop.errors import DecodeError
from medloop.serving.answers import classify
from medloop.serving.champion import Champion
from medloop.stores.inputs import Input

Image = bytes | str | Path | np.ndarray  # a file's bytes, its path, or grey uint8 pixels [H, W]


class Classifier:
    """The champion, for a program; follows promotions while it lives."""

    def __init__(self, champion: Champion, *, limits: Limits = Limits()) -> None:  # noqa: B008 -- frozen
        self._champion = champion
        self._limits = limits

    @property
    def version(self) -> str:
        """The registry version that answers now."""
        return self._champion.current().version

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._champion.current().predictor.metadata.labels

    def predict(self, image: Image) -> Prediction:
        """The answer for one image.

        Raises:
            DecodeError: It cannot be read as an image.
            OSError: There is no such file.
        """
        data = _contents(image)
        pixels = decode(data, limits=self._limits, find_text=False).pixels if isinstance(data, bytes) else data
        return self._champion.current().predictor.predict([pixels])[0]

    def predict_many(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """The answers in order, on all cores and in bounded memory; one version answers for all of them.

        Raises:
            DecodeError: On arriving at an image that cannot be read; the message counts from 0.
        """
        predictor = self._champion.current().predictor
        named = (Input(str(number), partial(_contents, image)) for number, image in enumerate(images))
        for answer in classify(predictor, named, limits=self._limits):
            if answer.prediction is None:
                raise DecodeError(f"image {answer.path}: {answer.error}")
            yield answer.prediction

    def close(self) -> None:
        """Stop following promotions."""
        self._champion.stop()


def _contents(image: Image) -> bytes | np.ndarray:
    return Path(image).read_bytes() if isinstance(image, (str, Path)) else image
