"""The primitives of the native protocol, against the driver's own."""

from contextlib import suppress
from io import BytesIO

import pytest
from clickhouse_driver.varint import read_varint
from hypothesis import given
from hypothesis import strategies as st

from deploy.dev.clickhouse import wire


class Sink:
    """Stands where the socket would."""

    def __init__(self) -> None:
        self.data = b""

    def sendall(self, data: bytes) -> None:
        self.data += data


def reader(data: bytes) -> wire.Reader:
    return wire.Reader(BytesIO(data))


@given(st.integers(0, 2**64 - 1))
def test_varints(number: int) -> None:
    data = wire.encode_varint(number)
    assert reader(data).varint() == number
    assert read_varint(reader(data)) == number


@given(st.text(), st.booleans())
def test_a_block_comes_back(text: str, compressed: bool) -> None:
    native = wire.header_block([(text, "String")])
    sink = Sink()
    writer = wire.Writer(sink)  # type: ignore[arg-type]
    writer.block(native, compressed=compressed)
    writer.flush()
    packet = reader(sink.data)
    assert packet.varint() == wire.DATA
    assert packet.text() == ""
    data = packet.frame() if compressed else packet.read(len(wire.BLOCK_INFO) + len(native))
    assert wire.split_block(data) == (native, 1, 0)


@pytest.mark.parametrize("data", [b"", b"\x05abc", b"\xff"])
def test_a_client_that_has_gone(data: bytes) -> None:
    with pytest.raises(EOFError):
        reader(data).text()


@pytest.mark.parametrize(
    "data",
    [b"\xff" * 11, wire.encode_varint(wire.TEXT_BYTES_MAX + 1), b"\x01\xff"],
)
def test_texts_that_are_none(data: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        reader(data).text()


def test_a_frame_is_checked() -> None:
    sink = Sink()
    writer = wire.Writer(sink)  # type: ignore[arg-type]
    writer.block(wire.header_block([("a", "UInt8")]), compressed=True)
    writer.flush()
    frame = sink.data[2:]
    for at in range(len(frame)):
        damaged = frame[:at] + bytes([frame[at] ^ 0xFF]) + frame[at + 1 :]
        with pytest.raises((wire.ProtocolError, EOFError)):
            reader(damaged).frame()


@given(st.binary(max_size=40))
def test_no_block_whatever_breaks_it_otherwise(data: bytes) -> None:
    with suppress(wire.ProtocolError):
        wire.split_block(data)
