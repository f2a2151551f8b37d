"""A connection of a reactor on an event loop, which watches it and calls its protocol."""

from __future__ import annotations

import errno

from _erlang import Interrupted, PluginError

from .reactor import (
    _CLOSE,
    _CLOSED,
    _READ,
    _WAIT,
    _WRITE,
    ReactorBuffer,
    _adopt,
    _by_fd,
    _close,
    _is_open,
    _lose,
    _read_ready,
    _step,
    _traceback,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from .reactor import Protocol

__all__ = ["Connection"]

# The other side is gone, which is nothing to be told about.
_QUIET = {"closed", errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT, errno.EIO}
# How often the end of a connection may be interrupted.
_PATIENCE = 8


class Connection:
    """For the thread of the loop, but for told()."""

    __slots__ = ("fd", "file", "loop", "number", "protocol", "report", "watched")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        opened: tuple,
        report: Callable[[Connection, str | None], None],
    ) -> None:
        """opened: what the plugin says of its file. report: is called when it has ended, with text for the log or None."""
        self.loop = loop
        self.file, self.fd, self.number = opened
        self.report = report
        self.watched = 0
        self.protocol: Protocol | None = None

    def begin(self, client_info: dict, app: Callable[[], object], factory: Callable[[], Protocol] | None = None) -> None:
        if self.watched == _CLOSED:  # it has ended while the loop had something else to do
            return
        try:
            stale = _by_fd.get(self.fd)
            if stale is not None and stale._owner is not None and stale._owner.loop is self.loop:
                stale._owner.end()  # now: what the loop knows of the number is the other's
            self.protocol = _adopt(self.fd, self.number, self.file, self, client_info, app(), factory)
        except BaseException as error:
            self._failed(error)
            if isinstance(error, Interrupted):
                raise
        else:
            self._call(self.protocol.connection_made, (self.fd, client_info), _READ)

    def end(self) -> None:
        """Tell the protocol that it is over."""
        if self.watched != _CLOSED:
            text = None
            try:
                if self.protocol is not None:
                    text = _lose(self.protocol)
            finally:
                self._finish(text)

    def told(self, what: object) -> bool:
        """Something happened to the protocol, on any thread. False: nobody cares any more."""
        try:
            self.loop.call_soon_threadsafe(self.end if what is _CLOSE else self._signalled)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _readable(self) -> None:
        if self.protocol.closed:
            self._over()
            return
        try:
            data = _read_ready(self.file)
        except PluginError as error:
            if error.args[0] != errno.EAGAIN:
                self._broken(error.args[0])
        else:
            self._call(self.protocol.data_received, (ReactorBuffer(data),), _READ)

    def _writable(self) -> None:
        if self.protocol.closed:
            self._over()
            return
        self.protocol._signalled = False  # before: what is wanted from here on may come too late for this time
        self._call(self.protocol.write_ready, (), _WRITE)

    def _over(self) -> None:
        """It was ended, but not here: by another thread, which tells the loop when its connection_lost() is done."""
        if self.protocol.fd == -1:
            self._finish(None)
        else:
            self._watch(_WAIT)  # what comes meanwhile is nobody's

    def _signalled(self) -> None:
        if self.watched != _CLOSED:
            self._writable()

    def _call(self, method: Callable[..., str | None], args: tuple, goes_on: int) -> None:
        try:
            action = _step(self.protocol, method, args, goes_on)
        except BaseException as error:
            self._failed(error)
            if isinstance(error, Interrupted):
                raise  # it was meant for the request that runs the loop
            return
        if isinstance(action, str):
            self._finish(f"a protocol failed, and its connection was closed\n{action}")
        elif action == _CLOSED:
            self._finish(None)
        elif action != self.watched:
            self._watch(action)
        elif not _is_open(self.file):  # nobody would say so
            self._broken(errno.EBADF)

    def _failed(self, error: BaseException) -> None:
        """An interrupt, an exit, or a factory that raised something. Where it is handled."""
        what = "was interrupted" if isinstance(error, Interrupted) else "failed"
        text = f"a protocol {what}, and its connection was closed\n{_traceback()}"
        try:
            if self.protocol is not None:
                text += _lose(self.protocol) or ""
        finally:
            self._finish(text)

    def _broken(self, reason: int | str) -> None:
        text = None
        if reason not in _QUIET:
            text = f"a connection cannot be used any more: {errno.errorcode.get(reason, str(reason)).lower()}"
        if self.protocol is not None:
            text = "\n".join(filter(None, (text, _lose(self.protocol)))) or None
        self._finish(text)

    def _watch(self, what: int) -> None:
        loop = self.loop
        try:
            if self.watched == _READ:
                loop.remove_reader(self.fd)
            elif self.watched == _WRITE:
                loop.remove_writer(self.fd)
        except RuntimeError:  # somebody has closed it, and a transport has its number, whose the loop's key is now
            pass
        self.watched = what
        try:
            if what == _READ:
                loop.add_reader(self.fd, self._readable)
            elif what == _WRITE:
                loop.add_writer(self.fd, self._writable)
        except (OSError, RuntimeError) as error:
            self._broken(getattr(error, "errno", None) or errno.EBADF)

    def _finish(self, text: str | None) -> None:
        interrupted = False
        for _ in range(_PATIENCE):
            try:
                self._let_go(text)
                break
            except Interrupted:
                interrupted = True
        if interrupted:
            raise Interrupted  # it was meant for the request that runs the loop

    def _let_go(self, text: str | None) -> None:
        """Can be done again from the start."""
        if self.file is None:
            return
        if self.watched != _CLOSED:
            self._watch(_CLOSED)  # before it is closed: its number may be another's then
        _close(self.file)
        self.report(self, text)
        self.file = self.protocol = None  # frames that failed may hold this for a while
