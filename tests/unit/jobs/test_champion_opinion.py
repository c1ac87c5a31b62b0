"""Screening by the champion's opinion, over the store in memory and a champion that knows dark from
bright.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.corrections_world import BaseDataset, World
from tests.models import metadata

from medloop.core.imaging.decode import DecodedImage, content_sha256
from medloop.jobs.correct import correct
from medloop.jobs.review import queue, review
from medloop.jobs.screen import CARELESS, screen, screened_snapshot
from medloop.jobs.snapshot import snapshot
from medloop.stores.objects import ObjectStore

LABELS = ("dark", "bright")


def brightness_model() -> bytes:
    """A model of the served kind: the class is the mean grey, and so is the embedding."""
    weights = {"w": np.array([[-0.2, 0.2]], np.float32), "b": np.array([25.6, -25.6], np.float32),
               "axes": np.array([1, 2]), "one": np.array([1]), "map": np.array([2, 3])}  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["images"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("MatMul", ["column", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("Identity", ["probabilities"], ["embedding"]),
        helper.make_node("Neg", ["mean"], ["ood_score"]),
        helper.make_node("Unsqueeze", ["logits", "map"], ["cam"]),
    ]
    shapes = {
        "probabilities": ["n", 2],
        "embedding": ["n", 2],
        "ood_score": ["n"],
        "cam": ["n", 2, 1, 1],
    }
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", 64, 64])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in shapes.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    for key, value in metadata(labels=list(LABELS)).items():
        built.metadata_props.append(onnx.StringStringEntryProto(key=key, value=json.dumps(value)))
    return bytes(built.SerializeToString())


@dataclass
class Registry:
    champion: str | None = "1"

    def version_of(self, _alias: str) -> str | None:
        return self.champion

    def model_file(self, _version: str) -> bytes:
        return brightness_model()


def grey(level: int, seed: int) -> np.ndarray:
    """A picture of this mean level with a look of its own."""
    noise = np.random.default_rng([level, seed]).integers(-20, 20, (16, 16))
    return np.clip(np.kron(noise, np.ones((4, 4))) + level, 0, 255).astype(np.uint8)


class Datasets:
    def get(self, dataset_id: str | None = None) -> BaseDataset:
        images = np.stack([grey(level, seed) for level in (60, 200) for seed in range(100, 140)])
        return BaseDataset(
            labels=LABELS, images=images, targets=np.repeat([0, 1], 40), groups=np.arange(80)
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(
        ObjectStore.in_memory(),
        tmp_path,
        registry=Registry(),
        mlflow_tracking_uri="http://127.0.0.1:9",
    )
    made.context = replace(made.context, datasets=Datasets())
    return made


def say(
    world: World,
    level: int,
    seed: int,
    label: str | None,
    *,
    who: str = "ada",
    aside: int = 0,
    by_reviewer: bool = True,
) -> str:
    pixels = np.roll(grey(level, seed), aside, axis=1)
    shown = DecodedImage(pixels=pixels, sha256=content_sha256(pixels), kind="PNG")
    correct(
        world.context,
        image=shown,
        given_label=label,
        prediction=None,
        model_version="1",
        who=who,
        by_reviewer=by_reviewer,
    )
    world.context.sender.send_once()
    return shown.sha256


def test_a_label_that_the_champion_excludes_waits_and_others_do_not(world: World) -> None:
    wrong = say(world, 60, 1, "bright")
    say(world, 60, 2, "dark")
    say(world, 200, 3, None)
    assert screen(world.context).flagged == {
        wrong: (
            "the champion excludes bright, and 10 of the 10 pictures most like this one are dark",
        )
    }


def test_several_corrections_of_one_kind_vouch_for_each_other_also_across_snapshots(
    world: World,
) -> None:
    for seed in range(4):
        say(world, 60, seed, "bright")
    assert screen(world.context).flagged == {}
    snapshot(world.context)
    say(world, 60, 9, "bright")
    assert screen(world.context).flagged == {}


@pytest.mark.parametrize("a_week_later", [False, True])
def test_a_picture_given_twice_a_pixel_apart_is_no_witness_for_itself(
    world: World, a_week_later: bool
) -> None:
    wrong = [say(world, 60, 1, "bright")]
    if a_week_later:
        screened_snapshot(world.context)
        world.pass_days(7)
    wrong.append(say(world, 60, 1, "bright", aside=1))
    assert set(screen(world.context).flagged) == set(wrong[a_week_later:])


def test_what_a_reviewer_approved_vouches_for_a_copy_by_the_same_person(world: World) -> None:
    first = say(world, 60, 1, "bright")
    screened_snapshot(world.context)
    (waiting,) = queue(world.context)
    assert waiting.image_sha256 == first
    review(world.context, items=[waiting], verdict="approve", who="rev")
    world.context.sender.send_once()
    say(world, 60, 1, "bright", aside=1)
    assert screen(world.context).flagged == {}


CONFIDENT = "the champion is confident of dark: a second person or a reviewer has to agree"


def test_one_word_against_the_champion_waits_though_nothing_was_predicted(world: World) -> None:
    said = [say(world, 60, seed, "bright", by_reviewer=False) for seed in range(12)]
    say(world, 60, 20, "dark", by_reviewer=False)
    assert screen(world.context).flagged == dict.fromkeys(said, (CONFIDENT,))
    say(world, 60, 0, "bright", who="bob", by_reviewer=False)
    (released,) = set(said) - {item.image_sha256 for item in queue(world.context)}
    assert released == said[0]


def test_what_the_champion_may_have_learned_it_cannot_contradict(world: World) -> None:
    say(world, 60, 1, "dark")
    snapshot(world.context)
    say(world, 60, 1, "bright")
    assert screen(world.context).flagged == {}


def test_all_that_somebody_says_waits_where_it_does_not_fit_what_everybody_else_says(
    world: World,
) -> None:
    for seed in range(40):
        say(
            world,
            60 if seed % 2 else 200,
            seed,
            "dark" if seed % 2 else "bright",
            who=f"person {seed % 4}",
        )
    wrong = [say(world, 60, seed, "bright", who="eve") for seed in range(50, 60)]
    right = say(world, 200, 60, "bright", who="eve")
    outvoted = "other people say dark of 10 of the pictures most like this one"
    assert screen(world.context).flagged == {
        **dict.fromkeys(wrong, (outvoted, CARELESS)),
        right: (CARELESS,),
    }


def test_without_a_champion_it_is_not_asked(world: World) -> None:
    world.context.registry.champion = None
    say(world, 60, 1, "bright")
    assert screen(world.context).flagged == {}
