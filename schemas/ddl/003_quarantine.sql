-- Events that are not stored and wait for somebody to look at them: rejected by the gateway, or dead.
-- A letter can be published twice, so one row per source coordinates counts: `quarantine_current`.

CREATE TABLE IF NOT EXISTS quarantine $on_cluster
(
    event_id       Nullable(UUID),  -- null: the record names none
    tenant_id      UInt32,          -- 0: unknown
    dialect        LowCardinality(String),
    endpoint       LowCardinality(String),
    source         LowCardinality(String),
    stage          LowCardinality(String),
    code           LowCardinality(String),
    pointer        String CODEC(ZSTD(1)),
    message        String CODEC(ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    stored_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    ip             String CODEC(ZSTD(1)),
    user_agent     String CODEC(ZSTD(1)),
    request_id     String CODEC(ZSTD(1)),
    request_index  UInt32,
    raw            String CODEC(ZSTD(1)),
    truncated      Bool,
    replay_of      String,
    src_topic      LowCardinality(String),
    src_kp         UInt32,
    src_ko         UInt64,
    src_inc        UInt16,
    retention_days UInt16,
    row_version    UInt8,
    topic          LowCardinality(String),
    kp             UInt32,
    ko             UInt64 CODEC(Delta, ZSTD(1)),
    inc            UInt16,

    INDEX by_offset ko TYPE minmax GRANULARITY 1,
    INDEX by_source src_ko TYPE minmax GRANULARITY 1,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant_id, received_at)
TTL stored_at + toIntervalDay(retention_days)
SETTINGS ${deduplication_window} = 10000;

CREATE TABLE IF NOT EXISTS quarantine_in_1 $on_cluster
(
    topic String,
    kp    UInt32,
    ko    UInt64,
    inc   UInt16,
    row   String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS quarantine_from_1 $on_cluster TO quarantine AS
SELECT
    toUUIDOrNull(`p.event_id`) AS event_id,
    assumeNotNull(`p.tenant_id`) AS tenant_id,
    assumeNotNull(`p.dialect`) AS dialect,
    assumeNotNull(`p.endpoint`) AS endpoint,
    assumeNotNull(`p.source`) AS source,
    assumeNotNull(`p.stage`) AS stage,
    assumeNotNull(`p.code`) AS code,
    assumeNotNull(`p.pointer`) AS pointer,
    assumeNotNull(`p.message`) AS message,
    fromUnixTimestamp64Milli(assumeNotNull(`p.received_at`), 'UTC') AS received_at,
    now64(3, 'UTC') AS stored_at,
    assumeNotNull(`p.ip`) AS ip,
    assumeNotNull(`p.user_agent`) AS user_agent,
    assumeNotNull(`p.request_id`) AS request_id,
    assumeNotNull(`p.request_index`) AS request_index,
    assumeNotNull(`p.raw`) AS raw,
    assumeNotNull(`p.truncated`) AS truncated,
    assumeNotNull(`p.replay_of`) AS replay_of,
    assumeNotNull(`p.src_topic`) AS src_topic,
    assumeNotNull(`p.src_kp`) AS src_kp,
    assumeNotNull(`p.src_ko`) AS src_ko,
    assumeNotNull(`p.src_inc`) AS src_inc,
    assumeNotNull(`p.retention_days`) AS retention_days,
    1
        + throwIf(
            isNull(`p.event_id`) OR isNull(`p.tenant_id`) OR isNull(`p.dialect`) OR isNull(`p.endpoint`) OR
            isNull(`p.source`) OR isNull(`p.stage`) OR isNull(`p.code`) OR isNull(`p.pointer`) OR
            isNull(`p.message`) OR isNull(`p.received_at`) OR isNull(`p.ip`) OR isNull(`p.user_agent`) OR
            isNull(`p.request_id`) OR isNull(`p.request_index`) OR isNull(`p.raw`) OR
            isNull(`p.truncated`) OR isNull(`p.replay_of`) OR isNull(`p.src_topic`) OR
            isNull(`p.src_kp`) OR isNull(`p.src_ko`) OR isNull(`p.src_inc`) OR
            isNull(`p.retention_days`) OR isNotNull(`p.beyond`),
            'a part of the row is missing or of another type')
        + throwIf(
            `p.event_id` != '' AND isNull(toUUIDOrNull(`p.event_id`)),
            'event_id is not a UUID')
        + throwIf(
            `p.received_at` NOT BETWEEN 94694400000 AND 7258118399999,
            'a time of the row is outside 1973-2199')
        + throwIf(
            `p.truncated` > 1 OR `p.retention_days` = 0,
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
            event_id Nullable(String),
            tenant_id Nullable(UInt32),
            dialect Nullable(String),
            endpoint Nullable(String),
            source Nullable(String),
            stage Nullable(String),
            code Nullable(String),
            pointer Nullable(String),
            message Nullable(String),
            received_at Nullable(Int64),
            ip Nullable(String),
            user_agent Nullable(String),
            request_id Nullable(String),
            request_index Nullable(UInt32),
            raw Nullable(String),
            truncated Nullable(UInt8),
            replay_of Nullable(String),
            src_topic Nullable(String),
            src_kp Nullable(UInt32),
            src_ko Nullable(UInt64),
            src_inc Nullable(UInt16),
            retention_days Nullable(UInt16),
            beyond Nullable(String)
        )')) AS p
    FROM quarantine_in_1
);

CREATE VIEW IF NOT EXISTS quarantine_current $on_cluster AS
SELECT *
FROM quarantine
WHERE (inc, topic, kp, ko) IN
(
    SELECT min((inc, topic, kp, ko))
    FROM quarantine
    GROUP BY src_inc, src_topic, src_kp, src_ko
);
