from typing import Any

import pytest

from gateway.http1.head import NotAccepted, scope_of, without_upgrade

ENDS = {"client": ("192.0.2.1", 40_000), "server": ("192.0.2.2", 80)}
HOST = (b"host", b"x")


def scope(
    target: bytes = b"/", method: bytes = b"GET", version: str = "1.1", *more: tuple[bytes, bytes]
) -> Any:
    return scope_of(method, version, target, [HOST, *more], ENDS)[0]


def test_a_scope_has_what_asgi_asks_for() -> None:
    assert scope(b"/a%20b?c=%20d", b"POST") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=%20d",
        "root_path": "",
        "headers": [HOST],
        **ENDS,
    }


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/?", "/", b""),
        (b"/a?b?c", "/a", b"b?c"),
        (b"/a#b?c", "/a", b""),
        (b"//a", "//a", b""),
        (b"/%c3%a9", "/é", b""),
        (b"/%ff", "/\ufffd", b""),
        (b"*", "*", b""),
        (b"http://x", "/", b""),
        (b"http://x?a", "/", b"a"),
        (b"https://x:8/a?b#c", "/a", b"b"),
    ],
)
def test_a_target_has_path_and_query(target: bytes, path: str, query: bytes) -> None:
    found = scope(target)
    assert (found["path"], found["query_string"]) == (path, query)


@pytest.mark.parametrize("target", [b"", b"a", b"x:80", b"*x", b"http://", b"ftp://x/a", b"/\xc3\xa9", b"?a"])
def test_a_target_that_is_no_path_is_refused(target: bytes) -> None:
    with pytest.raises(NotAccepted):
        scope(target)


def test_a_long_target_is_taken_and_not_remembered() -> None:
    assert scope(b"/" + b"a" * 10_000)["path"] == "/" + "a" * 10_000


def test_a_tunnel_is_refused() -> None:
    with pytest.raises(NotAccepted):
        scope(b"/a", b"CONNECT")


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_another_version_is_refused(version: str) -> None:
    with pytest.raises(NotAccepted):
        scope(b"/", b"GET", version)


@pytest.mark.parametrize("hosts", [0, 2])
def test_http_1_1_has_one_host(hosts: int) -> None:
    with pytest.raises(NotAccepted):
        scope_of(b"GET", "1.1", b"/", [HOST] * hosts, ENDS)


def test_http_1_0_needs_no_host_and_has_no_two() -> None:
    assert scope_of(b"GET", "1.0", b"/", [], ENDS)[0]["http_version"] == "1.0"
    with pytest.raises(NotAccepted):
        scope_of(b"GET", "1.0", b"/", [HOST] * 2, ENDS)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, chunked", b"identity", b""])
def test_another_coding_than_chunked_is_refused(coding: bytes) -> None:
    with pytest.raises(NotAccepted):
        scope(b"/", b"POST", "1.1", (b"transfer-encoding", coding))


def test_chunked_is_taken_once_and_in_any_case() -> None:
    chunked = (b"transfer-encoding", b"Chunked")
    assert scope(b"/", b"POST", "1.1", chunked)["headers"] == [HOST, chunked]
    with pytest.raises(NotAccepted):
        scope(b"/", b"POST", "1.1", chunked, chunked)
    with pytest.raises(NotAccepted):
        scope(b"/", b"POST", "1.0", chunked)


@pytest.mark.parametrize(
    ("version", "value", "expected"),
    [("1.1", b"100-Continue", True), ("1.1", b"something", False), ("1.0", b"100-continue", False)],
)
def test_who_waits_to_be_told_that_it_may_send(version: str, value: bytes, expected: bool) -> None:
    assert scope_of(b"POST", version, b"/", [HOST, (b"expect", value)], ENDS)[1] is expected


def test_a_head_without_its_upgrade_is_the_same_otherwise() -> None:
    headers = [HOST, (b"upgrade", b"h2c"), (b"content-length", b"3")]
    again = without_upgrade(b"POST", "1.1", b"/a?b", headers)
    assert again == b"POST /a?b HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n"
