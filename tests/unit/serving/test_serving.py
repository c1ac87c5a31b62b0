"""The champion over a fake registry, and many inputs through it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.champion_contract import ChampionContract
from tests.hostile.corpus import honest, photo
from tests.models import exported, metadata, model, renamed_output, with_constant

from medloop.core.data.datasets import Dataset
from medloop.core.imaging.decode import Limits, encode_png
from medloop.core.imaging.preprocess import READABLE_VERSIONS
from medloop.core.prediction.model_contract import load_checked
from medloop.errors import DecodeError, ModelError, NotFoundError, StoreUnavailableError
from medloop.serving import Champion, Classifier, NoModelError, classify
from medloop.serving.champion import DOUBTED_FOR_S, REFUSED_FOR_S
from medloop.stores.datasets import bundled_sample
from medloop.stores.inputs import Input
from medloop.stores.model_cache import CachedModel, ModelCache


class FakeRegistry:
    """An alias and files, in memory; counts what it is asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.alias: str | None = None
        self.away = False
        self.downloads = 0

    def version_of(self, alias: str) -> str | None:
        if self.away:
            raise StoreUnavailableError("MLflow at http://127.0.0.1:1 does not answer")
        return self.alias if alias == "champion" else None

    def model_file(self, version: str) -> bytes:
        self.downloads += 1
        if version not in self.files:
            raise NotFoundError(f"no version {version}")
        return self.files[version]


class FakeWorld:
    def __init__(self) -> None:
        self.source = FakeRegistry()

    def add(self, onnx: bytes) -> str:
        version = str(len(self.source.files) + 1)
        self.source.files[version] = onnx
        return version

    def promote(self, version: str) -> None:
        self.source.alias = version

    def go_away(self) -> None:
        self.source.away = True

    def come_back(self) -> None:
        self.source.away = False


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


class TestOverAFake(ChampionContract):
    """The contract, in memory."""


def serving(world: FakeWorld, tmp_path: Path, seed: int = 0) -> Champion:
    world.promote(world.add(model(seed)))
    champion = Champion(world.source, tmp_path / "models", poll_s=0.02)
    champion.refresh()
    return champion


class TestContractOfTheFile:
    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "does not load"),
            (b"PK\x03\x04 not onnx", "does not load"),
            (exported(labels=["a", "a"]), "different labels"),
            (exported(labels=["only"]), "two or more"),
            (exported(label_map_sha256="0" * 64), "label map's digest differs"),
            (exported(preprocessing_version="0"), "expects preprocessing version '0'"),
            (exported(ood_threshold=float("nan")), "thresholds must be numbers"),
            (exported(input_size=32), "does not answer"),
            (with_constant(model(), "head", float("inf")), "finite"),
            (renamed_output(model(), "ood_score", "score2"), "does not answer"),
            (
                renamed_output(
                    renamed_output(renamed_output(model(), "embedding", "x"), "cam", "embedding"),
                    "x",
                    "cam",
                ),
                "shape",
            ),
        ],
    )
    def test_a_breach_is_named(self, data: bytes, why: str) -> None:
        with pytest.raises(ModelError, match=why):
            load_checked(data)

    @pytest.mark.parametrize("preprocessing", READABLE_VERSIONS)
    def test_a_good_file_loads(self, preprocessing: str) -> None:
        """One of an earlier medloop, too: an update leaves no site without its champion."""
        found = load_checked(exported(preprocessing_version=preprocessing)).metadata
        assert (found.labels, found.preprocessing_version) == (
            tuple(metadata()["labels"]),
            preprocessing,
        )


class TestRefusing:
    def test_a_refused_version_is_not_fetched_at_every_look(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        clock = [0.0]
        champion = Champion(world.source, tmp_path, poll_s=1, monotonic=lambda: clock[0])
        world.promote(world.add(model()))
        champion.refresh()
        bad = world.add(b"broken")
        world.promote(bad)
        before = world.source.downloads
        for _ in range(20):
            clock[0] += 3
            assert champion.refresh() is False
        assert world.source.downloads == before + 1
        assert f"Version {bad} cannot be served" in champion.current().notice
        world.source.files[bad] = model(5)  # repaired: found after the back-off
        clock[0] += REFUSED_FOR_S
        assert champion.refresh() is True
        assert (champion.current().version, champion.current().notice) == (bad, "")

    def test_a_file_that_is_gone_is_refused_too(self, world: FakeWorld, tmp_path: Path) -> None:
        champion = serving(world, tmp_path)
        world.promote("99")
        champion.refresh()
        assert "no version 99" in champion.current().notice

    def test_a_first_champion_that_is_broken_says_how_to_go_back(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        world.promote(world.add(b"broken"))
        with pytest.raises(NoModelError, match="`medloop rollback` goes back"):
            Champion(world.source, tmp_path, poll_s=1).current()

    def test_an_alias_that_is_removed_leaves_the_model_serving(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        champion = serving(world, tmp_path)
        world.source.alias = None
        champion.refresh()
        assert (
            champion.current().notice
            == "The registry has no champion (`medloop doctor` says what to do); "
            "version 1 goes on serving."
        )
        after = Champion(world.source, tmp_path / "models", poll_s=1)  # a new process
        assert after.current().version == "1"
        assert "medloop doctor" in after.current().notice

    def test_a_new_registry_s_version_of_the_same_number_is_loaded(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        champion = serving(world, tmp_path)
        before = champion.current().predictor
        world.source.alias = None
        champion.refresh()
        world.source.files["1"], world.source.alias = model(3), "1"
        champion.refresh()
        assert champion.current().predictor is not before
        assert champion.current().notice == ""

    def test_the_alias_is_followed_to_versions_that_the_ledger_names(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        named, clock = ["1"], [0.0]
        champion = Champion(
            world.source,
            tmp_path / "models",
            poll_s=1,
            named=lambda: named,
            monotonic=lambda: clock[0],
        )
        world.promote(world.add(model()))
        champion.refresh()
        world.promote(world.add(model(1)))  # by another client
        champion.refresh()
        assert champion.current().version == "1"
        assert "another client moved the alias" in champion.current().notice
        named.append("2")
        clock[0] += DOUBTED_FOR_S
        champion.refresh()
        assert (champion.current().version, champion.current().notice) == ("2", "")
        world.promote("1")  # back, by another client
        champion.refresh()
        assert champion.current().version == "2"
        assert "another client moved the alias" in champion.current().notice

    def test_an_earlier_champion_serves_where_nothing_else_does(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        """A promotion may have been cut off between the ledger and the alias."""
        world.promote(world.add(model()))
        champion = Champion(world.source, tmp_path / "models", poll_s=1, named=lambda: ["1", "2"])
        assert champion.current().version == "1"

    def test_a_ledger_that_cannot_be_read_keeps_no_version_from_serving(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        def away() -> list[str]:
            raise StoreUnavailableError("S3 does not answer")

        world.promote(world.add(model()))
        champion = Champion(world.source, tmp_path / "models", poll_s=1, named=away)
        assert champion.current().version == "1"

    def test_an_error_nobody_foresaw_stops_nothing(self, world: FakeWorld, tmp_path: Path) -> None:
        champion = serving(world, tmp_path)
        world.source.version_of = lambda alias: 1 / 0  # type: ignore[method-assign]
        assert champion.refresh() is False
        assert "has failed (division by zero)" in champion.current().notice


class TestCache:
    def test_a_damaged_file_is_not_served(self, world: FakeWorld, tmp_path: Path) -> None:
        serving(world, tmp_path)
        (file,) = (tmp_path / "models").glob("*.onnx")
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        world.go_away()
        with pytest.raises(NoModelError):
            Champion(world.source, tmp_path / "models", poll_s=1).current()

    def test_one_model_is_kept(self, tmp_path: Path) -> None:
        cache = ModelCache(tmp_path)
        assert cache.read() is None
        for number in range(3):
            cache.write(CachedModel(str(number), bytes([number]) * 100))
        assert cache.read() == CachedModel("2", b"\2" * 100)
        assert len(list(tmp_path.glob("*.onnx"))) == 1
        assert not list(tmp_path.glob(".*.part"))

    def test_a_reader_beside_a_writer_sees_a_whole_model_or_none(self, tmp_path: Path) -> None:
        cache, stop, seen = ModelCache(tmp_path), threading.Event(), []

        def read() -> None:
            while not stop.is_set():
                seen.append(cache.read())

        reader = threading.Thread(target=read)
        reader.start()
        for number in range(100):
            cache.write(CachedModel(str(number), str(number).encode() * 1000))
        stop.set()
        reader.join()
        whole = [found for found in seen if found is not None]
        assert whole
        assert all(found.onnx == found.version.encode() * 1000 for found in whole)

    def test_a_disk_that_cannot_be_written_does_not_stop_serving(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        (tmp_path / "models").write_text("a file where the folder should be")
        assert serving(world, tmp_path).current().version == "1"

    def test_no_registry_at_all_serves_the_cache(self, world: FakeWorld, tmp_path: Path) -> None:
        serving(world, tmp_path)
        served = Champion(None, tmp_path / "models", poll_s=1).current()
        assert (served.version, served.notice) == (
            "1",
            "No registry is set (MLFLOW_TRACKING_URI); version 1 goes on serving.",
        )


class TestThread:
    def test_a_promotion_is_seen_while_people_predict(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        """Requests go on in many threads through twenty swaps, each with the version that it asked
        for.
        """
        champion = serving(world, tmp_path)
        expected = {"1": load_checked(model(0)).predict([photo()])[0].probabilities}
        for seed in range(1, 5):
            expected[world.add(model(seed))] = (
                load_checked(model(seed)).predict([photo()])[0].probabilities
            )
        champion.start()
        champion.start()
        wrong, stop, versions = [], threading.Event(), set()

        def request() -> None:
            while not stop.is_set():
                served = champion.current()
                answer = served.predictor.predict([photo()])[0].probabilities
                versions.add(served.version)
                if any(
                    abs(answer[label] - p) > 1e-5 for label, p in expected[served.version].items()
                ):
                    wrong.append(served.version)

        threads = [threading.Thread(target=request) for _ in range(4)]
        for thread in threads:
            thread.start()
        for turn in range(20):
            world.promote(str(turn % 5 + 1))
            until = time.monotonic() + 10
            while champion.current().version != str(turn % 5 + 1) and time.monotonic() < until:
                time.sleep(0.005)
        stop.set()
        for thread in threads:
            thread.join()
        champion.stop()
        assert not wrong
        assert versions == set(expected)
        assert not any(thread.name == "medloop-champion" for thread in threading.enumerate())

    def test_many_first_requests_load_one_model_once(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        world.promote(world.add(model()))
        champion, found = Champion(world.source, tmp_path, poll_s=5), []
        threads = [
            threading.Thread(target=lambda: found.append(champion.current().version))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["1"] * 8
        assert world.source.downloads == 1

    def test_a_missing_model_is_not_asked_for_at_every_request(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        clock, asked = [0.0], []
        world.source.version_of = lambda alias: asked.append(alias)  # type: ignore[method-assign]
        champion = Champion(world.source, tmp_path, poll_s=3, monotonic=lambda: clock[0])
        for _ in range(10):
            with pytest.raises(NoModelError):
                champion.current()
        assert len(asked) == 1
        clock[0] = 3.5
        world.source.alias, world.source.files["1"] = "1", model()
        del world.source.version_of
        assert champion.current().version == "1"

    def test_times_are_told_by_the_given_clock(self, world: FakeWorld, tmp_path: Path) -> None:
        noon = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        world.promote(world.add(model()))
        champion = Champion(world.source, tmp_path, poll_s=1, now=lambda: noon)
        assert champion.current().notice == ""
        world.go_away()
        champion.refresh()
        assert f"since {noon.astimezone():%Y-%m-%d %H:%M};" in champion.current().notice


class TestClassify:
    def test_answers_keep_the_order_and_a_bad_one_stops_nothing(self) -> None:
        files = [(f"{i}", honest()["PNG"] if i % 3 else b"rubbish") for i in range(500)]
        answers = list(
            classify(
                load_checked(model()), (Input(name, partial(bytes, data)) for name, data in files)
            )
        )
        assert [answer.path for answer in answers] == [name for name, _ in files]
        assert all((answer.prediction is None) == (i % 3 == 0) for i, answer in enumerate(answers))
        assert answers[0].error.startswith("This is ")

    def test_no_more_is_read_than_is_needed_soon(self) -> None:
        read = []

        def item(number: int) -> Input:
            return Input(str(number), lambda: read.append(number) or honest()["PNG"])  # type: ignore[func-returns-value]

        answers = classify(load_checked(model()), map(item, range(100_000)), threads=2)
        for _ in range(10):
            next(answers)
        answers.close()
        assert len(read) <= 5 * 64

    def test_errors_of_reading_become_sentences(self) -> None:
        def missing() -> bytes:
            raise FileNotFoundError(2, "No such file or directory", "/secret/place")

        (answer,) = classify(load_checked(model()), [Input("gone.png", missing)])
        assert answer.error == "This file cannot be read: No such file or directory."

    def test_nothing_gives_nothing(self) -> None:
        assert list(classify(load_checked(model()), [])) == []


class TestClassifier:
    @pytest.fixture
    def classifier(self, world: FakeWorld, tmp_path: Path) -> Classifier:
        return Classifier(serving(world, tmp_path), limits=Limits())

    def test_takes_bytes_paths_and_arrays(self, classifier: Classifier, tmp_path: Path) -> None:
        path = tmp_path / "no extension"
        path.write_bytes(honest()["PNG"])
        answers = [
            classifier.predict(image) for image in (honest()["PNG"], path, str(path), photo())
        ]
        assert len({answer.confidence for answer in answers}) == 1
        many = list(classifier.predict_many([honest()["PNG"], path, photo()]))
        assert [answer.label for answer in many] == [answers[0].label] * 3
        assert (classifier.version, classifier.labels) == ("1", tuple(metadata()["labels"]))
        classifier.close()

    def test_a_bad_image_is_named_by_its_place(self, classifier: Classifier) -> None:
        answers = classifier.predict_many([photo(), b"%PDF-1.7", photo()])
        with pytest.raises(DecodeError, match="image 1: This is a PDF"):
            list(answers)
        with pytest.raises(DecodeError, match="This is a PDF"):
            classifier.predict(b"%PDF-1.7")

    def test_the_nearest_labelled_images_come_with_class_and_origin(
        self, classifier: Classifier
    ) -> None:
        sample = bundled_sample()
        (at,) = np.flatnonzero(sample.targets == 2)[100:101]
        found = classifier.nearest(encode_png(sample.images[at]), k=4)
        assert len(found) == 4
        assert [like.similarity for like in found] == sorted(
            (like.similarity for like in found), reverse=True
        )
        for like in found:
            assert like.dataset_id == sample.id
            place = sample.names.index(like.name)
            assert like.label == sample.labels[sample.targets[place]]
            np.testing.assert_array_equal(like.pixels, sample.images[place])
            assert not np.array_equal(like.pixels, sample.images[at]), "the image itself is no news"
            embeddings = [
                classifier.predict(image).embedding for image in (like.pixels, sample.images[at])
            ]
            cosine = np.dot(*embeddings) / np.prod(np.linalg.norm(embeddings, axis=1))
            assert like.similarity == pytest.approx(cosine, abs=1e-5)
        assert len(classifier.nearest(sample.images[at])) == 5
        assert classifier.nearest(sample.images[at], k=0) == []

    def test_labelled_images_are_embedded_once_a_version(
        self, world: FakeWorld, tmp_path: Path
    ) -> None:
        asked = []

        def labelled() -> Dataset:
            asked.append(1)
            return bundled_sample()

        champion = serving(world, tmp_path)
        classifier = Classifier(champion, labelled=labelled)
        assert not asked
        before = [classifier.nearest(photo()) for _ in range(2)][1]
        assert len(asked) == 1
        world.promote(world.add(model(7)))
        champion.refresh()
        after = classifier.nearest(photo())
        assert len(asked) == 2
        assert [like.similarity for like in before] != [like.similarity for like in after]

    def test_arrays_must_be_grey(self, classifier: Classifier) -> None:
        with pytest.raises(ValueError, match="grey uint8"):
            classifier.predict(np.zeros((8, 8, 3), np.uint8))


def test_importing_the_serving_path_loads_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, medloop, medloop.serving, medloop.stores.registry;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'mlflow', 'streamlit', 'airflow')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode
        == 0
    )


def test_importing_medloop_loads_next_to_nothing() -> None:
    code = (
        "import sys, medloop; medloop.__version__; sys.exit(any(m in sys.modules for m in "
        "('numpy', 'onnxruntime', 'pydantic')))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env=dict(os.environ)).returncode
        == 0
    )
