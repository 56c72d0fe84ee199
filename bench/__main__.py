"""`make bench`: runs the sections one after another; one table, one JSON file, charts, and the page."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import msgspec

from bench import pages
from bench.machine import describe
from bench.processes import end_on_sigterm
from bench.programs import build
from bench.report import Run, Section, markdown
from bench.sides import BEST_SERVER, SERVERS
from bench.use import Use

SECTIONS = ("gateway", "stages", "worker", "freshness", "catchup", "growth")
GROWN = ("events", "partitions", "tenants", "rows")


def main() -> int:
    """Read the command line, run, and return the exit status."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--sections", default=",".join(SECTIONS), help="by comma")
    parser.add_argument("--scale", choices=("full", "small"), default="full")
    parser.add_argument("--grow", default=",".join(GROWN), help="what varies in `growth`, by comma")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the outage in `catchup`")
    parser.add_argument("--server", choices=SERVERS, default=BEST_SERVER)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--var", type=Path, default=Path("var/bench"))
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md and its charts")
    parser.add_argument(
        "--from", dest="sources", type=Path, nargs="+", help="write the page from these files; run nothing"
    )
    options = parser.parse_args()
    if options.sources:
        pages.write([msgspec.json.decode(path.read_bytes(), type=Run) for path in options.sources])
        return 0
    names, grow = options.sections.split(","), options.grow.split(",")
    for given, known, word in ((names, SECTIONS, "section"), (grow, GROWN, "growth by")):
        if unknown := set(given) - set(known):
            parser.error(f"there is no {word} {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    end_on_sigterm()
    path = options.var / f"{time.strftime('%Y-%m-%d-%H%M%S')}.json"
    try:
        made = run(options, names, path)
    except RuntimeError as error:  # ServerFailed is one
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.write_docs:
        pages.write([made])
    print(f"bench: {path}")
    return 0


def run(options: argparse.Namespace, names: list[str], path: Path) -> Run:
    """Run the sections named; print each one's tables, and save what there is, when it is done.

    Raises ServerFailed, and RuntimeError where a section could not be measured.
    """
    use = Use(
        load=build("load"),
        peer=build("peer"),
        full=options.scale == "full",
        minutes=options.minutes,
        grow=tuple(options.grow.split(",")),
        server=options.server,
        processes=options.processes,
        say=_progress,
    )
    # Now, not one by one: a run takes long, and the code may change under it.
    steps = [step for name in names for step in _steps(name, use)]
    command = f"make bench SCALE={options.scale} SECTIONS={','.join(names)}"
    made = Run(command, describe(), [])
    for number, (title, step) in enumerate(steps, 1):
        _progress(f"section {number}/{len(steps)}: {title}")
        section = step()
        print(f"\n## {section.title}\n")
        print("\n\n".join([*map(markdown, section.tables), *section.notes]), flush=True)
        made.sections.append(section)
        save(made, path)
    return made


def _steps(name: str, use: Use) -> list[tuple[str, Callable[[], Section]]]:
    """Return what a section takes; growth: a step for each thing that varies, saved by itself."""
    module = import_module(f"bench.sections.{name}")
    if name == "growth":
        return [(f"growth by {each}", partial(module.run, use, each)) for each in use.grow]
    return [(name, partial(module.run, use))]


def save(made: Run, path: Path) -> None:
    """Write the run, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_bytes(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
    unfinished.rename(path)


def _progress(line: str) -> None:
    print(f"bench {time.strftime('%H:%M:%S')}: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
