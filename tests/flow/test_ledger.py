"""The books of a partition over the SQLite log and the embedded ClickHouse, with faults planted in them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import asdict

from bus.base import LogChanged
from console import offsets, undelivered
from console.ledger import Line
from schemas.topics import DEAD, RAW, REJECTED
from tests.embedded_clickhouse import EmbeddedClickHouse
from tests.flow.planted import FIRST, Planted, letter, open_planted


@pytest.fixture
async def planted(clickhouse: EmbeddedClickHouse, tmp_path: Path) -> AsyncIterator[Planted]:
    await clickhouse.migrate("ledger")
    async with clickhouse.warehouse("ledger") as warehouse, open_planted(tmp_path, warehouse) as opened:
        yield opened


def figures(line: Line) -> dict[str, int]:
    """What is not zero."""
    told = {name: value for name, value in asdict(line).items() if name not in ("topic", "partition", "inc")}
    return {name: value for name, value in told.items() if value}


async def test_nothing_yet(planted: Planted) -> None:
    books = await planted.books()
    assert [(line.topic, line.partition, line.inc) for line in books.lines] == [
        (RAW, 0, 1),
        (REJECTED, 0, 1),
        (DEAD, 0, 1),
    ]
    assert [figures(line) for line in books.lines] == [{}, {}, {}]
    assert books.balanced


async def test_what_is_erased_counts_before_it_is_gone(planted: Planted) -> None:
    await planted.publish(10)
    await planted.store(range(8))
    await planted.bury([8, 9])
    await planted.quarantine({0: letter(8), 1: letter(9)})
    await planted.commit(10)
    await planted.commit(2, DEAD)
    await planted.end([3, 4, 8], "erased")
    books = await planted.books()
    assert books.balanced, books.complaints()
    assert figures(books.lines[0]) == {"received": 10, "stored": 6, "dead": 1, "erased": 3}
    # A day is time enough: what is still there then is there twice.
    await planted.warehouse.execute("TRUNCATE TABLE outcomes")
    await planted.end([3], "erased")
    await planted.warehouse.execute(
        "INSERT INTO outcomes SELECT * REPLACE (stored_at - toIntervalDay(2) AS stored_at, 4 AS ko) "
        "FROM outcomes"
    )
    assert figures(await planted.line()) == {
        "received": 10,
        "stored": 7,
        "dead": 2,
        "erased": 2,
        "overlaps": 1,
    }


async def test_what_nobody_has_read_is_in_flight(planted: Planted) -> None:
    await planted.publish(5)
    assert figures(await planted.line()) == {"received": 5, "in_flight": 5}


async def test_every_outcome_counts_once(planted: Planted) -> None:
    await planted.publish(20)
    await planted.store(range(10))
    await planted.end([10, 11], "duplicate")
    await planted.end([12], "dropped")
    await planted.end([13, 14], "erased")
    await planted.bury([15, 16, 16])  # published twice: once before a crash
    await planted.quarantine({0: letter(15), 1: letter(16), 2: letter(16)})
    await planted.finish(0, 17, duplicate=2, dropped=1, dead=2)
    await planted.commit(17)
    await planted.commit(3, DEAD)
    books = await planted.books()
    assert books.balanced, books.complaints()
    assert figures(books.lines[0]) == {
        "received": 20,
        "stored": 10,
        "duplicate": 2,
        "dropped": 1,
        "erased": 2,
        "dead": 2,
        "in_flight": 3,
    }
    assert figures(books.lines[2]) == {"received": 3, "stored": 3}
    assert figures((await planted.books(history=False)).lines[0]) == figures(books.lines[0])


async def test_rows_past_the_commit_are_in_flight(planted: Planted) -> None:
    """A range is written before it is committed: its rows count when the commit says so."""
    await planted.publish(10)
    await planted.store(range(8))
    await planted.finish(0, 5)
    await planted.finish(5, 8)
    await planted.commit(5)
    assert figures(await planted.line()) == {"received": 10, "stored": 5, "in_flight": 5}


async def test_dead_letters_under_way_are_in_flight(planted: Planted) -> None:
    await planted.publish(6)
    await planted.store([0, 5])
    await planted.bury([1, 2, 3, 4])
    await planted.commit(6)
    await planted.quarantine({0: letter(1)})
    await planted.commit(1, DEAD)
    assert figures(await planted.line()) == {"received": 6, "stored": 2, "dead": 1, "in_flight": 3}
    await planted.quarantine({1: letter(2)})  # stored, its range is not committed yet
    assert figures(await planted.line()) == {"received": 6, "stored": 2, "dead": 2, "in_flight": 2}
    await planted.quarantine({2: letter(3), 3: letter(4)})
    await planted.commit(4, DEAD)
    assert figures(await planted.line()) == {"received": 6, "stored": 2, "dead": 4}


async def test_a_gap_is_named(planted: Planted) -> None:
    await planted.publish(12)
    await planted.store([0, 1, 2, 6, 9])
    await planted.bury([7])
    await planted.commit(10)
    books = await planted.books()
    line = books.lines[0]
    assert figures(line) == {"received": 12, "stored": 5, "in_flight": 3, "gaps": 4}
    assert not books.balanced
    assert books.missing == {FIRST: [3, 4, 5, 8]}
    [complaint] = books.complaints()
    assert complaint.startswith(
        "events.raw/0 (incarnation 1) does not balance: 4 offsets are in no table (3-5, 8)"
    )


async def test_a_letter_that_is_stored_hides_no_gap(planted: Planted) -> None:
    """One letter is under way, one record is lost: the two must not be taken for each other."""
    await planted.publish(4)
    await planted.store([0, 1])
    await planted.bury([2])
    await planted.quarantine({0: letter(2)})  # the quarantine's commit lags behind its rows
    await planted.commit(4)
    assert figures(await planted.line()) == {"received": 4, "stored": 2, "dead": 1, "gaps": 1}


async def test_overlaps_of_every_kind(planted: Planted) -> None:
    await planted.publish(6)
    await planted.store([0, 1, 2])
    await planted.store([2])
    await planted.end([1, 3], "duplicate")
    await planted.bury([3, 4])
    await planted.quarantine({0: letter(3), 1: letter(4)})
    await planted.store([4, 5])
    await planted.commit(6)
    await planted.commit(2, DEAD)
    line = await planted.line()
    assert figures(line) == {"received": 6, "stored": 6, "duplicate": 2, "dead": 2, "overlaps": 4}
    assert not line.balanced


async def test_letters_about_letters(planted: Planted) -> None:
    """A rejection that the quarantine worker cannot read becomes a dead letter, which is one itself."""
    await planted.publish(2, REJECTED)
    await planted.bury([1], REJECTED)
    await planted.quarantine({0: letter(0)}, REJECTED)
    await planted.commit(2, REJECTED)
    assert figures(await planted.line(REJECTED)) == {"received": 2, "stored": 1, "in_flight": 1}
    await planted.quarantine({0: letter(1, REJECTED)})
    await planted.commit(1, DEAD)
    assert figures(await planted.line(REJECTED)) == {"received": 2, "stored": 1, "dead": 1}
    assert (await planted.books()).balanced


async def test_ranges_before_the_log_stand_by_their_batches(planted: Planted) -> None:
    for count in (4, 4, 4):
        await planted.publish(count)
    await planted.store(range(3, 12))  # the rows of the first three have passed their retention
    await planted.finish(0, 3, duplicate=1)
    await planted.finish(3, 6)  # straddles the edge of the log
    await planted.finish(6, 12)
    await planted.commit(12)
    await planted.forget(before=4)
    expected = {"received": 12, "stored": 11, "duplicate": 1}
    assert (await planted.bus.ends(RAW))[FIRST] == (4, 12)
    assert figures(await planted.line()) == expected
    await planted.finish(0, 3, duplicate=1)  # the same range twice is one
    assert figures(await planted.line()) == expected
    assert figures((await planted.books(history=False)).lines[0]) == {"received": 6, "stored": 6}


@pytest.mark.parametrize(
    ("ranges", "gaps", "overlaps"),
    [
        ([(0, 4), (5, 8)], 1, 0),
        ([(0, 5), (3, 8)], 0, 2),
        ([(0, 8), (2, 5)], 0, 3),
        ([(0, 3), (2, 4), (6, 8)], 2, 1),
        ([(0, 4)], 4, 0),
    ],
)
async def test_faults_among_old_ranges(
    planted: Planted, ranges: list[tuple[int, int]], gaps: int, overlaps: int
) -> None:
    await planted.publish(8)
    await planted.publish(1)
    await planted.store([8])
    for start, end in ranges:
        await planted.finish(start, end)
    await planted.commit(9)
    await planted.forget(before=8)
    line = await planted.line()
    assert (line.received, line.gaps, line.overlaps) == (9, gaps, overlaps)


async def test_what_retention_took_unread_is_a_gap(planted: Planted) -> None:
    for _ in range(3):
        await planted.publish(3)
    await planted.store(range(3))
    await planted.finish(0, 3)
    await planted.commit(3)
    await planted.forget(before=6)
    assert figures(await planted.line()) == {"received": 9, "stored": 3, "in_flight": 3, "gaps": 3}


async def test_a_new_incarnation_has_books_of_its_own(planted: Planted) -> None:
    await planted.publish(8)
    await planted.store(range(5))
    await planted.finish(0, 5)
    await planted.finish(6, 7, dead=1)
    await planted.commit(7, inc=1)
    planted.inc = 2
    old, new = [line for line in (await planted.books()).lines if line.topic == RAW]
    # The offset of the old log says nothing about the new one: all of that is still to be read.
    assert (new.inc, figures(new)) == (2, {"received": 8, "in_flight": 8})
    assert (old.inc, figures(old)) == (1, {"received": 7, "stored": 5, "dead": 1, "gaps": 1})
    await planted.store(range(8), inc=2)
    await planted.finish(0, 8, inc=2)
    await planted.commit(8, inc=2)
    assert figures(await planted.line(inc=2)) == {"received": 8, "stored": 8}
    # Whoever asks with the old setting is told of the incarnation that is read.
    planted.inc = 1
    assert figures(await planted.line(inc=2)) == {"received": 8, "stored": 8}


@pytest.mark.parametrize("offsets_kept", [True, False])
async def test_a_log_that_lost_its_end_is_not_called_balanced(planted: Planted, offsets_kept: bool) -> None:
    """Kafka forgets what a group committed for a topic that is deleted; the rows stay."""
    await planted.publish(3)
    await (planted.commit(5) if offsets_kept else planted.finish(0, 5))
    for history in (True, False):
        with pytest.raises(
            LogChanged, match=r"events\.raw/0 ends at offset 3, but was read up to 5\. If the"
        ):
            await planted.books(history=history)


async def test_a_wide_window_is_counted_in_slices(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    await planted.publish(50)
    await planted.store([*range(20), *range(21, 50)])
    await planted.store([19])
    await planted.end([48], "erased")
    await planted.commit(50)
    whole = await planted.line()
    assert figures(whole) == {"received": 50, "stored": 49, "erased": 1, "gaps": 1, "overlaps": 1}
    monkeypatch.setattr(offsets, "SLICE_OFFSETS", 7)
    assert await planted.line() == whole


async def test_too_many_letters_to_look_at(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is read, a record that may be a letter is not called lost; a plain loss still is."""
    await planted.publish(30)
    await planted.bury(range(10))
    await planted.commit(30)
    assert figures(await planted.line()) == {"received": 30, "in_flight": 10, "gaps": 20}
    monkeypatch.setattr(undelivered, "LETTERS_MAX", 4)
    assert figures(await planted.line()) == {"received": 30, "in_flight": 10, "gaps": 20}
    monkeypatch.setattr(offsets, "MISSING_MAX", 6)
    monkeypatch.setattr(undelivered, "MISSING_MAX", 6)
    assert figures(await planted.line()) == {"received": 30, "in_flight": 10, "gaps": 20}
    monkeypatch.setattr(undelivered, "LETTERS_MAX", 100)
    assert figures(await planted.line()) == {"received": 30, "in_flight": 10, "gaps": 20}


def test_offsets_are_named_as_runs() -> None:
    assert offsets.named([]) == ""
    assert offsets.named([1, 2, 3, 7]) == "1-3, 7"
    assert offsets.named([1, 3, 5, 7], runs_max=2) == "1, 3, and more"
    assert offsets.named(range(10**6)) == "0-999999"


def test_what_was_counted_adds_up() -> None:
    one = offsets.Count(found=3, known=2, stored=3)
    assert one.plus(offsets.Count(found=1, known=1, dead=1)) == offsets.Count(
        found=4, known=3, stored=3, dead=1
    )
