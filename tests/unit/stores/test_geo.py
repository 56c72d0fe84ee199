"""stores/geo.py: every record shape, bad files, and files that are replaced under a running process."""

import logging
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.geo import _PUBLIC_IPV4, NOWHERE, Geo, Place
from tests.unit.stores.mmdb import mmdb, write_mmdb

ADDRESS = "189.203.1.1"
NETWORK = "189.203.0.0/16"


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def geo_of(path: Path, clock: Clock) -> Geo:
    return Geo(str(path), check_every_s=5.0, clock=clock)


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country": {"iso_code": "MX"}}, Place("MX", "")),
        ({"country": {"iso_code": "MX"}, "city": {"names": {"en": "Toluca"}}}, Place("MX", "Toluca")),
        ({"city": {"names": {"de": "München"}}}, Place("", "")),
        ({"country_code": "MX"}, Place("MX", "")),
        ({"country_code": "mx", "city": "León"}, Place("MX", "León")),
        ({"country": "MX", "city": ""}, Place("MX", "")),
        ({"country": "Mexico", "country_code": "MX"}, Place("MX", "")),
        ({"country": "Mexico"}, NOWHERE),
        ({"country_code": "ZZ"}, NOWHERE),
        ({"country_code": "Mé"}, NOWHERE),
        ({"country": {"iso_code": 52}, "city": 7}, NOWHERE),
        ({"country": [], "city": {"names": "Toluca"}}, NOWHERE),
        ({}, NOWHERE),
        ("MX", NOWHERE),
    ],
)
def test_record_shapes(tmp_path: Path, record: Any, place: Place) -> None:
    path = tmp_path / "geo.mmdb"
    write_mmdb(path, {NETWORK: record})
    with Geo(str(path)) as geo:
        assert geo.lookup(ADDRESS) == place


def test_the_bundled_file() -> None:
    with Geo() as geo:
        assert geo.lookup(ADDRESS) == Place("MX", "")
        assert geo.lookup("2001:4860:4860::8888").country
        assert geo.build > 1_700_000_000


@pytest.mark.parametrize(
    "ip",
    [
        *("", "x", "1.2.3", "189.203.1.1/32", "١٨٩.203.1.1", "189.203.1.1\0", "9" * 500),
        *("10.0.0.1", "192.168.1.1", "127.0.0.1", "100.64.0.1", "::ffff:10.0.0.1"),
        *("::1", "fe80::1%eth0", "fd00::1", "2001:db8::1"),
    ],
)
def test_private_and_invalid_addresses_are_nowhere(tmp_path: Path, ip: str) -> None:
    path = tmp_path / "geo.mmdb"
    write_mmdb(path, {"0.0.0.0/1": {"country_code": "MX"}, "128.0.0.0/1": {"country_code": "MX"}})
    with Geo(str(path)) as geo:
        assert geo.lookup(ip) == NOWHERE
        assert geo.lookup(ADDRESS) == Place("MX", "")


def test_an_ipv4_address_written_as_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "geo.mmdb"
    write_mmdb(path, {NETWORK: {"country_code": "MX"}})
    with Geo(str(path)) as geo:
        assert geo.lookup(f"::ffff:{ADDRESS}") == Place("MX", "")


def test_ipv6_in_a_file_of_ipv4(tmp_path: Path) -> None:
    path = tmp_path / "geo.mmdb"
    write_mmdb(path, {NETWORK: {"country_code": "MX"}}, ip_version=4)
    with Geo(str(path)) as geo:
        assert geo.lookup("2a00:1450::1") == NOWHERE
        assert geo.lookup(ADDRESS) == Place("MX", "")


@pytest.mark.parametrize(
    "content",
    [None, b"", b"not a database", mmdb({NETWORK: {"country_code": "MX"}})[:-20], b"\xab\xcd\xef" * 30_000],
    ids=["missing", "empty", "text", "cut short", "noise"],
)
def test_a_bad_file_is_one_warning_and_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "geo.mmdb"
    if content is not None:
        path.write_bytes(content)
    clock = Clock()
    with caplog.at_level(logging.WARNING), geo_of(path, clock) as geo:
        for _ in range(5):
            assert geo.lookup(ADDRESS) == NOWHERE
            clock.now += 6
        assert geo.build == 0
        assert len(caplog.records) == 1
        assert str(path) in caplog.text
        write_mmdb(path, {NETWORK: {"country_code": "MX"}}, build_epoch=7)
        clock.now += 6
        assert geo.lookup(ADDRESS) == Place("MX", "")
        assert geo.build == 7


def test_a_directory_is_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Geo(str(tmp_path)) as geo:
        assert geo.lookup(ADDRESS) == NOWHERE
    assert "cannot be read" in caplog.text


def test_a_replaced_file_is_picked_up_within_the_interval(tmp_path: Path) -> None:
    path, clock = tmp_path / "geo.mmdb", Clock()
    write_mmdb(path, {NETWORK: {"country_code": "MX"}}, build_epoch=1)
    with geo_of(path, clock) as geo:
        assert geo.lookup(ADDRESS).country == "MX"
        write_mmdb(tmp_path / "new", {NETWORK: {"country_code": "HN"}}, build_epoch=2)
        (tmp_path / "new").rename(path)
        clock.now += 4
        assert geo.lookup(ADDRESS).country == "MX"
        clock.now += 2
        assert geo.lookup(ADDRESS).country == "HN"
        assert geo.build == 2


@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000], ids=["empty", "rubbish"])
def test_a_file_spoilt_in_place_leaves_the_old_one_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    # Under a shared memory map the truncation would end this process with SIGBUS.
    path, clock = tmp_path / "geo.mmdb", Clock()
    many = {f"{a}.{b}.0.0/16": {"country_code": "MX"} for a in range(150, 200) for b in range(256)}
    write_mmdb(path, many)
    with geo_of(path, clock) as geo:
        path.write_bytes(content)
        for a in range(150, 172):
            clock.now += 1
            assert geo.lookup(f"{a}.7.1.1").country == "MX"
        assert "stays in use" in caplog.text
        write_mmdb(path, {NETWORK: {"country_code": "HN"}})
        clock.now += 6
        assert geo.lookup(ADDRESS).country == "HN"


def test_a_file_that_goes_leaves_the_old_one_in_use(tmp_path: Path) -> None:
    path, clock = tmp_path / "geo.mmdb", Clock()
    write_mmdb(path, {NETWORK: {"country_code": "MX"}})
    with geo_of(path, clock) as geo:
        path.unlink()
        clock.now += 6
        assert geo.lookup(ADDRESS).country == "MX"


def test_corruption_inside_is_found_by_the_lookup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "geo.mmdb"
    content = bytearray(mmdb({NETWORK: {"country_code": "MX"}}))
    at = content.index(b"country_code") - 2
    content[at] = 0x3F  # a pointer to far behind the end
    path.write_bytes(content)
    with Geo(str(path)) as geo:
        assert geo.lookup(ADDRESS) == NOWHERE
        assert geo.lookup(ADDRESS) == NOWHERE
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_a_text_that_is_not_utf_8_is_no_place(tmp_path: Path) -> None:
    path = tmp_path / "geo.mmdb"
    path.write_bytes(mmdb({NETWORK: {"country_code": "MX"}}).replace(b"MX", b"M\xe9"))
    with Geo(str(path)) as geo:
        assert geo.lookup(ADDRESS) == geo.lookup(f"::ffff:{ADDRESS}") == NOWHERE


@given(st.ip_addresses(v=4) | st.integers(0, 255).map(lambda octet: IPv4Address(octet << 24 | 0x00010203)))
def test_what_is_taken_for_public_at_sight_is(address: IPv4Address) -> None:
    if _PUBLIC_IPV4.fullmatch(str(address)):
        assert address.is_global


@pytest.mark.parametrize(
    "text",
    [
        "",
        "189.203.1",
        "189.203.1.256",
        "0189.203.1.1",
        "189.203.1.01",
        "189.203.1.1\n",
        "189.203.1.1.1",
        "１89.203.1.1",
    ],
)
def test_what_is_no_address_is_not_public_at_sight(text: str) -> None:
    assert not _PUBLIC_IPV4.fullmatch(text)


def test_most_addresses_are_public_at_sight() -> None:
    assert sum(_PUBLIC_IPV4.fullmatch(f"{octet}.1.2.3") is not None for octet in range(256)) > 200
