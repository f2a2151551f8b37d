"""Erlang from coroutines, on any asyncio loop of any thread."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, ref

import _erlang

from ._loop import ErlangEventLoop


class _Answers:
    """What a loop waits for in Erlang. Its owner is the loop, by what that watches, until that is closed."""

    _inbox = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._inbox, fd = _erlang.loop_inbox()
        self._waiting: dict[int, asyncio.Future] = {}
        self._come: list[tuple[int, object, Exception | None]] = []
        self._number = 0
        loop.add_reader(fd, self._take)

    def call(self, future: asyncio.Future, name: str, args: tuple) -> None:
        number = self._number = self._number + 1  # more calls may be made while the arguments are looked at
        _erlang.call_async(self._inbox, number, name, *args)
        self._waiting[number] = future

    def close(self, close_inbox=_erlang.close_inbox) -> None:
        """Nobody watches it any more."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            close_inbox(inbox)

    def __del__(self) -> None:
        self.close()

    def _take(self) -> None:
        # Whatever is interrupted here goes on with the next turn of the loop: as long as something is left in the
        # list, the file is readable.
        while self._come or _erlang.take_answers(self._inbox, self._come):
            number, value, error = self._come[0]
            future = self._waiting.get(number)
            if future is not None and not future.done():
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
            self._waiting.pop(number, None)
            del self._come[:1]


_answers: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[_Answers]] = WeakKeyDictionary()


def _begin(loop: asyncio.AbstractEventLoop, name: str, args: tuple) -> asyncio.Future:
    known = _answers.get(loop)
    answers = None if known is None else known()
    if answers is None:
        answers = _Answers(loop)
        _answers[loop] = ref(answers)
        if isinstance(loop, ErlangEventLoop):
            loop._answers = answers  # not only when what refers to it is collected
    future = loop.create_future()
    answers.call(future, name, args)
    return future


async def async_call(name: str, *args: object) -> object:
    """Call the Erlang function registered under that name, while the loop goes on.

    The function runs in a process of its own. RuntimeError: it failed, there is none of that name, or its process died.
    """
    return await _begin(asyncio.get_running_loop(), name, args)
