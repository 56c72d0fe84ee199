"""Records packed into a block: one row of the log holds many records of one publish."""

import threading
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import zstandard
from msgspec import Struct

from bus.base import BusUnavailable, Record, Taken

BLOCK_RECORDS_MAX = 2000
BLOCK_BYTES_MAX = 512 * 1024
"""A reader unpacks whole blocks, so they stay small beside what a worker takes at once."""

PLAIN, ZSTD = 0, 1
_ZSTD_BYTES_MIN = 512  # below it compression gains nothing

Headers = tuple[tuple[str, bytes], ...]
_Columns = tuple[list[bytes], list[bytes], list[Headers] | None]

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Columns)


class Block(Struct, frozen=True):
    """`count` (>= 1) records: keys, values and headers as columns in MessagePack, `data` coded by `codec`."""

    count: int
    codec: int
    data: bytes


class _Codec(threading.local):
    """One for each thread: a context is not for two at once, and making one costs more than a small block."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=1)
        self.decompressor = zstandard.ZstdDecompressor()


_codec = _Codec()


def pack(records: Iterable[Record]) -> list[Block]:
    """Pack the records of one partition, in order."""
    return [_block(chunk) for chunk in _chunks(records)]


def _block(records: Sequence[Record]) -> Block:
    keys, values, headers = zip(*records, strict=True)
    data = _encoder.encode((keys, values, headers if any(headers) else None))
    if len(data) < _ZSTD_BYTES_MIN:
        return Block(len(records), PLAIN, data)
    return Block(len(records), ZSTD, _codec.compressor.compress(data))


def unpack(start: int, block: Block) -> list[Taken]:
    """Return the records of a block whose first offset is `start`. Raises BusUnavailable for a broken one."""
    try:
        data = block.data if block.codec == PLAIN else _codec.decompressor.decompress(block.data)
        keys, values, headers = _decoder.decode(data)
        offsets = range(start, start + block.count)
        columns = zip(offsets, keys, values, headers or [()] * block.count, strict=True)
        return list(map(Taken._make, columns))
    except (msgspec.DecodeError, zstandard.ZstdError, ValueError) as error:
        raise BusUnavailable(f"the log is broken: the block at offset {start}: {error}") from error


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size_bytes = 0
    for record in records:
        chunk.append(record)
        size_bytes += len(record[0]) + len(record[1])
        if size_bytes >= BLOCK_BYTES_MAX or len(chunk) == BLOCK_RECORDS_MAX:
            yield chunk
            chunk, size_bytes = [], 0
    if chunk:
        yield chunk
