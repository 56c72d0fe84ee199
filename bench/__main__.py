"""`make bench`: runs the sections one after another; one table, one JSON file, charts, and the page."""

import argparse
import os
import sys
import time
from importlib import import_module
from pathlib import Path

import msgspec

from bench import pages
from bench.machine import describe
from bench.programs import build
from bench.report import Run, Section, markdown
from bench.use import Use
from deploy.dev.server import ServerFailed

SECTIONS = ("gateway", "stages", "worker", "freshness", "catchup", "growth")


def main() -> int:
    """Read the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sections", default=",".join(SECTIONS), help="by comma")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the outage in `catchup`")
    parser.add_argument("--server", choices=("hypercorn", "granian"), default="granian")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--var", type=Path, default=Path("var/bench"))
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md and its charts")
    parser.add_argument("--from", dest="source", type=Path, help="write the page from this file; run nothing")
    options = parser.parse_args()
    if options.source:
        pages.write(msgspec.json.decode(options.source.read_bytes(), type=Run))
        return 0
    names = options.sections.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    try:
        made = run(options, names)
    except ServerFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    path = save(made, options.var)
    if options.write_docs:
        pages.write(made)
    print(f"bench: {path}")
    return 0


def run(options: argparse.Namespace, names: list[str]) -> Run:
    """Run the sections named, and print each one's tables when it is done. Raises ServerFailed."""
    use = Use(
        load=build("load"),
        peer=build("peer"),
        full=options.scale == "full",
        minutes=options.minutes,
        server=options.server,
        processes=options.processes,
        say=_progress,
    )
    machine = describe()
    sections: list[Section] = []
    for number, name in enumerate(names, 1):
        _progress(f"section {number}/{len(names)}: {name}")
        section: Section = import_module(f"bench.sections.{name}").run(use)
        print(f"\n## {section.title}\n")
        print("\n\n".join([*map(markdown, section.tables), *section.notes]), flush=True)
        sections.append(section)
    return Run(f"make bench SCALE={options.scale} SECTIONS={','.join(names)}", machine, sections)


def save(made: Run, directory: Path) -> Path:
    """Write the run where later ones do not overwrite it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{time.strftime('%Y-%m-%d-%H%M%S')}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    return path


def _progress(line: str) -> None:
    print(f"bench {time.strftime('%H:%M:%S')}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
