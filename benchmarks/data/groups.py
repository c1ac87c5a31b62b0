"""Leakage between training and test, by kind of split.

`python benchmarks/data/groups.py ZIP GROUPS_CSV`

Compares three splits of Medical MNIST: by file, by medloop's computed groups, by the given groups.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from medloop.core.data.groups import near_duplicate_groups, shape_maps
from medloop.core.data.splits import split
from medloop.stores.dataset_import import ImportOptions, read_dataset


def pairs(groups: np.ndarray) -> float:
    counts = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float((counts * (counts - 1) / 2).sum())


def agreement(given: np.ndarray, computed: np.ndarray) -> tuple[float, float]:
    """Precision and recall of the pairs of images that share a group."""
    both = pairs(np.unique(np.stack([given, computed]), axis=1, return_inverse=True)[1])
    return both / max(pairs(computed), 1), both / max(pairs(given), 1)


def nearest(test: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Index into `train` of each test row's nearest row."""
    lengths = (train**2).sum(axis=1)
    found = [
        (lengths - 2 * block @ train.T).argmin(axis=1)
        for block in np.array_split(test, len(test) // 512 + 1)
    ]
    return np.concatenate(found)


def report(
    name: str,
    groups: np.ndarray,
    *,
    targets: np.ndarray,
    given: np.ndarray,
    descriptors: np.ndarray,
) -> None:
    accuracy, leaks = [], []
    for seed in range(3):
        parts = split(targets, groups, seed=seed)
        twin = parts.train[nearest(descriptors[parts.test], descriptors[parts.train])]
        accuracy.append(float((targets[twin] == targets[parts.test]).mean()))
        same = given[twin] == given[parts.test]
        leaks.append(
            [
                same.mean(),
                *(same[targets[parts.test] == t].mean() for t in range(targets.max() + 1)),
            ]
        )
    by_class = np.mean(leaks, axis=0)
    print(
        f"{name}: 1-NN {np.mean(accuracy):.4f}; "
        f"nearest of the same given group {by_class.round(3)}",
        flush=True,
    )


def main(source: Path, groups_csv: Path) -> None:
    dataset = read_dataset(source, options=ImportOptions(groups=groups_csv)).dataset
    targets, given = dataset.targets, dataset.groups
    started = time.perf_counter()
    computed = near_duplicate_groups(dataset.images, targets=targets)
    print(f"{len(targets)} images grouped in {time.perf_counter() - started:.1f} s")
    for target, label in enumerate(dataset.labels):
        mine, theirs = computed[targets == target], given[targets == target]
        precision, recall = agreement(theirs, mine)
        counts = np.unique(mine, return_counts=True)[1]
        groups = (
            f"{len(np.unique(theirs))} given, {len(counts)} computed, "
            f"largest {counts.max() / len(mine):.2f}"
        )
        print(f"{label}: {groups}, pairs precision {precision:.3f} recall {recall:.3f}")
    descriptors = shape_maps(dataset.images)
    everything = {
        "by file": np.arange(len(targets)),
        "by computed groups": computed,
        "by given groups": given,
    }
    for name, groups in everything.items():
        report(name, groups, targets=targets, given=given, descriptors=descriptors)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:3]))
