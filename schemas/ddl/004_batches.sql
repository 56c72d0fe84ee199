-- One row per finished range of a partition, [start, end): what became of its records.

CREATE TABLE IF NOT EXISTS batches $on_cluster
(
    topic       LowCardinality(String),
    kp          UInt32,
    inc         UInt16,
    start       UInt64,
    end         UInt64,
    stored      UInt32,
    duplicate   UInt32,
    dropped     UInt32,
    dead        UInt32,
    worker      LowCardinality(String),
    written_at  DateTime64(3, 'UTC'),
    row_version UInt8
)
-- The same range written twice is one range; two that overlap stay two, so that the auditor sees them.
-- No PARTITION BY: nothing in a range's row but its own key is the same in every attempt.
ENGINE = ${replicated}ReplacingMergeTree(written_at)
ORDER BY (topic, kp, inc, start, end)
TTL written_at + toIntervalDay(400)
SETTINGS ${deduplication_window} = 10000;

CREATE TABLE IF NOT EXISTS batches_in_1 $on_cluster
(
    topic String,
    kp    UInt32,
    ko    UInt64,
    inc   UInt16,
    row   String
)
ENGINE = Null;

CREATE MATERIALIZED VIEW IF NOT EXISTS batches_from_1 $on_cluster TO batches AS
SELECT
    topic,
    kp,
    inc,
    ko AS start,
    assumeNotNull(`p.end`) AS end,
    assumeNotNull(`p.stored`) AS stored,
    assumeNotNull(`p.duplicate`) AS duplicate,
    assumeNotNull(`p.dropped`) AS dropped,
    assumeNotNull(`p.dead`) AS dead,
    assumeNotNull(`p.worker`) AS worker,
    fromUnixTimestamp64Milli(assumeNotNull(`p.written_at`), 'UTC') AS written_at,
    1
        + throwIf(
            isNull(`p.end`) OR isNull(`p.stored`) OR isNull(`p.duplicate`) OR isNull(`p.dropped`) OR
            isNull(`p.dead`) OR isNull(`p.worker`) OR isNull(`p.written_at`) OR isNotNull(`p.beyond`),
            'a part of the row is missing or of another type')
        + throwIf(
            ko + `p.stored` + `p.duplicate` + `p.dropped` + `p.dead` != `p.end` OR ko >= `p.end`,
            'the counts do not add up to the range')
        + throwIf(
            `p.written_at` NOT BETWEEN 94694400000 AND 7258118399999,
            'a time of the row is outside 1973-2199') AS row_version
FROM
(
    SELECT
        topic,
        kp,
        ko,
        inc,
        untuple(JSONExtract(row, 'Tuple(
            end Nullable(UInt64),
            stored Nullable(UInt32),
            duplicate Nullable(UInt32),
            dropped Nullable(UInt32),
            dead Nullable(UInt32),
            worker Nullable(String),
            written_at Nullable(Int64),
            beyond Nullable(String)
        )')) AS p
    FROM batches_in_1
);
