"""Ids of HTTP requests (rule 3): every answer carries one, in `X-Request-Id`."""

import re

import uuid_utils

_SANE = re.compile(rb"[A-Za-z0-9!#$&'*+.^_`|~:@=-]{1,128}")


def request_id(given: bytes | None) -> str:
    """Return the caller's id if it is a sane token of at most 128 characters, else a new one."""
    if given is not None and _SANE.fullmatch(given):
        return given.decode("ascii")
    return str(uuid_utils.uuid7())
