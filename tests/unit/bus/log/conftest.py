from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bus.log import topic
from bus.log.database import Database
from bus.log.group import open_group

PARTITIONS = 2


@pytest.fixture
def topic_path(tmp_path: Path) -> Path:
    return tmp_path / "topics" / "t.db"


@pytest.fixture
def topic_file(topic_path: Path) -> Iterator[Database]:
    """Open an empty topic of two partitions."""
    file = Database(topic_path, topic.make(PARTITIONS))
    yield file
    file.close()


@pytest.fixture
async def group_file(tmp_path: Path) -> AsyncIterator[Database]:
    """Open an empty group."""
    file = open_group(tmp_path / "groups" / "g.db")
    yield file
    await file.end()
