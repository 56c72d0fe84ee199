"""What follows from an attempt: delivered, tried again and when, or dead."""

import random
import time
from typing import NamedTuple

from stores.registry import Delivery
from stores.registry.deliveries import State

ATTEMPTS_MAX = 20

FIRST_S = 10.0
LONGEST_S = 6 * 3600.0
RETRY_AFTER_MAX_S = 3600

GONE = 410


class Answer(NamedTuple):
    """How an attempt ended: an HTTP status, or 0 and a reason. `hopeless`: trying again cannot help."""

    status: int
    reason: str = ""
    retry_after_s: int = 0
    hopeless: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the receiver said that it has it."""
        return 200 <= self.status < 300


class Next(NamedTuple):
    """What becomes of the delivery."""

    state: State
    reason: str
    due_at: int = 0


def next_of(delivery: Delivery, answer: Answer) -> Next:
    """Decide after an attempt."""
    if answer.delivered:
        return Next("delivered", "")
    reason = answer.reason or f"the receiver answered {answer.status}"
    if answer.hopeless or answer.status == GONE:
        return Next("dead", reason)
    attempts = delivery.attempts + 1
    due_at = int((time.time() + wait_s(attempts, answer.retry_after_s)) * 1000)
    if attempts >= ATTEMPTS_MAX:
        return Next("dead", f"{reason}; {attempts} attempts")
    if due_at >= delivery.expires_at:
        return Next("dead", f"{reason}; not delivered in time")
    return Next("waiting", reason, due_at)


def wait_s(attempts: int, retry_after_s: int = 0) -> float:
    """Return how long to wait after so many attempts: longer each time, with jitter, or as asked for."""
    step_s = min(FIRST_S * float(2 ** min(attempts - 1, 20)), LONGEST_S)
    jittered_s = step_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
    return max(jittered_s, float(min(retry_after_s, RETRY_AFTER_MAX_S)))
