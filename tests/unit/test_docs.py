"""The Markdown pages: links and named source files exist, and prose wraps at 100 columns."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = (
    "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md",
    "benchmarks/RESULTS.md",
)  # fmt: skip
PAGES = sorted([*(ROOT / name for name in TOP), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if page != ROOT / "docs/cli.md"]  # that one is generated
COLUMNS = 100
FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
SOURCE = re.compile(r"`([\w./-]+/[\w-]+\.py)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def without_code(text: str) -> str:
    """Blank out fenced code, and keep the number of lines."""
    return FENCE.sub(lambda fence: "\n" * fence[0].count("\n"), text)


def anchors(text: str) -> set[str]:
    """Name the headings as GitHub does; a repeated name gets a number."""
    found: set[str] = set()
    for heading in HEADING.findall(without_code(text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


def broken_links(page: Path) -> list[str]:
    """List the relative links of a page without a file or heading at their end."""
    broken = []
    for target in LINK.findall(CODE.sub("", without_code(page.read_text()))):
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        if "://" in target or target.startswith("mailto:"):
            continue
        if not there.exists() or (
            anchor and there.suffix == ".md" and anchor not in anchors(there.read_text())
        ):
            broken.append(target)
    return broken


def long_lines(text: str) -> list[int]:
    """Number the lines of prose beyond 100 columns, but no table and nothing that cannot break."""
    return [
        number
        for number, line in enumerate(without_code(text).splitlines(), start=1)
        if len(line) > COLUMNS
        and not line.lstrip().startswith(("|", "!["))
        and " " in re.sub(r"^\s*(?:[-*]|\d+\.)?\s*", "", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: Path):
    assert broken_links(page) == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_prose_wraps(page: Path):
    assert long_lines(page.read_text()) == []


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_files_that_are_named_exist(page: Path):
    homes = (ROOT, ROOT / "src", ROOT / "src/medloop")
    named = SOURCE.findall(without_code(page.read_text()))
    assert [name for name in named if not any((home / name).exists() for home in homes)] == []


def test_a_link_to_nothing_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# `One` heading, twice\n# One heading twice\n```\n# no heading\n[code](nowhere)\n```\n"
        "[a](#one-heading-twice) [b](#one-heading-twice-1) [c](#no-heading) [d](gone.md)\n"
        "[e](page.md#one-heading-twice) [f](page.md#else) [g](https://example.org/x) `[h](x)`\n"
    )
    assert broken_links(page) == ["#no-heading", "gone.md", "page.md#else"]


def test_only_prose_beyond_the_column_is_too_long():
    words, link = "word " * 30, f"- [a]({'x' * 120})"
    assert long_lines(f"{words}\n\n```\n{words}\n```\n| {words} |\n{link}\n![{words}](x)\n") == [1]
    assert long_lines(f"- {words}\n{'word ' * 19}word\n{'word ' * 20}word") == [1, 3]
