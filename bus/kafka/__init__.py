"""The bus over Apache Kafka (3.7 or newer), through aiokafka."""

from bus.base import Bus
from bus.kafka.bus import KafkaBus
from bus.kafka.topics import create_topics, verify_topics
from schemas.settings import Settings

__all__ = ["create_topics", "open_kafka", "verify_topics"]


def open_kafka(settings: Settings) -> Bus:
    """Return the bus that `bus_url` (kafka://host:port[,host:port]) names. Raises SettingsError."""
    return KafkaBus(settings)
