"""Request bodies as typed structs: small JSON objects, of which nothing is kept that was not asked for."""

from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from console.errors import ApiError
from console.misfits import misfit

BODY_BYTES_MAX = 64 * 1024

Body = TypeVar("Body", bound=Struct)


async def read_body(request: Request, shape: type[Body]) -> Body:
    """Return the request's body. Raises ApiError(413) and ApiError(400), which names what is wrong."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise ApiError(413, "body_too_large", headers={"Connection": "close"})
    try:
        return decode(bytes(body), shape)
    except ValueError as error:
        raise ApiError(400, "body_invalid", detail=f"The body is not usable: {error}.") from None


def decode(body: bytes, shape: type[Body]) -> Body:
    """Read JSON. Raises ValueError with a reason that holds no value."""
    try:
        return msgspec.json.decode(body.decode(), type=shape)
    except (UnicodeDecodeError, RecursionError):
        raise ValueError("it is not JSON in UTF-8, or nested too deep") from None
    except msgspec.ValidationError as error:
        raise ValueError(misfit(error, shape, word="member")) from None
    except msgspec.DecodeError:
        raise ValueError("it is not JSON") from None
