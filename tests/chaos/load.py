"""The load: senders of all four dialects that wait for each answer and write down what was acknowledged."""

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx

from tests.chaos.marks import AckedMarks
from tests.chaos.shots import Sender, Shot

DIALECTS = ("relo", "alana", "redo", "tracker")
_REPLY_WAIT_S = 8.0  # the gateway promises an answer within 5 s of the body
_RETRY_S_MAX = 600.0  # well inside the 15 minutes in which a byte-identical retry is recognised


@dataclass
class Tally:
    """What the senders saw; `acked` counts events, `last_ack` is a monotonic time per dialect."""

    acked: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    last_ack: dict[str, float] = field(default_factory=dict)


class Load:
    """`senders` coroutines per dialect against the gateway at `port`, each from an address of its own."""

    def __init__(
        self, port: int, marks: AckedMarks, *, seed: int, senders: int = 3, pause_s: float = 0.4
    ) -> None:
        self.tally = Tally()
        self._port = port
        self._marks = marks
        self._pause_s = pause_s
        self._stopping = asyncio.Event()
        self._senders = [
            Sender(dialect, number, random.Random(f"{seed}-{dialect}-{number}"))
            for dialect in DIALECTS
            for number in range(senders)
        ]

    async def run(self) -> None:
        """Send until `stop`; returns when every open request is answered for good."""
        async with asyncio.TaskGroup() as group:
            for number, sender in enumerate(self._senders):
                group.create_task(self._drive(sender, _source_address(number)))

    def stop(self) -> None:
        """Send nothing new; retries under way go on to their answer."""
        self._stopping.set()

    async def _drive(self, sender: Sender, address: str) -> None:
        transport = httpx.AsyncHTTPTransport(local_address=address)
        async with httpx.AsyncClient(transport=transport, timeout=_REPLY_WAIT_S) as client:
            while not self._stopping.is_set():
                await self._deliver(client, sender.shot())
                await asyncio.sleep(self._pause_s)

    async def _deliver(self, client: httpx.AsyncClient, shot: Shot) -> None:
        """Send a request, again and again if it has a key, until it is acknowledged or hopeless."""
        wait_s, until = 0.5, time.monotonic() + _RETRY_S_MAX
        while not await self._send(client, shot):
            if not shot.retry or time.monotonic() > until:
                return
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, 4.0)

    async def _send(self, client: httpx.AsyncClient, shot: Shot) -> bool:
        url = f"http://127.0.0.1:{self._port}{shot.path}"
        try:
            reply = await client.post(url, content=shot.body, headers=shot.headers)
        except httpx.HTTPError as error:
            self.tally.answers[shot.dialect, type(error).__name__] += 1
            return False
        self.tally.answers[shot.dialect, str(reply.status_code)] += 1
        if not shot.acknowledged(reply.status_code, reply.content):
            return False
        self._marks.add(shot.marks)
        self.tally.acked[shot.dialect] += len(shot.marks)
        self.tally.last_ack[shot.dialect] = time.monotonic()
        return True


def _source_address(number: int) -> str:
    """Limits per address are a shopper's; on Linux all of 127.0.0.0/8 is ours to send from."""
    return f"127.0.0.{number + 10}" if sys.platform == "linux" else "127.0.0.1"
