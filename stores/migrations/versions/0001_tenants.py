"""Tenants, products, tokens, and whose a store is."""

import sqlalchemy as sa
from alembic import op

revision = "0001_tenants"
down_revision = None


def upgrade() -> None:
    """Make the tables that the gateway looks callers up in."""
    op.create_table(
        "tenants",
        sa.Column("id", sa.BigInteger, autoincrement=False),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("slug", sa.String(63), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tenants"),
        sa.UniqueConstraint("uuid", name="uq_tenants_uuid"),
        sa.UniqueConstraint("slug", name="uq_tenants_slug"),
    )
    op.create_table(
        "products",
        sa.Column("tenant_id", sa.BigInteger, autoincrement=False),
        sa.Column("product_id", sa.BigInteger, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "product_id", name="pk_products"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_products_tenant_id"),
    )
    op.create_table(
        "tokens",
        sa.Column("key_id", sa.String(64)),
        sa.Column("secret_sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("dialect", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("client_ids", sa.Text, nullable=False),
        sa.Column("store", sa.String(128), nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("key_id", name="pk_tokens"),
        sa.UniqueConstraint("secret_sha256", name="uq_tokens_secret_sha256"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_tokens_tenant_id"),
    )
    op.create_index("ix_tokens_tenant_id", "tokens", ["tenant_id"])
    op.create_table(
        "stores",
        sa.Column("store", sa.String(128)),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("store", name="pk_stores"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_stores_tenant_id"),
    )
