"""Content encodings, each undone in steps of bounded output: a small bomb must not become a large one."""

import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import brotli
import zstandard

STEP_BYTES = 256 * 1024
"""Most output of one step, about: brotli goes over it by one of its own blocks."""

ZSTD_WINDOW_BYTES_MAX = 8 * 2**20
"""What RFC 9659 lets an HTTP client use."""


class NotDecodable(ValueError):
    """The bytes are not of this encoding, or end too early."""


class Decoder(Protocol):
    """Undoes one encoding. Both methods raise NotDecodable and give pieces of bounded size."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the body."""

    def finish(self) -> Iterator[bytes]:
        """Give what is left after the last of them."""


class Identity:
    """No encoding."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give the bytes as they are."""
        yield data

    def finish(self) -> Iterator[bytes]:
        """Give nothing."""
        yield from ()


class Gzip:
    """gzip, of one member or several."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the body."""
        while data:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            self._begun = True
            yield from _inflate(self._member, data)
            data = self._member.unused_data

    def finish(self) -> Iterator[bytes]:
        """Refuse a body that ends within a member."""
        if not self._begun or not self._member.eof:
            raise NotDecodable
        yield from ()


class Deflate:
    """zlib data, as the standard says, or bare deflate data, as some clients understood it."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the body."""
        if self._stream is None:
            self._head += data
            if len(self._head) < 2:
                return
            data, self._head = self._head, b""
            wrapped = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if wrapped else -15)
        if self._stream.eof and data:
            raise NotDecodable
        yield from _inflate(self._stream, data)
        if self._stream.unused_data:
            raise NotDecodable

    def finish(self) -> Iterator[bytes]:
        """Refuse a body that is cut short."""
        if self._stream is None or not self._stream.eof:
            raise NotDecodable
        yield from ()


class Brotli:
    """br."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes of the body."""
        if self._stream.is_finished() and data:
            raise NotDecodable
        while True:
            try:
                piece: bytes = self._stream.process(data, output_buffer_limit=STEP_BYTES)
            except brotli.error:
                raise NotDecodable from None
            yield piece
            data = b""
            # It calls itself ready for more input while output is still left behind.
            waiting = len(piece) >= STEP_BYTES or not self._stream.can_accept_more_data()
            if self._stream.is_finished() or not waiting:
                return

    def finish(self) -> Iterator[bytes]:
        """Refuse a body that is cut short."""
        if not self._stream.is_finished():
            raise NotDecodable
        yield from ()


class Zstd:
    """zstd. The library's push interface has no bound on its output, its readers have: so read at the end.

    They end a body that is cut short without a word; its JSON will not be whole.
    """

    def __init__(self) -> None:
        self._compressed: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Keep the next bytes of the body; the caller bounds them."""
        self._compressed.append(data)
        yield from ()

    def finish(self) -> Iterator[bytes]:
        """Undo all of it, frame after frame."""
        data = b"".join(self._compressed)
        self._compressed.clear()
        if not data:
            raise NotDecodable
        whole = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
        try:
            with whole.stream_reader(data, read_across_frames=True) as reader:
                while piece := reader.read(STEP_BYTES):
                    yield piece
        except zstandard.ZstdError:
            raise NotDecodable from None


DECODERS: dict[bytes, Callable[[], Decoder]] = {
    b"identity": Identity,
    b"gzip": Gzip,
    b"x-gzip": Gzip,  # the same, says RFC 9110
    b"deflate": Deflate,
    b"br": Brotli,
    b"zstd": Zstd,
}


def _inflate(stream: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    while True:
        try:
            piece = stream.decompress(data, STEP_BYTES)
        except zlib.error:
            raise NotDecodable from None
        yield piece
        data = stream.unconsumed_tail
        # A full step may leave output behind although all the input is taken.
        if stream.eof or (not data and len(piece) < STEP_BYTES):
            return
