"""Who identifiers belong to, and which persons turned out to be one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003_persons"
down_revision = "0002_event_keys"

_UUID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
_LINKED = sa.text("unlinked_at IS NULL")


def _origin() -> list[sa.Column[object]]:
    """Return the columns that say which event made a link, and when."""
    return [
        sa.Column("event_id", _UUID, nullable=False),
        sa.Column("inc", sa.Integer, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("kp", sa.Integer, nullable=False),
        sa.Column("ko", sa.BigInteger, nullable=False),
        sa.Column("linked_at", sa.BigInteger, nullable=False),
        sa.Column("unlinked_at", sa.BigInteger),
    ]


def upgrade() -> None:
    """Make the tables that the stage `person` works on."""
    op.create_table(
        "person_links",
        sa.Column("tenant_id", sa.BigInteger, autoincrement=False),
        sa.Column("kind", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("scope", sa.Text),
        sa.Column("generation", sa.Integer, autoincrement=False),
        sa.Column("person_id", _UUID, nullable=False),
        sa.Column("slot", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        *_origin(),
        sa.PrimaryKeyConstraint("tenant_id", "kind", "value", "scope", "generation", name="pk_person_links"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_person_links_slot",
        "person_links",
        ["person_id", "slot"],
        unique=True,
        sqlite_where=_LINKED,
        postgresql_where=_LINKED,
    )
    op.create_table(
        "person_pairs",
        sa.Column("tenant_id", sa.BigInteger, autoincrement=False),
        sa.Column("device", sa.Text),
        sa.Column("scope", sa.Text),
        sa.Column("kind", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("person_id", _UUID),
        *_origin(),
        sa.PrimaryKeyConstraint("tenant_id", "device", "scope", "kind", "value", name="pk_person_pairs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_person_pairs_value", "person_pairs", ["tenant_id", "kind", "value"])
    op.create_index("ix_person_pairs_person_id", "person_pairs", ["person_id"])
    op.create_table(
        "person_overrides",
        sa.Column("person_id", _UUID),
        sa.Column("tenant_id", sa.BigInteger, nullable=False),
        sa.Column("canonical_id", _UUID, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_person_overrides"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_person_overrides_canonical_id", "person_overrides", ["canonical_id"])
    op.create_table(
        "person_epochs",
        sa.Column("tenant_id", sa.BigInteger, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name="pk_person_epochs"),
        sqlite_with_rowid=False,
    )
