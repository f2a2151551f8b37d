"""Keeps the import system at work."""

import importlib
import sys
from importlib._bootstrap import _get_module_lock

_NAMES = ["tangled", "tangled.first", "tangled.second", "tangled.third", "tangled.plain", "colorsys"]


def again(start):
    """Import them all anew, beginning with one of them: those who begin elsewhere meet on the way."""
    for name in _NAMES:
        sys.modules.pop(name, None)
    start %= len(_NAMES)
    for name in _NAMES[start:] + _NAMES[:start]:
        importlib.import_module(name)
    importlib.reload(sys.modules["tangled.plain"])
    return sys.modules["tangled.first"].squares[-1]


def drop_locks():
    """Drop locks of modules, which takes the lock of the import system, outside of any import.

    A traceback may have the last reference to one. What comes in between can be interrupted.
    """
    while True:
        _get_module_lock("tangled")
        for _ in range(500):
            pass
