"""An ASGI application, and where it is served."""

import threading

from erlang import server

from asgi_http import protocol_factory


async def app(scope, receive, send):
    if scope["path"] == "/":
        await answer(send, 200, b"hello from thread %d\n" % threading.get_native_id())
    elif scope["path"] == "/echo":
        await send({"type": "http.response.start", "status": 200})
        more = True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": more})
    else:
        await answer(send, 404, b"nothing here\n")


async def answer(send, status, body):
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(listen_fd):
    return server.serve(listen_fd, protocol_factory(app))
