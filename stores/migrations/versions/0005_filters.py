"""Automation filters, and the deliveries of their matches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005_filters"
down_revision = "0004_segments"

_UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")


def upgrade() -> None:
    """Make the tables of what tenants wait for, and of what is sent to them when it comes."""
    op.create_table(
        "filters",
        sa.Column("filter_id", _UUID),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("conditions", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("filter_id", name="pk_filters"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_filters_tenant_id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_filters_tenant_id"),
    )
    op.create_table(
        "deliveries",
        sa.Column("match_id", _UUID),
        sa.Column("filter_id", _UUID, nullable=False),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("claim", sa.String(36), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("match_id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_due", "deliveries", ["filter_id", "state", "due_at"])
    op.create_index("ix_deliveries_created_at", "deliveries", ["created_at"])
