"""One line instead of thousands."""

import logging

from bus.kafka.quiet import OncePerPause, quieten


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka", logging.ERROR, "f", 1, message, args, None)


def test_the_same_text_is_logged_once() -> None:
    once = OncePerPause(pause_s=60)
    assert once.filter(record("cannot connect to %s", "a"))
    assert not once.filter(record("cannot connect to %s", "b"))
    assert once.filter(record("something else"))


def test_it_is_logged_again_after_the_pause() -> None:
    once = OncePerPause(pause_s=0)
    assert once.filter(record("cannot connect"))
    assert once.filter(record("cannot connect"))


def test_it_is_applied_once() -> None:
    quieten()
    quieten()
    filters = logging.getLogger("bus.kafka.producer").filters
    assert sum(isinstance(present, OncePerPause) for present in filters) == 1
