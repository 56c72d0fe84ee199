-- What segments ask of events: each property by itself, typed, without reading the others.
--
-- `properties_typed` is computed from `properties` when a row is inserted, so it can never be missing or
-- differ; for rows that were stored before it is computed when they are read. A property lies in the map
-- that CRC32 of its name chooses, so that a condition reads one map of sixteen. A value is a text that tells
-- its type: a number as it was written, `true` or `false`, `s` and a string, `d` and a date as Unix ms. Nested
-- values, nulls and `$$extra` are not there. docs/decisions/0110 has the alternatives and what this costs.
ALTER TABLE events $on_cluster ADD COLUMN IF NOT EXISTS properties_typed Tuple(
    b0  Map(LowCardinality(String), String),
    b1  Map(LowCardinality(String), String),
    b2  Map(LowCardinality(String), String),
    b3  Map(LowCardinality(String), String),
    b4  Map(LowCardinality(String), String),
    b5  Map(LowCardinality(String), String),
    b6  Map(LowCardinality(String), String),
    b7  Map(LowCardinality(String), String),
    b8  Map(LowCardinality(String), String),
    b9  Map(LowCardinality(String), String),
    b10 Map(LowCardinality(String), String),
    b11 Map(LowCardinality(String), String),
    b12 Map(LowCardinality(String), String),
    b13 Map(LowCardinality(String), String),
    b14 Map(LowCardinality(String), String),
    b15 Map(LowCardinality(String), String))
MATERIALIZED tuple(
    CAST(arrayFilter((pair, bucket) -> bucket = 0,
        (arrayMap((name, raw) -> (name, multiIf(
                substring(raw, 1, 1) != '"', raw,
                position(raw, '\\') > 0, concat('s', JSONExtractString(raw)),
                length(raw) >= 22 AND match(raw, concat(
                    '^"(19|2[0-2])[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt ]',
                    '([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]{1,9})?',
                    '([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"$$')),
                    -- The 30th of February is a string.
                    ifNull(
                        concat('d', toString(toUnixTimestamp64Milli(parseDateTime64BestEffortOrNull(
                            upper(substring(raw, 2, length(raw) - 2)), 3, 'UTC')))),
                        concat('s', substring(raw, 2, length(raw) - 2))),
                concat('s', substring(raw, 2, length(raw) - 2)))),
            arrayMap(pair -> pair.1, (arrayFilter(
                pair -> substring(pair.2, 1, 1) NOT IN ('{', '[', 'n') AND pair.1 != '$$extra',
                JSONExtractKeysAndValuesRaw(properties)) AS scalars)),
            arrayMap(pair -> pair.2, scalars)) AS pairs),
        (arrayMap(pair -> toUInt8(CRC32(pair.1) % 16), pairs) AS buckets)),
        'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 1, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 2, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 3, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 4, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 5, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 6, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 7, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 8, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 9, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 10, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 11, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 12, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 13, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 14, pairs, buckets), 'Map(LowCardinality(String), String)'),
    CAST(arrayFilter((pair, bucket) -> bucket = 15, pairs, buckets), 'Map(LowCardinality(String), String)'))
CODEC(LZ4);
