"""What stands for each identifier by which an event would name somebody: made once, then remembered."""

from schemas.erasures import digest
from stores.lastused import LastUsed
from workers.persons.cache import CHARACTERS_MAX
from workers.persons.names import Named, given, phone_of

ENTRIES_MAX = 32_768
"""About 20 MB, and 50 MB at the most: what has over 256 characters is not remembered."""


class Digests:
    """The digests of events' identifiers, for whoever asks whether one of them is suppressed."""

    def __init__(self) -> None:
        self._known: LastUsed[tuple[object, ...], tuple[bytes, ...]] = LastUsed(ENTRIES_MAX)

    def of(self, event: Named) -> tuple[bytes, ...]:
        """Return one digest for each identifier of the event's tenant."""
        device, id, email, phone = event.anonymous_id, event.user_id, event.email, event.phone
        key = (event.tenant_id, event.dialect, event.source, device, id, email, phone)
        known = self._known.get(key)
        if known is None:
            known = _digests(event)
            if len(device) + len(id) + len(email) + len(phone) <= CHARACTERS_MAX:
                self._known.put(key, known)
        return known


def _digests(event: Named) -> tuple[bytes, ...]:
    number, _ = phone_of(event)
    names = given(event, number)
    identifiers = names.names if names.device is None else (names.device, *names.names)
    return tuple(map(digest, identifiers))
