"""Adding an acceptance set: which class folders it may have, and that nothing in it was ever
trained on.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World
from tests.events import image, png, review
from typer.testing import CliRunner

from medloop.cli import build_app
from medloop.core.data.splits import split
from medloop.errors import DatasetError
from medloop.jobs.acceptance_sets import AcceptanceResult, add, withdraw
from medloop.jobs.erase import erase
from medloop.jobs.snapshot import snapshot
from medloop.stores.acceptance_sets import AcceptanceSet, Declaration
from medloop.stores.datasets import DatasetStore
from medloop.stores.objects import ObjectStore
from medloop.stores.version_tags import VersionTags

LABELS = ["CXR", "ChestCT", "Hand"]
BASE_SEEDS = range(2000, 2060)


class Site(World):
    """Stores, a registry whose versions say what they learned, and a base data set of 60
    pictures.
    """

    def __init__(self, home: Path) -> None:
        self.registry = MemoryRegistry()
        super().__init__(ObjectStore.in_memory(), home, registry=self.registry)
        datasets = DatasetStore(home, self.objects)
        files = {f"{LABELS[seed % 3]}/{seed}.png": image(seed) for seed in BASE_SEEDS}
        self.base = datasets.import_path(written(home / "base", files)).dataset
        settings = self.context.settings.model_copy(update={"base_dataset": self.base.id})
        self.context = replace(self.context, settings=settings, datasets=datasets)

    def train(
        self,
        *trained: str,
        held_out: tuple[str, ...] = (),
        kept_out: tuple[tuple[str, str], ...] = (),
        parent: str = "",
    ) -> str:
        """A version that learned from the base data set and these corrections."""
        snapshot_id = snapshot(self.context).snapshot_id if trained or held_out else ""
        recipe = {
            "snapshot_id": snapshot_id,
            "base_id": self.base.id,
            "parent_version": parent or None,
            "parent_weights_sha256": "",
            "config": {},
            "labels": LABELS,
            "kept_out": kept_out,
            "engine": "local",
        }
        uses = [[sha256, "Hand", "trained"] for sha256 in trained]
        uses += [[sha256, "Hand", "held out"] for sha256 in held_out]
        files = {
            "training.json": json.dumps(recipe).encode(),
            "corrections.json.gz": gzip.compress(json.dumps(uses).encode()),
        }
        tags = {"labels": json.dumps(LABELS), "base_id": self.base.id, "parent_version": parent}
        return self.registry.add(b"", tags=tags, **files)

    def part(self, name: str) -> list[np.ndarray]:
        """The images of a part of the base data set."""
        return list(self.base.images[getattr(split(self.base.targets, self.base.groups), name)])


Add = Callable[..., AcceptanceResult]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def accept(site: Site, tmp_path: Path) -> Add:
    """Add pictures, given by their file names, as the set `ours`."""

    def run(files: dict[str, np.ndarray], **options) -> AcceptanceResult:
        path = written(tmp_path / "sets" / str(len(list(tmp_path.glob("sets/*")))), files)
        return add(site.context, name="ours", path=path, by="ada", **options)

    return run


def written(folder: Path, files: dict[str, np.ndarray]) -> Path:
    for name, pixels in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(pixels))
    return folder


def stored(site: Site) -> AcceptanceSet:
    (declaration,) = site.context.acceptance_sets.declarations()
    content = site.context.acceptance_sets.load(declaration)
    assert declaration.images == len(content.images)
    return content


def brighter(pixels: np.ndarray) -> np.ndarray:
    return np.minimum(pixels, 254) + 1


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("champion", [True, False])
def test_a_misspelt_class_folder_is_refused_with_the_labels_and_the_closest_one(
    site: Site, accept: Add, champion: bool
) -> None:
    """It would be wrong for every model, and so never be worse than what serves."""
    if champion:
        site.train()
    with pytest.raises(DatasetError) as refused:
        accept(
            {
                "Hnad/1.png": image(1),
                "CXR/2.png": image(2),
                "Zebra/3.png": image(3),
                "non/4.png": image(4),
            }
        )
    message = str(refused.value)
    assert "'Hnad' (did you mean 'Hand'?), 'Zebra', 'non' (did you mean 'none'?)." in message
    assert "Its labels are CXR, ChestCT, Hand; `none` is for images of no class" in message
    assert "--new-class" in message
    assert site.context.acceptance_sets.declarations() == []


def test_labels_are_the_champions_and_not_the_base_data_sets(site: Site, accept: Add) -> None:
    site.registry.set_tags(site.train(), VersionTags(labels=("CXR", "Hand", "Knee")))
    assert accept({"Knee/1.png": image(1)}).images == 1
    with pytest.raises(DatasetError, match="'ChestCT'"):
        accept({"ChestCT/1.png": image(1)})


def test_a_class_that_the_model_is_yet_to_learn_is_let_in_by_name_and_none_always(
    site: Site, accept: Add
) -> None:
    site.train()
    accept(
        {"Knee/1.png": image(1), "None/2.png": image(2), "train/Hand/3.png": image(3)},
        new_classes=["Knee"],
    )
    assert sorted(stored(site).classes) == ["", "Hand", "Knee"]


def test_many_wrong_folders_with_wild_names_make_one_sentence(accept: Add) -> None:
    with pytest.raises(DatasetError) as refused:
        accept({"odd\nname" * 12 + f" {i}/1.png": image(i) for i in range(9)})
    assert "\n" not in str(refused.value)
    assert " and 4 more." in str(refused.value)
    assert len(str(refused.value)) < 1000


@pytest.mark.parametrize("changed", [np.asarray, brighter, as_jpeg])
def test_pictures_that_were_corrected_and_learned_are_left_out(
    site: Site, accept: Add, changed
) -> None:
    """Correcting pictures and declaring the same ones as a set would show how well the model
    remembers.
    """
    site.train()
    site.train(*[site.correct(seed) for seed in range(20)], parent="1")
    result = accept({f"Hand/{seed}.png": changed(image(seed)) for seed in range(23)})
    assert (result.images, result.learned, result.unchecked) == (3, 20, ())
    assert np.array_equal(
        stored(site).images, [changed(image(20)), changed(image(21)), changed(image(22))]
    )


def test_what_a_withdrawn_correction_or_an_erased_one_taught_is_still_known(
    site: Site, accept: Add
) -> None:
    erased, taken_back = site.correct(1), site.correct(2)
    site.train(erased, taken_back)
    erase(site.context, image_sha256=erased, who="dpo")
    site.store(review(taken_back, "withdraw", who="ada", at=site.now))
    assert site.context.snapshots.load(snapshot(site.context).snapshot_id).image_sha256 == ()
    assert accept({f"Hand/{seed}.png": image(seed) for seed in (1, 2, 3)}).learned == 2


def test_corrections_that_no_version_was_trained_on_stay_in_the_set(
    site: Site, accept: Add
) -> None:
    held_out, _ = site.correct(1), site.correct(2)
    site.train(held_out=(held_out,))
    assert accept({"Hand/1.png": image(1), "Hand/2.png": image(2)}) == AcceptanceResult(
        "ours", stored(site).set_id, 2, 0.9
    )


def test_base_images_that_were_fitted_to_are_left_out_and_test_images_not(
    site: Site, accept: Add
) -> None:
    site.train()
    train, validation, test = (
        site.part("train")[0],
        site.part("validation")[0],
        site.part("test")[0],
    )
    result = accept(
        {"CXR/1.png": brighter(train), "CXR/2.png": as_jpeg(validation), "CXR/3.png": test}
    )
    assert (result.images, result.learned) == (1, 2)
    assert np.array_equal(stored(site).images, [test])


def test_before_the_first_model_nothing_was_learned(site: Site, accept: Add) -> None:
    site.correct(1)
    assert accept({"CXR/1.png": site.part("train")[0], "Hand/1.png": image(1)}).images == 2


def test_a_set_that_was_kept_out_of_every_training_can_be_given_again(
    site: Site, accept: Add
) -> None:
    """With another floor, say: its images were never learned, though the base data set holds
    them.
    """
    files = {"CXR/1.png": site.part("train")[0], "Hand/1.png": image(1)}
    site.correct(1)
    first = accept(files)
    site.train(kept_out=(("ours", str(first.set_id)),))
    assert accept(files, floor=0.8) == replace(first, floor=0.8)
    site.train()  # after the set was withdrawn
    assert accept(files).learned == 1


def test_a_set_of_nothing_but_learned_pictures_is_refused_unless_they_are_to_be_kept(
    site: Site, accept: Add
) -> None:
    site.train(site.correct(1), site.correct(2))
    files = {"Hand/1.png": image(1), "Hand/2.png": image(2)}
    with pytest.raises(DatasetError, match=r"every one of the 2 images .* --keep-learned"):
        accept(files)
    assert site.context.acceptance_sets.declarations() == []
    assert accept(files, keep_learned=True).images == len(stored(site).images) == 2


def test_a_set_that_is_withdrawn_stays_so_though_the_clock_was_set_back(
    site: Site, accept: Add
) -> None:
    accept({"Hand/1.png": image(1)})
    site.now -= timedelta(hours=2)
    withdraw(site.context, name="ours", by="ada")
    assert site.context.acceptance_sets.declarations() == []
    accept({"Hand/2.png": image(2)})
    assert len(stored(site).images) == 1


def test_a_set_stays_as_it_is_whatever_is_learned_later_and_older_ones_can_be_read(
    site: Site,
) -> None:
    old = AcceptanceSet(
        name="older",
        set_id="0" * 16,
        floor=0.9,
        images=image(1)[None],
        classes=np.array(["Hnad"]),
        groups=np.arange(1),
    )
    declared = Declaration("1", "2026-01-01T00:00:00", "older", old.set_id, 0.9, 1, "ada")
    site.context.acceptance_sets.declare(declared, old)
    site.train(site.correct(1))
    assert stored(site).classes.tolist() == ["Hnad"]


def test_what_could_not_be_compared_is_told(site: Site, accept: Add) -> None:
    site.train(parent="77")
    site.registry.add(b"", tags={"base_id": "x"})
    recipe = json.loads(site.registry.files["1", "training.json"])
    site.registry.files["1", "training.json"] = json.dumps({**recipe, "base_id": "f" * 16}).encode()
    assert accept({"Hand/1.png": image(1)}).unchecked == (
        "the training of version 77, whose record is gone",
        "the training of version 2, whose record is gone",
        f"data set {'f' * 16}, which is not here or damaged",
    )


def test_the_command_says_how_many_were_left_out(site: Site, tmp_path: Path, monkeypatch) -> None:
    site.train(site.correct(1))
    monkeypatch.setattr("medloop.wiring.connect", lambda: site.context)
    path = str(written(tmp_path / "scans", {"Hand/1.png": image(1), "Knee/2.png": image(2)}))
    run = lambda *more: CliRunner().invoke(build_app(), ["acceptance", "add", "ours", path, *more])  # noqa: E731
    assert isinstance(run().exception, DatasetError)
    said = run("--new-class", "Knee").stdout
    assert "Acceptance set ours: 1 images" in said
    assert (
        "1 more were left out: a version was trained on them, or on near copies. --keep-learned "
        "keeps them." in said
    )
    assert "Among them are 1 that flatter it" in run("--new-class", "Knee", "--keep-learned").stdout
    assert json.loads(run("--new-class", "Knee", "--json").stdout)["learned"] == 1
