"""Every encoding gives back what was put in, in bounded pieces, and refuses what is not its own."""

import gzip
import random
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from gateway.encodings import DECODERS, STEP_BYTES, NotDecodable

ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"identity": bytes,
    b"gzip": gzip.compress,
    b"x-gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": lambda data: bytes(brotli.compress(data, quality=3)),
    b"zstd": zstandard.compress,
}
COMPRESSED = [name for name in ENCODERS if name != b"identity"]
SIZES = [1, 5, STEP_BYTES - 1, STEP_BYTES, STEP_BYTES + 1, 3_000_000]


def decode(name: bytes, encoded: bytes, step: int = 65_536) -> list[bytes]:
    decoder = DECODERS[name]()
    pieces = [piece for at in range(0, len(encoded), step) for piece in decoder.feed(encoded[at : at + step])]
    return [*pieces, *decoder.finish()]


def test_all_encodings_are_tried_here() -> None:
    assert ENCODERS.keys() == DECODERS.keys()


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("size", SIZES)
def test_round_trip_in_pieces(name: bytes, size: int) -> None:
    texts = (bytes(size), random.Random(size).randbytes(size), (b"abc" * size)[:size])
    for text in texts:
        encoded = ENCODERS[name](text)
        for step in (1 if len(encoded) < 2_000 else 7_777, 65_536):
            assert b"".join(decode(name, encoded, step)) == text


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_bomb_comes_in_bounded_pieces(name: bytes) -> None:
    bomb = ENCODERS[name](bytes(20_000_000))
    assert max(map(len, decode(name, bomb))) <= 2 * STEP_BYTES


@pytest.mark.parametrize("name", COMPRESSED)
def test_garbage_is_refused(name: bytes) -> None:
    with pytest.raises(NotDecodable):
        decode(name, b"\x9dthis is not compressed at all")


@pytest.mark.parametrize("name", COMPRESSED)
def test_nothing_is_not_whole(name: bytes) -> None:
    with pytest.raises(NotDecodable):
        decode(name, b"")


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_is_cut_short_is_refused_or_shorter(name: bytes) -> None:
    encoded = ENCODERS[name](b"0123456789" * 1000)
    try:
        found = b"".join(decode(name, encoded[:-5]))
    except NotDecodable:
        found = b""
    assert len(found) < 10_000


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_follows_the_end_is_refused(name: bytes) -> None:
    with pytest.raises(NotDecodable):
        decode(name, ENCODERS[name](b"hello") + b"and more")


@pytest.mark.parametrize("name", [b"gzip", b"zstd"])
def test_several_members_are_one_body(name: bytes) -> None:
    encoded = ENCODERS[name](b"one, ") + ENCODERS[name](b"two")
    assert b"".join(decode(name, encoded, 3)) == b"one, two"


def test_bare_deflate_is_taken_too() -> None:
    bare = zlib.compress(b"hello" * 100)[2:-4]
    assert b"".join(decode(b"deflate", bare, 1)) == b"hello" * 100


def test_a_zstd_window_may_not_be_huge() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    encoded = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(NotDecodable):
        decode(b"zstd", encoded.compress(bytes(100)) + encoded.flush())
