"""What a section of the bench hands back: figures for machines, tables and charts for people."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from bench.spread import Spread

Cell = str | int | float


class Table(Struct, frozen=True):
    """A table; every row has as many cells as there are columns."""

    columns: list[str]
    rows: list[list[Cell]]
    title: str = ""


class Chart(Struct, frozen=True):
    """Lines over a logarithmic x axis: `lines` by name, each a list of points."""

    name: str
    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]]


class Section(Struct, frozen=True):
    """One section's result. `notes` say how it was measured and what bounds the figures."""

    name: str
    title: str
    figures: dict[str, Any]
    tables: list[Table] = []
    charts: list[Chart] = []
    notes: list[str] = []


class Machine(Struct, frozen=True):
    """Where and when a run was made; `load_average` before and after it tells whether it was alone."""

    started: str
    cpu: str
    cores: int
    memory_gb: float
    kernel: str
    versions: dict[str, str]
    commit: str
    load_average: list[float]


class Run(Struct, frozen=True):
    """All of one `make bench`."""

    command: str
    machine: Machine
    sections: list[Section]


def number(value: float) -> str:
    """Write a figure with three significant digits or more, thousands set off."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def spread(values: Spread) -> str:
    """Write median and, in parentheses, minimum and maximum."""
    return f"{number(values.median)} ({number(values.min)}–{number(values.max)})"


def markdown(table: Table) -> str:
    """Write a table as Markdown, its columns padded so that it reads in a terminal too."""
    cells = [table.columns, *([_text(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(table.columns))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, _line(["-" * width for width in widths], widths))
    return "\n".join([f"**{table.title}**\n", *lines] if table.title else lines)


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else number(cell) if isinstance(cell, float) else f"{cell:,}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
