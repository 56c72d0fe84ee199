"""What `penstock query` takes for a question."""

import pytest

from tests.unit.cli.conftest import Penstock


@pytest.mark.parametrize("sql", ["", " \n"])
def test_an_empty_question_is_refused(penstock: Penstock, sql: str) -> None:
    done = penstock("query", sql)
    assert done.returncode == 2
    assert "Invalid value for SQL: it is empty" in done.stderr


def test_a_question_may_begin_with_a_comment(penstock: Penstock) -> None:
    done = penstock("query", "-- what came today\nselect 1")
    assert done.stderr.startswith("penstock: nothing runs in ")
