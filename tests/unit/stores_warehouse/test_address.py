"""The URL of ClickHouse."""

import pytest

from schemas.settings import SettingsError
from stores.warehouse import Address


def test_a_whole_url() -> None:
    address = Address.parse("clickhouses://us%40er:p%2Fw%3A%23@db.example:9441/my%20events", ca="/ca.pem")
    assert address == Address(
        host="db.example",
        port=9441,
        database="my events",
        user="us@er",
        password="p/w:#",
        tls=True,
        ca="/ca.pem",
    )
    assert address.driver_options() == {
        "host": "db.example",
        "port": 9441,
        "database": "my events",
        "user": "us@er",
        "password": "p/w:#",
        "secure": True,
        "ca_certs": "/ca.pem",
    }


def test_what_is_left_out_has_a_default() -> None:
    assert Address.parse("clickhouse://127.0.0.1") == Address(host="127.0.0.1", port=9000)
    assert Address.parse("clickhouses://[::1]/").port == 9440
    assert "ca_certs" not in Address.parse("clickhouses://db").driver_options()


def test_it_is_named_without_its_password() -> None:
    assert str(Address.parse("clickhouse://u:secret@db/penstock")) == "db:9000/penstock"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://db/penstock",
        "clickhouse:///penstock",
        "clickhouse://u:secret@db:99999/p",
        "clickhouse://[secret/p",
    ],
)
def test_a_url_that_names_no_server(url: str) -> None:
    with pytest.raises(SettingsError, match="PENSTOCK_CLICKHOUSE_URL is not usable") as refused:
        Address.parse(url)
    assert "secret" not in str(refused.value)
