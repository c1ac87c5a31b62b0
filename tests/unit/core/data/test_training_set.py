"""What a training learns from, and what it never sees. Most tests stand for a defect of the
published system.
"""

from __future__ import annotations

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medloop.core.data.datasets import Dataset
from medloop.core.data.training_set import (
    MIN_OF_NEW_CLASS,
    Corrections,
    assemble,
    data_key,
    label_order,
    run_key,
    use_counts,
)

BASE_LABELS = ("AbdomenCT", "CXR", "ChestCT", "Hand")
LABELS = st.lists(st.sampled_from(["CXR", "ChestCT", "Hand", "Knee", "Spine"]), unique=True)


def base(n: int = 400) -> Dataset:
    images = np.random.default_rng(0).integers(0, 256, (n, 64, 64), dtype=np.uint8)
    classes = [BASE_LABELS[i % 4] for i in range(n)]
    return Dataset.build(
        images=images, classes=classes, groups=np.arange(n), names=[f"{i:05d}" for i in range(n)]
    )


def corrections(labels: list[str | None], **changes) -> Corrections:
    n = len(labels)
    values = {
        "images": np.random.default_rng(1).integers(0, 256, (n, 64, 64), dtype=np.uint8),
        "labels": tuple(labels),
        "held_out": np.zeros(n, dtype=bool),
        "twins": np.zeros(n, dtype=bool),
        "in_acceptance": np.zeros(n, dtype=bool),
        "image_sha256": tuple(f"{i:064x}" for i in range(n)),
    }
    return Corrections(**values | changes)


@given(LABELS, LABELS, st.lists(st.sampled_from(["CXR", "Aorta", "Zebra", None]), max_size=40))
def test_a_label_never_changes_its_place(champion, base_labels, given_labels):
    """The published system renumbered labels by whichever class folders existed that week."""
    order = label_order(champion, base_labels, given_labels)
    assert list(order[: len(champion)]) == champion
    assert len(set(order)) == len(order)
    assert set(base_labels) <= set(order)


def test_corrections_of_one_class_alone_leave_all_labels_where_they_are():
    made = assemble(base(), corrections(["ChestCT"] * 5), champion_labels=BASE_LABELS)
    assert made.labels == BASE_LABELS
    assert made.correction_targets().tolist() == [BASE_LABELS.index("ChestCT")] * 5


def test_base_targets_follow_the_champions_order_and_not_the_data_sets():
    """The published system's training sorted labels and its serving did not: CXR and ChestCT were
    swapped.
    """
    champion = ("Hand", "ChestCT", "CXR", "AbdomenCT")
    made = assemble(base(), Corrections.none(), champion_labels=champion)
    names = np.array(made.labels)[made.base_targets]
    assert names.tolist() == np.array(made.base.labels)[made.base.targets].tolist()


def test_base_data_is_always_part_of_the_training():
    made = assemble(base(), corrections(["Hand"] * 30), champion_labels=BASE_LABELS)
    assert len(made.split.train) > 0.7 * 400
    assert use_counts(made) == {"trained": 30}


def test_a_new_label_becomes_a_class_once_enough_people_say_so():
    few = assemble(
        base(), corrections(["Knee"] * (MIN_OF_NEW_CLASS - 1)), champion_labels=BASE_LABELS
    )
    assert few.labels == BASE_LABELS
    assert set(few.uses) == {"class too new"}
    many = assemble(base(), corrections(["Knee"] * MIN_OF_NEW_CLASS), champion_labels=BASE_LABELS)
    assert many.labels == (*BASE_LABELS, "Knee")
    assert many.correction_targets().tolist() == [4] * MIN_OF_NEW_CLASS


def test_none_of_these_is_no_class():
    made = assemble(base(), corrections([None] * 20), champion_labels=BASE_LABELS)
    assert made.labels == BASE_LABELS
    assert made.correction_targets().tolist() == [-1] * 20


def test_what_judges_is_never_trained_on():
    """The published system "tested" on its training data."""
    data = base()
    test_image = data.images[assemble(data, Corrections.none(), champion_labels=()).split.test[0]]
    images = np.random.default_rng(2).integers(0, 256, (5, 64, 64), dtype=np.uint8)
    images[3] = test_image
    flag = np.eye(5, dtype=bool)
    made = assemble(
        data,
        corrections(
            ["Hand"] * 5, images=images, held_out=flag[0], twins=flag[1], in_acceptance=flag[2]
        ),
        champion_labels=BASE_LABELS,
    )
    assert made.uses == (
        "held out",
        "twin of a held-out one",
        "in an acceptance set",
        "in the base test",
        "trained",
    )
    assert made.trained.tolist() == [False, False, False, False, True]


def test_images_of_acceptance_sets_are_taken_out_of_the_base_training_data():
    data = base()
    whole = assemble(data, Corrections.none(), champion_labels=())
    kept_out = data.images[whole.split.train[:7]]
    made = assemble(data, Corrections.none(), champion_labels=(), acceptance=kept_out)
    assert len(made.split.train) == len(whole.split.train) - 7
    assert made.split.test.tolist() == whole.split.test.tolist()


def near_copies(images: np.ndarray) -> list[np.ndarray]:
    """One grey level brighter, and encoded as JPEG again: no byte need be the same."""
    encoded = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "JPEG", quality=75)
        encoded.append(np.asarray(Image.open(buffer)))
    return [np.minimum(images, 254) + 1, np.stack(encoded)]


def test_near_copies_of_acceptance_images_are_never_fitted_to():
    data = base()
    whole = assemble(data, Corrections.none(), champion_labels=()).split
    gone_train, gone_validation = whole.train[:7], whole.validation[:3]
    for kept_out in near_copies(data.images[[*gone_train, *gone_validation]]):
        made = assemble(data, Corrections.none(), champion_labels=(), acceptance=kept_out).split
        assert made.train.tolist() == whole.train[7:].tolist()
        assert made.validation.tolist() == whole.validation[3:].tolist()
        assert made.test.tolist() == whole.test.tolist()


def test_a_blank_acceptance_image_takes_out_the_same_blank_and_no_other():
    data = base()
    images = data.images.copy()
    train = assemble(data, Corrections.none(), champion_labels=()).split.train
    images[train[0]], images[train[1]] = 25, 26
    changed = Dataset.build(
        images=images,
        classes=[data.labels[t] for t in data.targets],
        groups=data.groups,
        names=data.names,
    )
    made = assemble(changed, Corrections.none(), champion_labels=(), acceptance=images[train[:1]])
    assert made.split.train.tolist() == train[1:].tolist()


def test_near_copies_of_base_test_images_are_not_trained_on_and_counted():
    data = base()
    test = assemble(data, Corrections.none(), champion_labels=()).split.test
    for copies in near_copies(data.images[test[:4]]):
        made = assemble(data, corrections(["Hand"] * 4, images=copies), champion_labels=BASE_LABELS)
        assert use_counts(made) == {"in the base test": 4}


def test_blank_and_repeated_test_images_do_not_count():
    data = base()
    images = data.images.copy()
    test = assemble(data, Corrections.none(), champion_labels=()).split.test
    images[test[0]] = 25
    images[test[1]] = images[test[2]]
    changed = Dataset.build(
        images=images,
        classes=[data.labels[t] for t in data.targets],
        groups=data.groups,
        names=data.names,
    )
    made = assemble(changed, Corrections.none(), champion_labels=())
    assert len(made.scored_test()) == len(test) - 2


def test_keys_tell_trainings_apart_by_what_they_learn_from_and_by_nothing_else():
    same = {
        "snapshot_id": "s",
        "base_id": "b",
        "kept_out": ["y", "x"],
        "config": {"seed": 0, "device": "cpu"},
    }
    key = data_key(**same)
    assert (
        data_key(**same | {"kept_out": ["x", "y"], "config": {"device": "cuda", "seed": 0}}) == key
    )
    for change in (
        {"snapshot_id": "t"},
        {"base_id": "c"},
        {"kept_out": ["x"]},
        {"config": {"seed": 1}},
    ):
        assert data_key(**same | change) != key
    assert run_key(key, parent_weights_sha256="1") != run_key(key, parent_weights_sha256="2")


def test_test_images_that_another_base_trained_on_are_left_out():
    """A champion of the bundled sample has seen test images of the full set: the gate must not
    count them for it.
    """
    made = assemble(base(), Corrections.none(), champion_labels=())
    test = made.split.test
    brighter = made.base.images[test[:5]] // 2 + 60
    left = made.without_seen(brighter).split.test
    assert left.tolist() == test[5:].tolist()
    assert made.without_seen(np.zeros((0, 64, 64), np.uint8)).split.test.tolist() == test.tolist()
