"""The id of a request to the api: the caller's or a new one, on every answer and beside every trace."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.requests import request_id

HEADER = "X-Request-Id"
_KEY = "penstock.request_id"


def id_of(scope: Scope) -> str:
    """Return the id of the request with this scope."""
    found: str = scope[_KEY]
    return found


class Identified:
    """ASGI middleware. An answer to a fault of ours does not pass here; whoever words it adds the id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name the request, and put its name on the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[_KEY] = request_id(dict(scope["headers"]).get(HEADER.lower().encode()))

        async def put(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = id_of(scope)
            await send(message)

        await self._app(scope, receive, put)
