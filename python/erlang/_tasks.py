"""What Erlang submits to an event loop, and how its results get back. For the thread of the loop's context, but for adopt().

A context that runs a loop has one request at the bottom of its stack, run(); everything else here are requests that are
served between the callbacks of that loop. The native part calls the functions of tasks, and asks a TaskLoop for what takes
longer. A task is an erlang.Ref that is answered once; None stands for one whose result nobody wants.
"""

from __future__ import annotations

# First: dataclasses, for asyncio, uses it as it is while another thread is still importing it.
import typing  # noqa: F401, I001

import asyncio
import sys
from _thread import get_ident
from asyncio import events
from importlib import import_module

import _erlang

from ._loop import ErlangEventLoop
from ._scheduling import ScheduleMarker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable
    from types import CoroutineType

_LOOP_STOPPED = _erlang.atom("loop_stopped")
_LOOP = _erlang.atom("py_loop")
_RUNS = _erlang.atom("runs")
_INTERRUPTED = _erlang.atom("interrupted")

# Seconds that the tasks of a loop which ends have for cleaning up.
_GRACE = 1.0
# How often an end may be interrupted. Once a second at most, when it has begun.
_PATIENCE = 8

_set_running_loop = events._set_running_loop

_loops: dict[int, TaskLoop] = {}  # by the number of the context


class _Loop(ErlangEventLoop):
    """Which ends when the request that runs it was interrupted in a callback; another one goes on with it."""

    def __init__(self) -> None:
        super().__init__()
        self._selector.serves_all = True

    def call_exception_handler(self, context: dict) -> None:
        if isinstance(context.get("exception"), _erlang.Interrupted):
            # A local variable of a frame that the exception holds, which would hold it: a cycle with all our frames.
            context.clear()
            self.stop()
        else:
            super().call_exception_handler(context)


# What says which task of a loop is the current one, for Pythons whose tasks cannot begin at once by themselves. None where
# they can.
_current_tasks = None if sys.version_info >= (3, 12) else asyncio.tasks._current_tasks


class TaskLoop:
    """An event loop and what Erlang has given it."""

    def __init__(self) -> None:
        self.loop = _Loop()
        self.open = True  # for more tasks
        self.thread = get_ident()
        # A loop's own references to its tasks are weak. Nothing of asyncio's refers to tasks of Erlang's: what has failed is
        # part of a cycle, and they would live as long as that.
        self._running: dict[asyncio.Future, tuple[_erlang.Ref, _erlang.Pid] | None] = {}
        self._futures: dict[_erlang.Ref, asyncio.Future] = {}
        self._of: dict[_erlang.Pid, set[_erlang.Ref]] = {}
        self._namespaces: dict[_erlang.Pid, list[dict]] = {}

    def adopt(self, creator: _erlang.Pid, namespace: dict, first: bool) -> None:
        self._namespaces.setdefault(creator, []).insert(0 if first else sys.maxsize, namespace)

    def find(self, creator: _erlang.Pid, module: str, name: str) -> tuple | None:
        """The function, alone in a tuple, where it was not simply there in a module that is imported already."""
        if module == "__main__":
            for namespace in self._namespaces.get(creator, ()):
                if name in namespace:
                    return (namespace[name],)
        try:
            return (getattr(import_module(module), name),)
        except ModuleNotFoundError as error:
            if error.name is not None and (module + ".").startswith(error.name + "."):
                return None
            raise
        except AttributeError:
            return None

    def awaited(self, awaitable: Awaitable) -> asyncio.Future | CoroutineType:
        """What the loop can run for something that a function has returned. The loop has to be the running one."""
        if asyncio.isfuture(awaitable) and awaitable not in self._running:
            return awaitable
        return _awaited(awaitable)

    def watch(self, task: _erlang.Ref | None, creator: _erlang.Pid, future: asyncio.Future) -> None:
        """Answer when it is done."""
        if future.done():
            self._answer(task, future)
        else:
            future.add_done_callback(self._ended)  # first: an interrupt may come in between
            if task is None:
                self._running[future] = None
            else:
                self._running[future] = task, creator
                self._futures[task] = future
                self._of.setdefault(creator, set()).add(task)
        del task, creator, future  # a traceback may hold this frame

    def _ended(self, future: asyncio.Future) -> None:
        for _ in range(_PATIENCE):
            try:
                self._settle(future)
                break
            except _erlang.Interrupted:  # which was to hit a task, not this
                self.loop.stop()

    def _settle(self, future: asyncio.Future) -> None:
        """Answer, and forget. Can be done again from the start."""
        entry = self._running.get(future)
        if entry is None:
            self._answer(None, future)
        else:
            task, creator = entry
            self._answer(task, future)
            self._futures.pop(task, None)
            siblings = self._of.get(creator)
            if siblings is not None:
                siblings.discard(task)
                if not siblings:
                    self._of.pop(creator, None)
        self._running.pop(future, None)

    def _answer(self, task: _erlang.Ref | None, future: asyncio.Future) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if task is not None:
            if error is None:
                _erlang.answer_task(task, future.result())
            else:
                _erlang.fail_task(task, error)
        if isinstance(error, _erlang.Interrupted):
            self.loop.stop()

    def cancel(self, task: _erlang.Ref) -> None:
        future = self._futures.get(task)
        if future is not None:
            future.cancel()

    def forget(self, creator: _erlang.Pid) -> None:
        """A process has ended, and with it all that it wanted to know."""
        self._namespaces.pop(creator, None)
        for task in list(self._of.get(creator, ())):
            self.cancel(task)

    def close(self) -> None:
        """Cancel everything, and let it clean up."""
        self.open = False
        loop = self.loop
        if loop.is_closed():
            return
        loop._let_go()
        cleaning = self._clean_up()
        try:
            for task in list(self._futures):
                _erlang.fail_task(task, _LOOP_STOPPED)
            loop.run_until_complete(cleaning)
        except (_erlang.Interrupted, KeyboardInterrupt, SystemExit):
            pass  # no time is left, or no wish
        except RuntimeError:
            pass  # a task has stopped the loop
        finally:
            cleaning.close()
            loop._let_go()
            for future in asyncio.all_tasks(loop):
                future._log_destroy_pending = False  # as asyncio itself says that it is known
            self._running.clear()
            self._futures.clear()
            self._of.clear()
            self._namespaces.clear()
            loop.close()

    async def _clean_up(self) -> None:
        left = asyncio.all_tasks() | {future for future in self._running if not future.done()}
        left.discard(asyncio.current_task())
        for future in left:
            future.cancel()
        if left:
            await asyncio.wait(left, timeout=_GRACE)
        await self.loop.shutdown_asyncgens()


def loop_of_this_thread() -> asyncio.AbstractEventLoop | None:
    """The one that an ordinary request is served on top of: it is set aside meanwhile, and not the running one."""
    thread = get_ident()
    for tasks in list(_loops.values()):
        if tasks.thread == thread:
            return tasks.loop
    return None


async def _awaited(awaitable: Awaitable):
    return await awaitable


def _alive(process: _erlang.Pid, message: object) -> bool:
    try:
        _erlang.send(process, message)
    except _erlang.ProcessError:
        return False
    return True


def run(number: int, life: _erlang.Ref | None, owner: _erlang.Pid | None) -> str:
    """Run the loop of a context until it is stopped, or this request is interrupted: then another goes on with it.

    `owner` is the process that makes these requests, `life` a task that ends with the context. "busy": something waits
    in the context, which could not go on with a loop on top of it.
    """
    if _is_nested():
        return "busy"
    tasks, goes_on = None, True
    try:
        for _ in range(_PATIENCE):  # an interrupt may hit whatever is here, and what sees to the one before
            try:
                if tasks is None:
                    tasks = _loops.get(number)
                    if tasks is None or not tasks.open:
                        _loops[number] = tasks = TaskLoop()
                    _erlang.take_tasks(tasks, _set_running_loop, asyncio.Task, _current_tasks)
                    if _alive(owner, (_LOOP, life, _RUNS)):
                        _run_on(tasks)
                tasks.loop._let_go()
                if goes_on:
                    # If it was not stopped, it was interrupted.
                    goes_on = tasks.open and _erlang.task_is_open(life) and _alive(owner, (_LOOP, life, _INTERRUPTED))
                    if goes_on:
                        return "interrupted"
                if life is not None:
                    _erlang.fail_task(life, _LOOP_STOPPED)  # for the one whose process was killed: nobody gives that up
                    life = owner = None
                _end(number, tasks)  # not where an exception is handled: all that is raised meanwhile would hold it
                break
            except _erlang.Interrupted:
                pass
        return "stopped"
    finally:
        life = owner = None  # tracebacks of failed tasks hold this frame


def _is_nested() -> bool:
    """Whether the function that asks was not called from C directly, but something runs below."""
    try:
        sys._getframe(2)
    except ValueError:
        return False
    return True


def _run_on(tasks: TaskLoop) -> None:
    while tasks.open:
        try:
            tasks.loop.run_forever()
            break
        except (SystemExit, KeyboardInterrupt):  # of one task, which has it as its result
            pass


def _end(number: int, tasks: TaskLoop) -> None:
    tasks.close()
    if _loops.get(number) is tasks:
        _erlang.take_tasks()
        del _loops[number]


def stop(number: int) -> None:
    """Have run() end; what is submitted from now on is refused."""
    tasks = _loops.get(number)
    if tasks is None:
        return
    tasks.open = False
    if tasks.loop.is_running():
        tasks.loop.stop()
        return
    for _ in range(_PATIENCE):  # between two requests that run it
        try:
            _end(number, tasks)
            break
        except _erlang.Interrupted:
            pass


def end_loops() -> None:
    """The context of this thread has ended. Its loop may have been between two requests that run it."""
    thread = get_ident()
    for number, tasks in list(_loops.items()):
        if tasks.thread == thread:
            tasks.close()
            _loops.pop(number, None)


def cancel(number: int, task: _erlang.Ref) -> None:
    tasks = _loops.get(number)
    if tasks is not None:
        tasks.cancel(task)


def forget(number: int, creator: _erlang.Pid) -> None:
    tasks = _loops.get(number)
    if tasks is not None:
        tasks.forget(creator)


def adopt(number: int, creator: _erlang.Pid, first: bool) -> ScheduleMarker:
    """Let functions of the request's namespace be found by the tasks of a process. Any context of the interpreter.

    False: the loop is in another one.
    """

    def following(namespace: dict) -> bool:
        tasks = _loops.get(number)
        if tasks is None:
            return False
        tasks.adopt(creator, namespace, first)
        return True

    return ScheduleMarker(following)
