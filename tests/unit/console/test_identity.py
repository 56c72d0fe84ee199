"""Every answer of the api names its request."""

from uuid import UUID

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console import app
from console.use import Use
from tests.unit.console.conftest import Api


@pytest.mark.parametrize("path", ["/penstock/v1/me", "/nothing"])
async def test_an_answer_repeats_the_caller_s_id(api: Api, path: str) -> None:
    answer = await api.client.get(path, headers={"X-Request-Id": "asked-1"})
    assert answer.headers["X-Request-Id"] == "asked-1"


async def test_a_request_without_a_sane_id_gets_a_new_one(api: Api) -> None:
    answer = await api.client.get("/health", headers={"X-Request-Id": "two words"})
    assert UUID(answer.headers["X-Request-Id"]).version == 7


async def test_so_does_the_answer_after_a_fault_of_ours(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: Request) -> Response:
        raise ZeroDivisionError

    monkeypatch.setattr(app, "RESOURCES", [lambda use: [Route("/fails", fail)]])
    planted = app.create_app(Use.__new__(Use))
    transport = httpx.ASGITransport(planted, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        answer = await client.get("/fails", headers={"X-Request-Id": "asked-2"})
    assert answer.status_code == 500
    assert answer.headers["X-Request-Id"] == "asked-2"
    assert "request asked-2 failed" in caplog.text
