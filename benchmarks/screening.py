"""How many honest corrections of a new scanner the screening holds, and how many wrong ones it catches.

    python -m benchmarks.screening --model champion.onnx --data medical-mnist.zip --groups medical-mnist-groups.csv
        --external DIR

A batch holds corrections of one scanner: honest ones of pictures that the champion gets wrong, a fifth as many wrong
ones of the same scanner, and as many wrong ones of ordinary pictures. Scanners are the external images and changes of
the base data's test images that the champion finds hard. Each rule sees the batch as a week's screening would. One
person is honest, another wrong; "twice": the wrong one gives each picture again, one pixel to the side. "Slices" are
honest corrections of the pictures of one examination that are most alike, by one person, and nothing else.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.learning.data import Arrays, Base, External, load_base, load_external
from medloop.core.corrections.holdout import shapes
from medloop.core.corrections.screening import contradicted, look_alikes
from medloop.core.prediction.predictor import Predictor

BATCHES = (3, 5, 20, 100)
WRONG_SHARE = 0.2
KINDS = ("honest held", "wrong caught, same scanner", "wrong caught, ordinary")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    for name in ("model", "data", "groups", "external"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    options = parser.parse_args()
    base = load_base(options.data, options.groups)
    external = load_external(options.external, base.labels)
    desk = Desk(Predictor(options.model.read_bytes()), base)
    scanners = {"external": (external.images, external.targets), **_changed(base)}
    right = {name: desk.right(*part) for name, part in scanners.items()}
    for name, answers in right.items():
        print(
            f"{name}: the champion gets {100 * answers.mean():.0f} % of {len(answers)} right",
            flush=True,
        )
    examinations = [desk.misread(part) for part in _examinations(base, external)]
    for size in BATCHES:
        for times in (1, 2):
            found: dict[str, list[np.ndarray]] = defaultdict(list)
            for name, part in scanners.items():
                for seed in range(max(3, 100 // size)):
                    rng = np.random.default_rng(seed)
                    for rule, held in desk.screen(
                        part, ~right[name], size, rng, times=times
                    ).items():
                        found[rule].append(held)
            _tell(f"batches of {size}{', twice' if times == 2 else ''}", found)
        found = defaultdict(list)
        for images, targets in examinations:
            if len(targets) >= size:
                for rule, held in desk.slices(
                    images, targets, size, np.random.default_rng(0)
                ).items():
                    found[rule].append(held)
        _tell(f"slices, {size}", found)


def _tell(what: str, found: dict[str, list[np.ndarray]]) -> None:
    for rule, counts in found.items():
        held, n = np.sum(counts, axis=0)
        shares = ", ".join(
            f"{kind} {100 * a / b:.1f} % of {b}" for kind, a, b in zip(KINDS, held, n, strict=False)
        )
        print(f"{what}: {rule}: {shares}", flush=True)


def _examinations(base: Base, external: External) -> list[Arrays]:
    """Pictures of one examination each: of three external ones, and of the base data's through every change."""
    series = np.array([re.split(r"[\[ ]", name)[0] for name in external.originals])
    volumes = [series == name for name in np.unique(series) if not name.endswith("_images")]
    found = [(external.images[rows], external.targets[rows]) for rows in volumes]
    for group in np.unique(base.groups[base.test]):
        rows = base.test[base.groups[base.test] == group]
        if len(rows) >= min(BATCHES):
            found += _changes(*base.part(rows)).values()
    return found


def _changed(base: Base) -> dict[str, Arrays]:
    return _changes(*base.part(np.random.default_rng(0).permutation(base.test)[:1500]))


def _changes(images: np.ndarray, targets: np.ndarray) -> dict[str, Arrays]:
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
    inner = images[:, rim:-rim, rim:-rim]
    return np.stack(
        [np.asarray(Image.fromarray(i).resize((64, 64), Image.Resampling.BILINEAR)) for i in inner]
    )


class Desk:
    """A champion, the base images that it knows, and ordinary ones that it does not."""

    def __init__(self, champion: Predictor, base: Base) -> None:
        assert champion.metadata.labels == base.labels
        self.champion = champion
        self.labels = np.array(base.labels)
        known = base.train[np.linspace(0, len(base.train) - 1, 3000).astype(int)]
        self.known, self.known_targets = base.part(known)
        self.ordinary, self.ordinary_targets = base.part(base.test)
        self.seen, self.known_looks = self._unit(self.known), shapes(self.known)

    def right(self, images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.asarray(self.champion.predict_arrays(images).probabilities.argmax(1) == targets)

    def misread(self, part: Arrays) -> Arrays:
        wrong = ~self.right(*part)
        return part[0][wrong], part[1][wrong]

    def screen(
        self,
        part: Arrays,
        misread: np.ndarray,
        size: int,
        rng: np.random.Generator,
        *,
        times: int = 1,
    ) -> dict[str, np.ndarray]:
        """(held, n) of each kind of correction, by rule; wrong ones are given `times` times, one pixel further each."""
        images, targets = part
        mistaken = np.flatnonzero(misread)
        honest = rng.choice(mistaken, min(size, len(mistaken)), replace=False)
        n_wrong = max(1, round(len(honest) * WRONG_SHARE))
        same, other = rng.choice(len(images), n_wrong), rng.choice(len(self.ordinary), n_wrong)
        truth = np.concatenate([targets[honest], targets[same], self.ordinary_targets[other]])
        batch = np.concatenate([images[honest], images[same], self.ordinary[other]])
        shift = rng.integers(1, len(self.labels), len(truth))
        shift[: len(honest)] = 0
        given = (truth + shift) % len(self.labels)
        kinds = np.repeat([0, 1, 2], [len(honest), n_wrong, n_wrong])
        again = np.concatenate([np.arange(len(kinds)), *[np.flatnonzero(kinds)] * (times - 1)])
        moved = np.concatenate([batch, *[_moved(batch[kinds > 0], by) for by in range(1, times)]])
        return _counted(self._rules(moved, given[again], kinds[again] > 0), kinds[again])

    def slices(
        self, images: np.ndarray, targets: np.ndarray, size: int, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """(held, n) of the `size` pictures most like any one of these, all honest, by rule."""
        looks = shapes(images)
        rows = np.argsort(-looks @ looks[rng.integers(len(looks))])[:size]
        return _counted(
            self._rules(images[rows], targets[rows], np.zeros(size, bool)), np.zeros(size, int)
        )

    def _rules(
        self, batch: np.ndarray, given: np.ndarray, wrong: np.ndarray
    ) -> dict[str, np.ndarray]:
        said = self.labels[given].tolist()
        index_labels = [*said, *self.labels[self.known_targets].tolist()]
        raw = self.champion.predict_arrays(batch)
        own = self._unit(batch)
        verdicts = np.array(self.champion.verdicts(raw))
        looks = shapes(batch)
        alike = look_alikes(
            looks, said, index=np.concatenate([looks, self.known_looks]), index_labels=index_labels
        )
        against = contradicted(
            raw.probabilities, own, said, classes=self.champion.metadata.labels,
            index=np.concatenate([own, self.seen]), index_labels=index_labels,
            pictures=batch, people=np.where(wrong, "eve", "ada").tolist(),
        )  # fmt: skip
        disagrees = raw.probabilities.argmax(1) != given
        rules = {
            "look-alikes": np.array([bool(why) for why in alike]),
            "contradicted": np.array([bool(why) for why in against]),
            "the champion is confident of another class": disagrees & (verdicts == "confident"),
            "confident learning": confident_learning(raw.probabilities, given),
        }
        rules["look-alikes or contradicted (what medloop does)"] = (
            rules["look-alikes"] | rules["contradicted"]
        )
        return {rule: held.astype(np.int64) for rule, held in rules.items()}

    def _unit(self, images: np.ndarray) -> np.ndarray:
        embeddings = self.champion.predict_arrays(images).embedding
        return np.asarray(
            embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-6)
        )


def _counted(rules: dict[str, np.ndarray], kinds: np.ndarray) -> dict[str, np.ndarray]:
    n = np.bincount(kinds)
    return {
        rule: np.array([np.bincount(kinds, held).astype(int), n]) for rule, held in rules.items()
    }


def _moved(images: np.ndarray, by: int) -> np.ndarray:
    return np.pad(images, ((0, 0), (0, 0), (by, 0)), mode="edge")[:, :, :-by]


def confident_learning(probabilities: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Northcutt, Jiang, Chuang (JAIR 2021), thresholds from the corrections themselves: bool [N].

    A class is believed when its probability reaches its mean where it was given; contradicted is a label that is not
    believed while another one is.
    """
    thresholds = [
        probabilities[given == c, c].mean() if (given == c).any() else 1.0
        for c in range(probabilities.shape[1])
    ]
    believed = probabilities >= np.array(thresholds)
    return np.asarray(believed.any(axis=1) & ~believed[np.arange(len(given)), given])


if __name__ == "__main__":
    main()
