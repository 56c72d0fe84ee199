"""The primitives of ClickHouse's native protocol, over one socket.

Integers are little-endian, varints LEB128, strings length-prefixed. A compressed block is one frame:
16 bytes of CityHash128, one byte for the method (LZ4), the size with the 9 bytes of this header, the size
when decompressed, the data.
"""

import struct
from io import BufferedIOBase
from socket import socket
from typing import Any

import lz4.block
from clickhouse_cityhash.cityhash import CityHash128

REVISION = 54429
"""From here on settings travel as strings; above it, more optional fields that nobody here needs."""

TEXT_BYTES_MAX = 64 * 2**20
FRAME_BYTES_MAX = 256 * 2**20

_LZ4 = 0x82
_FRAME = struct.Struct("<BII")
_HASH = struct.Struct("<QQ")
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # no overflow rows, bucket -1

_BLOCK_INFO_BYTES = {b"\x01": 2, b"\x02": 5}  # of each field, its number included

HELLO, DATA, EXCEPTION, PONG, END_OF_STREAM = 0, 1, 2, 4, 5
"""Packets of the server."""

CLIENT_HELLO, CLIENT_QUERY, CLIENT_DATA, CLIENT_CANCEL, CLIENT_PING = 0, 1, 2, 3, 4


class ProtocolError(Exception):
    """What came is not the native protocol as it is spoken here."""


class Reader:
    """Reads what a client sends, buffered. Every method raises EOFError where the client has gone.

    The driver's column readers take it as their buffer; `tee` keeps what they consume.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._tee: bytearray | None = None

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        if size > FRAME_BYTES_MAX:
            raise ProtocolError(f"{size} bytes at once are too many")
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError
        if self._tee is not None:
            self._tee += data
        return data

    def read_one(self) -> int:
        """Return one byte."""
        return self.read(1)[0]

    def read_strings(self, count: int, encoding: str | None = None) -> tuple[Any, ...]:
        """Return `count` strings; only the driver's column readers ask, and always for bytes."""
        return tuple(self.read(self.varint()) for _ in range(count))

    def read_fixed_strings(self, count: int, length: int, encoding: str | None = None) -> tuple[Any, ...]:
        """Return `count` strings of `length` bytes."""
        return tuple(self.read(length) for _ in range(count))

    def varint(self) -> int:
        """Return an unsigned integer of up to 64 bits."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.read_one()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ProtocolError("a varint is longer than 10 bytes")

    def text(self) -> str:
        """Return a UTF-8 string."""
        size = self.varint()
        if size > TEXT_BYTES_MAX:
            raise ProtocolError(f"a string of {size} bytes is too long")
        try:
            return self.read(size).decode()
        except UnicodeDecodeError:
            raise ProtocolError("a string is not UTF-8") from None

    def start_tee(self) -> None:
        """Keep a copy of all that is read from now on."""
        self._tee = bytearray()

    def stop_tee(self) -> bytes:
        """Return what was read since `start_tee`."""
        taken, self._tee = self._tee, None
        assert taken is not None
        return bytes(taken)

    def frame(self) -> bytes:
        """Return one decompressed frame."""
        digest = self.read(_HASH.size)
        header = self.read(_FRAME.size)
        method, size, full_size = _FRAME.unpack(header)
        if method != _LZ4 or size < _FRAME.size or full_size > FRAME_BYTES_MAX:
            raise ProtocolError("not an LZ4 frame")
        body = self.read(size - _FRAME.size)
        if _digest(header + body) != digest:
            raise ProtocolError("the checksum of a frame does not match")
        try:
            data: bytes = lz4.block.decompress(body, uncompressed_size=full_size)
        except lz4.block.LZ4BlockError:
            raise ProtocolError("a frame does not decompress") from None
        return data


class Writer:
    """Writes to the client: packets are put together and leave at once with `flush`."""

    def __init__(self, sock: socket) -> None:
        self._socket = sock
        self._buffer = bytearray()

    def varint(self, value: int) -> None:
        self._buffer += encode_varint(value)

    def text(self, value: str) -> None:
        data = value.encode()
        self._buffer += encode_varint(len(data)) + data

    def block(self, native: bytes, *, compressed: bool) -> None:
        """Put one data packet; `native` is a block in FORMAT Native."""
        self.varint(DATA)
        self.text("")
        data = BLOCK_INFO + native
        self._buffer += _framed(data) if compressed else data

    def exception(self, code: int, name: str, message: str) -> None:
        self.varint(EXCEPTION)
        self._buffer += struct.pack("<i", code)
        self.text(name)
        self.text(message)
        self.text("")  # stack trace
        self._buffer += b"\x00"  # nothing nested

    def flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        self._socket.sendall(data)


def encode_varint(value: int) -> bytes:
    """Return an unsigned integer as LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def header_block(columns: list[tuple[str, str]]) -> bytes:
    """Return a native block of no rows: names and types only, as a client expects it before it inserts."""
    out = bytearray(encode_varint(len(columns)) + b"\x00")
    for name, kind in columns:
        for text in (name.encode(), kind.encode()):
            out += encode_varint(len(text)) + text
    return bytes(out)


def split_block(data: bytes) -> tuple[bytes, int, int]:
    """Return the native block after the block info, its columns and its rows."""
    at = 0
    while (field := data[at : at + 1]) != b"\x00":  # pairs of a field's number and its value
        if field not in _BLOCK_INFO_BYTES:
            raise ProtocolError("a block does not begin with a block info")
        at += _BLOCK_INFO_BYTES[field]
    native = data[at + 1 :]
    columns, at = _varint_at(native, 0)
    rows, _ = _varint_at(native, at)
    return native, columns, rows


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ProtocolError("a block is cut short")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _framed(data: bytes) -> bytes:
    body: bytes = lz4.block.compress(data, store_size=False)
    framed = _FRAME.pack(_LZ4, len(body) + _FRAME.size, len(data)) + body
    return _digest(framed) + framed


def _digest(data: bytes) -> bytes:
    number = CityHash128(data)
    return _HASH.pack(number >> 64, number & (2**64 - 1))
