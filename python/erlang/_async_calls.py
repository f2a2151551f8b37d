"""Erlang from coroutines, on any asyncio loop of any thread."""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary, ref

import _erlang


class _Answers:
    """What a loop waits for in Erlang. Its owner is the loop, by what that watches, until it is closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._inbox, fd = _erlang.loop_inbox()
        self._waiting: dict[int, asyncio.Future] = {}
        self._come: deque = deque()
        self._number = 0
        loop.add_reader(fd, self._take)

    def call(self, future: asyncio.Future, name: str, args: tuple) -> None:
        self._number += 1
        _erlang.call_async(self._inbox, self._number, name, *args)
        self._waiting[self._number] = future

    def _take(self) -> None:
        try:
            while self._come or self._come.extend(_erlang.take_answers(self._inbox)) or self._come:
                number, value, error = self._come[0]
                future = self._waiting.get(number)
                if future is not None and not future.done():
                    if error is None:
                        future.set_result(value)
                    else:
                        future.set_exception(error)
                self._waiting.pop(number, None)
                self._come.popleft()
        except _erlang.Interrupted:
            asyncio.get_running_loop().call_soon(self._take)  # for what is left
            raise


_answers: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[_Answers]] = WeakKeyDictionary()


def _begin(loop: asyncio.AbstractEventLoop, name: str, args: tuple) -> asyncio.Future:
    known = _answers.get(loop)
    answers = None if known is None else known()
    if answers is None:
        answers = _Answers(loop)
        _answers[loop] = ref(answers)
    future = loop.create_future()
    answers.call(future, name, args)
    return future


async def async_call(name: str, *args: object) -> object:
    """Call the Erlang function registered under that name, while the loop goes on.

    The function runs in a process of its own. RuntimeError: it failed, there is none of that name, or that process died.
    """
    return await _begin(asyncio.get_running_loop(), name, args)
