-- Persons and their profiles: what each event adds to one, and who turned out to be whom.

-- One row per stored event that adds something, `values` being JSON texts. From these rows alone a profile
-- follows, whatever order they came in and however often.
CREATE TABLE IF NOT EXISTS customer_patches $on_cluster
(
    event_id       UUID,
    tenant_id      UInt32,
    dialect        LowCardinality(String),
    source         LowCardinality(String),
    person_id      UUID,
    occurred_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    fields         Array(LowCardinality(String)) CODEC(ZSTD(1)),
    values         Array(String) CODEC(ZSTD(1)),
    retention_days UInt16,
    row_version    UInt8,
    topic          LowCardinality(String),
    kp             UInt32,
    ko             UInt64 CODEC(Delta, ZSTD(1)),
    inc            UInt16,

    INDEX by_offset ko TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant_id, person_id, received_at)
TTL stored_at + toIntervalDay(retention_days)
SETTINGS ${deduplication_window} = 10000;

CREATE TABLE IF NOT EXISTS customer_patches_in_1 $on_cluster
(
    topic String,
    kp    UInt32,
    ko    UInt64,
    inc   UInt16,
    row   String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS customer_patches_from_1 $on_cluster TO customer_patches AS
SELECT
    assumeNotNull(`p.event_id`) AS event_id,
    assumeNotNull(`p.tenant_id`) AS tenant_id,
    assumeNotNull(`p.dialect`) AS dialect,
    assumeNotNull(`p.source`) AS source,
    assumeNotNull(`p.person_id`) AS person_id,
    fromUnixTimestamp64Milli(assumeNotNull(`p.occurred_at`), 'UTC') AS occurred_at,
    fromUnixTimestamp64Milli(assumeNotNull(`p.received_at`), 'UTC') AS received_at,
    now64(3, 'UTC') AS stored_at,
    CAST(`p.fields`, 'Array(String)') AS fields,
    CAST(`p.values`, 'Array(String)') AS values,
    assumeNotNull(`p.retention_days`) AS retention_days,
    1
        + throwIf(
            isNull(`p.event_id`) OR isNull(`p.tenant_id`) OR isNull(`p.dialect`) OR isNull(`p.source`) OR
            isNull(`p.person_id`) OR isNull(`p.occurred_at`) OR isNull(`p.received_at`) OR
            isNull(`p.retention_days`) OR isNull(`p.elements`) OR isNotNull(`p.beyond`),
            'a part of the row is missing or of another type')
        + throwIf(
            `p.occurred_at` NOT BETWEEN 94694400000 AND 7258118399999
            OR `p.received_at` NOT BETWEEN 94694400000 AND 7258118399999,
            'a time of the row is outside 1973-2199')
        + throwIf(
            `p.elements` != length(`p.fields`) + length(`p.values`) OR length(`p.fields`) != length(`p.values`)
            OR has(`p.fields`, NULL) OR has(`p.values`, NULL),
            'a list of the row is damaged')
        + throwIf(
            `p.retention_days` = 0,
            'a number of the row is out of range') AS row_version,
    topic,
    kp,
    ko,
    inc
FROM
(
    SELECT
        topic,
        kp,
        ko,
        inc,
        untuple(JSONExtract(row, 'Tuple(
            event_id Nullable(UUID),
            tenant_id Nullable(UInt32),
            dialect Nullable(String),
            source Nullable(String),
            person_id Nullable(UUID),
            occurred_at Nullable(Int64),
            received_at Nullable(Int64),
            fields Array(Nullable(String)),
            values Array(Nullable(String)),
            retention_days Nullable(UInt16),
            elements Nullable(UInt32),
            beyond Nullable(String)
        )')) AS p
    FROM customer_patches_in_1
);

-- The newest value of each field of each person: `rank` is the event's time in ms (48 bits), then the record's
-- place in the log: inc (16), kp (16), ko (48). The greatest is the same whatever is inserted twice, so a
-- worker adds a range's patches again after a crash. A value '' takes the field away. The field `since` ranks
-- the other way round: it is the time of the earliest event. docs/decisions/0102 has what this costs.
CREATE TABLE IF NOT EXISTS customer_fields $on_cluster
(
    tenant_id UInt32,
    person_id UUID,
    dialect   LowCardinality(String),
    source    LowCardinality(String),
    field     LowCardinality(String),
    value     String CODEC(ZSTD(1)),
    rank      UInt128
)
ENGINE = ${replicated}ReplacingMergeTree(rank)
ORDER BY (tenant_id, person_id, field);

-- What patches add to customer_fields, with the coordinates of each.
CREATE VIEW IF NOT EXISTS customer_changes $on_cluster AS
SELECT
    tenant_id,
    person_id,
    dialect,
    source,
    field,
    value,
    if(field = 'since', bitNot(place), place) AS rank,
    topic,
    kp,
    ko,
    inc,
    received_at
FROM
(
    SELECT
        tenant_id,
        person_id,
        dialect,
        source,
        topic,
        kp,
        ko,
        inc,
        received_at,
        toUnixTimestamp64Milli(occurred_at) AS at,
        bitShiftLeft(toUInt128(at), 80) + bitShiftLeft(toUInt128(inc), 64)
            + bitShiftLeft(toUInt128(kp), 48) + toUInt128(ko) AS place,
        arrayJoin(arrayZip(
            arrayPushBack(CAST(fields, 'Array(String)'), 'since'),
            arrayPushBack(values, toString(at)))) AS part,
        part.1 AS field,
        part.2 AS value
    FROM customer_patches
);

-- Persons that turned out to be another one; no row of `events` is ever rewritten for it. Of the rows of a
-- person the one with the highest version counts; one that names the person itself undoes the others.
CREATE TABLE IF NOT EXISTS person_overrides $on_cluster
(
    tenant_id    UInt32,
    person_id    UUID,
    canonical_id UUID,
    version      UInt64
)
ENGINE = ${replicated}ReplacingMergeTree(version)
ORDER BY (tenant_id, person_id);

CREATE VIEW IF NOT EXISTS person_overrides_current $on_cluster AS
SELECT tenant_id, person_id, argMax(person_overrides.canonical_id, version) AS canonical_id
FROM person_overrides
GROUP BY tenant_id, person_id
HAVING canonical_id != person_id;

-- `events` with the person as known today; `stored_person_id` is the one that was known then.
CREATE VIEW IF NOT EXISTS events_resolved $on_cluster AS
SELECT
    e.* REPLACE (if(o.canonical_id = toUUID('00000000-0000-0000-0000-000000000000'),
        e.person_id, toNullable(o.canonical_id)) AS person_id),
    e.person_id AS stored_person_id
FROM events AS e
LEFT ANY JOIN person_overrides_current AS o
    ON o.tenant_id = e.tenant_id AND o.person_id = e.person_id;

-- The current profile of each person who gave one: one row, without FINAL. Times are those of the events.
CREATE VIEW IF NOT EXISTS customers $on_cluster AS
SELECT
    tenant_id,
    dialect,
    source,
    person_id,
    if(id = '', toString(person_id), JSONExtractString(id)) AS customer_id,
    email,
    phone,
    first_name,
    last_name,
    -- Sorted by field and rank: the last of each field is its newest value.
    concat('{', arrayStringConcat(arrayMap(
        part -> concat(toJSONString(substring(part.1, length('location.') + 1)), ':', part.3),
        arrayFilter((part, n) -> part.1 != locations[n + 1].1 AND part.3 != '',
            locations, arrayEnumerate(locations))), ','), '}') AS location,
    concat('{', arrayStringConcat(arrayMap(
        part -> concat(toJSONString(substring(part.1, length('custom.') + 1)), ':', part.3),
        arrayFilter((part, n) -> part.1 != customs[n + 1].1 AND part.3 != '',
            customs, arrayEnumerate(customs))), ','), '}') AS custom_fields,
    fromUnixTimestamp64Milli(since, 'UTC') AS created_at,
    fromUnixTimestamp64Milli(latest, 'UTC') AS updated_at
FROM
(
    SELECT
        tenant_id,
        person_id,
        any(dialect) AS dialect,
        any(source) AS source,
        argMaxIf(value, rank, field = 'id') AS id,
        JSONExtractString(argMaxIf(value, rank, field = 'email')) AS email,
        JSONExtractString(argMaxIf(value, rank, field = 'phone')) AS phone,
        JSONExtractString(argMaxIf(value, rank, field = 'firstName')) AS first_name,
        JSONExtractString(argMaxIf(value, rank, field = 'lastName')) AS last_name,
        arraySort(groupArrayIf((toString(field), rank, value), startsWith(field, 'location.'))) AS locations,
        arraySort(groupArrayIf((toString(field), rank, value), startsWith(field, 'custom.'))) AS customs,
        toInt64OrZero(argMaxIf(value, rank, field = 'since')) AS since,
        toInt64(bitShiftRight(maxIf(rank, field != 'since'), 80)) AS latest
    FROM
    (
        SELECT
            f.tenant_id AS tenant_id,
            if(o.canonical_id = toUUID('00000000-0000-0000-0000-000000000000'), f.person_id, o.canonical_id)
                AS person_id,
            f.dialect AS dialect,
            f.source AS source,
            f.field AS field,
            f.value AS value,
            f.rank AS rank
        FROM customer_fields AS f
        LEFT ANY JOIN person_overrides_current AS o
            ON o.tenant_id = f.tenant_id AND o.person_id = f.person_id
    )
    GROUP BY tenant_id, person_id
);
