"""Following logs, and turning lines and states into what a user is told."""

from __future__ import annotations

from pathlib import Path

from medloop.stack.exit_log import describe_exit, read_ends
from medloop.stack.log_tail import Tail, last_lines


def test_new_lines_come_once_and_whole(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    tail = Tail({"a": log, "missing": tmp_path / "missing.log"})
    with log.open("a") as file:
        file.write("one\ntw")
    assert list(tail.lines()) == [("a", "one")]
    with log.open("a") as file:
        file.write("o\n")
    assert list(tail.lines()) == [("a", "two")]
    assert list(tail.lines()) == []


def test_a_file_that_appears_later_is_read_from_its_start(tmp_path: Path) -> None:
    tail = Tail({"a": tmp_path / "a.log"})
    assert list(tail.lines()) == []
    (tmp_path / "a.log").write_text("first\n")
    assert list(tail.lines()) == [("a", "first")]


def test_rotation_loses_no_line_of_the_new_file(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("old\n")
    tail = Tail({"a": log})
    log.rename(tmp_path / "a.log.1")
    log.write_text("of the new file\n")
    assert list(tail.lines()) == [("a", "of the new file")]


def test_bytes_that_are_no_text_are_shown_somehow(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    tail = Tail({"a": log})
    log.write_bytes(b"\xff\xfe broken\n")
    ((_, line),) = tail.lines()
    assert line.endswith("broken")


def test_the_last_lines_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("1\n2\n3\n")
    assert last_lines(tmp_path / "a.log", 2) == ["2", "3"]
    assert last_lines(tmp_path / "missing.log", 2) == []


def test_ends_are_told_since_the_supervisor_started(tmp_path: Path) -> None:
    (tmp_path / "supervisord.log").write_text(
        "2026-11-23 06:00:00,000 WARN exited: mlflow (exit status 1; not expected)\n"
        "2026-11-23 07:00:00,000 INFO supervisord started with pid 7\n"
        "2026-11-23 07:01:00,000 WARN exited: mlflow (terminated by SIGTERM; not expected)\n"
        "2026-11-23 07:02:00,000 WARN exited: airflow-scheduler (exit status 137; not expected)\n"
        "2026-11-23 07:03:00,000 INFO exited: airflow-migration (exit status 0; expected)\n"
    )
    assert read_ends(tmp_path / "supervisord.log") == [
        ("mlflow", "killed by SIGTERM"),
        ("airflow-scheduler", "killed by SIGKILL"),
    ]
    assert read_ends(tmp_path / "missing.log") == []


def test_an_exit_status_in_words() -> None:
    assert describe_exit(137) == "killed by SIGKILL"
    assert describe_exit(3) == "exit status 3"
    assert describe_exit(250) == "exit status 250"
