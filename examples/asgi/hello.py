"""An ASGI application, and where it is served."""

import asyncio
import functools
import threading
from collections.abc import Callable

import asgi_http
from erlang import server


async def app(scope: dict, receive: Callable, send: Callable) -> None:
    """Says hello at /, and at /echo what it hears."""
    if scope["path"] == "/echo":
        await send({"type": "http.response.start", "status": 200})
        more = True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": more})
        return
    found = scope["path"] == "/"
    body = b"hello from thread %d\n" % threading.get_native_id() if found else b"nothing here\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(listen_fd: int) -> server.Server:
    """Accepts connections on the context that it is called in."""
    connection = functools.partial(asgi_http.serve, app)
    return server.serve(listen_fd, lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader(), connection))
