"""Code that goes on after the request that started it, and would after the end of its context.

Each kind says ("running", name) to `pid` and ("ended", name) when it ends. What could go on for ever ends, at the
latest, when no process is registered under `until`: an interpreter that is shared does not end with a context.
"""

import _thread
import atexit
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import erlang

_kept = []


def _spin(pid, name, until):
    erlang.send(pid, ("running", name))
    try:
        while erlang.whereis(until) is not None:
            time.sleep(0.001)
    finally:
        erlang.send(pid, ("ended", name))


def thread(pid, name, until):
    threading.Thread(target=_spin, args=(pid, name, until)).start()


def daemon(pid, name, until):
    threading.Thread(target=_spin, args=(pid, name, until), daemon=True).start()


def bare_thread(pid, name, until):
    """One that the module threading knows nothing of."""
    _thread.start_new_thread(_spin, (pid, name, until))


def executor(pid, name, until):
    """A pool that nobody shuts down, with work in line."""
    pool = ThreadPoolExecutor(max_workers=1)
    pool.submit(_spin, pid, name, until)
    pool.submit(time.sleep, 0)
    _kept.append(pool)


def thread_that_starts_another(pid, name, until):
    """The first ends at once, and the one that it started goes on."""
    threading.Thread(target=thread, args=(pid, name, until)).start()


def exit_handler(pid, name, until):
    atexit.register(_spin, pid, name, until)
    erlang.send(pid, ("running", name))


def executor_and_a_long_end(pid, name, until):
    """The end of the interpreter has to be interrupted, at a moment when the workers of a pool do not know of it yet."""
    pool = ThreadPoolExecutor(max_workers=2)
    pool.submit(int).result()
    _kept.append(pool)
    turns = [True]
    threading._register_atexit(lambda: turns and turns.pop() and _spin(pid, name, until))


def reader(pid, name, fd):
    """In a C function that nothing interrupts, until somebody writes to the other end."""

    def run():
        erlang.send(pid, ("running", name))
        try:
            os.read(fd, 1)
        finally:
            erlang.send(pid, ("ended", name))

    threading.Thread(target=run).start()


def caller(pid, name, function):
    """Waits for an Erlang function."""

    def run():
        erlang.send(pid, ("running", name))
        try:
            erlang.call(function, pid)
        finally:
            erlang.send(pid, ("ended", name))

    threading.Thread(target=run).start()


def locked_for_ever(pid, name):
    def run():
        lock = threading.Lock()
        lock.acquire()
        erlang.send(pid, ("running", name))
        lock.acquire()

    threading.Thread(target=run).start()


def immortal(pid, name):
    """Swallows whatever is raised in it."""

    def run():
        erlang.send(pid, ("running", name))
        while True:
            try:
                while True:
                    time.sleep(0.01)
            except BaseException:
                pass

    threading.Thread(target=run).start()
