"""The produce request and its answer, against aiokafka's own."""

import struct
from io import BytesIO

import pytest
from aiokafka.errors import IncompatibleBrokerVersion
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from hypothesis import given
from hypothesis import strategies as st

from bus.kafka.produce import VERSION, Answer, ProduceBatches

VERSIONS = {0: (3, 12)}  # what Kafka 4 says
topics = st.sampled_from(["events.raw", "events.rejected", "é"])
places = st.tuples(topics, st.integers(0, 2**31 - 1))


@given(
    batches=st.dictionaries(places, st.binary(max_size=50), max_size=8), timeout_ms=st.integers(0, 2**31 - 1)
)
def test_a_request_is_written_as_aiokafka_writes_it(
    batches: dict[tuple[str, int], bytes], timeout_ms: int
) -> None:
    request = ProduceBatches(batches.items(), timeout_ms).prepare(VERSIONS)
    grouped: dict[str, list[tuple[int, bytes]]] = {}
    for (topic, index), data in batches.items():
        grouped.setdefault(topic, []).append((index, data))
    theirs = ProduceRequest(None, -1, timeout_ms, list(grouped.items())).prepare(VERSIONS)
    assert request.encode() == theirs.encode()
    head = theirs.build_request_header(correlation_id=7, client_id="penstock")
    assert request.build_request_header(correlation_id=7, client_id="penstock").encode() == head.encode()


@given(codes=st.dictionaries(places, st.integers(-1, 100), max_size=8))
def test_an_answer_is_read_as_aiokafka_writes_it(codes: dict[tuple[str, int], int]) -> None:
    grouped: dict[str, list[tuple[int, int, int, int, int]]] = {}
    for (topic, index), code in codes.items():
        grouped.setdefault(topic, []).append((index, code, 2**40, -1, 3))
    data = struct.pack(">i", 7) + ProduceResponse_v7(list(grouped.items()), 0).encode()
    buffer = BytesIO(data)
    assert ProduceBatches.parse_response_header(buffer).correlation_id == 7
    assert Answer.decode(buffer).codes == codes


def test_an_answer_that_is_cut_off_is_an_error() -> None:
    data = ProduceResponse_v7([("t", [(0, 0, 1, -1, 0)])], 0).encode()
    with pytest.raises(struct.error):
        Answer.decode(BytesIO(data[:-10]))


@pytest.mark.parametrize("versions", [(0, VERSION - 1), (VERSION + 1, 12)])
def test_a_broker_that_does_not_take_this_version_is_told_apart(versions: tuple[int, int]) -> None:
    with pytest.raises(IncompatibleBrokerVersion, match=str(VERSION)):
        ProduceBatches([], 0).prepare({0: versions})
