"""An even load for measuring: small bulk requests of `redo`, sent one after another, nothing sent twice."""

import asyncio
import json
import time
from itertools import count
from typing import NamedTuple

import httpx

from tests.chaos.marks import AckedMarks, Mark

PATH = "/v2.2/stores/dev-store/events/bulk"
HEADERS = {"Authorization": "Bearer dev-redo-secret", "Content-Type": "application/json"}
EVENTS = 40
"""Of a request, each of another subject: every partition gets some."""


class Answer(NamedTuple):
    """What a request got and when (monotonic seconds); status 0: no answer."""

    sent: float
    took_s: float
    status: int


class Steady:
    """`senders` coroutines; each pauses `pause_s` after an answer."""

    def __init__(self, port: int, marks: AckedMarks, *, senders: int = 6, pause_s: float = 0.4) -> None:
        self.answers: list[Answer] = []
        self._url = f"http://127.0.0.1:{port}{PATH}"
        self._marks = marks
        self._senders = senders
        self._pause_s = pause_s
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send until `stop`."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._senders):
                group.create_task(self._drive(number))

    def stop(self) -> None:
        """Send nothing new."""
        self._stopping.set()

    def since(self, began: float, ended: float = float("inf")) -> list[Answer]:
        """Return the answers to what was sent in that time."""
        return [answer for answer in self.answers if began <= answer.sent < ended]

    async def _drive(self, number: int) -> None:
        async with httpx.AsyncClient(timeout=20) as client:
            for sequence in count():
                if self._stopping.is_set():
                    return
                marks = [Mark("redo", f"s{number}x{i}", sequence) for i in range(EVENTS)]
                answer = await send(client, self._url, body(marks))
                self.answers.append(answer)
                if answer.status == 202:
                    await asyncio.to_thread(self._marks.add, marks)
                await asyncio.sleep(self._pause_s)


def body(marks: list[Mark], *, keyed: bool = False) -> bytes:
    """Return a bulk request with one event per mark; `keyed`: with a key of its own each."""
    events = [
        {"eventName": "Measure", "customer": {"id": mark.subject}, "data": {"mark": mark.text}}
        | ({"uniqueId": mark.text} if keyed else {})
        for mark in marks
    ]
    return json.dumps({"events": events}).encode()


async def send(
    client: httpx.AsyncClient, url: str, content: bytes, headers: dict[str, str] = HEADERS
) -> Answer:
    """Send one request."""
    began = time.monotonic()
    try:
        reply = await client.post(url, content=content, headers=headers)
    except httpx.HTTPError:
        return Answer(began, time.monotonic() - began, 0)
    return Answer(began, time.monotonic() - began, reply.status_code)
