"""Persons over SQLite, the embedded default."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.settings import Settings
from stores.migrations import migrate_registry
from stores.registry import SqlRegistry, open_registry
from tests.contract import customers_contract, devices_contract

desk = customers_contract.desk


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=str(tmp_path))
    await migrate_registry(settings)
    return settings


@pytest.fixture
async def registry(settings: Settings) -> AsyncIterator[SqlRegistry]:
    async with open_registry(settings) as opened:
        yield opened


class TestCustomers(customers_contract.CustomersContract):
    pass


class TestDevices(devices_contract.DevicesContract):
    pass
