"""What every long-running process has in common: its logs, its event loop, its parent."""

import gc
import logging
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import uvloop

from deploy.dev.parent import watch_parent
from schemas.settings import Settings


class JsonLines(logging.Formatter):
    """One JSON object a line, so that nothing a producer sends can forge a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Render time (RFC 3339), level, logger, message and, if there is one, the traceback."""
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def run(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    """Run one process to its end."""
    watch_parent()
    log_to_stderr(settings)
    uvloop.run(work)


def log_to_stderr(settings: Settings) -> None:
    """Send all logs, the libraries' too, to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)


def settle() -> None:
    """Have the garbage collector look at little, and seldom.

    What start-up made lives until the end, and hardly anything that comes later is part of a cycle: the
    collector's own threshold of 700 objects is for programs where much is (docs/decisions/0153).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
