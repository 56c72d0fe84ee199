"""A member of a consumer group in a process of its own, to be frozen: python -m tests.live.member URL TOPIC.

Says `owns N` on its output whenever that changes. For every line on its input it commits offset 1 for the
partitions it first owned, and says how that went.
"""

import asyncio
import sys

from bus.base import BusError, Mark
from bus.kafka import open_kafka
from schemas.settings import Settings
from tests.contract.bus_members import PARTITIONS, Member


async def main(url: str, topic: str) -> None:
    """Run until killed."""
    member = Member()
    async with open_kafka(Settings(bus_url=url, bus_partitions=PARTITIONS)) as bus:
        subscription = await bus.subscribe(topic, group=topic, owner=member)
        while len(member.owned) < PARTITIONS:
            await subscription.take(records_max=10, bytes_max=1000, wait_ms=100)
        first = list(member.owned.values())
        print(f"owns {len(first)}", flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            try:
                await subscription.commit([Mark(claim, 1) for claim in first])
                print("committed", flush=True)
            except BusError as error:
                print(type(error).__name__, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
