"""The names of rate limits that a tenant or a token may have of its own."""

from collections.abc import Iterable

from cli.errors import CommandFailed


def refuse_unknown(groups: Iterable[str], *, dialect: str | None = None) -> None:
    """Raise CommandFailed for a limit that no endpoint counts by: it would limit nothing.

    With `dialect` only its endpoints are looked at; "" is that of tokens for the api, which has none.
    """
    from dialects import discover

    known = {
        rate.group
        for each in discover()
        if dialect in (None, each.name)
        for endpoint in each.endpoints
        for rate in endpoint.rates
    }
    for group in groups:
        if group not in known:
            there_is = f"there is {', '.join(sorted(known))}" if known else "a token for the api has none"
            raise CommandFailed(f"there is no rate limit {group!r} here; {there_is}")
