"""How long to wait before the next attempt when a dependency is down: longer each time, with jitter."""

import asyncio
import random

FIRST_S = 0.2
LONGEST_S = 10.0


class Backoff:
    """One run of attempts: 0.2 s, then twice as long each time, 10 s at most."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    async def pause(self) -> None:
        """Wait between half and all of the step, so that workers do not come back in step."""
        wait_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        self._next_s = min(self._next_s * 2, LONGEST_S)
        await asyncio.sleep(wait_s)
