"""How likely it is that nobody meant this event: a score, and the reasons by name.

The rules, their weights and figures are in workers/fraud/rules.py; docs/fraud.md explains them. A score
never keeps an event from being stored.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain

from bus.base import Taken
from schemas.event import Event
from schemas.topics import Coordinates, Partition
from workers import metrics
from workers.consent import BITS
from workers.fraud.devices import Devices
from workers.fraud.purchases import Purchases
from workers.fraud.rules import COLD, LONG_AGO_MS, Reason, Reasons, is_automation, score_of
from workers.fraud.velocity import SERVER_SIDE, Velocity, addressed
from workers.fraud.warmth import Warmth
from workers.resources import Resources
from workers.stage import KEEP, Verdict

AGENTS_MAX = 8_192
AGENT_CHARS_MAX = 512
"""Together 5 MB."""

_ANALYTICS, _DEVICE = BITS["analytics"], BITS["device"]


class Fraud:
    """Fill fraud_score and fraud_reasons; empty where there is no consent to analytics."""

    name = "fraud"

    def __init__(self, use: Resources) -> None:
        self._velocity = Velocity(use.keys)
        self._devices = Devices()
        self._purchases = Purchases()
        self._warmth = Warmth()
        self._is_automation = lru_cache(AGENTS_MAX)(is_automation)

    async def judge(self, events: Sequence[Event]) -> Sequence[Verdict]:
        """Keep all."""
        analysed = [event for event in events if event.allowed & _ANALYTICS]
        if analysed:
            await self._score(analysed)
        return [KEEP] * len(events)

    def taken_over(self, partition: Partition) -> None:
        """Note that another worker may have read this partition: its state is cold."""
        self._warmth.taken_over(partition)

    async def release(self, dead: Iterable[tuple[Coordinates, Taken]]) -> None:
        """Give up nothing: what was counted stays counted."""

    async def _score(self, events: Sequence[Event]) -> None:
        first_new, warm_at = self._warmth.begin(events)
        reasons: Reasons = defaultdict(list)
        batch = events, addressed(events), first_new, reasons
        await self._velocity.judge(*batch)
        self._devices.judge(*batch)
        self._purchases.judge(*batch)
        for place, event in enumerate(events):
            if event.user_agent and event.allowed & _DEVICE and self._is_program(event):
                reasons[place].append("automation")
            if event.clock and (reason := _of_clock(event)) is not None:
                reasons[place].append(reason)
            event.fraud_score, event.fraud_reasons = 0, ()
            if event.received_at < warm_at and COLD not in event.flags:
                event.flags.append(COLD)
        for place, found in reasons.items():
            events[place].fraud_score, events[place].fraud_reasons = score_of(found), tuple(found)
        self._warmth.finish(events, warm_at)
        for name, number in Counter(chain.from_iterable(reasons.values())).items():
            metrics.FRAUD_REASONS.labels(name).inc(number)

    def _is_program(self, event: Event) -> bool:
        if event.ua_source == "connection" and event.dialect in SERVER_SIDE:
            return False
        return event.device_type == "bot" or self._is_automation(event.user_agent[:AGENT_CHARS_MAX])


def _of_clock(event: Event) -> Reason | None:
    if event.clock == "future":
        return "time_ahead"
    return "time_long_ago" if event.received_at - event.occurred_at > LONG_AGO_MS else None
