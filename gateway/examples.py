"""The dialects' own examples, as far as they show a documentation what to send."""

from collections.abc import Iterator
from importlib import resources
from typing import Any

import msgspec
from msgspec import Struct
from starlette.routing import compile_path

from dialects.base import Dialect, Endpoint

EXAMPLES_MAX = 4
_FROM_SOURCE = "source_"


class Sent(Struct):
    """The request of an example; only those with a body in JSON are shown."""

    path: str
    body: Any = None


class Expected(Struct):
    """What comes of it."""

    status: int
    body: Any = None


class Example(Struct):
    """One file."""

    about: str
    request: Sent
    expected: Expected


def examples_of(dialect: Dialect, endpoint: Endpoint) -> list[tuple[str, Example]]:
    """Return a few requests to an endpoint that are taken, by name; the protocol's own samples first."""
    is_path = compile_path(endpoint.path)[0].match
    found = [
        (name, example)
        for name, example in _read(dialect.name)
        if example.request.body is not None
        and example.expected.status < 300
        and is_path(example.request.path)
    ]
    found.sort(key=lambda pair: (not pair[0].startswith(_FROM_SOURCE), pair[0]))
    return found[:EXAMPLES_MAX]


def _read(dialect: str) -> Iterator[tuple[str, Example]]:
    folder = resources.files("dialects") / dialect / "examples"
    if folder.is_dir():
        for file in folder.iterdir():
            if file.name.endswith(".json"):
                yield file.name.removesuffix(".json"), msgspec.json.decode(file.read_bytes(), type=Example)
