"""Writes small .mmdb files, so that every record shape can be tried."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# https://maxmind.github.io/MaxMind-DB/
MARKER = b"\xab\xcd\xefMaxMind.com"
RECORD_BITS = 24
UINT16, UINT32, UINT64 = 5, 6, 9


def write_mmdb(path: Path, records: Mapping[str, Any], *, build_epoch: int = 1, ip_version: int = 6) -> None:
    """Write `records` (network in CIDR notation to record) in place, as a careless operator would."""
    path.write_bytes(mmdb(records, build_epoch=build_epoch, ip_version=ip_version))


def mmdb(records: Mapping[str, Any], *, build_epoch: int = 1, ip_version: int = 6) -> bytes:
    """Return the bytes of such a file."""
    tree: list[list[Any]] = [[None, None]]
    data = b""
    for text, record in records.items():
        network = ipaddress.ip_network(text)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if ip_version == 6 and network.version == 4:
            bits = "0" * 96 + bits
        node = 0
        for bit in bits[:-1]:
            child = tree[node][int(bit)]
            if child is None:
                tree.append([None, None])
                child = tree[node][int(bit)] = len(tree) - 1
            node = child
        tree[node][int(bits[-1])] = ("data", len(data))
        data += _encode(record)
    metadata = {
        "build_epoch": _uint(build_epoch, UINT64),
        "node_count": _uint(len(tree), UINT32),
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "database_type": "Test",
        "description": {},
        "ip_version": ip_version,
        "languages": [],
        "record_size": RECORD_BITS,
    }
    nodes = b"".join(_pointer(child, len(tree)) for node in tree for child in node)
    return nodes + bytes(16) + data + MARKER + _encode(metadata)


def _pointer(child: Any, nodes: int) -> bytes:
    if child is None:
        value = nodes
    elif isinstance(child, tuple):
        value = nodes + 16 + child[1]
    else:
        value = child
    return int(value).to_bytes(RECORD_BITS // 8, "big")


def _encode(value: dict[str, Any] | list[Any] | str | int | bytes) -> bytes:
    if isinstance(value, bytes):
        return value  # encoded already
    if isinstance(value, dict):
        return _head(7, len(value)) + b"".join(_encode(key) + _encode(v) for key, v in value.items())
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(_encode, value))
    if isinstance(value, str):
        return _head(2, len(value.encode())) + value.encode()
    return _uint(value, UINT16 if value < 2**16 else UINT32)


def _uint(value: int, kind: int) -> bytes:
    body = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _head(kind, len(body)) + body


def _head(kind: int, size: int) -> bytes:
    assert size < 285
    length = bytes([size - 29]) if size >= 29 else b""
    low = min(size, 29)
    return (bytes([kind << 5 | low]) if kind < 8 else bytes([low, kind - 7])) + length
