"""A tenant's newest deliveries are found without those of others."""

from alembic import op

revision = "0007_newest_deliveries"
down_revision = "0006_erasures"


def upgrade() -> None:
    """Index deliveries as they are listed."""
    op.create_index("ix_deliveries_tenant_id", "deliveries", ["tenant_id", "created_at", "match_id"])
