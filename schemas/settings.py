"""Every setting of every process, in one typed place.

A value comes from a flag, else from PENSTOCK_<NAME>, else from the file that PENSTOCK_<NAME>_FILE names
(for secrets), else from the default. docs/settings.md is generated from this file.
"""

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

PREFIX = "PENSTOCK_"

PARENT_FD = PREFIX + "PARENT_FD"
"""Not a setting: the supervisor tells its parts through it which pipe to watch."""

CRASH_AT = PREFIX + "CRASH_AT"
"""Not a setting: a crash test names through it the point at which a worker kills itself."""

PORT_MAX = 65535

Port = Annotated[int, Meta(ge=0, le=PORT_MAX)]
Host = Annotated[str, Meta(min_length=1)]  # an empty one would be every address of the machine


def _about(text: str) -> Meta:
    return Meta(description=text)


class SettingsError(ValueError):
    """A value that cannot be used; the message names the setting and says what it takes."""


class Settings(Struct, frozen=True, kw_only=True):
    """What an operator may set. Units stand last in the names."""

    home: Annotated[str, _about("Directory that holds all state and logs.")] = "./var"
    host: Annotated[Host, _about("Address the gateway and the api bind to.")] = "127.0.0.1"
    port: Annotated[Port, _about("Port of the gateway.")] = 8080
    api_port: Annotated[Port, _about("Port of the api; 0: the gateway's port + 1.")] = 0
    admin_host: Annotated[Host, _about("Address of /metrics, /health, /ready and /live.")] = "127.0.0.1"
    admin_port: Annotated[Port, _about("Port of /metrics of this process; 0: a free one.")] = 0
    server: Annotated[
        Literal["hypercorn", "granian", "builtin"],
        _about("HTTP server of the gateway; `builtin` speaks HTTP/1.1 only and costs least a request."),
    ] = "hypercorn"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], _about("Least severe level that is logged.")
    ] = "info"

    bus_url: Annotated[str, _about("`log:` (SQLite under home), or `kafka://host:port[,host:port]`.")] = (
        "log:"
    )
    bus_partitions: Annotated[int, Meta(ge=1, le=1024), _about("Partitions of a topic made by Penstock.")] = 8
    bus_replicas: Annotated[int, Meta(ge=1, le=7), _about("Replicas of a Kafka topic made by Penstock.")] = 1
    bus_incarnation: Annotated[
        int, Meta(ge=1, le=65535), _about("Raise by one after Kafka lost or recreated a topic.")
    ] = 1
    kafka_user: Annotated[str, _about("SASL user; empty: none.")] = ""
    kafka_password: Annotated[str, _about("SASL password.")] = ""
    kafka_sasl: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], _about("SASL mechanism, used with a user.")
    ] = "SCRAM-SHA-512"
    kafka_tls: Annotated[bool, _about("Speak TLS to Kafka.")] = False
    kafka_ca: Annotated[str, _about("File with the CA certificates for Kafka; empty: the system's.")] = ""
    kafka_cert: Annotated[str, _about("Client certificate file (PEM) for Kafka.")] = ""
    kafka_key: Annotated[str, _about("Key file (PEM) of the client certificate for Kafka.")] = ""

    clickhouse_url: Annotated[
        str, _about("`clickhouse[s]://user:password@host:port/database`; `clickhouses` speaks TLS.")
    ] = "clickhouse://127.0.0.1:9000/penstock"
    clickhouse_ca: Annotated[str, _about("File with the CA certificates for ClickHouse.")] = ""
    clickhouse_cluster: Annotated[str, _about("Cluster name: DDL runs ON CLUSTER, engines replicate.")] = ""

    registry_url: Annotated[
        str,
        _about(
            "`sqlite:` (a file under home), or `postgresql://user:password@host/db`; "
            "`?sslmode=verify-full&sslrootcert=FILE` for TLS."
        ),
    ] = "sqlite:"
    keys_url: Annotated[
        str,
        _about(
            "`memory:` (limits per process), or `redis[s]://user:password@host:port/0` (shared limits); "
            "`?ssl_ca_certs=FILE` names a CA."
        ),
    ] = "memory:"

    geoip_db: Annotated[str, _about("MaxMind- or DB-IP-shaped .mmdb; empty: the bundled one.")] = ""
    trusted_proxies: Annotated[
        str, _about("Networks (CIDR, by comma) whose X-Forwarded-For or Forwarded is believed.")
    ] = ""
    cors_origins: Annotated[str, _about("Origins (by comma) for browser dialects; `*`: all.")] = "*"
    tracker_uniform_status: Annotated[
        bool, _about("Answer 202 to known and unknown tenants alike on /api/v1/interactions.")
    ] = False
    body_bytes_budget: Annotated[
        int, Meta(ge=2**20), _about("Body bytes one gateway process may hold at once; above it 503.")
    ] = 256 * 2**20
    publish_bytes_budget: Annotated[
        int, Meta(ge=2**20), _about("Record bytes in flight to the bus per process; above it 503.")
    ] = 64 * 2**20
    registry_cache_s: Annotated[
        float, Meta(gt=0, le=30), _about("Age at which a cached token, tenant or product is read again.")
    ] = 15.0

    worker_rows_max: Annotated[
        int, Meta(ge=1, le=100_000), _about("Records in one range, and so rows in one insert.")
    ] = 10_000
    worker_bytes_max: Annotated[int, Meta(ge=2**16), _about("Record bytes in one range.")] = 8 * 2**20
    worker_wait_ms: Annotated[
        int, Meta(ge=1, le=60_000), _about("How long a range waits for more records.")
    ] = 500

    webhook_private_addresses: Annotated[
        bool, _about("Let webhooks go to private, link-local and loopback addresses, and to http://.")
    ] = False
    webhook_days: Annotated[
        int,
        Meta(ge=8, le=400),
        _about("Days for which deliveries of webhooks are kept."),
    ] = 30


def load(environ: Mapping[str, str], flags: Mapping[str, Any] | None = None) -> Settings:
    """Build the settings of a process. Raises SettingsError naming the first bad or unknown one."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        text = _read(field.name, environ)
        if text is not None:
            values[field.name] = text
    values.update({name: value for name, value in (flags or {}).items() if value is not None})
    _refuse_unknown(environ)
    settings = Settings(**{name: _convert(name, value) for name, value in values.items()})
    if settings.port == PORT_MAX and not settings.api_port:
        raise SettingsError(
            f"{PREFIX}API_PORT is not usable: there is no port {PORT_MAX + 1}. Choose one for it"
        )
    networks(settings.trusted_proxies)
    return settings


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read the setting trusted_proxies. Raises SettingsError for networks that are none."""
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise SettingsError(f"{PREFIX}TRUSTED_PROXIES is not a list of networks (CIDR): {error}") from None


def _read(name: str, environ: Mapping[str, str]) -> str | None:
    variable = PREFIX + name.upper()
    if variable in environ:
        return environ[variable]
    path = environ.get(variable + "_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise SettingsError(f"{variable}_FILE: cannot read {path}: {error.strerror}") from None


def _convert(name: str, value: Any) -> Any:
    kind = get_type_hints(Settings, include_extras=True)[name]
    plain = get_args(kind)[0]
    if plain is bool and isinstance(value, str):
        value = {"1": True, "true": True, "0": False, "false": False}.get(value.lower(), value)
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        words = ("1", "0") if plain is bool else get_args(plain)
        reason = f"it takes {' or '.join(words)}" if words else str(error).split(" - at ")[0]
        raise SettingsError(f"{PREFIX}{name.upper()} is not usable: {reason}. It is: {about(name)}") from None


def about(name: str) -> str:
    """Return the documented meaning of a setting."""
    kind = get_type_hints(Settings, include_extras=True)[name]
    return next(str(m.description) for m in kind.__metadata__ if isinstance(m, Meta) and m.description)


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    for variable in environ:
        if variable in {PARENT_FD, CRASH_AT}:
            continue
        if variable.startswith(PREFIX) and variable.removesuffix("_FILE") not in known:
            raise SettingsError(f"{variable} is not a setting; `penstock settings` lists them")
