"""What py_reactor_context asks of Python. For the thread of its context, which runs an event loop."""

from __future__ import annotations

import typing  # noqa: F401  isort: skip  (before asyncio, as in _loop.py)

import asyncio
from importlib import import_module

from _erlang import Interrupted, Pid, ProcessError, atom, send

from . import _tasks
from ._reactor_connection import Connection

_ENDED = atom("py_reactor_ended")

_reactors: dict[Pid, _Reactor] = {}


class _Reactor:
    """The connections of a context."""

    def __init__(self, owner: Pid) -> None:
        self.owner = owner
        self.loop = _tasks.loop_of_this_thread()
        self.connections: dict[int, Connection] = {}
        self.texts: list[str] | None = None  # at the end: what goes to the log
        self.keeper = self.loop.create_task(self._keep())

    async def _keep(self) -> None:
        """Until the loop ends, and with it everything."""
        try:
            await self.loop.create_future()
        finally:
            while self.connections:
                try:
                    self.end()
                except Interrupted:  # one of them: the others are to hear of it, too
                    pass
            _reactors.pop(self.owner, None)

    def end(self) -> None:
        for connection in list(self.connections.values()):
            connection.end()

    def ended(self, connection: Connection, text: str | None) -> None:
        self.connections.pop(connection.number, None)
        if self.texts is None:
            try:
                send(self.owner, (_ENDED, connection.number, text))
            except ProcessError:
                pass
        elif text:
            self.texts.append(text)


def _app(module: str, name: str = "") -> object:
    return getattr(import_module(module), name) if name else import_module(module)


def prepare(app: list) -> None:
    """Before there is a loop: what is wrong with the options is to be known now."""
    if app:
        _app(*app)


def begin(owner: Pid) -> None:
    """From now on connections are taken."""
    _reactors[owner] = _Reactor(owner)


def connect(owner: Pid, opened: tuple, client_info: dict, app: list) -> None:
    """Begin a connection, as the loop's next callback."""
    reactor = _reactors[owner]
    connection = Connection(reactor.loop, opened, reactor.ended)
    reactor.connections[connection.number] = connection
    reactor.loop.call_soon(connection.begin, client_info, lambda: _app(*app) if app else None)


def drop(owner: Pid, number: int) -> None:
    """End a connection that Erlang knows to be over."""
    reactor = _reactors.get(owner)
    connection = reactor and reactor.connections.get(number)
    if connection:
        connection.end()


def end(owner: Pid) -> str:
    """The reactor ends, and its connections with it. What is to be logged of that."""
    reactor = _reactors.get(owner)
    if reactor is None:
        return ""
    reactor.texts = []
    reactor.end()
    return "\n".join(reactor.texts)
