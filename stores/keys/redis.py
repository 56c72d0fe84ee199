"""Rate limits of all processes together, decided in a server that speaks the Redis protocol.

One script call is under way at a time; requests that come meanwhile share the next one. So a burst costs
a few round trips, and one connection is enough.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from schemas.settings import SettingsError
from stores.base import Limit, Permit, StoreUnavailable
from stores.keys import counters
from stores.keys.gcra import interval_of, permit_of, tightest

TIMEOUT_S = 0.15
"""A rate limit may hold a request up for so long, and no longer."""

COUNT_TIMEOUT_S = 1.0
"""Counters are asked for by a worker with a batch, never by a request."""

CONNECT_TIMEOUT_S = 2.0
"""TLS and a password over a distance take several round trips; no request waits for them."""

RETRY_AFTER_S = 1.0
"""While the server is down it is tried so often, and every request is refused an answer at once."""

_US_PER_MS = 1_000
_ASKS_MAX = 100  # in one call: the server does nothing else meanwhile, about 1 ms
_PREFIX = "penstock:limit:"

# KEYS: the buckets of all asks, one after the other. ARGV: for each ask the number of its buckets, then for
# each of them interval (us), requests and permits wanted. Returns for each bucket the permits granted and
# the time (us) in which it will be full. An ask gets from every bucket or from none. A bucket is kept as
# the time at which it is full, until then. Numbers stay below 2^53, where Lua is exact.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local replies, key, arg = {}, 0, 1
while arg <= #ARGV do
  local buckets = tonumber(ARGV[arg])
  local ahead, grant = {}, {}
  local refused = false
  for i = 1, buckets do
    local interval = tonumber(ARGV[arg + i * 3 - 2])
    local burst = interval * tonumber(ARGV[arg + i * 3 - 1])
    ahead[i] = math.max((tonumber(redis.call('GET', KEYS[key + i]) or '0')) - now, 0)
    if ahead[i] > burst then ahead[i] = burst end
    grant[i] = math.min(math.floor((burst - ahead[i]) / interval), tonumber(ARGV[arg + i * 3]))
    if grant[i] < 1 then refused = true end
  end
  for i = 1, buckets do
    if refused then grant[i] = 0 end
    if grant[i] > 0 then
      ahead[i] = ahead[i] + grant[i] * tonumber(ARGV[arg + i * 3 - 2])
      redis.call('SET', KEYS[key + i], string.format('%.0f', now + ahead[i]),
                 'PX', string.format('%.0f', math.ceil(ahead[i] / 1000)))
    end
    replies[#replies + 1] = grant[i]
    replies[#replies + 1] = ahead[i]
  end
  key = key + buckets
  arg = arg + 1 + buckets * 3
end
return replies
"""


class Grant(NamedTuple):
    """What one bucket gave: `permits` of those wanted, and the bucket's answer after that."""

    permits: int
    permit: Permit


class _Ask(NamedTuple):
    limits: Sequence[Limit]
    wanted: int
    answer: asyncio.Future[list[Grant]]


class RedisKeys:
    """Implements stores.base.KeyStore; StoreUnavailable comes within 150 ms, and at once while it is down.

    Use as an async context manager. Entering it waits for the server for 2 s at most.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._script = client.register_script(_SCRIPT)
        self._waiting: list[_Ask] = []
        self._sender: asyncio.Task[None] | None = None
        self._connector: asyncio.Task[None] | None = None
        self._counting = asyncio.Lock()  # one call under way, as with the limits
        self._up = False
        self._closing = False

    async def take(self, limits: Sequence[Limit]) -> Permit:
        """Take one permit from every limit, or from none if one refuses. Raises StoreUnavailable."""
        return tightest(grant.permit for grant in await self.draw(limits, 1))

    async def draw(self, limits: Sequence[Limit], wanted: int) -> Sequence[Grant]:
        """Take up to `wanted` permits from every limit, or none if one has none. Raises StoreUnavailable."""
        if not limits:
            return []
        if not self._up:
            raise StoreUnavailable("the key store is down")
        ask = _Ask(limits, wanted, asyncio.get_running_loop().create_future())
        self._waiting.append(ask)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())
        return await ask.answer

    async def _send(self) -> None:
        """Answer what waits, call by call, until nothing does or the server fails."""
        asks: list[_Ask] = []
        failure = StoreUnavailable("the key store is closed")
        try:
            while self._waiting:
                asks, self._waiting = self._waiting[:_ASKS_MAX], self._waiting[_ASKS_MAX:]
                _answer(asks, await self._call(asks))
        except StoreUnavailable as error:
            failure = error
            self._lose()
        finally:
            self._sender = None
            for ask in (*asks, *self._waiting):
                if not ask.answer.done():
                    ask.answer.set_exception(failure)
            self._waiting = []

    async def count(self, counts: Mapping[str, int], keep_ms: int) -> Sequence[int]:
        """Add to the counters. Raises StoreUnavailable, after 1 s at most."""
        if not counts:
            return []
        async with self._counting:
            if not self._up:
                raise StoreUnavailable("the key store is down")
            try:
                async with asyncio.timeout(COUNT_TIMEOUT_S):
                    return await counters.count(self._client, counts, keep_ms)
            except (RedisError, OSError, TimeoutError) as error:
                self._lose()
                raise _unavailable(error) from None

    def _lose(self) -> None:
        self._up = False
        if self._connector is None or self._connector.done():
            self._connector = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        """Try until the server answers."""
        # The driver may take a cancellation for a failure of its own: that must not go on for ever.
        while not self._closing:
            with contextlib.suppress(StoreUnavailable):
                await self._ping(CONNECT_TIMEOUT_S)
                self._up = True
                return
            await asyncio.sleep(RETRY_AFTER_S)

    async def _call(self, asks: Sequence[_Ask]) -> Sequence[int]:
        keys: list[str] = []
        args: list[int] = []
        for ask in asks:
            args.append(len(ask.limits))
            for limit in ask.limits:
                keys.append(_PREFIX + limit.key)
                args += (interval_of(limit, _US_PER_MS), limit.requests, ask.wanted)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reply: Sequence[int] = await self._script(keys=keys, args=args)
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from None
        return reply

    async def probe(self) -> None:
        """Return if the server answers, else raise StoreUnavailable."""
        await self._ping(TIMEOUT_S)

    async def _ping(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise _unavailable(error) from None

    async def __aenter__(self) -> Self:
        try:
            await self._ping(CONNECT_TIMEOUT_S)
            self._up = True
        except StoreUnavailable:
            self._connector = asyncio.create_task(self._connect())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._up = False
        self._closing = True
        if self._sender is not None:
            await self._sender
        if self._connector is not None:
            self._connector.cancel()
            await asyncio.wait({self._connector})
        await self._client.aclose()


def open_redis(url: str) -> RedisKeys:
    """Make the client of `redis[s]://user:password@host:port/db`; nothing is connected yet.

    The query may name `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`. Raises SettingsError.
    """
    try:
        client = Redis.from_url(
            url,
            socket_timeout=CONNECT_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,  # every server speaks it, and it needs no greeting
            max_connections=4,
            client_name="penstock",
        )
        pool = client.connection_pool
        pool.connection_class(
            **pool.connection_kwargs
        )  # connects nothing: an option that is none is found out
    except (ValueError, TypeError) as error:
        raise SettingsError(f"PENSTOCK_KEYS_URL is not usable: {error}") from None
    return RedisKeys(client)


def _answer(asks: Sequence[_Ask], reply: Sequence[int]) -> None:
    buckets = iter(zip(reply[::2], reply[1::2], strict=True))
    for ask in asks:
        grants = [_grant(limit, *next(buckets)) for limit in ask.limits]
        if not ask.answer.done():  # its caller may have gone
            ask.answer.set_result(grants)


def _grant(limit: Limit, permits: int, ahead: int) -> Grant:
    interval = interval_of(limit, _US_PER_MS)
    # A bucket that has room although nothing was granted: another one of the same ask refused.
    granted = permits > 0 or ahead + interval <= interval * limit.requests
    return Grant(permits, permit_of(limit, granted=granted, ahead=ahead, units_per_ms=_US_PER_MS))


def _unavailable(error: Exception) -> StoreUnavailable:
    return StoreUnavailable(f"the key store cannot be reached: {str(error) or type(error).__name__}")
