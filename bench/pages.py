"""Writes docs/performance.md and its charts from the JSON of a run, so that every figure has its source."""

from pathlib import Path

from bench.chart import svg
from bench.report import Run, Section, Table, markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
CHARTS = DOCS / "performance"
BEGIN = "<!-- from here on written by `make bench-docs`; the text above is kept -->"


def write(run: Run) -> None:
    """Write the page's generated part, and every chart."""
    CHARTS.mkdir(exist_ok=True)
    for section in run.sections:
        for chart in section.charts:
            (CHARTS / f"{chart.name}.svg").write_text(svg(chart))
    head = PAGE.read_text().partition(BEGIN)[0] if PAGE.exists() else "# Performance\n\n"
    PAGE.write_text(head + BEGIN + "\n\n" + text(run))


def text(run: Run) -> str:
    """Return the generated part of the page."""
    parts = ["## The run", _machine(run), *(_section(section) for section in run.sections)]
    return "\n\n".join(parts) + "\n"


def _machine(run: Run) -> str:
    m = run.machine
    alone = (
        "the machine was otherwise idle" if m.load_average[0] < 1 else "**the machine was shared: not final**"
    )
    facts = [
        f"`{run.command}`, started {m.started}, commit `{m.commit}`.",
        f"{m.cpu}, {m.cores} cores, {m.memory_gb:g} GiB, Linux {m.kernel}. "
        f"Load average at the start {m.load_average[0]:g}: {alone}.",
    ]
    versions = Table(["part", "version"], [[name, version] for name, version in m.versions.items()])
    return "\n\n".join([*facts, markdown(versions)])


def _section(section: Section) -> str:
    charts = [f"![{chart.title}](performance/{chart.name}.svg)" for chart in section.charts]
    notes = "\n".join(f"- {note}" for note in section.notes)
    return "\n\n".join([f"## {section.title}", *charts, *map(markdown, section.tables), notes])
