"""HTTP/1.1 for an ASGI application, a coroutine for each connection. No TLS, WebSockets, chunked requests, lifespan."""

import asyncio
import http


def protocol_factory(app):
    def make():
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), lambda r, w: Connection(app, r, w).serve())

    return make


class Connection:
    def __init__(self, app, reader, writer):
        self.app, self.reader, self.writer = app, reader, writer

    async def serve(self):
        try:
            while await self.request():
                pass
        except (ValueError, asyncio.LimitOverrunError):
            self.head(400, [(b"content-length", b"0"), (b"connection", b"close")])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the peer has gone, usually between two requests
        finally:
            self.writer.close()

    async def request(self):
        """True when the next one may come."""
        line, *lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        method, target, version = line.split(b" ")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        fields = dict(headers)
        if version not in (b"HTTP/1.0", b"HTTP/1.1") or b"transfer-encoding" in fields:
            raise ValueError
        path, _, query = target.partition(b"?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "scheme": "http", "http_version": version[5:].decode(),
            "method": method.decode(), "path": path.decode(), "raw_path": path, "query_string": query,
            "headers": headers, "client": self.writer.get_extra_info("peername"),
        }  # fmt: skip
        self.left = int(fields.get(b"content-length", 0))
        self.status, self.ended, self.bodiless = None, False, method == b"HEAD"
        self.chunked, self.keep = False, version == b"HTTP/1.1" and fields.get(b"connection", b"").lower() != b"close"
        try:
            await self.app(scope, self.receive, self.send)
        except ConnectionError:
            raise
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler({"message": f"{line!r} failed", "exception": error})
        if self.status is None:
            self.head(500, [(b"content-length", b"0"), (b"connection", b"close")])
        return self.ended and self.keep and self.left == 0

    async def receive(self):
        if self.ended:
            await self.writer.wait_closed()
            return {"type": "http.disconnect"}
        body = await self.reader.read(min(self.left, 65536)) if self.left else b""
        if self.left and not body:
            return {"type": "http.disconnect"}
        self.left -= len(body)
        return {"type": "http.request", "body": body, "more_body": self.left > 0}

    async def send(self, event):
        if event["type"] == "http.response.start":
            self.status, headers = event["status"], list(event.get("headers", ()))
            if not any(name.lower() == b"content-length" for name, _ in headers) and self.keep and not self.bodiless:
                self.chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
            self.head(self.status, headers + ([] if self.keep else [(b"connection", b"close")]))
            return
        body, self.ended = event.get("body", b""), not event.get("more_body", False)
        if body and not self.bodiless:
            self.writer.write(b"%x\r\n%s\r\n" % (len(body), body) if self.chunked else body)
        if self.ended and self.chunked:
            self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    def head(self, status, headers):
        lines = [b"HTTP/1.1 %d %s" % (status, http.HTTPStatus(status).phrase.encode())]
        lines += [b"%s: %s" % header for header in headers]
        self.writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
