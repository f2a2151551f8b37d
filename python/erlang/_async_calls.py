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
        self._waiting: dict[int, asyncio.Future] = {}
        self._wakers: dict[int, _erlang.Waker] = {}
        self._inbox, fd = _erlang.loop_inbox()
        self._come: list[tuple[int, object, Exception | None]] = []
        self._number = 0
        loop.add_reader(fd, self._take)

    def call(self, future: asyncio.Future, name: str, args: tuple) -> None:
        number = self._number = self._number + 1  # more calls may be made while the arguments are looked at
        _erlang.call_async(self._inbox, number, name, *args)
        self._waiting[number] = future

    async def wait_for(self, loop: asyncio.AbstractEventLoop, function: object, args: tuple) -> object:
        """What a function of a plugin returns as soon as it is not PENDING."""
        # A wait is over when nobody refers to its waker any more: only the table does, not the frame of a coroutine, which
        # whoever keeps its exception or a task of a closed loop keeps.
        number = 0
        try:
            while True:
                before, number = number, self._number + 1
                self._number = number
                result = _erlang.plugin_poll(function, self._inbox, number, self._wakers.pop(before, None), *args)
                if type(result) is not _erlang.Waker:
                    return result
                self._wakers[number], result = result, None
                future = self._waiting[number] = loop.create_future()
                await future
                self._waiting.pop(number, None)
        finally:
            result = None
            self._wakers.pop(number, None)
            self._waiting.pop(number, None)

    def close(self, close_inbox=_erlang.close_inbox) -> None:
        """Nobody watches it any more."""
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            close_inbox(inbox)
            self._wakers.clear()  # who was woken and cannot go on any more leaves it to others

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


def _answers_of(loop: asyncio.AbstractEventLoop) -> _Answers:
    known = _answers.get(loop)
    answers = None if known is None else known()
    if answers is None:
        answers = _Answers(loop)
        _answers[loop] = ref(answers)
        if isinstance(loop, ErlangEventLoop):
            loop._answers = answers  # not only when what refers to it is collected
    return answers


def _begin(loop: asyncio.AbstractEventLoop, name: str, args: tuple) -> asyncio.Future:
    answers = _answers_of(loop)
    future = loop.create_future()
    answers.call(future, name, args)
    return future


async def wait_for_plugin(function: object, *args: object, timeout: float | None = None) -> object:
    """Call a function of a plugin (_erlang.plugin_function), and wait until it has what it is asked for.

    timeout: seconds, or None. TimeoutError: that was not long enough. erlang.PluginError: the function failed.
    """
    if timeout is not None and not timeout >= 0:
        raise ValueError(f"a timeout is None or a number of seconds, 0 or more, not {timeout!r}")
    loop = asyncio.get_running_loop()
    waiting = _answers_of(loop).wait_for(loop, function, args)
    if timeout is None:
        return await waiting
    async with asyncio.timeout(timeout):
        return await waiting


async def async_call(name: str, *args: object) -> object:
    """Call the Erlang function registered under that name, while the loop goes on.

    The function runs in a process of its own. RuntimeError: it failed, there is none of that name, or its process died.
    """
    return await _begin(asyncio.get_running_loop(), name, args)
