"""`medloop correct`, as a person runs it: one picture, or many."""

from __future__ import annotations

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import run
from tests.hostile.corpus import dicom, honest, photo
from tests.models import exported
from tests.small_sets import encoded, unpacked, zipped

from medloop.core.corrections.events import Correction
from medloop.errors import DecodeError, MedloopError, NotFoundError
from medloop.stores.outbox import Outbox
from medloop.wiring import OUTBOX_FILE

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom.*", "ignore:::PIL.*")

PNG = honest()["PNG"]


class Registry8:
    """A registry whose champion is version 8."""

    def __init__(self, onnx: bytes) -> None:
        self.onnx = onnx

    def version_of(self, alias: str) -> str:
        return "8"

    def model_file(self, version: str) -> bytes:
        return self.onnx


class TestCorrect:
    def test_without_s3_it_is_saved_here(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        assert (
            run("correct", tmp_path / "1.png", "--label", "Hand", "--no-wait").stdout
            == "saved here, will be stored\n"
        )
        assert Outbox(home / OUTBOX_FILE).status().pending == 1
        again = run("correct", tmp_path / "1.png", "--label", "Hand", "--no-wait")
        assert "nothing has changed" in again.stderr
        assert Outbox(home / OUTBOX_FILE).status().pending == 1

    @pytest.mark.parametrize("cached", [True, False])
    def test_it_is_on_disk_before_any_server_is_asked(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
    ) -> None:
        """Without a model here the prediction is left out."""
        unpacked(tmp_path, {"1.png": PNG})
        if not cached:
            (home / "models" / "champion.json").unlink()
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"http://127.0.0.1:{server.getsockname()[1]}"
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
            run("correct", tmp_path / "1.png", "--label", "Hand", "--no-wait")
            server.setblocking(False)
            with pytest.raises(BlockingIOError):
                server.accept()
        (waiting,) = Outbox(home / OUTBOX_FILE).pending(10)
        assert isinstance(waiting.event, Correction)
        assert waiting.event.model_version == ("7" if cached else None)

    @pytest.mark.parametrize("cached", [True, False])
    def test_nothing_heavy_is_imported_before_it_is_saved(
        self, home: Path, tmp_path: Path, cached: bool
    ) -> None:
        """A person waits for these imports; they take most of the time until the answer."""
        unpacked(tmp_path, {"1.png": PNG})
        if not cached:
            (home / "models" / "champion.json").unlink()
        command = ["-m", "medloop.cli", "correct", "1.png", "--label", "Hand", "--no-wait"]
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        before, saved, _ = done.stderr.partition("Saved on this machine.")
        imported = {line.rpartition("|")[2].strip().split(".")[0] for line in before.splitlines()}
        assert saved
        assert "numpy" in imported
        heavy = {"airflow", "boto3", "mlflow", "pandas", "pyarrow", "pydicom", "scipy", "torch"}
        assert not imported & heavy

    def test_a_class_that_the_cached_model_lacks_is_looked_up(
        self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The champion may have learned it since."""
        unpacked(tmp_path, {"1.png": PNG})
        newer = Registry8(exported(labels=("Hand", "Knee")))
        monkeypatch.setattr("medloop.wiring.Registry", lambda settings: newer)
        run("correct", tmp_path / "1.png", "--label", "Knee", "--no-wait")
        (waiting,) = Outbox(home / OUTBOX_FILE).pending(10)
        assert isinstance(waiting.event, Correction)
        assert (waiting.event.given_label, waiting.event.model_version) == ("Knee", "8")

    def test_none_of_these_is_a_correction(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        run(
            "correct",
            tmp_path / "1.png",
            "--label",
            "none",
            "--note",
            "a cat",
            "--as",
            "eve",
            "--no-wait",
        )
        assert Outbox(home / OUTBOX_FILE).status().pending == 1

    @pytest.mark.parametrize("label", ["Hnad", "", "Han d?x", "CT"])
    def test_a_label_that_is_no_class_is_refused(
        self, home: Path, tmp_path: Path, label: str
    ) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        result = run(
            "correct", tmp_path / "1.png", "--label", label, "--no-wait", error=MedloopError
        )
        assert "give one of AbdomenCT, BreastMRI, CXR, ChestCT, Hand, HeadCT, or none" in str(
            result.exception
        )
        assert Outbox(home / OUTBOX_FILE).status().pending == 0

    def test_without_a_model_the_data_set_knows_the_classes(
        self, home: Path, tmp_path: Path
    ) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        (home / "models" / "champion.json").unlink()
        run("correct", tmp_path / "1.png", "--label", "Hand", "--no-wait")
        run("correct", tmp_path / "1.png", "--label", "Knee", "--no-wait", error=MedloopError)

    def test_a_picture_that_may_name_a_patient_needs_a_person(
        self, home: Path, tmp_path: Path
    ) -> None:
        unpacked(tmp_path, {"1.dcm": dicom(photo(), BurnedInAnnotation="YES")})
        result = run(
            "correct", tmp_path / "1.dcm", "--label", "Hand", "--no-wait", error=MedloopError
        )
        assert "add --yes" in str(result.exception)
        assert "names no patient" in result.stderr
        run("correct", tmp_path / "1.dcm", "--label", "Hand", "--no-wait", "--yes")
        assert Outbox(home / OUTBOX_FILE).status().pending == 1

    @pytest.mark.parametrize(("data", "error"), [(b"%PDF-1.7", DecodeError), (None, NotFoundError)])
    def test_what_is_no_image_is_refused(
        self, home: Path, tmp_path: Path, data: bytes | None, error: type[Exception]
    ) -> None:
        if data is not None:
            unpacked(tmp_path, {"1.png": data})
        run("correct", tmp_path / "1.png", "--label", "Hand", error=error)

    @pytest.mark.parametrize(
        ("said", "label"),
        [
            ("hand", "Hand"),
            ("chest x-ray", "CXR"),
            ("Abdomen CT", "AbdomenCT"),
            ("None", None),
            ("none of these", None),
        ],
    )
    def test_a_class_is_found_as_people_write_it(
        self, home: Path, tmp_path: Path, said: str, label: str | None
    ) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        run("correct", tmp_path / "1.png", "--label", said, "--no-wait")
        assert given(home) == [label]

    def test_a_misspelt_class_is_told_with_the_closest(self, home: Path, tmp_path: Path) -> None:
        unpacked(tmp_path, {"1.png": PNG})
        command = ("correct", tmp_path / "1.png", "--label", "Hnad")
        assert "did you mean 'Hand'?" in str(run(*command, error=MedloopError).exception)


def given(home: Path) -> list[str | None]:
    """The labels of what waits, in the order in which it was said."""
    return [event.given_label for event in Outbox(home / OUTBOX_FILE).unsent()]  # type: ignore[union-attr]


class TestMany:
    """Without any server: each is on disk all the same."""

    def test_a_folder_gets_one_label(self, home: Path, tmp_path: Path) -> None:
        folder = unpacked(tmp_path / "in", {f"{i}.png": encoded(i) for i in range(5)})
        (folder / "manifest.csv").write_text("a,b\n")
        result = run("correct", folder, "--label", "Hand", "--no-wait")
        assert given(home) == ["Hand"] * 5
        assert "5 images corrected: Hand 5." in result.stdout

    @pytest.mark.parametrize("packed", [True, False])
    def test_class_folders_name_the_classes(self, home: Path, tmp_path: Path, packed: bool) -> None:
        files = {
            "Hand/1.png": encoded(1),
            "chest x-ray/2.png": encoded(2),
            "none/3.png": encoded(3),
        }
        inside = {f"sorted/{name}": data for name, data in files.items()}
        path = zipped(tmp_path / "a.zip", inside) if packed else unpacked(tmp_path / "in", inside)
        run("correct", path, "--no-wait")
        assert given(home) == ["Hand", "CXR", None]

    def test_a_table_is_done_but_for_its_bad_rows(self, home: Path, tmp_path: Path) -> None:
        folder = unpacked(
            tmp_path,
            {"1.png": encoded(1), "2.png": b"rubbish", "3.png": encoded(3), "4.png": encoded(4)},
        )
        rows = [("1", "Hand", "small"), ("2", "Hand", ""), ("3", "Hnad", ""), ("9", "Hand", "")]
        table = folder / "labels.csv"
        with table.open("w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows(
                [
                    ("path", "label", "note"),
                    *((folder / f"{name}.png", label, note) for name, label, note in rows),
                    (folder / "4.png", "CXR", ""),
                ]
            )
        result = run("correct", "--from", table, "--no-wait", "--json", exit_code=1)
        done = json.loads(result.stdout)
        assert (done["saved"], done["stored"], given(home)) == (2, 0, ["Hand", "CXR"])
        assert [(row["line"], Path(row["path"]).name) for row in done["failed"]] == [
            (3, "2.png"),
            (4, "3.png"),
            (5, "9.png"),
        ]
        assert "did you mean 'Hand'?" in done["failed"][1]["error"]
        told = run("correct", "--from", table, "--no-wait", exit_code=1)
        assert "line 4, " in told.stderr
        assert "3 not corrected" in told.stdout

    def test_a_list_of_paths_and_a_table_come_in_on_stdin(self, home: Path, tmp_path: Path) -> None:
        folder = unpacked(tmp_path, {"1.png": encoded(1), "2.png": encoded(2)})
        run("correct", "-", "--label", "CXR", "--no-wait", text=f"{folder}/2.png\n{folder}/1.png\n")
        run("correct", "--from", "-", "--no-wait", text=f"path,label\n{folder}/1.png,Hand\n")
        assert given(home) == ["CXR", "CXR", "Hand"]

    def test_what_may_name_a_patient_is_left_out_by_itself(
        self, home: Path, tmp_path: Path
    ) -> None:
        folder = unpacked(
            tmp_path / "in",
            {"1.dcm": dicom(photo(), BurnedInAnnotation="YES"), "2.png": encoded(2)},
        )
        result = run("correct", folder, "--label", "Hand", "--no-wait", exit_code=1)
        assert "1.dcm: Nothing is stored: look at the picture, and add --yes" in result.stderr
        assert given(home) == ["Hand"]

    @pytest.mark.parametrize(
        "arguments", [[], ["a.png", "--from", "b.csv"], ["--from", "nowhere.csv"]]
    )
    def test_a_call_without_sense_is_refused(self, home: Path, arguments: list[str]) -> None:
        run("correct", *arguments, error=MedloopError)

    def test_a_table_without_the_columns_is_refused(self, home: Path, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("file,class\n")
        result = run("correct", "--from", tmp_path / "a.csv", error=MedloopError)
        assert "columns path and label, found: file, class" in str(result.exception)
