"""Where ClickHouse is and who asks: `clickhouse[s]://user:password@host:port/database`."""

from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from schemas.settings import SettingsError

PORT = 9000
PORT_TLS = 9440


class Address(Struct, frozen=True, kw_only=True):
    """One server. `ca` is a file with the CA certificates to trust; "" trusts the usual ones."""

    host: str
    port: int
    database: str = "default"
    user: str = "default"
    password: str = ""
    tls: bool = False
    ca: str = ""

    @classmethod
    def parse(cls, url: str, *, ca: str = "") -> Self:
        """Read the URL; user, password and database are percent-decoded. Raises SettingsError."""
        parts, port = _split(url)
        if parts.scheme not in {"clickhouse", "clickhouses"}:
            raise _unusable("it begins with clickhouse:// or clickhouses://")
        if not parts.hostname:
            raise _unusable("it names no host")
        tls = parts.scheme == "clickhouses"
        return cls(
            host=parts.hostname,
            port=port or (PORT_TLS if tls else PORT),
            database=unquote(parts.path.strip("/")) or "default",
            user=unquote(parts.username or "") or "default",
            password=unquote(parts.password or ""),
            tls=tls,
            ca=ca,
        )

    def without_database(self) -> Self:
        """Return the same server, before there is a database of ours."""
        return replace(self, database="")

    def driver_options(self) -> dict[str, Any]:
        """Return what the driver's Client takes."""
        options: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "user": self.user,
            "password": self.password,
            "secure": self.tls,
        }
        return options | ({"ca_certs": self.ca} if self.ca else {})

    def __str__(self) -> str:
        """Name the server in messages, without its password."""
        return f"{self.host}:{self.port}/{self.database}"


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        return parts, parts.port
    except ValueError:
        # The reason would repeat what may be part of a password.
        raise _unusable("its host or port cannot be read") from None


def _unusable(reason: str) -> SettingsError:
    return SettingsError(
        f"PENSTOCK_CLICKHOUSE_URL is not usable: {reason}. "
        "It is: clickhouse[s]://user:password@host:port/database"
    )
