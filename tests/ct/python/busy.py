"""Python code that is busy, asleep, waiting or stubborn, and says so first.

What settles in for a while sends to `pid` before it does, so that a test waits for a message and never for a time.
"""

import contextlib
import importlib
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import erlang

_left_running = []
_executors = []


def spin(pid):
    """Pure Python without an end."""
    erlang.send(pid, "running")
    while True:
        pass


def spin_handling_exceptions(pid):
    """A loop that handles every Exception and goes on."""
    erlang.send(pid, "running")
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def swallow_once(pid):
    """Ends by itself once something, anything, was raised in it."""
    erlang.send(pid, "running")
    try:
        while True:
            pass
    except BaseException:
        pass
    erlang.send(pid, "swallowed")
    return "survived"


def sleep(pid, seconds):
    """A C call that nothing interrupts, and a sign of life after it."""
    erlang.send(pid, "running")
    time.sleep(seconds)
    erlang.send(pid, "woke")
    return "slept"


def while_registered(pid, name):
    """Busy until no process has that name."""
    erlang.send(pid, "running")
    while erlang.whereis(name) is not None:
        time.sleep(0.001)
    return "done"


def work(rounds, result):
    """Pure Python for as long as `rounds` says."""
    for _ in range(rounds):
        pass
    return result


def ignore(**arguments):
    """Takes anything, and gives nothing back."""


def import_again(names):
    """Imports modules as if nobody had before."""
    for name in names:
        sys.modules.pop(name, None)
    for name in names:
        importlib.import_module(name)
    return len(names)


def tell(pid, message):
    erlang.send(pid, message)
    return message


def call(name, args):
    return erlang.call(name, *args)


def call_then_spin(pid, name, args):
    erlang.call(name, *args)
    spin(pid)


def call_and_report(pid, name, args):
    """What came of a callback goes to `pid` even when nobody waits for this function any more."""
    try:
        outcome = ("returned", erlang.call(name, *args))
    except BaseException as error:
        outcome = ("raised", type(error).__name__)
    with contextlib.suppress(erlang.ProcessError):
        erlang.send(pid, outcome)
    return outcome


def call_in_thread(pid, name, args):
    """The same on a thread that outlives this function."""
    threading.Thread(target=call_and_report, args=(pid, name, args), daemon=True).start()


def call_in_threads(count, name, value):
    """Threads that work and call, at once; all of them get the value back."""
    results = []

    def run():
        try:
            results.append(work(200, erlang.call(name, value)))
        except RuntimeError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        if isinstance(result, RuntimeError):
            raise result
        if result != results[0]:
            return results
    return results[0]


def call_often_in_thread(pid, name, times):
    """Says at the end how many calls came back, and how many of them with an exception."""

    def run():
        failed = 0
        for n in range(times):
            try:
                assert erlang.call(name, n) == n
            except RuntimeError:
                failed += 1
        erlang.send(pid, (erlang.atom("calls"), times, failed))

    threading.Thread(target=run, daemon=True).start()


def _wait_for(stop):
    for _ in range(6000):
        if stop.wait(0.01):
            break


def leave_thread_running(pid):
    """A thread that goes on until stop_thread, and says when it ends."""
    stop = threading.Event()

    def run():
        erlang.send(pid, "thread running")
        _wait_for(stop)
        erlang.send(pid, "thread ended")

    threading.Thread(target=run, daemon=True).start()
    _left_running.append(stop)


def spin_in_thread(pid):
    """Pure Python without an end, on a thread that is not a daemon."""
    threading.Thread(target=spin, args=(pid,)).start()


def stop_threads():
    while _left_running:
        _left_running.pop().set()


def leave_executor_running(pid):
    """A ThreadPoolExecutor that nobody shuts down."""
    stop = threading.Event()
    executor = ThreadPoolExecutor(max_workers=2)
    executor.submit(_wait_for, stop)
    executor.submit(erlang.send, pid, "executor running").result()
    _left_running.append(stop)
    _executors.append(executor)
