"""What stands with an offset can be read again, and nothing else can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.limits import NOTE_BYTES_MAX
from workers.intent import Intent, Note, NoteUnreadable, digest

offsets = st.integers(0, 2**63 - 1)
intents = st.builds(Intent, offsets, offsets, offsets, st.sampled_from(["", "events.raw/0f1e"]))


@given(st.builds(Note, st.integers(1, 65535), st.sampled_from(["", digest(b"x")]), st.none() | intents))
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert Note.parse(str(note)) == note
    assert len(str(note)) < NOTE_BYTES_MAX


def test_a_note_from_before_ranges_shared_their_tokens_names_the_token_it_used() -> None:
    intent = Note.parse("v1;inc=1;e=10;t0=1;t1=2;q=penstock/1/events.raw/3/0-10").intent
    assert intent == Intent(10, 1, 2, "1/events.raw/3/0-10")


@pytest.mark.parametrize(
    "text", ["", "v2;inc=1", "v1", "v1;inc=x", "v1;inc=1;e=5", "v1;inc=1;e=5;t0=;t1=3;q="]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(NoteUnreadable):
        Note.parse(text)


def test_other_records_have_other_digests() -> None:
    assert digest(b"a") != digest(b"b")
