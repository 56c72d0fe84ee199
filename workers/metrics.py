"""Every metric of a worker, declared in one place. All are set per range or per call, never per event."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

EVENTS = Counter(
    "penstock_worker_events",
    "Records of completed ranges, by outcome: stored, duplicate, dropped, dead.",
    ["pipeline", "outcome"],
)
DEAD = Counter(
    "penstock_worker_dead",
    "Dead letters of completed ranges, by the stage that found out and its code.",
    ["pipeline", "stage", "code"],
)
RANGE_SECONDS = Histogram(
    "penstock_worker_range_seconds",
    "From a range's declaration until all of it is stored.",
    ["pipeline"],
    buckets=_SECONDS,
)
JUDGE_SECONDS = Histogram(
    "penstock_worker_judge_seconds",
    "Decoding a batch and walking it through the stages.",
    ["pipeline"],
    buckets=_SECONDS,
)
INSERT_SECONDS = Histogram(
    "penstock_worker_insert_seconds", "One insert, failed ones too.", ["table"], buckets=_SECONDS
)
RETRIES = Counter(
    "penstock_worker_retries",
    "Attempts that a dependency made us repeat: warehouse, bus, stage.",
    ["pipeline", "dependency"],
)
VERIFIED = Counter(
    "penstock_worker_verified_ranges",
    "Blocks whose rows were counted by offset: after a takeover or an insert of unknown outcome.",
    ["table"],
)
REPAIRED_ROWS = Counter(
    "penstock_worker_repaired_rows",
    "Rows that verification found missing (inserted) or doubled (deleted).",
    ["table", "fault"],
)
LAG = Gauge("penstock_worker_lag_records", "Records in the log and not yet stored.", ["topic", "partition"])
BREAKER_OPEN = Gauge(
    "penstock_worker_breaker_open",
    "1 while a partition rests because too many of its events are dead: see `penstock worker resume`.",
    ["topic", "partition"],
)
OWNED = Gauge("penstock_worker_owned_partitions", "Partitions that this worker reads.", ["topic"])
FRAUD_REASONS = Counter("penstock_worker_fraud_reasons", "Events that a fraud rule fired on.", ["reason"])
FRAUD_UNCOUNTED = Counter(
    "penstock_worker_fraud_uncounted_batches",
    "Batches without the velocity of addresses and persons: the key store was down.",
)
PERSON_ASKED = Counter(
    "penstock_worker_person_asked_events",
    "Events whose person was not remembered: the registry was asked, by a few statements a batch.",
)
PERSON_LINKS = Counter(
    "penstock_worker_person_links", "Identifiers that were given to a person, and why.", ["reason"]
)
PERSON_PAIRS = Counter(
    "penstock_worker_person_pairs", "Devices that were seen with an identifier for the first time."
)
PERSON_CONFLICTS = Counter(
    "penstock_worker_person_conflicts",
    "Identifiers that their event's person did not get: belongs_to_another, has_another.",
    ["why"],
)
MATCHES = Counter(
    "penstock_worker_matches", "Matches published to events.matched, repeats after a crash too."
)
WEBHOOKS = Counter(
    "penstock_webhook_attempts",
    "Requests to webhooks, by outcome: delivered, waiting (tried again), dead.",
    ["outcome"],
)
WEBHOOK_SECONDS = Histogram(
    "penstock_webhook_seconds", "One request to a webhook, failed ones too.", buckets=_SECONDS
)
WEBHOOKS_TAKEN = Counter("penstock_webhook_taken", "Matches that were entered to be sent, each id once.")
WEBHOOKS_WAITING = Gauge("penstock_webhook_waiting", "Deliveries that wait, in the registry: of all workers.")
WEBHOOKS_DEAD = Gauge(
    "penstock_webhook_dead", "Dead deliveries: see `penstock filter deliveries --dead` and `replay`."
)
WEBHOOK_BREAKERS_OPEN = Gauge(
    "penstock_webhook_breakers_open", "Endpoints that this worker lets rest because they fail."
)
