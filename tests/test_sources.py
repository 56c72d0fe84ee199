"""docs/sources.md says what shows each promise of the four sources: all that it names exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import dialects

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/sources.md").read_text()
SECTIONS = ("relo", "alana", "redo", "tracker")
NOT_OURS = "Not ours to show"


def sections() -> dict[str, list[list[str]]]:
    """The cells of the rows of each section's table."""
    found: dict[str, list[list[str]]] = {}
    for section in PAGE.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        rows = [line for line in text.splitlines() if line.startswith("| ")]
        found[title] = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]
    return found


def references() -> list[str]:
    shown = [cells[1] for title, rows in sections().items() if title != NOT_OURS for cells in rows]
    return sorted({name for cell in shown for name in re.findall(r"`([^`]+)`", cell)})


@cache
def functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_dialect_has_its_table() -> None:
    assert [*sections()] == [*SECTIONS, NOT_OURS]
    assert {dialect.name for dialect in dialects.discover()} == set(SECTIONS)


@pytest.mark.parametrize("title", [*SECTIONS, NOT_OURS])
def test_every_row_says_what_shows_it(title: str) -> None:
    rows = sections()[title]
    assert len(rows) > 5
    assert [cells for cells in rows if len(cells) != 2 or not all(cells)] == []
    said = [cells[0] for cells in rows]
    assert len(said) == len(set(said))
    if title != NOT_OURS:
        assert [cells[0] for cells in rows if "`" not in cells[1]] == []


def test_all_that_is_named_exists() -> None:
    assert [name for name in references() if not exists(name)] == []


def exists(name: str) -> bool:
    path, is_test, function = name.partition("::")
    if not is_test:
        return bool(re.fullmatch(r"dialects/\w+/examples/\w+\.json", path)) and (ROOT / path).is_file()
    file = ROOT / path
    is_file = path.startswith("tests/") and file.is_file()
    return is_file and function.startswith("test_") and function in functions(file)


def test_every_sample_of_a_source_is_named() -> None:
    samples = {str(path.relative_to(ROOT)) for path in ROOT.glob("dialects/*/examples/source_*.json")}
    assert len(samples) > 10
    assert samples - set(references()) == set()


def test_a_dialect_s_rows_name_no_other_dialect_s_examples() -> None:
    for title in SECTIONS:
        named = {
            example
            for cells in sections()[title]
            for example in re.findall(r"`dialects/(\w+)/examples", cells[1])
        }
        assert named == {title}


@pytest.mark.parametrize(
    "wrong",
    [
        "tests/test_sources.py::test_that_is_not_there",
        "tests/no_such_file.py::test_x",
        "tests/test_sources.py::exists",
        "dialects/redo/examples/none.json",
        "README.md",
    ],
)
def test_what_does_not_exist_is_noticed(wrong: str) -> None:
    assert not exists(wrong)
