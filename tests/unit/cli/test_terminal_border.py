"""Whatever others named their files, classes and themselves: nothing of it acts on a terminal."""

from __future__ import annotations

import ast
import csv
import io
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from tests.app.registry import MemoryRegistry
from tests.corrections_world import World, decoded
from tests.events import image
from tests.hostile_names import HOSTILE, NASTY, STEERING
from tests.small_sets import encoded, unpacked
from typer.testing import CliRunner

import medloop.cli
from medloop.cli import build_app
from medloop.cli.terminal import progress_bar, say, show_table, warn
from medloop.core.class_names import check_class_name
from medloop.core.gate.model_card import Origin, model_card
from medloop.core.prediction.answer_formats import Format, writer
from medloop.core.printable import FORMULA, PrintableFormatter, markdown, printable
from medloop.jobs.correct import correct
from medloop.jobs.promote import promote
from medloop.jobs.snapshot import snapshot
from medloop.serving import Answer
from medloop.stores.acceptance_sets import Declaration
from medloop.stores.lease import Lease
from medloop.stores.objects import ObjectStore

WIDE = {"COLUMNS": "4000"}


def can_be_a_label(name: str) -> bool:
    try:
        return bool(check_class_name(name))
    except ValueError:
        return False


def assert_harmless(shown: str) -> None:
    assert {char for char in shown if not char.isprintable()} <= {"\n"}


@pytest.mark.parametrize("name", NASTY)
def test_lines_tables_and_progress_show_a_name_as_it_is_spelt(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "4000")
    say(name)
    warn(name)
    show_table(("A", "B"), [(name, "x")], title=name)
    with progress_bar() as report:
        report(0.5, name)
    shown = capsys.readouterr()
    assert_harmless(shown.out + shown.err)
    assert shown.out.count(printable(name)) == 3


def test_a_row_stays_on_one_line_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    show_table(("A", "B"), [("a" * 150, "b" * 150)])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "aaa" in line]
    assert row.split() == ["a" * 150, "b" * 150]


def test_commands_print_through_the_border_alone() -> None:
    """Beside it only JSON, which escapes by itself, and constants."""
    folder = Path(medloop.cli.__file__).parent
    for path in sorted(folder.glob("*.py")):
        if path.name == "terminal.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in {"print", "typer.secho", "console.print", "Console"}, path.name
            if called == "typer.echo":
                said = ast.unparse(node.args[0])
                assert said.startswith(("json.dumps(", "found.to_json(", 'f"medloop {version(')), (
                    said
                )


def test_data_commands_print_class_folders_harmlessly(tmp_path: Path) -> None:
    names = [name.replace("/", "∕") for name in NASTY if can_be_a_label(name)]
    folders = [f"{name}/{i}.png" for name in names for i in range(3)]
    folder = unpacked(
        tmp_path / "[red]\x1b[2Jset", {path: encoded(i) for i, path in enumerate(folders)}
    )
    (folder / names[0] / "\x1b[2J.png").write_bytes(b"rubbish")
    for arguments in (["import", str(folder)], ["list"]):
        result = CliRunner().invoke(build_app(), ["data", *arguments], env=WIDE)
        assert result.exit_code == 0, (result.output, result.exception)
        assert_harmless(result.stdout + result.stderr)
        dataset_id = result.stdout.strip() if arguments[0] == "import" else ""
        if dataset_id:
            shown = CliRunner().invoke(build_app(), ["data", "info", dataset_id], env=WIDE)
            assert_harmless(shown.stdout + shown.stderr)
            assert printable(names[0]) in shown.stdout


@pytest.mark.parametrize("name", [name for name in NASTY if not can_be_a_label(name)])
def test_a_class_folder_that_nobody_could_name_is_refused(name: str, tmp_path: Path) -> None:
    folder = unpacked(tmp_path / "set", {"Hand/1.png": encoded(1), f"{name}/2.png": encoded(2)})
    result = CliRunner().invoke(build_app(), ["data", "import", str(folder)], env=WIDE)
    assert result.exit_code == 1
    assert "holds characters that nobody sees" in str(result.exception)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Somebody's names for everything, in every store."""
    objects, registry = ObjectStore.in_memory(), MemoryRegistry()
    world = World(objects, tmp_path / "home", registry=registry, review="all", user="rev")
    lease = Lease(objects, "leases/promotion.json", now=lambda: world.now)
    world.context = replace(world.context, promotion_lease=lease)
    registry.add(b"")
    registry.add(b"")
    monkeypatch.setattr("medloop.wiring.connect", lambda *_: world.context)
    for seed, name in enumerate(STEERING):
        correct(
            world.context,
            image=decoded(image(seed)),
            given_label=name if can_be_a_label(name) else "Hand",
            prediction=None,
            model_version="1",
            who=name if can_be_a_label(name) else "ada",
            note=name,
        )
        promote(world.context, version=str(1 + seed % 2), by=name, reason=f"{name}.", force=True)
        said = Declaration(str(seed), name, f"set-{seed}", "x" * 16, 0.9, 1, name)
        world.context.acceptance_sets.declare(said, None)
    world.context.sender.send_once()
    snapshot(world.context)
    return world


@pytest.mark.parametrize(
    "command",
    ["review list", "review people", "history", "acceptance list", "models", "outbox", "snapshot"],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_tables_of_what_others_said_are_harmless(
    world: World, command: str, form: list[str]
) -> None:
    result = CliRunner().invoke(build_app(), [*command.split(), *form], env=WIDE)
    assert result.exit_code == 0, (result.output, result.exception)
    assert_harmless(result.stdout + result.stderr)


@pytest.mark.parametrize("form", list(Format))
def test_answers_of_every_format_are_harmless(form: Format) -> None:
    buffer = io.StringIO(newline="")
    write = writer(form, buffer, labels=NASTY, model_version="1")
    for name in NASTY:
        write(Answer(name, None, name))
    text = buffer.getvalue()
    assert_harmless(text)
    if form is Format.CSV:
        assert not any(
            cell.startswith(FORMULA) for row in csv.reader(io.StringIO(text)) for cell in row
        )
    if form is Format.JSONL:
        assert [json.loads(line)["path"] for line in text.splitlines()] == list(NASTY)


def test_a_model_card_shows_labels_as_text() -> None:
    origin = Origin("m", NASTY, "b", 1, "", {}, None, "", {}, 1.0)
    card = model_card(origin)
    assert_harmless(card)
    for name in NASTY:
        assert markdown(name) in card
    assert "![x](" not in card
    assert "<img" not in card
    assert all(markdown(name).count("\n") == 0 for name in HOSTILE)


@pytest.mark.parametrize("name", NASTY)
def test_log_lines_show_a_name_as_it_is_spelt(name: str) -> None:
    record = logging.LogRecord("medloop", logging.WARNING, "", 0, "by %s", (name,), None)
    assert PrintableFormatter().format(record) == f"WARNING medloop: by {printable(name)}"
