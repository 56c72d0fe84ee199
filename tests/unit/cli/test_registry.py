"""Tenants, tokens and products by the command line, over a real registry."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from stores.migrations import migrate_registry
from tests.unit.cli.conftest import Penstock

Entries = Callable[..., list[dict[str, Any]]]


@pytest.fixture
async def registry(tmp_path: Path) -> None:
    """A migrated registry without a tenant, where the commands look for it."""
    await migrate_registry(Settings(home=str(tmp_path)))


@pytest.fixture
def shop(registry: None, entries: Entries) -> dict[str, Any]:
    """A tenant."""
    return entries("tenant", "add", "my-shop", "My Shop")[0]


def test_a_tenant_from_add_to_revoke(shop: dict[str, Any], entries: Entries) -> None:
    assert (shop["id"], shop["slug"], shop["active"]) == (1, "my-shop", True)
    entries("tenant", "set", shop["uuid"], '{"limits": {"tracker.interactions": 9}}')
    changed = entries("tenant", "set", shop["uuid"], '{"events_days": 90}')[0]
    assert changed["settings"] == {"limits": {"tracker.interactions": 9}, "events_days": 90}
    assert entries("tenant", "revoke", "1")[0]["active"] is False
    assert entries("tenant", "restore", "my-shop")[0]["active"] is True
    assert entries("tenant", "list") == [changed]


def test_a_token_shows_its_secret_once(shop: dict[str, Any], entries: Entries) -> None:
    options = (
        "--dialect",
        "relo",
        "--client-id",
        "3",
        "--client-id",
        "7",
        "--scope",
        "write",
        "--scope",
        "read",
    )
    [made] = entries("token", "add", "my-shop", *options, "--limit", "relo.batch=5000", "--days", "2")
    assert made["secret"].startswith("pk_relo_")
    [listed] = entries("token", "list", "1")
    assert "secret" not in str(listed)
    assert listed["scopes"] == ["read", "write"]
    assert listed["client_ids"] == [3, 7]
    assert listed["limits"] == {"relo.batch": 5000}
    assert listed["expires_at"] / 1000 - time.time() == pytest.approx(2 * 86_400, abs=600)
    entries("token", "revoke", made["key_id"])
    assert entries("token", "list", "1")[0]["revoked"] is True


def test_a_product_from_add_to_revoke(shop: dict[str, Any], entries: Entries) -> None:
    assert entries("product", "add", "my-shop", "101", "Shoe")[0]["product_id"] == 101
    assert [entry["name"] for entry in entries("product", "list", "1")] == ["Shoe"]
    entries("product", "revoke", "my-shop", "101")
    assert entries("product", "list", "1") == []


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("tenant", "add", "Not A Slug", "x"), 1, "A slug has"),
        (("tenant", "set", "my-shop", '{"colour": 1}'), 1, "no setting 'colour'"),
        (("tenant", "set", "my-shop", '{"events_days": "many"}'), 1, "not usable"),
        (("tenant", "set", "my-shop", "{"), 1, "not usable"),
        (("tenant", "revoke", "other"), 1, "there is no tenant 'other'"),
        (("token", "add", "my-shop", "--dialect", "klingon"), 2, "there is no dialect 'klingon'"),
        (("token", "add", "my-shop", "--dialect", "relo"), 1, "client ids"),
        (("token", "add", "my-shop", "--limit", "fast"), 2, "GROUP=REQUESTS"),
        (
            ("token", "add", "my-shop", "--dialect", "alana", "--limit", "relo.batch=9"),
            1,
            "no rate limit 'relo.batch' here; there is alana.events, alana.events_ip",
        ),
        (("token", "add", "my-shop", "--scope", "read", "--limit", "api=9"), 1, "for the api has none"),
        (("tenant", "set", "my-shop", '{"limits": {"relo.bath": 9}}'), 1, "no rate limit 'relo.bath' here"),
        (("token", "revoke", "nothing"), 1, "no token with the key id"),
        (("product", "revoke", "my-shop", "9"), 1, "no product 9"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    shop: dict[str, Any], penstock: Penstock, arguments: tuple[str, ...], status: int, sentence: str
) -> None:
    done = penstock(*arguments)
    assert done.returncode == status
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_registry_without_tables_says_what_to_do(penstock: Penstock) -> None:
    done = penstock("tenant", "list")
    assert done.returncode == 2
    assert "penstock migrate" in done.stderr
