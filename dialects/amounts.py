"""Money as exact decimals, read from the digits that were sent: no float in between.

Stored as Decimal(38, 6), rounded half to even, so an amount must stay below 10^32 after rounding.
"""

from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from msgspec import Raw

from dialects.base import Refused

DIGITS_MAX = 32  # before the decimal point
PLACES = 6
ZERO = "0.000000"

SURE = 1e12
"""What is below is in range, also as often as an integer within int64 says."""

# 38 digits of an amount times the 19 of a quantity still fit without rounding.
_UNIT = Decimal("0.000001")
_CONTEXT = Context(prec=64, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX)


def read(raw: Raw, field: str) -> Decimal | Refused:
    """Return the amount, rounded to 6 places, or why it is none."""
    text = str(raw, "ascii", "replace")
    if text[:1] not in "-0123456789" or not text:
        return Refused("wrong_type", f"`{field}` must be a number, without quotes.", field)
    try:
        amount = Decimal(text)
    except InvalidOperation:  # an exponent beyond 18 digits, or bytes that are no JSON
        return _out_of_range(field)
    return _rounded(amount, field)


def read_price(raw: Raw, field: str) -> Decimal | Refused:
    """As `read`, for amounts that cannot be negative."""
    amount = read(raw, field)
    if isinstance(amount, Decimal) and amount < 0:
        return Refused("invalid_value", f"`{field}` must be a finite number of at least 0.", field)
    return amount


def check_price(raw: Raw, field: str, *, quantity: int = 1) -> Refused | None:
    """Return why JSON bytes are no price, or their product with an integer within int64 no amount."""
    try:
        if 0 <= float(raw) < SURE:  # of JSON only numbers can be read; a third of the time of a Decimal
            return None
    except ValueError:
        pass
    price = read_price(raw, field)
    if isinstance(price, Decimal):
        product = times(price, quantity, field)
        return product if isinstance(product, Refused) else None
    return price


def plain_price(raw: Raw, field: str) -> str | Refused:
    """Return a price as `plain` writes it, or why it is none."""
    text = str(raw, "ascii", "replace")
    whole, point, places = text.partition(".")
    # Nearly all are written like this; it takes half the time of a Decimal.
    if (
        whole.isdecimal()
        and len(whole) <= DIGITS_MAX
        and len(places) <= PLACES
        and (places.isdecimal() or not point)
    ):
        return f"{whole}.{places:0<6}"
    price = read_price(raw, field)
    return plain(price) if isinstance(price, Decimal) else price


def times(price: Decimal, quantity: int, field: str) -> Decimal | Refused:
    """Return the exact product of a price from `read` and an integer within int64."""
    return _rounded(_CONTEXT.multiply(price, Decimal(quantity)), field)


def plain(amount: Decimal) -> str:
    """Write an amount from `read` with 6 places: "24999.000000". There is no negative zero."""
    return f"{amount:f}" if amount else ZERO


def _rounded(amount: Decimal, field: str) -> Decimal | Refused:
    # Rounding may carry into the 33rd digit, so the size is looked at before (cheap) and after (exact).
    if amount and amount.adjusted() >= DIGITS_MAX:
        return _out_of_range(field)
    rounded = amount.quantize(_UNIT, None, _CONTEXT)
    return rounded if rounded.adjusted() < DIGITS_MAX else _out_of_range(field)


def _out_of_range(field: str) -> Refused:
    return Refused("amount_out_of_range", f"`{field}` must lie between -10^32 and 10^32.", field)
