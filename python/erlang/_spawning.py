"""Coroutines from anywhere. Any thread, any asyncio loop."""

from __future__ import annotations

import asyncio
from _thread import allocate_lock
from threading import Thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Coroutine

_lock = allocate_lock()
_background: asyncio.AbstractEventLoop | None = None
_spawned: set[asyncio.Task] = set()  # a loop's own references to its tasks are weak


def spawn_task(coro: Coroutine, *, name: str | None = None) -> asyncio.Task | concurrent.futures.Future:
    """Have a coroutine run in the background: on the running loop, or else on one that all of the interpreter share.

    The result can be awaited in the first case; in the second it is a concurrent.futures.Future.
    """
    running = asyncio._get_running_loop()
    if running is not None:
        return _keep(running.create_task(coro, name=name))
    return asyncio.run_coroutine_threadsafe(_named(coro, name), _get_background())


def _keep(task: asyncio.Task) -> asyncio.Task:
    _spawned.add(task)
    task.add_done_callback(_spawned.discard)
    return task


async def _named(coro: Coroutine, name: str | None) -> object:
    if name is not None:
        asyncio.current_task().set_name(name)
    return await coro


def _get_background() -> asyncio.AbstractEventLoop:
    global _background
    with _lock:
        if _background is None:
            _background = asyncio.SelectorEventLoop()
            Thread(target=_background.run_forever, name="erlang.spawn_task", daemon=True).start()
        return _background
