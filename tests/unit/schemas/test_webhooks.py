"""schemas/webhooks.py: where a webhook may go."""

import pytest

from schemas.webhooks import URL_CHARACTERS_MAX, UrlRefused, check_url, is_public

PRIVATE = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255"),
    *("127.0.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1"),
    *("192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1"),
    *("239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fc00::1", "fd00:ec2::254"),
    *("ff02::1", "fec0::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::"),
    *("2001::1", "2002:a9fe:a9fe::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    *("fe80::1%eth0", "::ffff:0:127.0.0.1", "", "localhost", "127.1", "0x7f000001"),
)
PUBLIC = ("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "11.0.0.1", "192.167.255.255")
PUBLIC_6 = ("2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_nobody_may_be_called_at(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [*PUBLIC, *PUBLIC_6])
def test_addresses_of_everybody(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://hooks.example/", "https://"),
        ("ftp://hooks.example/", "https://"),
        ("file:///etc/passwd", "https://"),
        ("hooks.example", "https://"),
        ("https://", "name a host"),
        ("https://hooks.example:0/", "name a host"),
        ("https://hooks.example:99999/", "host or port"),
        ("https://[::1/", "host or port"),
        ("https://user:secret@hooks.example/", "no user"),
        ("https://hooks.example/#part", "no user"),
        ("https://hooks.example/a b", "ASCII without spaces"),
        ("https://hooks.example/\n", "ASCII without spaces"),
        ("https://hööks.example/", "ASCII without spaces"),
        ("https://hooks.example\\@127.0.0.1/", "name a host"),
        ("https://127.0.0.1/", "must not be private"),
        ("https://127.1/", "name a host"),
        ("https://0x7f000001/", "name a host"),
        ("https://[::ffff:169.254.169.254]/", "must not be private"),
        ("https://hooks.example/" + "x" * URL_CHARACTERS_MAX, "at most"),
    ],
)
def test_urls_that_no_webhook_goes_to(url: str, sentence: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        check_url(url, private_allowed=False)
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)


def test_urls_that_webhooks_go_to() -> None:
    for url in (
        "https://hooks.example/a?b=c%20d",
        "https://hooks.example:8443",
        "https://8.8.8.8/",
        "HTTPS://a.b/",
    ):
        check_url(url, private_allowed=False)
    longest = "https://hooks.example/".ljust(URL_CHARACTERS_MAX, "x")
    check_url(longest, private_allowed=False)
    for url in ("http://127.0.0.1:9000/", "http://localhost/", "https://[::1]/"):
        check_url(url, private_allowed=True)
