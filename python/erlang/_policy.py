"""The event loop policy, for code from the time when asyncio asked one for its loops."""

from __future__ import annotations

import asyncio
import sys
import warnings
from asyncio import unix_events

from ._loop import ErlangEventLoop

# Python 3.14 has renamed it and warns of the old name; 3.16 is to have none.
_Default = getattr(unix_events, "_DefaultEventLoopPolicy", None) or getattr(unix_events, "DefaultEventLoopPolicy", None)

if _Default is not None:

    class EventLoopPolicy(_Default):
        """Has asyncio make loops of ours. One for each interpreter: asyncio.set_event_loop_policy(), or install()."""

        _loop_factory = ErlangEventLoop

else:

    class EventLoopPolicy:
        """Refuses to exist where asyncio knows no policies."""

        def __init__(self) -> None:
            raise RuntimeError(
                "asyncio has no event loop policies in this Python: use erlang.run(main()), or "
                "asyncio.Runner(loop_factory=erlang.new_event_loop)"
            )


def install() -> None:
    """Have asyncio.run() and asyncio.new_event_loop() make loops of ours, in all of this interpreter. Up to 3.13."""
    if sys.version_info >= (3, 14):
        raise RuntimeError(
            "erlang.install() would set an event loop policy, and asyncio gives those up from Python 3.14 on: use "
            "erlang.run(main()), or asyncio.run(main(), loop_factory=erlang.new_event_loop)"
        )
    if sys.version_info >= (3, 12):
        warnings.warn(
            "erlang.install() does not work from Python 3.14 on: use erlang.run(main()), or "
            "asyncio.run(main(), loop_factory=erlang.new_event_loop)",
            DeprecationWarning,
            stacklevel=2,
        )
    asyncio.set_event_loop_policy(EventLoopPolicy())
