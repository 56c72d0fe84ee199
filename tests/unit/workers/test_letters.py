"""A dead letter can always be published, read again, and stored."""

import msgspec
import pytest

from bus.base import RECORD_BYTES_MAX, Taken
from schemas.envelope import DeadLetter, decode_dead
from schemas.rows import TIME_MS_MIN
from schemas.topics import Coordinates
from tests.unit.workers.running import RECEIVED_AT, envelope, event_id
from workers.judging import Death
from workers.letters import dead_letter
from workers.stage import Dead

AT = Coordinates(1, "events.raw", 3, 17)
DEATH = Death("map", Dead("bad_value", "a value is bad", "props.price"))


def letter_about(value: bytes) -> DeadLetter:
    made = dead_letter(Taken(17, b"1|v", value), AT, DEATH)
    assert made.key == b"1|v"
    assert len(made.key) + len(made.value) <= RECORD_BYTES_MAX
    return decode_dead(made.value)


def test_it_says_what_and_why_and_where() -> None:
    letter = letter_about(envelope(5))
    assert (letter.id, letter.tenant, letter.request) == (event_id(5), 1, "request-5")
    assert letter.received_at == RECEIVED_AT + 5
    assert (letter.stage, letter.code, letter.pointer) == ("map", "bad_value", "props.price")
    assert (letter.src_topic, letter.src_kp, letter.src_ko, letter.src_inc) == ("events.raw", 3, 17, 1)
    assert (letter.raw, letter.truncated) == (envelope(5).decode(), False)


def test_of_an_envelope_of_another_version_it_says_what_it_can() -> None:
    assert letter_about(envelope(5, v=9)).id == event_id(5)


@pytest.mark.parametrize(
    "value",
    [b"", b"\x00\xff", b"[]", b'{"id": 7}', b"{" * 5000],
    ids=["empty", "binary", "list", "number", "deep"],
)
def test_what_is_no_envelope_has_no_stamps_but_the_present_time(value: bytes) -> None:
    letter = letter_about(value)
    assert (letter.id, letter.tenant, letter.dialect) == ("", 0, "")
    assert letter.received_at > RECEIVED_AT


def test_stamps_that_no_row_could_hold_are_left_out() -> None:
    letter = letter_about(envelope(5, id="{not-a-uuid}", tenant=2**40, received_at=TIME_MS_MIN - 1))
    assert (letter.id, letter.tenant) == ("", 0)
    assert letter.received_at > RECEIVED_AT


def test_undecodable_bytes_are_replaced_and_it_says_so() -> None:
    letter = letter_about(b"ab\xffcd")
    assert (letter.raw, letter.truncated) == ("ab\ufffdcd", True)


@pytest.mark.parametrize("piece", [b"a", b"\\", b'"', b"\x01", "\u00e9".encode(), "\U0001f600".encode()])
def test_a_letter_that_would_be_too_large_is_cut(piece: bytes) -> None:
    value = piece * (RECORD_BYTES_MAX // len(piece) - 10)
    letter = letter_about(value)
    assert letter.truncated
    assert value.decode().startswith(letter.raw)
    assert msgspec.json.encode(letter.raw)
