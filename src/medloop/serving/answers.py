"""Many inputs through the model: in order, in bounded memory, on all cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from medloop.core.imaging.decode import Limits, decode_pixels
from medloop.core.imaging.picture import ImageInfo
from medloop.core.imaging.preprocess import preprocess
from medloop.core.prediction.predictor import Prediction, Predictor
from medloop.errors import MedloopError
from medloop.stores.inputs import Input

BATCH_SIZE: Final = 64  # inputs that one thread reads, decodes and predicts at a time
BATCHES_AHEAD: Final = 2  # per thread: read ahead of the consumer, and no further


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one input: a prediction, or a sentence why there is none."""

    path: str
    prediction: Prediction | None
    error: str = ""


def classify(
    predictor: Predictor,
    inputs: Iterable[Input],
    *,
    limits: Limits = Limits(),  # noqa: B008 -- frozen
    threads: int | None = None,
) -> Iterator[Answer]:
    """Answer each input, in order.

    Each thread reads, decodes and predicts a batch of its own, since a network this small gains
    nothing from being spread over cores itself. Of a picture only its 64 × 64 pixels stay until its
    batch is complete: memory holds one decoded picture per thread, however many inputs there are.
    """
    workers, todo = threads or available_cores(), iter(inputs)
    with ThreadPoolExecutor(workers, thread_name_prefix="medloop-classify") as pool:
        running: deque[Future[list[Answer]]] = deque()
        try:
            while True:
                while len(running) < workers * BATCHES_AHEAD:
                    if not (batch := list(islice(todo, BATCH_SIZE))):
                        break
                    running.append(pool.submit(_answer_batch, predictor, batch, limits))
                if not running:
                    return
                yield from running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def available_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _answer_batch(predictor: Predictor, batch: Sequence[Input], limits: Limits) -> list[Answer]:
    read = [_read(item, limits, predictor.metadata.input_size) for item in batch]
    seen = [found for found in read if not isinstance(found, str)]
    about = [known for _, known in seen]
    predictions = iter(predictor.predict([small for small, _ in seen], about=about))
    return [
        Answer(item.path, None, found)
        if isinstance(found, str)
        else Answer(item.path, next(predictions))
        for item, found in zip(batch, read, strict=True)
    ]


def _read(item: Input, limits: Limits, size: int) -> tuple[np.ndarray, ImageInfo] | str:
    """Give the model's input and what the file says beside it, or why there is none."""
    try:
        data = item.read()
        if not isinstance(data, bytes):
            return preprocess(data, size), ImageInfo()
        pixels, info = decode_pixels(data, limits=limits)
        return preprocess(pixels, size), info
    except (MedloopError, ValueError) as error:  # ValueError: an array that is no grey image
        return str(error)
    except OSError as error:
        return f"This file cannot be read: {error.strerror or type(error).__name__}."
