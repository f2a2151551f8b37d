"""Records of the module logging, for Erlang's logger (py_logger). Any thread."""

from __future__ import annotations

import logging
from threading import Lock, local

import _erlang

from . import _aside
from ._text import utf8

__all__ = ["ErlangHandler", "setup_logging"]

_FEED = 0

_LONGEST = 65536
"""Characters of a message. So many records may wait to be read; what waits has to stay bounded in bytes, too."""

_PY_LOG = _erlang.atom("py_log")
_LEVELS = [
    (least, _erlang.atom(name)) for least, name in ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"))
]
_DEBUG = _erlang.atom("debug")

_thread = local()


class ErlangHandler(logging.Handler):
    """Hands records to Erlang's logger. It never waits, never raises, and drops what nobody reads fast enough."""

    def handle(self, record: logging.LogRecord) -> object:
        """As that of logging.Handler, without its lock, which an interrupt could leave taken; nothing here needs it."""
        passed = self.filter(record)
        if isinstance(passed, logging.LogRecord):
            record = passed
        if passed:
            self.emit(record)
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record. What is logged while one is turned into text is left out, or it might never end."""
        if not _erlang.feed_is_open(_FEED) or getattr(_thread, "formats", False):
            return
        try:
            _thread.formats = True
            _erlang.feed(_FEED, self._message(record))
        except Exception:  # not even what is wrong with it can be said
            pass
        finally:
            _thread.formats = False

    def _message(self, record: logging.LogRecord) -> tuple:
        return (
            _PY_LOG,
            _level(record.levelno),
            int(record.created * 1_000_000),
            self._text(record),
            utf8(record.name),
            (utf8(record.module), record.lineno, utf8(record.funcName), utf8(record.pathname)),
        )

    def _text(self, record: logging.LogRecord) -> bytes:
        try:
            text = self.format(record)
        except Exception as error:
            message = record.msg if isinstance(record.msg, str) else f"<{type(record.msg).__name__}>"
            text = f"{message} [this record has no text: {type(error).__name__} while it was formatted]"
        if len(text) > _LONGEST:
            text = f"{text[:_LONGEST]}... [{len(text) - _LONGEST} characters more]"
        return utf8(text)


def _level(number: int) -> _erlang.Atom:
    for least, level in _LEVELS:
        if number >= least:
            return level
    return _DEBUG


def setup_logging(level: int | str = logging.DEBUG, format: str | None = None) -> None:
    """Have all that is logged in this interpreter from a level on go to Erlang. A call replaces earlier ones.

    Raises:
        ValueError: there is no such level, or the format is none.
    """
    _aside.run(_install, level, format)


def switch(change: int, level: int | None, format: str | None) -> None:
    """What py_logging says: set up, or with no level take back. Changes are numbered; one that comes late is over."""
    if change > _change:
        _aside.run(_switch, change, level, format)


_lock = Lock()  # guards what follows; taken only by threads that are never interrupted
_change = 0
_handler = ErlangHandler()
_level_before: int | None = None


def _switch(change: int, level: int | None, format: str | None) -> None:
    global _change
    with _lock:
        if change > _change:
            _change = change
            if level is None:
                _take_back()
            else:
                _set_up(level, logging.Formatter(format))


def _install(level: int | str, format: str | None) -> None:
    formatter = logging.Formatter(format)
    with _lock:
        _set_up(level.upper() if isinstance(level, str) else level, formatter)


def _set_up(level: int | str, formatter: logging.Formatter) -> None:
    global _level_before
    root = logging.getLogger()
    _handler.setLevel(level)
    _handler.setFormatter(formatter)
    if _level_before is None:
        _level_before = root.level
    root.setLevel(level)  # so that no record is made of what nobody wants
    root.addHandler(_handler)


def _take_back() -> None:
    global _level_before
    root = logging.getLogger()
    root.removeHandler(_handler)
    if _level_before is not None and root.level == _handler.level:
        root.setLevel(_level_before)
    _level_before = None
