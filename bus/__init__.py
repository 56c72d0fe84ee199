"""The queue between the gateway and the workers: Kafka, or SQLite on a laptop."""
