"""Downloads: one row a file, safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

from tests.app.models import picture
from tests.app.test_workbench import bench_with

from medloop.app.classify.downloads import download
from medloop.app.kit.workbench import Source
from medloop.core.imaging.decode import encode_png


def test_csv_has_a_row_for_each_file_and_runs_no_formula():
    evil = Source("evil", '=HYPERLINK("http://x")', encode_png(picture(50)))
    bench = bench_with(evil, Source("bad", "notes.txt", b"hello"))
    rows = list(csv.DictReader(io.StringIO(download(bench, "csv").decode())))
    assert [row["status"] for row in rows] == ["ok", "error"]
    assert rows[0]["path"].startswith("'=")
    assert rows[0]["label"] == "CXR"
    assert rows[1]["error"]


def test_json_is_one_list_with_the_fields_of_the_command_line():
    bench = bench_with(
        Source("a", "a.png", encode_png(picture(255))), Source("bad", "notes.txt", b"hello")
    )
    first, second = json.loads(download(bench, "json"))
    assert (first["path"], first["verdict"]) == ("a.png", "unknown")
    assert set(first["probabilities"]) == {"CXR", "ChestCT", "Hand"}
    assert (second["path"], second["status"], second["label"]) == ("notes.txt", "error", None)


def test_an_empty_page_gives_the_header_alone():
    assert len(download(bench_with(), "csv").decode().splitlines()) == 1
    assert json.loads(download(bench_with(), "json")) == []
