"""Which record owns an explicit dedup key."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002_event_keys"
down_revision = "0001_tenants"


def upgrade() -> None:
    """Make the table that claims live in; in SQLite the rows lie in the primary key itself."""
    op.create_table(
        "event_keys",
        sa.Column("tenant_id", sa.BigInteger, autoincrement=False),
        sa.Column("event_id", sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")),
        sa.Column("inc", sa.Integer, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("kp", sa.Integer, nullable=False),
        sa.Column("ko", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "event_id", name="pk_event_keys"),
        sqlite_with_rowid=False,
    )
