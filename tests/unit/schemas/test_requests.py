"""Which id a request gets."""

from uuid import UUID

import pytest

from schemas.requests import request_id


@pytest.mark.parametrize("given", [b"req-1", b"a" * 128, b"0191c2d0-1111-7000-8000-000000000000", b"a.b:c@d"])
def test_a_sane_request_id_is_kept(given: bytes) -> None:
    assert request_id(given) == given.decode()


@pytest.mark.parametrize(
    "given", [None, b"", b"a" * 129, b"a b", b"a\tb", b'a"b', b"a/b", b"\xe9", b"a,b", b"<x>"]
)
def test_any_other_is_replaced_by_a_fresh_one(given: bytes | None) -> None:
    first, second = request_id(given), request_id(given)
    assert UUID(first).version == UUID(second).version == 7
    assert first != second
