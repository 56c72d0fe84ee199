"""The tables of the registry, for both databases; times are integer Unix milliseconds.

A change here needs a file in stores/migrations/versions/: a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

_UUID = String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")

# --- tenants and what belongs to them

tenants = Table(
    "tenants",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("uuid", String(36), nullable=False, unique=True),
    Column("slug", String(63), nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("settings", Text, nullable=False),  # TenantSettings as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

products = Table(
    "products",
    metadata,
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), primary_key=True),
    Column("product_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# --- credentials

tokens = Table(
    "tokens",
    metadata,
    Column("key_id", String(64), primary_key=True),
    Column("secret_sha256", LargeBinary(32), nullable=False, unique=True),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("dialect", String(64), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list
    Column("client_ids", Text, nullable=False),  # JSON list
    Column("store", String(128), nullable=False),
    Column("limits", Text, nullable=False),  # JSON object
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index(None, "tenant_id"),
)

stores = Table(  # whose a redo store is: the first token for it decides
    "stores",
    metadata,
    Column("store", String(128), primary_key=True),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
)

# --- duplicates

event_keys = Table(  # which record owns an explicit dedup key, for good
    "event_keys",
    metadata,
    Column("tenant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", _UUID, primary_key=True),
    Column("inc", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("kp", Integer, nullable=False),
    Column("ko", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# --- persons: schemas/persons.py says what the columns mean

_LINKED = text("unlinked_at IS NULL")

person_links = Table(  # an identifier belongs to a person
    "person_links",
    metadata,
    Column("tenant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("person_id", _UUID, nullable=False),
    Column("slot", Text),
    Column("reason", Text, nullable=False),
    Column("event_id", _UUID, nullable=False),
    Column("inc", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("kp", Integer, nullable=False),
    Column("ko", BigInteger, nullable=False),
    Column("linked_at", BigInteger, nullable=False),
    Column("unlinked_at", BigInteger),
    # Also finds all that belongs to a person; a link without a slot takes none.
    Index(
        "uq_person_links_slot",
        "person_id",
        "slot",
        unique=True,
        sqlite_where=_LINKED,
        postgresql_where=_LINKED,
    ),
    sqlite_with_rowid=False,
)

person_pairs = Table(  # a device was seen with an identifier
    "person_pairs",
    metadata,
    Column("tenant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("device", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("person_id", _UUID),
    Column("event_id", _UUID, nullable=False),
    Column("inc", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("kp", Integer, nullable=False),
    Column("ko", BigInteger, nullable=False),
    Column("linked_at", BigInteger, nullable=False),
    Column("unlinked_at", BigInteger),
    Index("ix_person_pairs_value", "tenant_id", "kind", "value"),
    Index("ix_person_pairs_person_id", "person_id"),
    sqlite_with_rowid=False,
)

person_overrides = Table(  # which person a merged one is seen as; follows from the pairs
    "person_overrides",
    metadata,
    Column("person_id", _UUID, primary_key=True),
    Column("tenant_id", BigInteger, nullable=False),
    Column("canonical_id", _UUID, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index("ix_person_overrides_canonical_id", "canonical_id"),
    sqlite_with_rowid=False,
)

person_epochs = Table(  # counts a tenant's unlinkings, so that workers notice one
    "person_epochs",
    metadata,
    Column("tenant_id", BigInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# --- segments

segments = Table(  # conditions over a tenant's customers; stores/registry/segments.py
    "segments",
    metadata,
    Column("segment_id", String(36), primary_key=True),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("conditions", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

# --- automation filters

filters = Table(  # conditions on one event, and where a match is sent; stores/registry/filters.py
    "filters",
    metadata,
    Column("filter_id", _UUID, primary_key=True),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("conditions", Text, nullable=False),  # JSON
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),  # as it was shown: it signs
    Column("active", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

deliveries = Table(  # a match on its way to a filter's URL; stores/registry/deliveries.py
    "deliveries",
    metadata,
    Column("match_id", _UUID, primary_key=True),
    Column("filter_id", _UUID, nullable=False),
    Column("tenant_id", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("claim", String(36), nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("body", Text, nullable=False),  # empty once it is delivered
    Index("ix_deliveries_due", "filter_id", "state", "due_at"),
    Index("ix_deliveries_created_at", "created_at"),
    Index("ix_deliveries_tenant_id", "tenant_id", "created_at", "match_id"),
)

# --- erasures: schemas/erasures.py, docs/erasure.md

erasures = Table(  # requests to erase a person, and the certificates of those that are done
    "erasures",
    metadata,
    Column("erasure_id", String(36), primary_key=True),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("scope", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("subject", Text),  # Subject as JSON: the only personal values, gone when it is done
    Column("digests", Text, nullable=False),  # JSON list
    Column("progress", Text, nullable=False),  # Progress as JSON
    Column("requested_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("lease_owner", String(64), nullable=False),
    Column("lease_until", BigInteger, nullable=False),
    Index(None, "tenant_id"),
)

suppressions = Table(  # added to, never changed: of two rows for a digest the later one counts
    "suppressions",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant_id", BigInteger, ForeignKey("tenants.id"), nullable=False),
    Column("digest", LargeBinary(16), nullable=False),
    Column("suppressed", Boolean, nullable=False),
    Column("generation", Integer, nullable=False),  # of the link that was erased
    Column("erasure_id", String(36), nullable=False),
    Column("reason", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Index("ix_suppressions_tenant_id", "tenant_id", "digest", "seq"),
    sqlite_with_rowid=False,
)
