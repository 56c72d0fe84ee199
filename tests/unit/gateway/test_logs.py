"""What is written down: not too much, no secrets, one line each."""

import io
import logging

import pytest

from gateway import logs
from gateway.errors import BUSY, INVALID_EVENT, NOT_FOUND
from gateway.logs import LINES_MAX, RefusalLog, mask, mask_everywhere
from gateway.request import Request

SCOPE = {"type": "http", "method": "POST", "path": "/p", "query_string": b"key=ak_secret", "headers": []}


def request() -> Request:
    return Request(dict(SCOPE), None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("GET /api/v1/events?key=ak_1 HTTP/1.1", "GET /api/v1/events?key=*** HTTP/1.1"),
        ("/p?a=1&key=ak_1&b=2", "/p?a=1&key=***&b=2"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("x-api-key: ak_1", "x-api-key: ***"),
        ("{'x-api-key':'a'} monkey=1", "{'x-api-key':'a'} monkey=1"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_masks(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_every_handler_masks() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logging.getLogger().addHandler(handler)
    try:
        mask_everywhere()
        mask_everywhere()
        assert sum(isinstance(f, logs.MaskSecrets) for f in handler.filters) == 1
        logging.getLogger("hypercorn.error").error("failed: %s", "/p?key=ak_secret")
    finally:
        logging.getLogger().removeHandler(handler)
    assert out.getvalue() == "failed: /p?key=***\n"


def test_a_refusal_says_who_and_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sent = request()
    sent.endpoint, sent.ip = "relo.batch", "192.0.2.1"
    RefusalLog().write(NOT_FOUND.refuse(), sent)
    (record,) = caplog.records
    line = f"refused relo.batch: not_found (404) request={sent.id} ip=192.0.2.1"
    assert record.getMessage() == line
    assert "ak_secret" not in caplog.text


def test_of_one_kind_ten_lines_a_second_are_written(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(logs, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO)
    written = RefusalLog()
    for _ in range(LINES_MAX + 7):
        written.write(NOT_FOUND.refuse(), request())
    written.write(BUSY.refuse(), request())
    assert len(caplog.records) == LINES_MAX + 1
    now[0] += 1
    written.write(NOT_FOUND.refuse(), request())
    assert "7 more like it were not written" in caplog.records[-1].getMessage()
    now[0] += 1
    written.write(NOT_FOUND.refuse(), request())
    assert "more like it" not in caplog.records[-1].getMessage()


def test_the_level_is_the_reasons(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    RefusalLog().write(INVALID_EVENT.refuse(), request())
    RefusalLog().write(BUSY.refuse(), request())
    assert [r.levelno for r in caplog.records] == [logging.INFO, logging.WARNING]
