"""KILL QUERY by the ids that clients gave their queries.

chDB gives queries ids of its own, and knows an insert only once all its rows are here. So the condition
is asked of our own list of statements, as a table with the columns that people use in one.
"""

import re
from dataclasses import dataclass

from deploy.dev.clickhouse.engine import Session, quote
from deploy.dev.clickhouse.limits import Statement
from deploy.dev.clickhouse.statements import bare

_KILL = re.compile(
    r"KILL\s+QUERY\s+(?:ON\s+CLUSTER\s+\S+\s+)?WHERE\s+(?P<condition>.*?)\s*(?P<mode>\b(?:A?SYNC|TEST)\b)?\s*;?\s*",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Kill:
    """A KILL QUERY statement; `mode` is SYNC, TEST or ASYNC."""

    condition: str
    mode: str


def as_kill(sql: str) -> Kill | None:
    """Read a KILL QUERY."""
    found = _KILL.fullmatch(bare(sql))
    return None if found is None else Kill(found["condition"], (found["mode"] or "ASYNC").upper())


def matching(session: Session, kill: Kill, running: list[Statement]) -> tuple[list[Statement], bytes]:
    """Return the statements that meet the condition, and the answer as a native block (b"" if none)."""
    if not running:
        return [], b""
    rows = ", ".join(
        f"({at}, {quote(one.query.label)}, {quote(one.query.sql)})" for at, one in enumerate(running)
    )
    columns = quote("at UInt32, query_id String, query String")
    listed = f"VALUES({columns}, {rows})"
    table = f"(SELECT at, query_id, 'default' AS user, query FROM {listed})"  # noqa: S608 - quoted above
    chosen = f"FROM {table} WHERE {kill.condition}\n"
    places = session.numbers(f"SELECT at {chosen}")
    answer = session.run(f"SELECT 'finished' AS kill_status, query_id, user, query {chosen}")
    return [running[at] for at in places], answer if places else b""
