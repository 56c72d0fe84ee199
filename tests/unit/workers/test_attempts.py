"""The memory of requests against a plain model of it."""

from hypothesis import given
from hypothesis import strategies as st

from workers.attempts import WINDOW_MS, Attempts, Seen

START_MS = 1_750_000_000_000
REQUEST = b"request-of-a"

attempts = st.tuples(
    st.integers(0, 1),  # partition
    st.integers(0, 3),  # request
    st.integers(0, 4 * 60_000),  # ms since the attempt before
    st.sets(st.integers(0, 20), min_size=1),  # indices
    st.integers(1, 3),  # distance of its offsets
)


@given(st.lists(attempts, max_size=30))
def test_the_first_within_the_window_owns_the_id(script: list[tuple[int, int, int, set[int], int]]) -> None:
    memory = Attempts()
    model: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    now_ms, ko = START_MS, 0
    for kp, request, pause_ms, indices, distance in script:
        now_ms += pause_ms
        own = []
        for index in sorted(indices):
            ko += distance
            seen = Seen(index, ko, now_ms)
            before = [at for at, ms in model.get((kp, request, index), []) if now_ms - ms <= WINDOW_MS]
            assert memory.owner(kp, bytes([request] * 12), seen) == (before[0] if before else None)
            if not before:
                own.append(seen)
                model.setdefault((kp, request, index), []).append((ko, now_ms))
        memory.add(kp, bytes([request] * 12), own)


def test_a_released_event_is_unknown_and_the_others_stay() -> None:
    memory = Attempts()
    memory.add(0, REQUEST, [Seen(i, 100 + i, START_MS) for i in range(5)])
    memory.release(0, REQUEST, 2, 102)
    owners = [memory.owner(0, REQUEST, Seen(i, 900 + i, START_MS)) for i in range(5)]
    assert owners == [100, 101, None, 103, 104]


def test_what_is_forgotten_for_lack_of_room_is_said() -> None:
    memory = Attempts(requests_max=2)
    for n in range(3):
        memory.add(0, bytes([n] * 12), [Seen(0, n, START_MS + n)])
    assert not memory.knows(0, bytes([0] * 12))
    assert memory.knows(0, bytes([2] * 12))
    assert memory.forgot(0, START_MS + WINDOW_MS)
    assert not memory.forgot(0, START_MS + WINDOW_MS + 1)
    assert not memory.forgot(1, START_MS)


def test_what_is_too_old_to_matter_is_dropped_silently() -> None:
    memory = Attempts()
    memory.add(0, bytes([0] * 12), [Seen(0, 0, START_MS)])
    memory.add(0, bytes([1] * 12), [Seen(0, 1, START_MS + 2 * WINDOW_MS)])
    assert not memory.knows(0, bytes([0] * 12))
    assert not memory.forgot(0, START_MS + 2 * WINDOW_MS)


def test_a_partition_that_lags_keeps_its_requests() -> None:
    memory = Attempts()
    memory.add(0, bytes([0] * 12), [Seen(0, 0, START_MS + 100 * WINDOW_MS)])
    memory.add(1, bytes([1] * 12), [Seen(0, 0, START_MS)])
    memory.add(0, bytes([2] * 12), [Seen(0, 1, START_MS + 101 * WINDOW_MS)])
    memory.add(0, bytes([3] * 12), [Seen(0, 2, START_MS + 102 * WINDOW_MS)])
    assert memory.owner(1, bytes([1] * 12), Seen(0, 9, START_MS)) == 0
