"""Kafka's produce request and its answer, as bytes: the batches of many partitions in one request.

aiokafka has both, but takes every number through a class of its own. Its connections send whatever can
encode itself, so this is one more request to them.
"""

from collections.abc import Iterable
from io import BytesIO
from struct import Struct
from typing import NamedTuple, Self

from aiokafka.errors import IncompatibleBrokerVersion

VERSION = 7
"""Every broker from 2.1 on takes it, 4 too; the next one is the first with an answer of another form."""

_HEAD = Struct(">hhih")  # which request, its version, correlation id, length of the client id
_START = Struct(">hhii")  # no transaction, acks, timeout, topics
_LENGTH = Struct(">h")
_COUNT = Struct(">i")
_BATCH = Struct(">ii")  # partition, bytes
_ROW = Struct(">ihqqq")  # partition, error, first offset, time, first offset of the log
_ALL_IN_SYNC = -1
_NO_TRANSACTION = -1

Place = tuple[str, int]


class RequestHead(NamedTuple):
    """What precedes a request."""

    correlation_id: int
    client_id: str

    def encode(self) -> bytes:
        """Return its bytes."""
        name = self.client_id.encode()
        return _HEAD.pack(ProduceBatches.API_KEY, VERSION, self.correlation_id, len(name)) + name


class AnswerHead(NamedTuple):
    """What precedes an answer."""

    correlation_id: int


class Answer:
    """What became of each batch: an error code by topic and partition, 0 where it was taken."""

    def __init__(self, codes: dict[Place, int]) -> None:
        self.codes = codes

    @classmethod
    def decode(cls, buffer: BytesIO) -> Self:
        """Read what follows the header of an answer. Raises struct.error if it is cut off."""
        data = buffer.read()
        codes: dict[Place, int] = {}
        (topics,) = _COUNT.unpack_from(data)
        at = _COUNT.size
        for _ in range(topics):
            (length,) = _LENGTH.unpack_from(data, at)
            at += _LENGTH.size
            topic = data[at : at + length].decode()
            at += length
            (rows,) = _COUNT.unpack_from(data, at)
            at += _COUNT.size
            for _ in range(rows):
                index, code, *_offsets = _ROW.unpack_from(data, at)
                codes[topic, index] = code
                at += _ROW.size
        return cls(codes)


class ProduceBatches:
    """Batches for partitions that one broker leads, to be answered when every replica in sync has them."""

    API_KEY = 0
    RESPONSE_TYPE = Answer

    def __init__(self, batches: Iterable[tuple[Place, bytes]], timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._topics: dict[str, list[tuple[int, bytes]]] = {}
        for (topic, index), data in batches:
            self._topics.setdefault(topic, []).append((index, data))

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Self:
        """Return what is to be sent to a broker that takes these versions of each request."""
        least, most = versions[self.API_KEY]
        if not least <= VERSION <= most:
            raise IncompatibleBrokerVersion(
                f"the broker takes produce requests of versions {least} to {most}, not {VERSION}"
            )
        return self

    @staticmethod
    def build_request_header(correlation_id: int, client_id: str) -> RequestHead:
        """Return the header."""
        return RequestHead(correlation_id, client_id)

    def encode(self) -> bytes:
        """Return what follows the header."""
        parts: list[bytes] = [_START.pack(_NO_TRANSACTION, _ALL_IN_SYNC, self._timeout_ms, len(self._topics))]
        for topic, rows in self._topics.items():
            name = topic.encode()
            parts += (_LENGTH.pack(len(name)), name, _COUNT.pack(len(rows)))
            for index, data in rows:
                parts += (_BATCH.pack(index, len(data)), data)
        return b"".join(parts)

    @staticmethod
    def parse_response_header(buffer: BytesIO) -> AnswerHead:
        """Read the header of the answer."""
        return AnswerHead(*_COUNT.unpack(buffer.read(_COUNT.size)))
