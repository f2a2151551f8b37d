"""A C function that keeps the GIL for as long as it is told to, which no function of Python's own does."""

import ctypes
import socket
import struct
import sys

_patience = 15  # seconds

_write = ctypes.PyDLL(None).write
_write.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]


def hold(port, size):
    """Sends more than a connection takes: it is in there once the first byte has come, and until others are taken."""
    # Who has imported something is no more difficult to interrupt than others.
    sys.modules.pop("colorsys", None)
    __import__("colorsys")
    data = bytes(size)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _patience, 0))
        connection.connect(("127.0.0.1", port))
        _write(connection.fileno(), data, size)
