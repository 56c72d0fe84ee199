"""The pipelines, by name. Which stages one has, and in what order, stands in its own file."""

from collections.abc import Callable, Iterator, Sequence
from inspect import getdoc
from typing import Any

from schemas.topics import DEAD, MATCHED
from workers.pipeline import Pipeline
from workers.pipelines import events, quarantine
from workers.resources import Resources

PIPELINES: dict[str, Callable[[Resources], Pipeline[Any]]] = {
    "events": events.events_pipeline,
    "quarantine": quarantine.quarantine_pipeline,
}


def describe() -> Sequence[str]:
    """Return the lines of `penstock stages`: what each pipeline reads, does in order, and writes."""
    return [
        *_lines(
            "events",
            events.READS,
            events.read_event,
            events.STAGES,
            "events; customer_patches; outcomes; batches",
        ),
        f"  {'match':<10} What automation filters want of a stored event goes to {MATCHED}.",
        "",
        *_lines(
            "quarantine", quarantine.READS, quarantine.read_letter, quarantine.STAGES, "quarantine; batches"
        ),
        "",
        f"webhooks: reads {MATCHED}",
        f"  {'enter':<10} Each match once into the registry's table `deliveries`, if its filter has a URL.",
        f"  {'send':<10} What is due, signed, with retries, until it is delivered or dead.",
    ]


def _lines(
    name: str, reads: Sequence[str], decode: object, stages: Sequence[type], tables: str
) -> Iterator[str]:
    yield f"{name}: reads {' and '.join(reads)}"
    yield f"  {'decode':<10} {_about(decode)}"
    for stage in stages:
        yield f"  {stage.name:<10} {_about(stage)}"  # type: ignore[attr-defined]
    yield f"  {'write':<10} One row each, exactly once: {tables}. What becomes no row goes to {DEAD}."


def _about(documented: object) -> str:
    return (getdoc(documented) or "").partition("\n")[0].partition(" Raises")[0]
