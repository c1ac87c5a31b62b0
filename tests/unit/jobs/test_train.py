"""Training and registering, over a registry in memory: real trainings, of three steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World

from medloop.core.data.datasets import Dataset
from medloop.core.data.splits import split
from medloop.core.data.training_set import Corrections, assemble
from medloop.core.gate.evaluation import golden_error
from medloop.core.imaging.decode import encode_png
from medloop.core.learn.recipe import TrainingConfig
from medloop.core.prediction.predictor import Predictor
from medloop.errors import DatasetError, NotFoundError, StaleError
from medloop.jobs.acceptance_sets import add as add_acceptance_set
from medloop.jobs.bootstrap import bootstrap
from medloop.jobs.evaluate import evaluate
from medloop.jobs.reproduce import reproduce
from medloop.jobs.snapshot import snapshot
from medloop.jobs.train import train, training_data
from medloop.jobs.training_record import read_golden, read_origin, read_recipe
from medloop.stores.datasets import FULL_SET, DatasetStore, bundled_sample
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore
from medloop.stores.registry import WEIGHTS_FILE, ModelVersion
from medloop.stores.shipped_model import shipped_model
from medloop.stores.training_run import TrainingRun
from medloop.stores.version_tags import VersionTags

pytestmark = pytest.mark.slow

SHORT = replace(TrainingConfig.smoke(), steps=3)
KEY = "leases/training.json"


class SlowRegistry(MemoryRegistry):
    """Something happens while a training is being logged."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def register(self, run: TrainingRun, *, confirm: Callable[[], object] = bool) -> ModelVersion:
        self.meanwhile()
        return super().register(run, confirm=confirm)


class NobodysChampion(MemoryRegistry):
    """A first version is champion only if somebody moves the alias."""

    def register(self, run: TrainingRun, *, confirm: Callable[[], object] = bool) -> ModelVersion:
        made = super().register(run, confirm=confirm)
        self.aliases.clear()
        return made


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A champion whose weights are no weights, and one correction in a snapshot."""
    registry = SlowRegistry()
    labels = ["AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"]
    registry.add(
        b"",
        tags={"labels": json.dumps(labels), "weights_sha256": "w"},
        **{WEIGHTS_FILE: b"no weights"},
    )
    made = World(ObjectStore.in_memory(), tmp_path, registry=registry, device="cpu")
    lease = Lease(made.objects, KEY, now=lambda: made.now)
    made.context = replace(
        made.context, lease=lease, datasets=DatasetStore(tmp_path / "data", made.objects)
    )
    made.correct(1)
    return made


def test_from_scratch_takes_no_weights_of_the_champion_and_can_be_reproduced(world: World) -> None:
    snapshot_id = snapshot(world.context).snapshot_id
    with pytest.raises(Exception, match=r"(?i)header"):
        train(world.context, snapshot_id=snapshot_id, config=SHORT)  # this one reads them
    trained = train(world.context, snapshot_id=snapshot_id, from_scratch=True, config=SHORT)
    tags = world.context.registry.get(trained.version).tags
    assert (tags.parent_version, tags.snapshot_id, tags.training_fence) == ("", snapshot_id, 2)
    assert train(world.context, snapshot_id=snapshot_id, from_scratch=True, config=SHORT).reused

    again = reproduce(world.context, version=trained.version)
    assert (again.same, again.note) == (True, "")
    files = world.context.registry.files
    recorded = json.loads(files[trained.version, "environment.json"])
    files[trained.version, "environment.json"] = json.dumps({**recorded, "torch": "1.0"}).encode()
    world.context.registry.set_tags(trained.version, VersionTags(weights_sha256="another"))
    assert (
        reproduce(world.context, version=trained.version).note
        == f"torch was 1.0 and is {recorded['torch']}"
    )


def test_an_old_run_done_again_finds_the_version_of_its_time(world: World) -> None:
    """Its champion is another one by now, and the training would start from that one's weights."""
    registry, found = world.context.registry, []
    for week in range(3):
        world.correct(10 + week)
        snapshot_id = snapshot(world.context).snapshot_id
        version = train(
            world.context, snapshot_id=snapshot_id, from_scratch=week == 0, config=SHORT
        ).version
        registry.aliases["champion"] = version
        found.append((snapshot_id, version))
    old_snapshot_id, old = found[1]
    again = train(world.context, snapshot_id=old_snapshot_id, config=SHORT)
    assert (again.version, again.reused) == (old, True)
    assert len({version for _, version in found}) == 3


def test_a_training_by_other_rules_says_so_when_it_cannot_be_reproduced(world: World) -> None:
    """What near copies are left out changed once: versions from before were trained on some that
    now are not.
    """
    snapshot_id = snapshot(world.context).snapshot_id
    version = train(world.context, snapshot_id=snapshot_id, from_scratch=True, config=SHORT).version
    changed = VersionTags(weights_sha256="another", data_key="of older rules")
    world.context.registry.set_tags(version, changed)
    note = reproduce(world.context, version=version).note
    assert note == "medloop chose by other rules then which images to leave out of a training"


def test_the_first_model_of_medical_mnist_comes_with_the_package(world: World) -> None:
    """It is registered as its training would have been; the full set is needed to do that again."""
    context = replace(
        world.context,
        registry=NobodysChampion(),
        promotion_lease=Lease(world.objects, "leases/promotion.json"),
    )
    assert bootstrap(context) == "1"
    assert bootstrap(context) is None
    shipped, version = shipped_model(), context.registry.get("1")
    assert context.registry.model_file("1") == shipped.trained.onnx
    assert context.registry.weights("1") == shipped.trained.safetensors
    assert (version.tags.base_id, version.tags.parent_version) == (FULL_SET, "")
    assert (version.tags.accuracy or 0) > 0.98
    assert read_origin(context, version).base_images == shipped.record.base_images
    assert version.tags.run_key == read_recipe(context, version).run_key
    golden = read_golden(context, version)
    assert golden_error(Predictor(shipped.trained.onnx), *golden) < 1e-5
    with pytest.raises(NotFoundError, match="full Medical MNIST: `medloop data fetch`"):
        reproduce(context, version="1")

    report = evaluate(context, version="1")
    assert (report.base_id, report.champion_version) == (bundled_sample().id, "1")
    assert report.scores["challenger"]["n"] == len(scored_sample_test())


def scored_sample_test() -> np.ndarray:
    return assemble(bundled_sample(), Corrections.none(), champion_labels=()).scored_test()


def test_the_first_model_is_not_trained_on_acceptance_sets(world: World, tmp_path: Path) -> None:
    context = replace(
        world.context,
        registry=NobodysChampion(),
        promotion_lease=Lease(world.objects, "leases/promotion.json"),
    )
    sample = bundled_sample()
    parts = split(sample.targets, sample.groups)
    (tmp_path / "set" / "Hand").mkdir(parents=True)
    for place in (parts.train[-1], parts.validation[-1]):
        brighter = np.minimum(sample.images[place], 254) + 1
        (tmp_path / "set" / "Hand" / f"{place}.png").write_bytes(encode_png(brighter))
    added = add_acceptance_set(context, name="ours", path=tmp_path / "set", by="ada")
    assert added.images == 2

    bootstrap(context, config=SHORT)
    version = context.registry.get("1")
    assert read_recipe(context, version).kept_out == (("ours", added.set_id),)
    assert read_origin(context, version).base_images < len(parts.train)


class OneDataset:
    """A store that has one data set."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def get(self, dataset_id: str) -> Dataset:
        return self.dataset


def test_a_first_model_at_chance_is_told_in_words_and_is_never_confident(world: World) -> None:
    """Classes that differed by colour alone: what is left of them in grey is noise."""
    images = np.random.default_rng(0).integers(100, 140, (180, 64, 64), dtype=np.uint8)
    made = Dataset.build(
        images=images,
        classes=["red", "green", "blue"] * 60,
        groups=np.arange(180),
        names=[f"{i:03}" for i in range(180)],
    )
    context = replace(
        world.context,
        registry=NobodysChampion(),
        datasets=OneDataset(made),
        promotion_lease=Lease(world.objects, "leases/promotion.json"),
    )
    warned: list[str] = []
    bootstrap(context, config=SHORT, warn=warned.append)
    tags = context.registry.get("1").tags
    assert "differ by colour alone" in warned[0]
    assert "no better than chance" in warned[1]
    assert tags.warning == " ".join(warned)
    assert tags.balanced_accuracy is not None
    assert tags.balanced_accuracy < 0.6
    predictor = Predictor(context.registry.model_file("1"))
    assert "confident" not in predictor.verdicts(predictor.predict_arrays(images))


def test_a_training_that_an_acceptance_set_overtook_makes_no_version(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "set" / "Hand").mkdir(parents=True)
    (tmp_path / "set" / "Hand" / "1.png").write_bytes(encode_png(bundled_sample().images[-1]))

    def add_one(_share: float, phrase: str) -> None:
        if phrase.startswith("step") and not world.context.acceptance_sets.declarations():
            add_acceptance_set(
                world.context, name="late", path=tmp_path / "set", by="ada", keep_learned=True
            )

    snapshot_id = snapshot(world.context).snapshot_id
    with pytest.raises(DatasetError, match=r"late was added while .* nothing is registered"):
        train(
            world.context,
            snapshot_id=snapshot_id,
            from_scratch=True,
            config=SHORT,
            progress=add_one,
        )
    assert [version.version for version in world.context.registry.versions()] == ["1"]
    train(world.context, snapshot_id=snapshot_id, from_scratch=True, config=SHORT)
    assert [version.version for version in world.context.registry.versions()] == ["1", "2"]


def test_acceptance_sets_that_leave_nothing_to_train_on_are_told() -> None:
    base = bundled_sample()
    whole = assemble(base, Corrections.none(), champion_labels=())
    for part in (whole.split.train, whole.split.validation):
        made = assemble(base, Corrections.none(), champion_labels=(), acceptance=base.images[part])
        with pytest.raises(
            DatasetError, match=r"no images are left to .* `medloop acceptance list`"
        ):
            training_data(made)


def test_a_training_that_outlived_its_lease_while_logged_makes_no_version(
    world: World,
) -> None:
    def sleep() -> None:
        world.now += timedelta(seconds=61)
        with Lease(world.objects, KEY, now=lambda: world.now).hold("somebody else"):
            pass

    world.context.registry.meanwhile = sleep
    snapshot_id = snapshot(world.context).snapshot_id
    with pytest.raises(StaleError, match="lease"):
        train(world.context, snapshot_id=snapshot_id, from_scratch=True, config=SHORT)
    assert [version.version for version in world.context.registry.versions()] == ["1"]
