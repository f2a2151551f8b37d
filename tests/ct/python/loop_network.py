"""Servers and clients on a loop of Erlang's. What is returned goes to a test."""

import asyncio
import os
import socket
import ssl
import tempfile

import erlang

PATIENCE = 20


def _run(function):
    """Makes a coroutine function one that Erlang can call."""

    def run(*args):
        return erlang.run(asyncio.wait_for(function(*args), PATIENCE))

    run.__name__ = function.__name__
    return run


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Saying(asyncio.Protocol):
    """Sends a message and is done when the connection is."""

    def __init__(self, message, lost):
        self.message = message
        self.lost = lost
        self.received = b""

    def connection_made(self, transport):
        self.peername = transport.get_extra_info("peername")
        transport.write(self.message)
        transport.write_eof()

    def data_received(self, data):
        self.received += data

    def connection_lost(self, exc):
        self.lost.set_result(exc)


def _port(server) -> int:
    return server.sockets[0].getsockname()[1]


# ---------------------------------------------------------------------------------------------------------------------
# TCP


@_run
async def protocols():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, reuse_address=True)
    async with server:
        lost = loop.create_future()
        transport, client = await loop.create_connection(
            lambda: Saying(b"Hello, World!", lost), "127.0.0.1", _port(server)
        )
        error = await lost
        transport.close()
        return [client.received, error, client.peername == ("127.0.0.1", _port(server))]


async def _echo_lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    finally:
        writer.close()
        await writer.wait_closed()


@_run
async def streams(lines):
    server = await asyncio.start_server(_echo_lines, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
        echoed = []
        for line in lines:
            writer.write(line.encode() + b"\n")
            echoed.append((await reader.readline()).rstrip())
        writer.close()
        await writer.wait_closed()
        return echoed


@_run
async def serving_until_cancelled():
    server = await asyncio.start_server(_echo_lines, "127.0.0.1", 0)
    serving = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0)
    serving.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        return server.is_serving()


@_run
async def many_connections(count):
    server = await asyncio.start_server(_echo_lines, "127.0.0.1", 0, backlog=count)

    async def one(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
        writer.write(b"%d\n" % n)
        answer = int(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return answer == n

    async with server:
        return sum(await asyncio.gather(*(one(n) for n in range(count))))


@_run
async def nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        try:
            await asyncio.open_connection(*free.getsockname())
        except ConnectionRefusedError as error:
            return type(error).__name__


@_run
async def large(size):
    """More than any buffer takes: the writer has to wait for the reader."""
    data = os.urandom(1 << 16) * (size >> 16)

    async def send(_reader, writer):
        writer.write(data)
        paused = writer.transport.get_write_buffer_size() > 0
        await writer.drain()
        writer.write(b"paused" if paused else b"not paused")
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
        received = await reader.readexactly(len(data))
        rest = await reader.read()
        writer.close()
        return [received == data, rest]


@_run
async def with_a_file(size):
    loop = asyncio.get_running_loop()
    data = os.urandom(size)

    async def send(_reader, writer):
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.seek(0)
            await loop.sendfile(writer.transport, file)
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", _port(server))
        received = await reader.read()
        writer.close()
        return received == data


@_run
async def plain_sockets():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        for each in (listening, client):
            each.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(listening))
        await loop.sock_connect(client, listening.getsockname())
        accepted, _ = await accepting
        with accepted:
            await loop.sock_sendall(client, b"ping")
            received = await loop.sock_recv(accepted, 10)
            await loop.sock_sendall(accepted, received[::-1])
            return await loop.sock_recv(client, 10)


# ---------------------------------------------------------------------------------------------------------------------
# For peers in Erlang


@_run
async def echo_at(port):
    """Connects, and sends back what comes until the peer is done. Says how that was."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    count = 0
    try:
        while data := await reader.read(1000):
            count += len(data)
            writer.write(data)
            await writer.drain()
        return [count, "eof"]
    except ConnectionError as error:
        return [count, type(error).__name__]
    finally:
        writer.close()


@_run
async def serve_connections(pid, count):
    """Tells where it listens, and serves so many connections. Lists what each was like."""
    loop = asyncio.get_running_loop()
    seen = []
    done = loop.create_future()

    async def serve(reader, writer):
        got = 0
        try:
            while data := await reader.read(100):
                got += len(data)
                writer.write(data)
                await writer.drain()
            outcome = "eof"
        except ConnectionError as error:
            outcome = type(error).__name__
        seen.append((got, outcome))
        writer.close()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass
        if len(seen) == count:
            done.set_result(None)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        erlang.send(pid, (erlang.atom("port"), _port(server)))
        await done
    return sorted(seen)


@_run
async def half_close(port):
    """Says all it has to, and listens on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"that is all")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


# ---------------------------------------------------------------------------------------------------------------------
# UDP


class EchoDatagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.received.put_nowait((data, addr))

    def error_received(self, exc):
        self.received.put_nowait((type(exc).__name__, None))


@_run
async def udp(connected):
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(EchoDatagrams, local_addr=("127.0.0.1", 0))
    address = server.get_extra_info("sockname")
    where = {"remote_addr": address} if connected else {"local_addr": ("127.0.0.1", 0)}
    client, protocol = await loop.create_datagram_endpoint(Datagrams, **where)
    received = []
    for data in (b"one", b"two"):
        client.sendto(data, None if connected else address)
        got, sender = await protocol.received.get()
        received.append(got)
        assert sender == address
    client.close()
    server.close()
    await asyncio.sleep(0)
    return received


@_run
async def udp_to_nobody():
    """What the network says to a datagram that went nowhere."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    client, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
    client.sendto(b"anybody?")
    error, _ = await protocol.received.get()
    client.close()
    await asyncio.sleep(0)
    return error


@_run
async def udp_broadcast():
    loop = asyncio.get_running_loop()
    options = []
    for allowed in (True, False):
        transport, _ = await loop.create_datagram_endpoint(
            Datagrams, local_addr=("0.0.0.0", 0), allow_broadcast=allowed or None
        )
        sock = transport.get_extra_info("socket")
        options.append(bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)))
        transport.close()
    listener, heard = await loop.create_datagram_endpoint(Datagrams, local_addr=("0.0.0.0", 0))
    sender, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0), allow_broadcast=True)
    sender.sendto(b"everybody", ("127.255.255.255", listener.get_extra_info("sockname")[1]))
    data, _ = await heard.received.get()
    listener.close()
    sender.close()
    await asyncio.sleep(0)
    return [options, data]


# ---------------------------------------------------------------------------------------------------------------------
# Unix sockets and TLS


@_run
async def unix_sockets():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "socket")
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)  # and nobody removes it
        async with await asyncio.start_unix_server(_echo_lines, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"here\n")
            line = await reader.readline()
            writer.close()
            await writer.wait_closed()
        file = os.path.join(folder, "file")
        with open(file, "w") as precious:
            precious.write("precious")
        try:
            await asyncio.start_unix_server(_echo_lines, file)
        except OSError as error:
            with open(file) as kept:
                return [line, "in use" in str(error), kept.read()]


@_run
async def tls(certificate, key, size):
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    data = os.urandom(size) + b"\n"
    server = await asyncio.start_server(_echo_lines, "127.0.0.1", 0, ssl=serving, limit=2 * size)
    async with server:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", _port(server), ssl=trusting, server_hostname="localhost", limit=2 * size
        )
        writer.write(data.replace(b"\n", b" ")[:-1] + b"\n")
        line = await reader.readline()
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
        await writer.wait_closed()
        return [len(line) == len(data), version]


@_run
async def tls_with_somebody_else(certificate, key):
    """A certificate that nobody vouches for."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate, key)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # the server's view of it
    async with await asyncio.start_server(_echo_lines, "127.0.0.1", 0, ssl=serving) as server:
        try:
            await asyncio.open_connection("127.0.0.1", _port(server), ssl=ssl.create_default_context())
        except ssl.SSLCertVerificationError as error:
            return type(error).__name__
