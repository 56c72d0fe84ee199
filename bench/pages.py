"""Writes docs/performance.md and its charts from the JSON of a run, so that every figure has its source."""

from collections.abc import Sequence
from pathlib import Path

from bench.chart import svg
from bench.report import Machine, Run, Section, Table, markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "performance.md"
CHARTS = DOCS / "performance"
BEGIN = "<!-- from here on written by `make bench-docs`; the text above is kept -->"


def write(runs: Sequence[Run]) -> None:
    """Write the page's generated part, and every chart. Of a section in several runs the last one counts."""
    CHARTS.mkdir(exist_ok=True)
    for section in _newest(runs).values():
        for chart in section.charts:
            (CHARTS / f"{chart.name}.svg").write_text(svg(chart))
    head = PAGE.read_text().partition(BEGIN)[0] if PAGE.exists() else "# Performance\n\n"
    PAGE.write_text(head + BEGIN + "\n\n" + text(runs))


def text(runs: Sequence[Run]) -> str:
    """Return the generated part of the page; the versions are those of the last run."""
    heading = "## The run" if len(runs) == 1 else "## The runs"
    shown = list(_newest(runs).values())
    taken = [_taken(run, [section.name for section in run.sections if section in shown]) for run in runs]
    return "\n\n".join([heading, *taken, _machine(runs[-1].machine), *map(_section, shown)]) + "\n"


def _newest(runs: Sequence[Run]) -> dict[str, Section]:
    return {section.name: section for run in runs for section in run.sections}


def _taken(run: Run, shown: Sequence[str]) -> str:
    """Say how a run was made, and which sections of it are on the page."""
    m = run.machine
    alone = (
        "the machine was otherwise idle" if m.load_average[0] < 1 else "**the machine was shared: not final**"
    )
    return (
        f"{', '.join(shown)}: `{run.command}`, started {m.started}, commit `{m.commit}`. "
        f"Load average at the start {m.load_average[0]:g}: {alone}."
    )


def _machine(m: Machine) -> str:
    versions = Table(["part", "version"], [[name, version] for name, version in m.versions.items()])
    facts = f"{m.cpu}, {m.cores} cores, {m.memory_gb:g} GiB, Linux {m.kernel}."
    return f"{facts}\n\n{markdown(versions)}"


def _section(section: Section) -> str:
    charts = [f"![{chart.title}](performance/{chart.name}.svg)" for chart in section.charts]
    notes = "\n".join(f"- {note}" for note in section.notes)
    return "\n\n".join([f"## {section.title}", *charts, *map(markdown, section.tables), notes])
