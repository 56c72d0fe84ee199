"""The arithmetic of GCRA: one number per bucket, the time at which it would be full again.

Each permit moves that time on by `interval`; it may lie at most `burst` ahead of now, so a bucket that was
left alone gives `requests` permits at once and then one every `interval`. All in integers of one unit of
time, so that nothing is rounded away.
"""

from collections.abc import Iterable

from stores.base import Limit, Permit

UNLIMITED = Permit(allowed=True, limit=0, remaining=0, retry_after_ms=0, reset_ms=0)
"""The answer where no limit was asked for."""


def interval_of(limit: Limit, units_per_ms: int) -> int:
    """Return the time between two permits in a steady stream; cut, so at most a unit too short."""
    return limit.period_ms * units_per_ms // limit.requests or 1


def permit_of(limit: Limit, *, granted: bool, ahead: int, units_per_ms: int) -> Permit:
    """Word the answer of one bucket that will be full in `ahead` units (after the permit, if granted)."""
    interval = interval_of(limit, units_per_ms)
    burst = interval * limit.requests
    if granted:
        # Rounded up, as every time here: a caller that comes earlier would be refused again.
        return Permit(True, limit.requests, (burst - ahead) // interval, 0, -(-ahead // units_per_ms))
    over = ahead + interval - burst
    return Permit(False, limit.requests, 0, -(-over // units_per_ms), -(-ahead // units_per_ms))


def tightest(permits: Iterable[Permit]) -> Permit:
    """Return the refusal that lasts longest, else the permit with the fewest others left."""
    answer = UNLIMITED
    for permit in permits:
        if answer is UNLIMITED:
            answer = permit
        elif not permit.allowed:
            if answer.allowed or permit.retry_after_ms > answer.retry_after_ms:
                answer = permit
        elif answer.allowed and permit.remaining < answer.remaining:
            answer = permit
    return answer
