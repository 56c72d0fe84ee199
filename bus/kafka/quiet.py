"""Keeps the log from filling: while a broker is away, the same is said ten times a second."""

import logging
import time

PAUSE_S = 30.0
_LOGGERS = (
    "aiokafka",
    "aiokafka.client",
    "aiokafka.cluster",
    "aiokafka.conn",
    "aiokafka.consumer.fetcher",
    "aiokafka.consumer.group_coordinator",
    "bus.kafka.producer",
)


class OncePerPause(logging.Filter):
    """Lets a message through if its text, without what is filled in, was not logged for `pause_s`."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        super().__init__()
        self._pause_s = pause_s
        self._logged_at: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether to log it; there are only as many texts as the code has."""
        text = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._logged_at.get(text, -self._pause_s) < self._pause_s:
            return False
        self._logged_at[text] = now
        return True


def quieten() -> None:
    """Apply it to every logger that repeats itself. May be called again."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(present, OncePerPause) for present in logger.filters):
            logger.addFilter(OncePerPause())
