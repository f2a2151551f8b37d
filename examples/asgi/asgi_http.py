"""HTTP/1.1 for an ASGI application, a coroutine for each connection. No TLS, WebSockets, lifespan, chunked requests."""

import asyncio
import re
from collections.abc import Callable
from contextlib import closing, suppress
from http import HTTPStatus
from urllib.parse import unquote

REQUEST = re.compile(rb"([A-Z]+) ([!-~]+) HTTP/(1\.[01])\r\n((?:[!-9;-~]+:[^\r\n]*\r\n)*)\r\n")
CHUNKED, CLOSE, EMPTY = (b"transfer-encoding", b"chunked"), (b"connection", b"close"), (b"content-length", b"0")


async def serve(app: Callable, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request after the other. The peer may go at any time; what the application raises, the loop logs."""

    def head(status: int, *headers: tuple[bytes, bytes]) -> None:
        lines = [b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode()), *map(b": ".join, headers)]
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")

    async def receive() -> dict:
        nonlocal left
        body = await reader.read(min(left, 65536))
        if ended or (left and not body):
            return {"type": "http.disconnect"}
        left -= len(body)
        return {"type": "http.request", "body": body, "more_body": left > 0}

    async def send(event: dict) -> None:
        nonlocal started, ended, chunked
        if event["type"] == "http.response.start":
            started, status, headers = True, event["status"], list(event.get("headers", ()))
            chunked = keep and not bodiless and b"content-length" not in dict(headers) and status not in (204, 304)
            head(status, *headers, *([CHUNKED] if chunked else [] if keep else [CLOSE]))
            return
        body, ended = event.get("body", b""), not event.get("more_body")
        if body and not bodiless:
            writer.write(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
        if ended and chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()

    keep = True
    with suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
        while keep:
            try:
                request = REQUEST.fullmatch(await reader.readuntil(b"\r\n\r\n"))
            except asyncio.LimitOverrunError:
                return head(431, EMPTY, CLOSE)
            fields = [(n.lower(), v.strip()) for n, v in re.findall(rb"(.+?):(.*)\r\n", request[4])] if request else []
            length = b",".join(value for name, value in fields if name == b"content-length") or b"0"
            if not request or not re.fullmatch(rb"\d{1,18}", length):
                return head(400, EMPTY, CLOSE)
            if b"transfer-encoding" in dict(fields):
                return head(501, EMPTY, CLOSE)
            method, target, version = (part.decode() for part in request.group(1, 2, 3))
            path, _, query = target.partition("?")
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": version, "method": method,
                "path": unquote(path), "query_string": query.encode(), "headers": fields,
            }  # fmt: skip
            left, bodiless, started, ended, chunked = int(length), method == "HEAD", False, False, False
            keep = version == "1.1" and dict(fields).get(b"connection", b"").lower() != b"close"
            try:
                await app(scope, receive, send)
            finally:
                if not started:
                    head(500, EMPTY, CLOSE)
            keep = keep and ended and left == 0
