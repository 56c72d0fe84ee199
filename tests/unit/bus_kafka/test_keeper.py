"""One good producer at a time."""

from bus.kafka.publisher import Publisher
from tests.unit.bus_kafka.conftest import Kafka, until


async def test_it_connects_again_until_it_can(fake: Kafka) -> None:
    fake.down = True
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20)
    publisher.start()
    await until(lambda: fake.refused)
    assert publisher.keeper.producer is None
    fake.down = False
    assert await publisher.keeper.ready() is fake.producer
    await publisher.close()


async def test_a_distrusted_producer_is_ended_before_the_next_is_used(
    fake: Kafka, publisher: Publisher
) -> None:
    first = await publisher.keeper.ready()
    publisher.keeper.distrust(first, "a test")
    assert publisher.keeper.producer is None
    second = await publisher.keeper.ready()
    assert second is not first
    assert fake.producers[0].discarded
    assert not fake.producers[1].discarded


async def test_a_late_word_against_an_old_producer_does_not_hurt_the_new(
    fake: Kafka, publisher: Publisher
) -> None:
    first = await publisher.keeper.ready()
    publisher.keeper.distrust(first, "a test")
    second = await publisher.keeper.ready()
    publisher.keeper.distrust(first, "again")
    assert publisher.keeper.producer is second


async def test_an_old_producer_is_replaced(fake: Kafka) -> None:
    publisher = Publisher(fake.connect, fake.discard, bytes_budget=2**20, age_max_s=0.1)
    publisher.start()
    first = await publisher.keeper.ready()
    await until(lambda: len(fake.producers) == 2)
    assert await publisher.keeper.ready() is not first
    await publisher.close()
