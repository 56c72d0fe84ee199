"""The protocols producers speak, found by looking: every folder here that declares a DIALECT."""

import importlib
import pkgutil
from functools import cache

from dialects.base import Dialect, Endpoint


@cache
def discover() -> tuple[Dialect, ...]:
    """Return all dialects, by name. Raises AssertionError for a declaration that contradicts itself."""
    found = [
        importlib.import_module(f"dialects.{module.name}").DIALECT
        for module in pkgutil.iter_modules(__path__)
        if module.ispkg
    ]
    return tuple(sorted(found, key=lambda dialect: dialect.name))


@cache
def endpoint(dialect: str, name: str) -> Endpoint | None:
    """Return the endpoint that an envelope names, or None."""
    for candidate in discover():
        if candidate.name == dialect:
            return next((e for e in candidate.endpoints if e.name == name), None)
    return None
