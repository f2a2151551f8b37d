"""Work on a thread that is never interrupted.

The thread of a context may be interrupted between any two instructions, also between taking a lock and whatever would
give it back. What takes locks that others need is done aside.
"""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(function: Callable[..., None], *args: object) -> None:
    """Call a function on another thread, wait for it, and raise what it raises."""
    done = allocate_lock()
    done.acquire()
    failures: list[BaseException] = []
    start_new_thread(_work, (function, args, failures, done))
    while not done.acquire(timeout=0.1):  # so that the thread that waits can be interrupted
        pass
    if failures:
        raise failures[0]


def _work(function: Callable[..., None], args: tuple, failures: list[BaseException], done) -> None:
    try:
        function(*args)
    except BaseException as error:
        failures.append(error)
    finally:
        done.release()
