"""The predictor of Python programs: `from medloop import load_champion`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from medloop.core.data.datasets import Dataset
from medloop.core.imaging.decode import Limits, decode
from medloop.core.prediction.predictor import Prediction
from medloop.core.prediction.similar_images import (
    LabelledImages,
    Neighbour,
    build_reference,
    neighbours,
)
from medloop.errors import DecodeError
from medloop.serving.answers import classify
from medloop.serving.champion import Champion, Classified, Served
from medloop.stores.datasets import bundled_sample
from medloop.stores.inputs import Input

Image = bytes | str | Path | np.ndarray  # a file's bytes, its path, or grey uint8 pixels [H, W]


class Classifier:
    """The champion, for a program; follows promotions while it lives."""

    def __init__(
        self,
        champion: Champion,
        *,
        limits: Limits = Limits(),  # noqa: B008 -- frozen
        labelled: Callable[[], Dataset] = bundled_sample,
    ) -> None:
        """`labelled` gives the data set that `nearest` looks through, when that is first called."""
        self._champion = champion
        self._limits = limits
        self._labelled = labelled
        self._reference: tuple[str, LabelledImages] | None = None  # of one version
        self._embedding = threading.Lock()

    @property
    def version(self) -> str:
        """The registry version that answers now."""
        return self._champion.current().version

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._champion.current().predictor.metadata.labels

    def predict(self, image: Image) -> Prediction:
        """Classify one image.

        Raises:
            DecodeError: It cannot be read as an image.
            OSError: There is no such file.
        """
        return self._classified(self._champion.current(), image).prediction

    def predict_many(self, images: Iterable[Image]) -> Iterator[Prediction]:
        """Classify in order, on all cores and in bounded memory; one version answers for all.

        Raises:
            DecodeError: On arriving at an image that cannot be read; the message counts from 0.
        """
        predictor = self._champion.current().predictor
        named = (Input(str(number), partial(_contents, i)) for number, i in enumerate(images))
        for answer in classify(predictor, named, limits=self._limits):
            if answer.prediction is None:
                raise DecodeError(f"image {answer.path}: {answer.error}")
            yield answer.prediction

    def nearest(self, image: Image, k: int = 5) -> list[Neighbour]:
        """Find the `k` labelled images most like one, by the cosine of their embeddings.

        The most alike comes first. They come from the base data set of the settings, up to 150 of
        each class, without the image itself. The first call for each version embeds them, which
        takes about a second. It takes images, not predictions: an embedding says nothing beside
        those of another version.

        Raises:
            DecodeError: It cannot be read as an image.
            OSError: There is no such file.
            MedloopError: The data set cannot be read.
        """
        served = self._champion.current()
        seen = self._classified(served, image)
        reference = self._reference_of(served)
        return neighbours(reference, seen.small, seen.prediction.embedding, k=k)

    def close(self) -> None:
        """Stop following promotions."""
        self._champion.stop()

    def _classified(self, served: Served, image: Image) -> Classified:
        data = _contents(image)
        if isinstance(data, bytes):
            return served.answer(decode(data, limits=self._limits, find_text=False))
        return served.answer(data)

    def _reference_of(self, served: Served) -> LabelledImages:
        with self._embedding:
            if self._reference is None or self._reference[0] != served.version:
                reference = build_reference(served.predictor, self._labelled())
                self._reference = served.version, reference
            return self._reference[1]


def _contents(image: Image) -> bytes | np.ndarray:
    return Path(image).read_bytes() if isinstance(image, (str, Path)) else image
