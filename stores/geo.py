"""Country and city of an address, from any MaxMind- or DB-IP-shaped file; a replaced file is picked up."""

import ipaddress
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import maxminddb
from maxminddb import InvalidDatabaseError

from stores.lastused import LastUsed

BUNDLED = Path(__file__).parent / "data" / "dbip-country.mmdb"

CHECK_EVERY_S = 5.0
PLACES_MAX = 131_072
"""Of addresses; about 14 MB. A worker sees the same ones again and again."""

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_MIXED = "0|10|100|127|169|172|192|198|203|22[4-9]|2[3-9][0-9]"
_PUBLIC_IPV4 = re.compile(rf"(?!(?:{_MIXED})[.])(?:{_OCTET}[.]){{3}}{_OCTET}")
"""Addresses in blocks of which all are public: told in a tenth of the time that `ipaddress` takes. The
others are in blocks that have private ones, or are none."""

log = logging.getLogger("penstock.geo")


class Place(NamedTuple):
    """`country` is ISO 3166-1 alpha-2, `city` an English name; empty where not known."""

    country: str = ""
    city: str = ""


NOWHERE = Place()

_Lookup = Callable[[str], Place]
_Stamp = tuple[int, int, int]


class Geo:
    """Looks addresses up; never raises. While no usable file was found every place is empty.

    Not for use by several threads. The file is looked at when a lookup comes at least `check_every_s`
    after the last time; taking a new one up blocks for its copying (5 ms for the bundled 8 MB).
    """

    def __init__(
        self,
        path: str = "",
        *,
        check_every_s: float = CHECK_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.build = 0
        """When the file in use was built, in Unix seconds; 0 without one."""
        self._path = Path(path) if path else BUNDLED
        self._check_every_s = check_every_s
        self._clock = clock
        self._stamp: _Stamp | None = None  # of the file in use
        self._bad: _Stamp | None = None  # of one that is of no use: not worth copying again
        self._complaint = ""
        self._reader: maxminddb.Reader | None = None
        self._find: _Lookup = _nowhere
        self._places = LastUsed[str, Place](PLACES_MAX)
        self._check_at = clock() + check_every_s
        self._check()

    def lookup(self, ip: str) -> Place:
        """Return where a public address is; empty for a private one or a text that is none."""
        return self.lookup_all([ip])[0]

    def lookup_all(self, ips: Iterable[str]) -> list[Place]:
        """Return where each of some addresses is."""
        now = self._clock()
        if now >= self._check_at:
            self._check_at = now + self._check_every_s
            self._check()
        known = self._places.get
        return [known(ip) or self._look(ip) for ip in ips]

    def _look(self, ip: str) -> Place:
        try:
            place = self._find(ip)
        except InvalidDatabaseError as error:
            self._warn(f"is corrupt: {error}")
            place = NOWHERE
        self._places.put(ip, place)
        return place

    def close(self) -> None:
        """Let the file go."""
        self._find = _nowhere
        self._places.clear()
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self) -> None:
        """Take the file up if it is another one than last time; keep the old one if it is not usable."""
        try:
            stamp = _stamp(self._path)
            if stamp not in (self._stamp, self._bad):
                self._bad = stamp
                self._use(_open_copy(self._path, stamp))
                self._stamp, self._bad = stamp, None
        except OSError as error:
            self._bad = None
            self._warn(f"cannot be read: {error.strerror or error}")
        except (InvalidDatabaseError, ValueError) as error:
            self._warn(f"is not a usable .mmdb file: {error}")

    def _use(self, reader: maxminddb.Reader) -> None:
        build = int(reader.metadata().build_epoch)
        _find(reader, "8.8.8.8")  # a file cut short in the middle shows here, before the old one is given up
        old, self._reader = self._reader, reader
        self._find, self.build, self._complaint = partial(_find, reader), build, ""
        self._places.clear()
        if old is not None:
            old.close()
        log.info("GeoIP file %s, built at %d, is in use", self._path, build)

    def _warn(self, complaint: str) -> None:
        """Say it once, not with every lookup."""
        if complaint != self._complaint:
            self._complaint = complaint
            kept = "the one read before stays in use" if self._reader else "country and city stay empty"
            log.warning("GeoIP file %s %s; %s", self._path, complaint, kept)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _open_copy(path: Path, stamp: _Stamp) -> maxminddb.Reader:
    """Open a private copy, which the reader maps and no other name leads to.

    The fast reader maps the file into memory. One that is overwritten in place would then give garbage
    or end the process with SIGBUS; the other readers, which are safe, are 15 times slower.
    """
    with tempfile.NamedTemporaryFile(prefix="penstock-", suffix=".mmdb") as copy:
        with path.open("rb") as source:
            shutil.copyfileobj(source, copy, 2**20)
        copy.flush()
        if _stamp(path) != stamp:
            raise InvalidDatabaseError("it is being written to")  # the copy may be half of each
        return maxminddb.open_database(os.fspath(copy.name))


def _nowhere(_ip: str) -> Place:
    return NOWHERE


def _find(reader: maxminddb.Reader, ip: str) -> Place:
    try:
        if _PUBLIC_IPV4.fullmatch(ip):
            return _read(reader.get(ip))
        address = ipaddress.ip_address(ip)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        record = reader.get(address) if address.is_global else None
    except ValueError:  # no address, or IPv6 in a file of IPv4
        return NOWHERE
    return _read(record)


def _read(record: object) -> Place:
    if not isinstance(record, dict):
        return NOWHERE
    return _place(_country(record), _city(record))


@lru_cache(maxsize=16_384)
def _place(country: str, city: str) -> Place:
    """Return the one object of each place: those of many addresses stay in the processor's caches."""
    return Place(country, city)


def _country(record: dict[str, Any]) -> str:
    """Read {"country": {"iso_code": "MX"}}, {"country_code": "MX"} or {"country": "MX"}."""
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code") or country
    if not (isinstance(code, str) and len(code) == 2 and code.isascii() and code.isalpha()):
        return ""
    return "" if code.upper() == "ZZ" else code.upper()  # ZZ: DB-IP's word for not known


def _city(record: dict[str, Any]) -> str:
    """Read {"city": {"names": {"en": "Toluca"}}} or {"city": "Toluca"}."""
    city = record.get("city")
    if isinstance(city, dict):
        names = city.get("names")
        city = names.get("en") if isinstance(names, dict) else None
    return city.strip() if isinstance(city, str) else ""
