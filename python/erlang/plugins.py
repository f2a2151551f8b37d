"""Functions of plugins for Python: calling them, and waiting for what they have not got yet.

For those who write plugins; docs/writing-plugins.md has an example. ``function(plugin, name, arity)`` gives what calls a
function of a plugin, which returns its value, None when it has none, or PENDING when there is nothing yet. It raises
PluginError(reason) when it fails, and TypeError when it does not take these arguments. ImportError: there is no such
function, for the reason it says; or the application was started anew without the plugin.
"""

from __future__ import annotations

from _erlang import PENDING, Handle, PluginError, plugin_wait
from _erlang import plugin_function as function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["PENDING", "Handle", "PluginError", "function", "wait", "wait_async"]


def wait(function: Callable[..., Any], *args: object, timeout: float | None = None) -> Any:
    """What a function of a plugin returns as soon as it is not PENDING; the thread sleeps until then.

    timeout: seconds, or None. TimeoutError: it took longer. erlang.Interrupted: the request was interrupted.
    """
    result = plugin_wait(function, timeout, *args)
    if result is PENDING:
        raise TimeoutError(f"{function!r} had nothing within {timeout} seconds")
    return result


async def wait_async(function: Callable[..., Any], *args: object, timeout: float | None = None) -> Any:
    """The same for coroutines; the event loop goes on meanwhile."""
    from ._async_calls import wait_for_plugin

    return await wait_for_plugin(function, *args, timeout=timeout)
