"""The rules on purchases: how much, in which money, and whether the order was told otherwise before."""

from schemas.event import Event
from workers.fraud.revenue import Usual
from workers.fraud.rules import WORLD_CURRENCIES, Reason
from workers.fraud.tender import is_tender
from workers.lastused import LastUsed, short_key

CURRENCIES_MAX = 1_024
"""Pairs of tenant and currency; 6 MB with the prices of a usual shop, 25 MB at worst."""

ORDERS_MAX = 50_000
"""About 25 MB."""

_OrderKey = tuple[int, str, str, str | bytes, str | bytes]


class Purchases:
    """What was bought lately, of all tenants."""

    def __init__(self) -> None:
        self._usual = LastUsed[tuple[int, str], Usual](CURRENCIES_MAX)
        self._orders = LastUsed[_OrderKey, tuple[str, str]](ORDERS_MAX)

    def judge(self, event: Event, country: str, *, is_new: bool, reasons: list[Reason]) -> None:
        """Add the reasons against an order_completed; `country` is "" where it says nothing."""
        if event.value is None:
            return
        amount = float(event.value)
        if amount > 0:
            self._judge_amount(event, amount, is_new, reasons)
            if (
                country
                and event.currency
                and event.currency not in WORLD_CURRENCIES
                and not is_tender(event.currency, country)
            ):
                reasons.append("country_currency")
        if event.order_id:
            self._judge_order(event, reasons)

    def _judge_amount(self, event: Event, amount: float, is_new: bool, reasons: list[Reason]) -> None:
        key = (event.tenant_id, event.currency)
        usual = self._usual.get(key)
        if usual is None:
            usual = Usual()
            self._usual.put(key, usual)
        if amount > usual.limit:
            reasons.append("revenue_outlier")
        if is_new:
            usual.add(amount)

    def _judge_order(self, event: Event, reasons: list[Reason]) -> None:
        # An order of several products is one event each, so the products are part of what is repeated.
        products = short_key("\0".join(event.product_ids))  # no id has that character
        key = (event.tenant_id, event.dialect, event.source, short_key(event.order_id), products)
        told = (event.value or "", event.currency)
        before = self._orders.get(key)
        if before is None:
            self._orders.put(key, told)
        elif before != told:
            reasons.append("order_repeated")
