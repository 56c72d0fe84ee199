-- Stored events: one row each, for good. What is in here was decided before the insert.

CREATE TABLE IF NOT EXISTS events $on_cluster
(
    event_id       UUID,
    tenant_id      UInt32,
    dialect        LowCardinality(String),
    source         LowCardinality(String),
    event_name     LowCardinality(String),
    event_type     LowCardinality(String),
    occurred_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    received_at    DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    sent_at        Nullable(DateTime64(3, 'UTC')),
    stored_at      DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    subject        String CODEC(ZSTD(1)),
    person_id      Nullable(UUID),
    user_id        String CODEC(ZSTD(1)),
    anonymous_id   String CODEC(ZSTD(1)),
    url            String CODEC(ZSTD(1)),
    referrer       String CODEC(ZSTD(1)),
    ip             String CODEC(ZSTD(1)),
    ip_source      LowCardinality(String),
    country        LowCardinality(String),
    city           LowCardinality(String),
    user_agent     String CODEC(ZSTD(1)),
    ua_source      LowCardinality(String),
    browser        LowCardinality(String),
    os             LowCardinality(String),
    device_type    LowCardinality(String),
    value          Nullable(Decimal(38, 6)),
    currency       LowCardinality(String),
    order_id       String CODEC(ZSTD(1)),
    product_ids    Array(String) CODEC(ZSTD(1)),
    consent        UInt8,
    fraud_score    Nullable(UInt8),
    fraud_reasons  Array(LowCardinality(String)),
    flags          Array(LowCardinality(String)),
    clock          LowCardinality(String),
    properties     String CODEC(ZSTD(1)),
    extra          String CODEC(ZSTD(1)),
    raw            String CODEC(ZSTD(1)),
    request_id     String CODEC(ZSTD(1)),
    request_index  UInt32,
    request_of     UInt32,
    replay_of      String,
    retention_days UInt16,
    row_version    UInt8,  -- of the landing row it was made from
    topic          LowCardinality(String),
    kp             UInt32,
    ko             UInt64 CODEC(Delta, ZSTD(1)),
    inc            UInt16,

    INDEX by_offset ko TYPE minmax GRANULARITY 1,
    INDEX by_event event_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ${replicated}MergeTree
-- Only what the gateway stamped decides where a row lies, so that a replay lands in the same place:
-- the engine forgets repeated blocks per partition.
PARTITION BY toYYYYMM(received_at)
ORDER BY (tenant_id, dialect, source, received_at)
-- From stored_at: a row that came late must not expire in its own insert, or it would be missed for ever.
-- Not by toDateTime(): it wraps around in 2106, and a long retention would delete at once.
TTL stored_at + toIntervalDay(retention_days)
SETTINGS ${deduplication_window} = 10000;

CREATE TABLE IF NOT EXISTS events_in_1 $on_cluster
(
    topic String,
    kp    UInt32,
    ko    UInt64,
    inc   UInt16,
    row   String
)
ENGINE = Null;

-- The parts are those of schemas/rows.py, in its order; `beyond` must not be there. JSONExtract never refuses,
-- so every part is Nullable there and checked here. One untuple, not a tuple element per column: planning the
-- view takes 14 ms instead of 55, once per insert (docs/decisions/0030).
CREATE MATERIALIZED VIEW IF NOT EXISTS events_from_1 $on_cluster TO events AS
SELECT
    assumeNotNull(`p.event_id`) AS event_id,
    assumeNotNull(`p.tenant_id`) AS tenant_id,
    assumeNotNull(`p.dialect`) AS dialect,
    assumeNotNull(`p.source`) AS source,
    assumeNotNull(`p.event_name`) AS event_name,
    assumeNotNull(`p.event_type`) AS event_type,
    fromUnixTimestamp64Milli(assumeNotNull(`p.occurred_at`), 'UTC') AS occurred_at,
    fromUnixTimestamp64Milli(assumeNotNull(`p.received_at`), 'UTC') AS received_at,
    fromUnixTimestamp64Milli(nullIf(`p.sent_at`, 0), 'UTC') AS sent_at,
    now64(3, 'UTC') AS stored_at,
    assumeNotNull(`p.subject`) AS subject,
    toUUIDOrNull(`p.person_id`) AS person_id,
    assumeNotNull(`p.user_id`) AS user_id,
    assumeNotNull(`p.anonymous_id`) AS anonymous_id,
    assumeNotNull(`p.url`) AS url,
    assumeNotNull(`p.referrer`) AS referrer,
    assumeNotNull(`p.ip`) AS ip,
    assumeNotNull(`p.ip_source`) AS ip_source,
    assumeNotNull(`p.country`) AS country,
    assumeNotNull(`p.city`) AS city,
    assumeNotNull(`p.user_agent`) AS user_agent,
    assumeNotNull(`p.ua_source`) AS ua_source,
    assumeNotNull(`p.browser`) AS browser,
    assumeNotNull(`p.os`) AS os,
    assumeNotNull(`p.device_type`) AS device_type,
    toDecimal128OrNull(`p.value`, 6) AS value,
    assumeNotNull(`p.currency`) AS currency,
    assumeNotNull(`p.order_id`) AS order_id,
    CAST(`p.product_ids`, 'Array(String)') AS product_ids,
    assumeNotNull(`p.consent`) AS consent,
    CAST(nullIf(`p.fraud_score`, -1), 'Nullable(UInt8)') AS fraud_score,
    CAST(`p.fraud_reasons`, 'Array(String)') AS fraud_reasons,
    CAST(`p.flags`, 'Array(String)') AS flags,
    assumeNotNull(`p.clock`) AS clock,
    assumeNotNull(`p.properties`) AS properties,
    assumeNotNull(`p.extra`) AS extra,
    assumeNotNull(`p.raw`) AS raw,
    assumeNotNull(`p.request_id`) AS request_id,
    assumeNotNull(`p.request_index`) AS request_index,
    assumeNotNull(`p.request_of`) AS request_of,
    assumeNotNull(`p.replay_of`) AS replay_of,
    assumeNotNull(`p.retention_days`) AS retention_days,
    1
        + throwIf(
            isNull(`p.event_id`) OR isNull(`p.tenant_id`) OR isNull(`p.dialect`) OR isNull(`p.source`) OR
            isNull(`p.event_name`) OR isNull(`p.event_type`) OR isNull(`p.occurred_at`) OR
            isNull(`p.received_at`) OR isNull(`p.sent_at`) OR isNull(`p.subject`) OR isNull(`p.person_id`) OR
            isNull(`p.user_id`) OR isNull(`p.anonymous_id`) OR isNull(`p.url`) OR isNull(`p.referrer`) OR
            isNull(`p.ip`) OR isNull(`p.ip_source`) OR isNull(`p.country`) OR isNull(`p.city`) OR
            isNull(`p.user_agent`) OR isNull(`p.ua_source`) OR isNull(`p.browser`) OR isNull(`p.os`) OR
            isNull(`p.device_type`) OR isNull(`p.value`) OR isNull(`p.currency`) OR isNull(`p.order_id`) OR
            isNull(`p.consent`) OR isNull(`p.fraud_score`) OR isNull(`p.clock`) OR isNull(`p.properties`) OR
            isNull(`p.extra`) OR isNull(`p.raw`) OR isNull(`p.request_id`) OR isNull(`p.request_index`) OR
            isNull(`p.request_of`) OR isNull(`p.replay_of`) OR isNull(`p.retention_days`) OR
            isNull(`p.elements`) OR isNotNull(`p.beyond`),
            'a part of the row is missing or of another type')
        + throwIf(
            `p.occurred_at` NOT BETWEEN 94694400000 AND 7258118399999
            OR `p.received_at` NOT BETWEEN 94694400000 AND 7258118399999
            OR `p.sent_at` NOT BETWEEN 94694400000 AND 7258118399999 AND `p.sent_at` != 0,
            'a time of the row is outside 1973-2199')
        + throwIf(
            `p.elements` != length(`p.product_ids`) + length(`p.fraud_reasons`) + length(`p.flags`)
            OR has(`p.product_ids`, NULL) OR has(`p.fraud_reasons`, NULL) OR has(`p.flags`, NULL),
            'a list of the row is damaged')
        + throwIf(
            `p.person_id` != '' AND isNull(toUUIDOrNull(`p.person_id`)),
            'person_id is not a UUID')
        + throwIf(
            `p.value` != '' AND NOT match(`p.value`, '^-?[0-9]{1,32}([.][0-9]{1,6})?$$'),
            'value is not a decimal of 32 and 6 digits')
        + throwIf(
            `p.fraud_score` NOT BETWEEN -1 AND 100 OR `p.retention_days` = 0,
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
            event_name Nullable(String),
            event_type Nullable(String),
            occurred_at Nullable(Int64),
            received_at Nullable(Int64),
            sent_at Nullable(Int64),
            subject Nullable(String),
            person_id Nullable(String),
            user_id Nullable(String),
            anonymous_id Nullable(String),
            url Nullable(String),
            referrer Nullable(String),
            ip Nullable(String),
            ip_source Nullable(String),
            country Nullable(String),
            city Nullable(String),
            user_agent Nullable(String),
            ua_source Nullable(String),
            browser Nullable(String),
            os Nullable(String),
            device_type Nullable(String),
            value Nullable(String),
            currency Nullable(String),
            order_id Nullable(String),
            product_ids Array(Nullable(String)),
            consent Nullable(UInt8),
            fraud_score Nullable(Int16),
            fraud_reasons Array(Nullable(String)),
            flags Array(Nullable(String)),
            clock Nullable(String),
            properties Nullable(String),
            extra Nullable(String),
            raw Nullable(String),
            request_id Nullable(String),
            request_index Nullable(UInt32),
            request_of Nullable(UInt32),
            replay_of Nullable(String),
            retention_days Nullable(UInt16),
            elements Nullable(UInt32),
            beyond Nullable(String)
        )')) AS p
    FROM events_in_1
);
