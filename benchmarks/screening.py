"""The catches of each check of the screening, alone and beside the others.

    python -m benchmarks.screening --model champion.onnx --external DIR

A week holds corrections of one scanner: honest ones by nine people, of pictures that the champion
gets wrong as far as there are any, and a fifth of all by a tenth person, always the same wrong
class for a class. In a "later" week, honest corrections of the same scanner are in a snapshot
already. "Twice": the tenth person gives each picture again, one pixel to the side. Scanners are
the external images and six changes of the bundled sample's test images, which is the base data set.
Screened by the real jobs, with the store in memory.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from tests.corrections_world import decoded

from benchmarks.learning import intake
from benchmarks.learning.data import Arrays, Base, load_external
from medloop.core.data.datasets import scored
from medloop.core.data.splits import split
from medloop.core.prediction.predictor import Predictor
from medloop.jobs.review import queue
from medloop.jobs.screen import CARELESS, screen
from medloop.jobs.snapshot import snapshot
from medloop.stores.datasets import bundled_sample

SIZES = (5, 20, 80)
WRONG_SHARE = 0.2
SEEDS = 3
CHECKS = {  # a part of the reason that each gives
    "look-alikes": "nearly the same picture",
    "contradicted": "the champion excludes",
    "outvoted": "other people say",
    "careless": CARELESS,
    "confident": "confident of",  # one person's word against the champion's
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--external", type=Path, required=True)
    options = parser.parse_args()
    base, onnx = _base(), options.model.read_bytes()
    external = load_external(options.external, base.labels)
    scanners = {"external": (external.images, external.targets), **_changed(base)}
    for size in SIZES:
        for later, times in ((False, 1), (False, 2), (True, 1), (True, 2)):
            counts: Counter[tuple[bool, frozenset[str]]] = Counter()
            for part in scanners.values():
                for seed in range(SEEDS):
                    counts.update(_week(base, onnx, part, size, later, times, seed))
            week = f"{'later' if later else 'first'} week of {size}{', twice' * (times - 1)}"
            for line in _lines(counts):
                print(f"{week}: {line}", flush=True)


def _lines(counts: Counter[tuple[bool, frozenset[str]]]) -> Iterator[str]:
    """Per check: honest ones held and wrong ones caught, at all and by this check alone."""
    n = {
        kind: sum(c for (wrong, _), c in counts.items() if wrong == kind) for kind in (False, True)
    }
    for check in (*CHECKS, "any"):
        parts = []
        for wrong, what in ((False, "honest held"), (True, "wrong caught")):
            of_kind = {by: c for (kind, by), c in counts.items() if kind == wrong}
            found = sum(c for by, c in of_kind.items() if (by if check == "any" else check in by))
            alone = sum(c for by, c in of_kind.items() if by == {check})
            share = 100 / max(1, n[wrong])
            parts.append(
                f"{what} {share * found:.1f} % of {n[wrong]} ({share * alone:.1f} % alone)"
            )
        yield f"{check}: {', '.join(parts)}"


def _week(
    base: Base, onnx: bytes, part: Arrays, size: int, later: bool, times: int, seed: int
) -> list[tuple[bool, frozenset[str]]]:
    """Screen one week; for each correction, if it is wrong and which checks held it."""
    rng = np.random.default_rng([seed, size, later, times])
    images, targets = part
    read = Predictor(onnx).predict_arrays(images).probabilities.argmax(1) == targets
    order = np.argsort(read + rng.random(len(read)) / 2, kind="stable")  # the misread ones first
    n_wrong = max(1, round(size * WRONG_SHARE))
    honest, earlier = order[:size], order[size : 2 * size]
    bad = rng.choice(order[2 * size :], n_wrong, replace=False)
    shift = rng.integers(1, len(base.labels))
    said = np.concatenate([targets[honest], *[(targets[bad] + shift) % len(base.labels)] * times])
    shown = np.concatenate([images[honest], *[_moved(images[bad], by) for by in range(times)]])
    wrong = np.arange(len(shown)) >= len(honest)
    people = np.where(wrong, intake.PEOPLE - 1, rng.integers(0, intake.PEOPLE - 1, len(shown)))
    with tempfile.TemporaryDirectory() as home:
        world = intake.world_of(base, onnx, Path(home))
        if later:
            before = intake.honest((images[earlier], targets[earlier]), seed)
            before.people[:] %= intake.PEOPLE - 1
            intake.give(world, before, base.labels)
            snapshot(world.context)
        intake.give(world, intake.Given(shown, said, people, wrong), base.labels)
        screen(world.context)
        flagged = {item.image_sha256: item.decision.reasons for item in queue(world.context)}
    return [
        (bool(w), frozenset(c for c, part in CHECKS.items() if any(part in why for why in whys)))
        for picture, w in zip(shown, wrong, strict=True)
        for whys in [flagged.get(decoded(picture).sha256, ())]
    ]


def _base() -> Base:
    sample = bundled_sample()
    parts = split(sample.targets, sample.groups)
    test = parts.test[scored(sample.images[parts.test])]
    return Base(
        sample.labels, sample.images, sample.targets, sample.groups,
        parts.train, parts.validation, test,
    )  # fmt: skip


def _changed(base: Base) -> dict[str, Arrays]:
    images, targets = base.part(base.test)
    noise = np.random.default_rng(1).normal(0, 60, images.shape)
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "inverted": lambda x: 255 - x,
        "turned": lambda x: np.rot90(x, 1, (1, 2)),
        "magnified": lambda x: _magnified(x, 18),
        "upside down and dark": lambda x: (np.flip(x, 1) / 255.0) ** 3 * 255,
        "inverted and magnified": lambda x: _magnified(255 - x, 12),
        "noisy": lambda x: np.clip(x * 0.5 + 60 + noise, 0, 255),
    }
    return {
        name: (np.ascontiguousarray(change(images)).astype(np.uint8), targets)
        for name, change in changes.items()
    }


def _magnified(images: np.ndarray, rim: int) -> np.ndarray:
    inner = (Image.fromarray(i) for i in images[:, rim:-rim, rim:-rim])
    return np.stack([np.asarray(i.resize((64, 64), Image.Resampling.BILINEAR)) for i in inner])


def _moved(images: np.ndarray, by: int) -> np.ndarray:
    return np.pad(images, ((0, 0), (0, 0), (by, 0)), mode="edge")[:, :, : images.shape[2]]


if __name__ == "__main__":
    main()
