"""Saved segments."""

import sqlalchemy as sa
from alembic import op

revision = "0004_segments"
down_revision = "0003_persons"


def upgrade() -> None:
    """Make the table of conditions that tenants keep under a name."""
    op.create_table(
        "segments",
        sa.Column("segment_id", sa.String(36)),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("conditions", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name="pk_segments"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_segments_tenant_id"),
        sa.UniqueConstraint("tenant_id", "name", name="uq_segments_tenant_id"),
    )
