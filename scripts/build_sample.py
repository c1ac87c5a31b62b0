"""Choose the bundled sample from Medical MNIST.

    python scripts/build_sample.py medical-mnist.zip groups.csv OUT.zip

About 1,000 images per class, spread evenly over the groups (examinations), without blanks and exact
duplicates. The original JPEG bytes are stored as they are. The same input gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import sys
import zipfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medloop.core.data.datasets import scored

PER_CLASS = 1_000
MOST_BYTES = 9_000_000
COMMENT = (
    b"Sample of Medical MNIST. Images: Dr. Bradley J. Erickson, Department of Radiology, "
    b"Mayo Clinic, CC BY-SA 4.0, https://github.com/apolanco3225/Medical-MNIST-Classification, "
    b"commit a8942eef, folder resized. Chosen by group, JPEG bytes unchanged, groups.csv added by "
    b"the medloop developers."
)


def main(source: Path, groups_csv: Path, out: Path) -> None:
    """Write the sample to `out`."""
    with groups_csv.open(newline="") as file:
        group_of = {row["file"]: int(row["group"]) for row in csv.DictReader(file)}
    with zipfile.ZipFile(source) as archive:
        names = sorted(name for name in archive.namelist() if name in group_of)
        data = {name: archive.read(name) for name in names}
    images = np.stack([np.asarray(Image.open(io.BytesIO(data[name]))) for name in names])
    usable = [name for name, use in zip(names, scored(images), strict=True) if use]
    by_class: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in usable:
        by_class[name.split("/")[0]][group_of[name]].append(name)
    chosen = sorted(
        name for members in by_class.values() for name in spread(list(members.values()), PER_CLASS)
    )
    out.write_bytes(pack(chosen, data, group_of))
    print(f"{len(chosen)} images, {out.stat().st_size:,} bytes")  # noqa: T201 - a script's answer
    if out.stat().st_size > MOST_BYTES:
        sys.exit(f"{out} is larger than {MOST_BYTES:,} bytes: lower PER_CLASS")


def spread(groups: list[list[str]], wanted: int) -> list[str]:
    """Choose `wanted` names, as equal in number per group as possible, evenly spaced in each."""
    quotas = [0] * len(groups)
    while (missing := wanted - sum(quotas)) > 0:
        open_groups = [i for i, group in enumerate(groups) if quotas[i] < len(group)]
        if not open_groups:
            break
        for i in evenly(open_groups, min(missing, len(open_groups))):
            quotas[i] += 1
    return [
        name for group, quota in zip(groups, quotas, strict=True) for name in evenly(group, quota)
    ]


def evenly(items: list[Any], n: int) -> list[Any]:
    """`n` of `items`, the middle of each nth part."""
    return [items[(2 * i + 1) * len(items) // (2 * n)] for i in range(n)]


def pack(names: list[str], data: dict[str, bytes], group_of: dict[str, int]) -> bytes:
    """A zip with the files stored as they are and `groups.csv`, without any clock time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = COMMENT
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), data[name])
        table = "file,group\n" + "".join(f"{name},{group_of[name]}\n" for name in names)
        archive.writestr(zipfile.ZipInfo("groups.csv"), table, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
