"""Erasures of persons, their certificates, and the identifiers whose events are dropped since."""

import sqlalchemy as sa
from alembic import op

revision = "0006_erasures"
down_revision = "0005_filters"


def upgrade() -> None:
    """Make the tables that erasing works on."""
    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.String(36)),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("subject", sa.Text),
        sa.Column("digests", sa.Text, nullable=False),
        sa.Column("progress", sa.Text, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("lease_owner", sa.String(64), nullable=False),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_erasures_tenant_id"),
    )
    op.create_index("ix_erasures_tenant_id", "erasures", ["tenant_id"])
    op.create_table(
        "suppressions",
        sa.Column("seq", sa.BigInteger, autoincrement=False),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary(16), nullable=False),
        sa.Column("suppressed", sa.Boolean, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("erasure_id", sa.String(36), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_suppressions"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_suppressions_tenant_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_suppressions_tenant_id", "suppressions", ["tenant_id", "digest", "seq"])
