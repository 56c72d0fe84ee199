"""What the gateway writes down: refusals, but not more of one kind than a person can read; never a secret."""

import logging
import re
from time import monotonic

from gateway.errors import RequestRefused
from gateway.request import Request

LINES_MAX = 10  # of one kind of refusal,
PERIOD_S = 1.0  # in so many seconds; the rest is counted in the next line

_SECRETS = re.compile(r"((?:[?&]|%3[fF]|%26)key=|[Bb]earer |[Xx]-[Aa]pi-[Kk]ey[:=] ?)[^\s&\"'\\]+")

log = logging.getLogger("penstock.gateway")


class RefusalLog:
    """Writes refusals, at most ten a second of each kind."""

    def __init__(self) -> None:
        self._periods: dict[str, tuple[float, int]] = {}

    def write(self, refused: RequestRefused, request: Request) -> None:
        """Write who was refused what, and why."""
        code, level = refused.reason.code, refused.reason.level
        began, lines = self._periods.get(code, (0.0, 0))
        left_out = 0
        if monotonic() - began >= PERIOD_S:
            left_out = max(0, lines - LINES_MAX)
            began, lines = monotonic(), 0
        self._periods[code] = (began, lines + 1)
        if lines >= LINES_MAX:
            return
        more = f"; {left_out} more like it were not written" if left_out else ""
        why = ", ".join(f"{r.code} {r.field}".rstrip() for r in refused.problem.refusals)
        log.log(
            level,
            "refused %s: %s (%d) request=%s ip=%s%s",
            request.endpoint,
            f"{code}: {why}" if why else code,
            refused.problem.status,
            request.id,
            request.ip or request.connection,
            more,
        )


class MaskSecrets(logging.Filter):
    """Takes API keys and tokens out of every line, whoever writes it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, masked."""
        text = record.getMessage()
        masked = mask(text)
        if masked != text:
            record.msg, record.args = masked, ()
        return True


def mask(text: str) -> str:
    """Replace what follows `?key=`, `Bearer` and `x-api-key` by stars."""
    return _SECRETS.sub(r"\1***", text)


def mask_everywhere() -> None:
    """Put the mask before every handler of the root logger, once."""
    for handler in logging.getLogger().handlers:
        if not any(isinstance(present, MaskSecrets) for present in handler.filters):
            handler.addFilter(MaskSecrets())
