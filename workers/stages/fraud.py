"""How likely it is that nobody meant this event: a score, and the reasons by name.

The rules, their weights and figures are in workers/fraud/rules.py; docs/fraud.md explains them. A score
never keeps an event from being stored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from bus.base import Taken
from schemas.event import Event
from schemas.topics import Coordinates, Partition
from workers import metrics
from workers.consent import BITS
from workers.fraud.devices import Devices
from workers.fraud.purchases import Purchases
from workers.fraud.rules import COLD, LONG_AGO_MS, Reason, is_automation, score_of
from workers.fraud.velocity import SERVER_SIDE, Velocity, has_address
from workers.fraud.warmth import Warmth
from workers.resources import Resources
from workers.stage import KEEP, Verdict

AGENTS_MAX = 8_192
AGENT_CHARS_MAX = 512
"""Together 5 MB."""

_ANALYTICS, _IDENTITY, _DEVICE = BITS["analytics"], BITS["identity"], BITS["device"]


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
        addressed = [has_address(event) for event in events]
        too_fast = await self._velocity.judge(events, addressed, first_new)
        fired: Counter[Reason] = Counter()
        reasons: list[Reason] = []
        for index, event in enumerate(events):
            if index in too_fast:
                reasons += too_fast[index]
            country = event.country if addressed[index] else ""
            self._judge(event, country, index >= first_new, reasons)
            if reasons:
                event.fraud_score, event.fraud_reasons = score_of(reasons), tuple(reasons)
                fired.update(reasons)
                reasons.clear()
            else:
                event.fraud_score, event.fraud_reasons = 0, ()
            if event.received_at < warm_at and COLD not in event.flags:
                event.flags.append(COLD)
        self._warmth.finish(events, warm_at)
        for reason, number in fired.items():
            metrics.FRAUD_REASONS.labels(reason).inc(number)

    def _judge(self, event: Event, country: str, is_new: bool, reasons: list[Reason]) -> None:
        if event.anonymous_id and event.allowed & _IDENTITY:
            self._devices.judge(event, country, is_new=is_new, reasons=reasons)
        if event.event_type == "order_completed":
            self._purchases.judge(event, country, is_new=is_new, reasons=reasons)
        if event.user_agent and event.allowed & _DEVICE and self._is_program(event):
            reasons.append("automation")
        if event.clock:
            if event.clock == "future":
                reasons.append("time_ahead")
            elif event.received_at - event.occurred_at > LONG_AGO_MS:
                reasons.append("time_long_ago")

    def _is_program(self, event: Event) -> bool:
        if event.ua_source == "connection" and event.dialect in SERVER_SIDE:
            return False
        return event.device_type == "bot" or self._is_automation(event.user_agent[:AGENT_CHARS_MAX])
