"""gen_server:call/3 from Python."""

from __future__ import annotations

from math import ceil

import _erlang

_FUNCTION = "$py_gen_call"


def gen_call(server: object, request: object, timeout: float | None = 5.0) -> object:
    """Ask a gen_server, and return its reply. Any thread.

    server: a Pid, a registered name (str or Atom), (name, node), ("global", name) or ("via", module, name).
    timeout: seconds, or None for no end.

    TimeoutError: it has not replied within that time. ProcessError: there is no such process, it ended before it
    replied, its node cannot be reached, or it is the very process that waits for this code.
    """
    return _reply(server, timeout, _erlang.call(_FUNCTION, server, request, _milliseconds(timeout)))


async def async_gen_call(server: object, request: object, timeout: float | None = 5.0) -> object:
    """gen_call() for coroutines: other tasks of the loop go on meanwhile. Any asyncio loop."""
    from ._async_calls import async_call

    return _reply(server, timeout, await async_call(_FUNCTION, server, request, _milliseconds(timeout)))


def _milliseconds(timeout: float | None) -> int | _erlang.Atom:
    if timeout is None:
        return _erlang.atom("infinity")
    if not timeout >= 0:
        raise ValueError(f"a timeout is a number of seconds from 0 on, or None, not {timeout!r}")
    return ceil(min(timeout * 1000, 0xFFFFFFFF))  # the longest of Erlang's timers


def _reply(server: object, timeout: float | None, outcome: tuple) -> object:
    kind, value = outcome
    if kind == "ok":
        return value
    if kind == "timeout":
        raise TimeoutError(f"{server!r} has not replied within {timeout:g} seconds")
    if kind == "badarg":
        raise TypeError(
            "a server is an erlang.Pid, a registered name, (name, node), ('global', name) or ('via', module, name), "
            f"not {server!r}"
        )
    raise _erlang.ProcessError(f"{server!r} {value}")
