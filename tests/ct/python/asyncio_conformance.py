"""CPython's own tests of asyncio, with every loop they make being one of Erlang's.

Runs on the thread of a context, a module of tests a call. What comes of it goes to Erlang as data: the SUITE decides.
"""

import asyncio
import contextlib
import fnmatch
import gc
import importlib
import io
import os
import shutil
import sys
import tempfile
import threading
import unittest
from asyncio import unix_events

import asyncio_conformance_expected as expected
import erlang

# The same tests once more with another selector, which is none of ours.
_REPEATED = ("EPollEventLoopTests", "PollEventLoopTests")


class _TestedLoop(erlang.ErlangEventLoop):
    """What the tests get where they ask for asyncio's own, with whatever selector."""

    made = 0

    def __init__(self, selector=None) -> None:
        super().__init__()
        _TestedLoop.made += 1


class _NoSignalsHere(BaseException):
    """Instead of a Ctrl-C that never comes."""


def _no_ctrl_c() -> None:
    raise _NoSignalsHere


def prepare(sources: str) -> str | None:
    """Find the tests, where Python has them or below `sources`, and put our loop in place of asyncio's.

    Says why that cannot be.
    """
    if sys.version_info[:2] != (3, 14):
        return "tests of asyncio change with every Python, and the list of those that fail here is made for 3.14"
    folder = os.path.join(sources, "%d.%d.%d" % sys.version_info[:3])
    try:
        importlib.import_module("test.test_asyncio")
    except ImportError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "test"]:
            del sys.modules[name]
        if not os.path.isdir(os.path.join(folder, "test", "test_asyncio")):
            return "this Python came without its test modules, and tools/python_tests has not found their source"
        sys.path.append(folder)
        importlib.invalidate_caches()
    from test import support

    support.use_resources = ("cpu", "walltime")  # no network, for one
    asyncio.SelectorEventLoop = asyncio.EventLoop = unix_events.SelectorEventLoop = _TestedLoop
    unix_events._DefaultEventLoopPolicy._loop_factory = _TestedLoop
    erlang.run(asyncio.sleep(0))  # opens what a context opens once
    return None


class _Result(unittest.TestResult):
    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}
        self.left_open: dict[str, list[str]] = {}

    def addSuccess(self, test) -> None:
        self.passed.append(test.id())

    def addError(self, test, err) -> None:
        self._add(test, err)

    def addFailure(self, test, err) -> None:
        self._add(test, err)

    def addSubTest(self, test, subtest, err) -> None:
        if err is not None:
            self._add(test, err)

    def addUnexpectedSuccess(self, test) -> None:
        self.failed[test.id()] = "passes, which its authors did not expect"

    def _add(self, test, err) -> None:
        self.failed.setdefault(_id(test), self._exc_info_to_string(err, test))


def _id(test) -> str:
    return test.id() if hasattr(test, "id") else str(test)


def run(module: str) -> dict:
    """All tests of test.test_asyncio.test_<module>."""
    from test.support import os_helper

    result = _Result()
    _TestedLoop.made = 0
    uncaught: list[str] = []
    folder = tempfile.mkdtemp(prefix="asyncio_tests.")
    testfn, os_helper.TESTFN = os_helper.TESTFN, os.path.join(folder, "file")
    try:
        with _noting_uncaught(uncaught), _quiet():
            tests = importlib.import_module(f"test.test_asyncio.test_{module}")
            if hasattr(tests, "interrupt_self"):
                tests.interrupt_self = _no_ctrl_c
            _prepared(unittest.defaultTestLoader.loadTestsFromModule(tests), result).run(result)
    finally:
        os_helper.TESTFN = testfn
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "ran": result.testsRun,
        "loops": _TestedLoop.made,
        "skipped": [(_id(test), reason) for test, reason in result.skipped],
        "failed": {name: text for name, text in result.failed.items() if not _is_listed(name)},
        "expected": [name for name in result.failed if _is_listed(name)],
        "passed_although_listed": [name for name in result.passed if _is_listed(name)],
        "uncaught": uncaught,
        # One that ended in the middle has not come to closing what it had opened.
        "left_open": {name: files for name, files in result.left_open.items() if name not in result.failed},
    }


def _is_listed(name: str) -> bool:
    name = name.removeprefix("test.test_asyncio.")
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in expected.PATTERNS)


def _prepared(suite: unittest.TestSuite, result: _Result) -> unittest.TestSuite:
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(_prepared(test, result))
        elif type(test).__name__ not in _REPEATED:
            test.run = _audited(test, result)
            kept.addTest(test)
    return kept


def _audited(test: unittest.TestCase, noted: _Result):
    """A test's run(), and a look at what it has left open: also what a test closes after it was counted as over."""
    run = test.run

    def audited(result=None):
        before = _open_files()
        try:
            return run(result)
        finally:
            if left := _left_open(before):
                noted.left_open[test.id()] = left

    return audited


@contextlib.contextmanager
def _noting_uncaught(notes: list[str]):
    """Exceptions that nobody catches: of threads, and where there is nobody to raise them to."""
    thread_hook, other_hook = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda args: notes.append(f"in thread {args.thread}: {args.exc_value!r}")
    sys.unraisablehook = lambda args: notes.append(f"{args.err_msg or 'ignored'} {args.object!r}: {args.exc_value!r}")
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = thread_hook, other_hook


@contextlib.contextmanager
def _quiet():
    """Some tests print, and many have asyncio log."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _open_files() -> dict[int, str]:
    if not os.path.isdir("/proc/self/fd"):
        return {}
    files = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            files[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return files


def _left_open(before: dict[int, str]) -> list[str]:
    left = []
    for _ in range(2):
        now = _open_files()
        left = [f"{fd}: {target}" for fd, target in now.items() if before.get(fd) != target and _kind(target)]
        if not left:
            break
        gc.collect()
    return left


def _kind(target: str) -> bool:
    """What a loop could have left open; the VM opens files of its own."""
    return target.startswith(("socket:", "pipe:", "anon_inode:[event"))
