"""Query parameters as typed structs: what is not declared, or not of its type, is refused."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct
from starlette.requests import Request

from console.errors import ApiError
from console.misfits import misfit

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Count = Annotated[int, Meta(ge=1, le=1000)]

Parameters = TypeVar("Parameters", bound=Struct)


def read(request: Request, shape: type[Parameters]) -> Parameters:
    """Return the request's query parameters. Raises ApiError(400) naming the one that is wrong."""
    try:
        return msgspec.convert(dict(request.query_params), shape, strict=False)
    except msgspec.ValidationError as error:
        why = misfit(error, shape, word="parameter")
        raise ApiError(400, "parameter_invalid", detail=f"A query parameter is not usable: {why}.") from None
