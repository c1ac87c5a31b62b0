"""Downloads: a row a file, safe in a spreadsheet, with the person's answer."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import pytest
from tests.app.models import picture
from tests.app.test_workbench import bench_with, source

from medloop.app.classify.downloads import as_csv, as_json, as_zip
from medloop.app.kit import actions
from medloop.app.kit.access import local_user
from medloop.app.kit.workbench import Source
from medloop.core.imaging.decode import encode_png


@pytest.fixture
def bench():
    evil = Source("evil", '=HYPERLINK("http://x")', encode_png(picture(50)))
    return bench_with(evil, source("a", 120), Source("bad", "notes.txt", b"hello"))


def test_csv_has_a_row_for_each_file_and_runs_no_formula(bench):
    rows = list(csv.DictReader(io.StringIO(as_csv(bench).decode())))
    assert [row["status"] for row in rows] == ["ok", "ok", "error"]
    evil = next(row for row in rows if row["label"] == "CXR")
    assert evil["path"].startswith("'=")
    assert float(evil["p(CXR)"]) > 0.9
    assert rows[2]["error"]


def test_json_is_one_list_with_the_fields_of_the_command_line(bench):
    *_, last = records = json.loads(as_json(bench))
    assert {record["verdict"] for record in records[:2]} == {"confident"}
    assert set(records[0]["probabilities"]) == {"CXR", "ChestCT", "Hand"}
    assert (last["path"], last["status"], last["label"]) == ("notes.txt", "error", None)


def test_the_answer_of_the_person_comes_along(site, bench):
    user = local_user("ada")
    actions.answer_all(site.backend, bench, {"a": None}, user=user)
    for row in (
        next(csv_row(bench, "a.png")),
        next(record for record in json.loads(as_json(bench)) if record["path"] == "a.png"),
    ):
        assert (row["final_label"], row["answered_by"]) == ("none of these", "ada")
        assert row["answered_at"].startswith("20")
        assert row["model_version"] == "1"
    assert not next(csv_row(bench, '\'=HYPERLINK("http://x")'))["final_label"]


def csv_row(bench, path: str):
    rows = csv.DictReader(io.StringIO(as_csv(bench).decode()))
    return (row for row in rows if row["path"] == path)


def test_the_zip_has_a_folder_per_answer_and_no_name_leads_out_of_it(site):
    files = {"up": "../../up.png", "twin": "elsewhere/up.png", "odd": "odd.png"}
    bench = bench_with(
        *(
            Source(id_, name, encode_png(picture(50, seed=n)))
            for n, (id_, name) in enumerate(files.items())
        ),
        source("strange", 255),
    )
    actions.answer_all(site.backend, bench, {"odd": "Hand"}, user=local_user("ada"))
    archive = zipfile.ZipFile(io.BytesIO(as_zip(bench)))
    assert sorted(archive.namelist()) == [
        "CXR/up-2.png", "CXR/up.png", "Hand/odd.png", "unknown/strange.png",
    ]  # fmt: skip
    assert archive.read("Hand/odd.png") == bench.pictures["odd"].source.read()


def test_an_empty_page_gives_the_header_alone():
    assert len(as_csv(bench_with()).decode().splitlines()) == 1
    assert json.loads(as_json(bench_with())) == []
