"""`medloop predict`, as a person runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.command_line import records, run
from tests.hostile.corpus import corpus, dicom, honest, photo, saved
from tests.models import LABELS, exported
from tests.small_sets import unpacked, zipped

from medloop.core.prediction.answer_formats import Format, writer
from medloop.core.printable import harmless, printable
from medloop.errors import MedloopError, NotFoundError
from medloop.serving import Answer, NoModelError
from medloop.stores.model_cache import CachedModel, ModelCache

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*", "ignore:::PIL.*")

PNG = honest()["PNG"]


class TestPredict:
    def test_prints_the_lines_of_the_design_in_order(self, home: Path, tmp_path: Path) -> None:
        folder = unpacked(
            tmp_path / "in", {"1.png": PNG, "2.jpg": b"%PDF-1.7", "3": honest()["DICOM"]}
        )
        lines = records(run("predict", folder, "--format", "jsonl"))
        fields = [
            "path",
            "status",
            "label",
            "confidence",
            "verdict",
            "probabilities",
            "ood_score",
            "model_version",
            "error",
        ]
        assert all(list(line) == fields for line in lines)
        assert [Path(str(line["path"])).name for line in lines] == ["1.png", "2.jpg", "3"]
        assert [line["status"] for line in lines] == ["ok", "error", "ok"]
        good, bad, _ = lines
        assert good["label"] in LABELS
        assert list(good["probabilities"]) == list(LABELS)  # type: ignore[call-overload]
        assert good["confidence"] == max(good["probabilities"].values())  # type: ignore[attr-defined]
        assert good["verdict"] in ("confident", "unsure", "unknown")
        assert (good["model_version"], good["error"]) == ("7", None)
        assert (bad["label"], bad["probabilities"], bad["ood_score"]) == (None, None, None)
        assert str(bad["error"]).startswith("This is a PDF")

    def test_is_not_confident_about_a_picture_in_colour(self, home: Path, tmp_path: Path) -> None:
        sure = exported(confident_threshold=0.0, confident_ood_threshold=99.0, ood_threshold=99.0)
        ModelCache(home / "models").write(CachedModel("8", sure))
        grey = Image.fromarray(photo())
        coloured = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_TOP_BOTTOM), grey))
        folder = unpacked(
            tmp_path / "in", {"1.jpg": saved(grey, "JPEG"), "2.jpg": saved(coloured, "JPEG")}
        )
        lines = records(run("predict", folder, "--format", "jsonl"))
        assert [line["verdict"] for line in lines] == ["confident", "unsure"]

    def test_is_not_confident_against_the_tags_of_a_file(self, home: Path, tmp_path: Path) -> None:
        scans = ["AbdomenCT", "ChestCT", "HeadCT"]
        sure = exported(
            labels=scans, confident_threshold=0.0, confident_ood_threshold=99.0, ood_threshold=99.0
        )
        ModelCache(home / "models").write(CachedModel("8", sure))
        folder = unpacked(tmp_path / "in", {"1": dicom(Modality="CT"), "2": dicom(Modality="MR")})
        lines = records(run("predict", folder, "--format", "jsonl"))
        assert [line["verdict"] for line in lines] == ["confident", "unsure"]

    def test_says_when_the_model_may_not_be_the_newest(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        assert "version 7 goes on serving" in run("predict", tmp_path / "1.png").stderr

    def test_an_archive_a_glob_and_a_list_on_stdin(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"a/1.png": PNG, "a/2.png": PNG})
        zipped(tmp_path / "b.zip", {"3.png": PNG})
        lines = records(
            run("predict", tmp_path / "b.zip", f"{tmp_path}/a/*.png", "--format", "jsonl")
        )
        assert [Path(str(line["path"])).name for line in lines] == ["3.png", "1.png", "2.png"]
        listed = f"{tmp_path}/a/2.png\n\n{tmp_path}/a/1.png\n"
        assert [
            line["path"] for line in records(run("predict", "-", "--format", "jsonl", text=listed))
        ] == listed.split()

    def test_the_whole_hostile_corpus_gives_a_line_each(self, home: Path, tmp_path: Path) -> None:
        small = {name: data for name, data in corpus().items() if len(data) < 1_000_000}
        folder = unpacked(
            tmp_path / "in",
            {f"{i:03} {name}": data for i, (name, data) in enumerate(small.items())},
        )
        lines = records(run("predict", folder, "--format", "jsonl"))
        # An archive in a folder is opened only where its name ends in .zip.
        assert len(lines) == len(small)
        assert {line["status"] for line in lines} == {"ok", "error"}

    def test_a_path_to_nothing_fails_and_leaves_no_file(self, home: Path, tmp_path: Path) -> None:
        result = run(
            "predict", "nowhere.png", "--output", tmp_path / "out.csv", error=NotFoundError
        )
        assert "'nowhere.png'" in str(result.exception)
        assert not (tmp_path / "out.csv").exists()

    def test_an_empty_folder_fails(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        run("predict", tmp_path / "empty", error=NotFoundError)

    def test_no_model_fails(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        (home / "models" / "champion.json").unlink()
        assert "none is cached" in str(
            run("predict", tmp_path / "1.png", error=NoModelError).exception
        )

    def test_an_output_file_that_cannot_be_written_fails(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        assert "cannot be written" in str(
            run("predict", tmp_path / "1.png", "--output", tmp_path, error=MedloopError).exception
        )

    def test_a_bad_file_alone_is_no_failure_of_the_command(
        self, home: Path, tmp_path: Path
    ) -> None:
        unpacked(tmp_path, {"1.png": b"rubbish"})
        assert "error" in run("predict", tmp_path / "1.png").stdout

    def test_strict_counts_what_could_not_be_read(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG, "2.png": b"rubbish"})
        run("predict", tmp_path / "1.png", "--strict")
        run("predict", tmp_path, "--strict", exit_code=1)

    def test_texts_beside_images_are_passed_over(self, home: Path, tmp_path: Path) -> None:
        """By name and content: a picture is a picture whatever its name."""
        files = {"1.png": PNG, "2.txt": PNG, "manifest.csv": b"a,b\n", "notes.txt": b"hello"}
        unpacked(tmp_path / "in", files)
        zipped(tmp_path / "in/a.zip", files)
        lines = records(run("predict", tmp_path / "in", "--format", "jsonl"))
        assert [Path(str(line["path"])).name for line in lines] == ["1.png", "2.txt"] * 2
        (line,) = records(run("predict", tmp_path / "in/manifest.csv", "--format", "jsonl"))
        assert line["status"] == "error"

    def test_a_reader_that_has_seen_enough_is_no_failure(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {f"in/{i:05}.png": PNG for i in range(3000)})
        command = (
            f"{sys.executable} -m medloop.cli predict {tmp_path}/in --format jsonl | head -1; "
            f"exit ${{PIPESTATUS[0]}}"
        )
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
        assert "Traceback" not in done.stderr
        assert "Broken" not in done.stderr


class TestOutput:
    def printed(self, form: Format, *answers: Answer, labels: tuple[str, ...] = LABELS) -> str:
        to = io.StringIO()
        write = writer(form, to, labels=labels, model_version="7")
        for answer in answers:
            write(answer)
        return to.getvalue()

    def answer(self, path: str = "a.png", **metadata: object) -> Answer:
        from medloop.core.prediction.predictor import Predictor

        return Answer(path, Predictor(exported(**metadata)).predict([photo()])[0])

    @pytest.mark.parametrize(
        "name", ["=cmd|'/C calc'!A0", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"]
    )
    def test_csv_runs_no_formula(self, name: str) -> None:
        labels = (name, "b")
        text = self.printed(
            Format.CSV, self.answer(name, labels=labels), Answer(name, None, name), labels=labels
        )
        assert text.count("\n") == 3
        header, good, bad = csv.reader(io.StringIO(text, newline=""))
        assert header[-1] == "p(b)"
        for cell in (good[0], good[2], bad[0], bad[7]):
            assert cell == "b" or cell[0] in "'\\"
        assert float(good[5]) == float(good[5])

    def test_csv_cells_keep_what_they_hold_on_one_line(self) -> None:
        text = self.printed(Format.CSV, Answer('a, "b"\nc.png', None, "x"))
        row = list(csv.reader(io.StringIO(text, newline="")))[1]
        assert row[:2] == ['a, "b"\\nc.png', "error"]
        assert harmless("scan.png") == "scan.png"

    def test_an_unknown_image_shows_its_nearest_class_in_brackets(self) -> None:
        answer = self.answer(ood_threshold=-1e9)
        line = self.printed(Format.TABLE, answer).splitlines()[1]
        assert answer.prediction is not None
        assert line.startswith(f"({answer.prediction.label})")
        assert "unknown" in line
        assert json.loads(self.printed(Format.JSONL, answer))["label"] == answer.prediction.label

    def test_a_name_cannot_steer_the_terminal(self) -> None:
        text = self.printed(Format.TABLE, Answer("a\x1b[2Jb\u202egnp.\n", None, "bad"))
        assert "a\\x1b[2Jb\\u202egnp.\\n: bad" in text
        assert printable("Röntgen 手.png") == "Röntgen 手.png"

    def test_json_lines_stay_lines(self) -> None:
        text = self.printed(Format.JSONL, Answer("a\nb\u2028.png", None, "x"))
        assert json.loads(text)["path"] == "a\nb\u2028.png"
        assert text.count("\n") == 1
