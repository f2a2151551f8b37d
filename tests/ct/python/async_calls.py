"""Erlang from coroutines, for async_calls_SUITE."""

import asyncio
import gc
import threading

import erlang
from erlang import _async_calls


def echo_all(values):
    async def main():
        return await asyncio.gather(*(erlang.async_call("echo", value) for value in values))

    return erlang.run(main())


def sizes(count, size):
    async def main():
        results = await asyncio.gather(*(erlang.async_call("large", size) for _ in range(count)))
        return sorted({len(result) for result in results})

    return erlang.run(main())


async def _echo_three(kind):
    return [kind, *[await erlang.async_call("echo", n) for n in (1, 2, 3)]]


def echo_on(kind):
    run = asyncio.run if "stock" in kind else erlang.run
    if "thread" not in kind:
        return run(_echo_three(kind))
    results = []
    thread = threading.Thread(target=lambda: results.append(run(_echo_three(kind))))
    thread.start()
    thread.join()
    return results[0]


def turns(pid):
    async def main():
        asking = asyncio.ensure_future(erlang.async_call("ask", pid))
        for _ in range(100):
            await asyncio.sleep(0.0001)
        erlang.send(pid, "many turns")
        return await asking

    return erlang.run(main())


async def _error_of(coroutine):
    try:
        await coroutine
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def error_of(name):
    return erlang.run(_error_of(erlang.async_call(name)))


class AsksErlang:
    def __init__(self, pid):
        pass

    def __del__(self):
        erlang.call("tell_for_whom")


class RunsALoop:
    def __init__(self, pid):
        self.pid = pid
        erlang.run(asyncio.sleep(0))  # what it imports is there

    def __del__(self):
        async def main():
            erlang.send(self.pid, "loops")
            await asyncio.sleep(3600)

        erlang.run(main())


def cancelled(pid):
    async def main():
        try:
            await asyncio.wait_for(erlang.async_call("ask", pid), 0.05)
        except asyncio.TimeoutError:
            erlang.send(pid, "cancelled")
        for _ in range(3):
            await erlang.async_call("echo", 1)
        return "still alive"

    return erlang.run(main())


def ask(pid):
    return erlang.run(erlang.async_call("ask", pid))


def ask_and_leave(pid):
    async def main():
        asyncio.ensure_future(erlang.async_call("ask", pid))
        await asyncio.sleep(0)

    erlang.run(main())


def loops_in_turn(count):
    return sum(erlang.run(erlang.async_call("echo", n)) for n in range(count))


def call_each(name, numbers):
    async def main():
        return await asyncio.gather(*(erlang.async_call(name, n) for n in numbers))

    return erlang.run(main())


_loop = None
_makers = []
_tasks = []


def make_loop():
    global _loop
    _loop = erlang.new_event_loop()


async def _checked(n):
    if await erlang.async_call("echo", n) != n:
        raise AssertionError(n)


def run_on(pid):
    """Calls in a row, until it is interrupted."""

    async def main():
        _makers.append(asyncio.current_task())
        erlang.send(pid, "begun")
        while True:
            _tasks[:] = [task for task in _tasks if not task.done() or task.exception() is not None]
            _tasks.extend(asyncio.ensure_future(_checked(n)) for n in range(20))
            await asyncio.sleep(0)
            if len(_tasks) > 200:
                await asyncio.wait(_tasks)

    _loop.run_until_complete(main())


def finish_loop():
    """How many answers never came. What an interrupt hits inside asyncio's own call_soon() may still be lost for a task."""

    async def main():
        for maker in _makers:
            maker.cancel()
        await asyncio.wait(_makers)
        await asyncio.gather(*(_checked(n) for n in range(100)))
        return len(_async_calls._answers[_loop]()._waiting)

    try:
        return _loop.run_until_complete(main())
    finally:
        for task in asyncio.all_tasks(_loop):
            task._log_destroy_pending = False
        _makers.clear()
        _tasks.clear()
        _loop.close()
        gc.collect()  # tracebacks of what was interrupted refer to the loop's handles


def wrong_arguments():
    import _erlang

    inbox, _ = _erlang.loop_inbox()
    attempts = [
        lambda: _erlang.call_async(inbox, 1),
        lambda: _erlang.call_async(inbox, 1, 2),
        lambda: _erlang.call_async(1, 1, "echo"),
        lambda: _erlang.take_answers("no inbox", []),
    ]
    problems = []
    for attempt in attempts:
        try:
            attempt()
        except TypeError:
            problems.append("TypeError")
    try:
        coroutine = erlang.async_call("echo", 1)
        coroutine.send(None)
    except RuntimeError:  # no running loop
        problems.append("RuntimeError")
    return problems


def _number(timeout):
    return float(timeout[0].removeprefix("py:")) if isinstance(timeout, tuple) else timeout


def gen_call(server, request, timeout=5.0):
    return erlang.gen_call(server, request, _number(timeout))


def gen_call_error(server, request, timeout):
    timeout = _number(timeout)
    try:
        erlang.gen_call(server, request, timeout)
    except Exception as error:
        return [type(error).__name__, str(error)]
    return None


def async_gen_calls(server, count):
    async def main():
        return await asyncio.gather(*(erlang.async_gen_call(server, ("reply", n)) for n in range(count)))

    return erlang.run(main())


def async_gen_call_error(server, request, timeout):
    return erlang.run(_error_of(erlang.async_gen_call(server, request, timeout)))
