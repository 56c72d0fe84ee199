"""workers/persons/cache: bounded, and never older than what it is asked for."""

from typing import Any

from schemas.topics import RAW, Coordinates
from stores.lastused import KEY_CHARACTERS_MAX, LastUsed, short_key
from tests.contract.person_events import event
from workers.persons.cache import CHARACTERS_MAX, NO_NAMES, Device, Standing, is_short


def standing(ko: int = 5, kp: int = 0) -> Standing:
    return Standing("p", "", (), {}, (), Coordinates(1, RAW, kp, ko))


def test_what_is_asked_for_is_kept_and_the_rest_forgotten() -> None:
    lately: LastUsed[int, str] = LastUsed(10)
    for n in range(100):
        lately.put(n, str(n))
        assert lately.get(0) == "0"
        assert len(lately) <= 10
    assert lately.get(99) == "99"
    assert lately.get(50) is None


def test_what_is_cleared_is_gone_from_both_halves() -> None:
    lately: LastUsed[int, str] = LastUsed(4)
    for n in range(3):
        lately.put(n, "old")
    lately.put(0, "new")
    lately.clear()
    assert lately.get(0) is None
    assert len(lately) == 0


def test_a_replayed_event_is_not_answered_from_memory() -> None:
    held = standing(ko=5)
    assert [held.holds_for(Coordinates(1, RAW, 0, ko)) for ko in (4, 5, 6)] == [False, False, True]
    assert held.holds_for(Coordinates(1, RAW, 1, 0))


def test_a_device_remembers_a_few_names() -> None:
    usual, other = standing(ko=1), standing(ko=2)
    device = Device(generation=1)
    device.put(NO_NAMES, usual)
    for n in range(100):
        device.put((str(n), "", ""), other)
        assert len(device.others or {}) < Device.NAMES_MAX
    assert device.of(("99", "", "")) is other
    assert device.of(NO_NAMES) is usual
    assert device.of(("0", "", "")) is None


def test_a_device_takes_a_new_standing_for_the_names_it_came_with() -> None:
    newer = standing(ko=2)
    device = Device(generation=1)
    device.put(("a", "", ""), standing(ko=1))
    device.put(("a", "", ""), newer)
    assert device.of(("a", "", "")) is newer
    assert device.others is None


def test_a_device_that_forgets_who_it_is_of_keeps_its_pace() -> None:
    device = Device(generation=1, events=7)
    device.put(NO_NAMES, standing())
    device.put(("a", "", ""), standing())
    device.forget(2)
    assert [device.of(names) for names in (NO_NAMES, ("a", "", ""))] == [None, None]
    assert (device.generation, device.events) == (2, 7)


def test_what_is_remembered_is_short() -> None:
    """A producer may send identifiers of 32 KiB; 100,000 of them would be 3 GB."""
    parts: dict[str, Any] = {
        "anonymous_id": "a" * 64,
        "user_id": "b" * 64,
        "email": "c" * 64,
        "phone": "d" * 64,
    }
    assert CHARACTERS_MAX == 256
    assert is_short(event(1, **parts))
    for name in parts:
        assert not is_short(event(1, **(parts | {name: "x" * 65})))


def test_a_long_key_stands_by_its_digest() -> None:
    longest = "k" * KEY_CHARACTERS_MAX
    assert short_key(longest) == longest
    assert short_key(longest + "k") == short_key(longest + "k")
    assert len({short_key(longest + more) for more in ("k", "l", "é" * 32_000)}) == 3
    assert len(short_key("k" * 32_000)) <= KEY_CHARACTERS_MAX
