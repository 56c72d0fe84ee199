"""workers/persons/cache: bounded, and never older than what it is asked for."""

from schemas.topics import RAW, Coordinates
from workers.lastused import LastUsed
from workers.persons.cache import Device, Standing


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


def test_what_is_dropped_is_gone_from_both_halves() -> None:
    lately: LastUsed[int, str] = LastUsed(4)
    for n in range(3):
        lately.put(n, "old")
    lately.put(0, "new")
    lately.drop(0)
    assert lately.get(0) is None
    lately.clear()
    assert len(lately) == 0


def test_a_replayed_event_is_not_answered_from_memory() -> None:
    held = standing(ko=5)
    assert [held.holds_for(Coordinates(1, RAW, 0, ko)) for ko in (4, 5, 6)] == [False, False, True]
    assert held.holds_for(Coordinates(1, RAW, 1, 0))


def test_a_device_remembers_a_few_names() -> None:
    device = Device()
    for n in range(100):
        device.put((str(n), "", ""), standing())
        assert len(device.standings) <= Device.NAMES_MAX
    assert ("99", "", "") in device.standings
