"""How Kafka is reached: addresses, TLS and SASL, as the settings say."""

import asyncio
import ssl
from contextlib import suppress
from typing import Any

from aiokafka.client import AIOKafkaClient

from schemas.settings import Settings, SettingsError

SCHEME = "kafka://"
HANG_UP_S = 1.0
_LOOPBACK = ("127.", "localhost", "[::1]")


def servers(settings: Settings) -> list[str]:
    """Return the `host:port` pairs of the bus URL. Raises SettingsError."""
    if not settings.bus_url.startswith(SCHEME):
        raise SettingsError(f"PENSTOCK_BUS_URL must begin with {SCHEME} here, not {settings.bus_url!r}")
    pairs = settings.bus_url.removeprefix(SCHEME).rstrip("/").split(",")
    for pair in pairs:
        host, _, port = pair.rpartition(":")
        if not host or not port.isdigit():
            raise SettingsError(f"PENSTOCK_BUS_URL: {pair!r} is not host:port")
    return pairs


def is_loopback(settings: Settings) -> bool:
    """Tell whether every broker named is on this machine: a development set-up."""
    return all(pair.startswith(_LOOPBACK) for pair in servers(settings))


def arguments(settings: Settings) -> dict[str, Any]:
    """Return what every aiokafka client takes to connect. Raises SettingsError."""
    chosen: dict[str, Any] = {
        "bootstrap_servers": servers(settings),
        "client_id": "penstock",
        "security_protocol": _protocol(settings),
    }
    if settings.kafka_tls:
        chosen["ssl_context"] = _tls(settings)
    if settings.kafka_user:
        chosen["sasl_mechanism"] = settings.kafka_sasl
        chosen["sasl_plain_username"] = settings.kafka_user
        chosen["sasl_plain_password"] = settings.kafka_password
    return chosen


async def hang_up(client: AIOKafkaClient) -> None:
    """Close its connections, but not wait long: one that still has to send waits for its peer to read."""
    with suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_S):
            await client.close()


def _protocol(settings: Settings) -> str:
    carrier = "SSL" if settings.kafka_tls else "PLAINTEXT"
    return f"SASL_{carrier}" if settings.kafka_user else carrier


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca or None)
        if settings.kafka_cert:
            context.load_cert_chain(settings.kafka_cert, settings.kafka_key or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"PENSTOCK_KAFKA_CA, _CERT or _KEY cannot be used: {error}") from error
    return context
