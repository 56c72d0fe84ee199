"""What the embedded ClickHouse makes of a statement."""

import pytest

from deploy.dev.clickhouse.kills import Kill, as_kill
from deploy.dev.clickhouse.statements import as_insert, is_select, reaches_out, without_format


@pytest.mark.parametrize(
    ("sql", "target", "table", "columns", "settings"),
    [
        ("INSERT INTO t VALUES", "INSERT INTO t", "t", (), ""),
        ("insert into table d.t (a,b) values ;", "insert into table d.t (a,b)", "d.t", ("a", "b"), ""),
        ("/* x */ -- y\n INSERT INTO `t` (`a`, \"b c\") VALUES", 'INSERT INTO `t` (`a`, "b c")', "`t`",
         ("a", "b c"), ""),
        ("INSERT INTO t SETTINGS async_insert=0 FORMAT Native", "INSERT INTO t", "t", (),
         "SETTINGS async_insert=0"),
    ],
)  # fmt: skip
def test_inserts_whose_rows_follow(
    sql: str, target: str, table: str, columns: tuple[str, ...], settings: str
) -> None:
    insert = as_insert(sql)
    assert insert is not None
    found = (insert.target, insert.table, insert.columns, insert.settings)
    assert found == (target, table, columns, settings)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (1)",
        "INSERT INTO t SELECT 1",
        "SELECT 1",
        "INSERT INTO t SELECT 'x' FORMAT Native VALUES (",
        "",
    ],
)
def test_other_statements(sql: str) -> None:
    assert as_insert(sql) is None


@pytest.mark.parametrize(
    ("sql", "select"),
    [
        ("select 1", True),
        ("  -- x\n/* y */(SELECT 1)", True),
        ("WITH 1 AS a SELECT a", True),
        ("SELECTED", False),
        ("SHOW TABLES", False),
        ("KILL QUERY WHERE 1", False),
    ],
)
def test_selects(sql: str, select: bool) -> None:
    assert is_select(sql) is select


def test_a_format_is_left_to_the_client() -> None:
    formats = {"JSON"}
    assert without_format("SELECT 1 FORMAT json;", formats) == "SELECT 1"
    assert without_format("SELECT 1 ORDER BY format DESC", formats) == "SELECT 1 ORDER BY format DESC"
    assert without_format("SELECT 'x FORMAT JSON'", formats) == "SELECT 'x FORMAT JSON'"


@pytest.mark.parametrize(
    ("sql", "kill"),
    [
        ("KILL QUERY WHERE query_id = 'a' SYNC", Kill("query_id = 'a'", "SYNC")),
        ("kill query where query like '%SYNC%';", Kill("query like '%SYNC%'", "ASYNC")),
        ("-- x\nKILL QUERY ON CLUSTER main WHERE\n1 TEST", Kill("1", "TEST")),
        ("KILL MUTATION WHERE 1", None),
        ("SELECT 'KILL QUERY WHERE 1'", None),
    ],
)
def test_kills(sql: str, kill: Kill | None) -> None:
    assert as_kill(sql) == kill


@pytest.mark.parametrize(
    "sql",
    [
        "select file('/etc/hostname')",
        "SELECT 1, file ('/etc/hostname')",
        "select /* '*/ file('/etc/hostname') -- '",
        "describe table file('/etc/hostname')",
        "desc url('http://127.0.0.1:1/x', CSV)",
        "/* a */ DESCRIBE s3('http://127.0.0.1:1/b', 'CSV')",
    ],
)
def test_a_read_that_looks_outside_is_known(sql: str) -> None:
    assert reaches_out(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "select 'file(1)' from events",
        "select profile(1)",
        "describe table events",
        "desc events",
        "select 'it''s file(' as x",
    ],
)
def test_a_read_of_the_database_is_let_through(sql: str) -> None:
    assert not reaches_out(sql)
