-- Accepted events that are not, or no longer, rows of `events`, and why.

CREATE TABLE IF NOT EXISTS outcomes $on_cluster
(
    event_id       UUID,
    tenant_id      UInt32,
    outcome        LowCardinality(String),  -- duplicate, dropped, erased
    reason         LowCardinality(String),
    first_event_id Nullable(UUID),          -- of a duplicate: the event that came first
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    request_id     String CODEC(ZSTD(1)),
    request_index  UInt32,
    request_of     UInt32,
    retention_days UInt16,
    row_version    UInt8,
    topic          LowCardinality(String),
    kp             UInt32,
    ko             UInt64 CODEC(Delta, ZSTD(1)),
    inc            UInt16,

    INDEX by_offset ko TYPE minmax GRANULARITY 1,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant_id, received_at)
TTL stored_at + toIntervalDay(retention_days)
SETTINGS ${deduplication_window} = 10000;

CREATE TABLE IF NOT EXISTS outcomes_in_1 $on_cluster
(
    topic String,
    kp    UInt32,
    ko    UInt64,
    inc   UInt16,
    row   String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS outcomes_from_1 $on_cluster TO outcomes AS
SELECT
    assumeNotNull(`p.event_id`) AS event_id,
    assumeNotNull(`p.tenant_id`) AS tenant_id,
    assumeNotNull(`p.outcome`) AS outcome,
    assumeNotNull(`p.reason`) AS reason,
    toUUIDOrNull(`p.first_event_id`) AS first_event_id,
    fromUnixTimestamp64Milli(assumeNotNull(`p.received_at`), 'UTC') AS received_at,
    now64(3, 'UTC') AS stored_at,
    assumeNotNull(`p.request_id`) AS request_id,
    assumeNotNull(`p.request_index`) AS request_index,
    assumeNotNull(`p.request_of`) AS request_of,
    assumeNotNull(`p.retention_days`) AS retention_days,
    1
        + throwIf(
            isNull(`p.event_id`) OR isNull(`p.tenant_id`) OR isNull(`p.outcome`) OR isNull(`p.reason`) OR
            isNull(`p.first_event_id`) OR isNull(`p.received_at`) OR isNull(`p.request_id`) OR
            isNull(`p.request_index`) OR isNull(`p.request_of`) OR isNull(`p.retention_days`) OR
            isNotNull(`p.beyond`),
            'a part of the row is missing or of another type')
        + throwIf(
            `p.outcome` NOT IN ('duplicate', 'dropped', 'erased'),
            'unknown outcome')
        + throwIf(
            `p.received_at` NOT BETWEEN 94694400000 AND 7258118399999,
            'a time of the row is outside 1973-2199')
        + throwIf(
            `p.first_event_id` != '' AND isNull(toUUIDOrNull(`p.first_event_id`)),
            'first_event_id is not a UUID')
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
            outcome Nullable(String),
            reason Nullable(String),
            first_event_id Nullable(String),
            received_at Nullable(Int64),
            request_id Nullable(String),
            request_index Nullable(UInt32),
            request_of Nullable(UInt32),
            retention_days Nullable(UInt16),
            beyond Nullable(String)
        )')) AS p
    FROM outcomes_in_1
);
