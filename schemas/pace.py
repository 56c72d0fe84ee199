"""How a device behaved lately: what the fraud score judges its next event by."""

from msgspec import Struct


class Pace(Struct, gc=False):
    """What is remembered of one device. Times are minutes since 1970, by the events' own clocks."""

    minute: int = 0  # that `events` counts
    events: int = 0
    before: int = 0  # in the minute before
    usual_country: str = ""
    votes: int = 0  # how many more events came from there than from elsewhere
    last_country: str = ""
    last_minute: int = 0
