"""Functions of plugins, and waiting for them."""

from __future__ import annotations

from _erlang import PENDING, plugin_function, plugin_wait

__all__ = ["PENDING", "plugin_function", "plugin_wait", "wait_async"]


async def wait_async(function, *args: object, timeout: float | None = None) -> object:
    """What a function of a plugin returns as soon as it is not PENDING, while the loop goes on.

    timeout: seconds, or None. TimeoutError: it took longer.
    """
    from ._async_calls import wait_for_plugin

    return await wait_for_plugin(function, *args, timeout=timeout)
