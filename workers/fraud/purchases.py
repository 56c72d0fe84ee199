"""The rules on purchases: how much, in which money, and whether the order was told otherwise before."""

from collections.abc import Sequence

from schemas.event import Event
from stores.lastused import LastUsed, short_key
from workers.fraud.revenue import Usual
from workers.fraud.rules import WORLD_CURRENCIES, Reasons
from workers.fraud.tender import is_tender

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

    def judge(
        self, events: Sequence[Event], addressed: Sequence[bool], first_new: int, reasons: Reasons
    ) -> None:
        """Add the reasons against orders; those before `first_new` were counted earlier."""
        for place, event in enumerate(events):
            if event.event_type != "order_completed" or event.value is None:
                continue
            amount = float(event.value)
            if amount > 0:
                if self._is_outlier(event, amount, is_new=place >= first_new):
                    reasons[place].append("revenue_outlier")
                if addressed[place] and _is_foreign(event.currency, event.country):
                    reasons[place].append("country_currency")
            if event.order_id and self._is_told_otherwise(event):
                reasons[place].append("order_repeated")

    def _is_outlier(self, event: Event, amount: float, *, is_new: bool) -> bool:
        key = (event.tenant_id, event.currency)
        usual = self._usual.get(key)
        if usual is None:
            usual = Usual()
            self._usual.put(key, usual)
        is_outlier = amount > usual.limit
        if is_new:
            usual.add(amount)
        return is_outlier

    def _is_told_otherwise(self, event: Event) -> bool:
        # An order of several products is one event each, so the products are part of what is repeated.
        products = short_key("\0".join(event.product_ids))  # no id has that character
        key = (event.tenant_id, event.dialect, event.source, short_key(event.order_id), products)
        told = (event.value or "", event.currency)
        before = self._orders.get(key)
        if before is None:
            self._orders.put(key, told)
        return before is not None and before != told


def _is_foreign(currency: str, country: str) -> bool:
    """Tell whether that money is not the country's; not where one of the two is not known."""
    if not country or not currency or currency in WORLD_CURRENCIES:
        return False
    return not is_tender(currency, country)
