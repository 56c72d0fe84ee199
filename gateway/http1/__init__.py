"""A server for HTTP/1.1: httptools parses, asyncio carries, the application is ASGI (docs/decisions/0162).

- server: listens, watches the time, ends in good order
- connection: one client's bytes in, its requests one after the other
- head: from the head of a request to what ASGI calls a scope
- exchange: one request and its answer, as ASGI sees them
"""
