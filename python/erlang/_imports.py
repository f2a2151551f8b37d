"""The paths and modules that Erlang has registered (py_import), in this interpreter."""

from __future__ import annotations

import importlib
import sys
from _thread import RLock
from os import fsdecode

from _erlang import Interrupted

# Contexts that share this interpreter may run any of these at once.
_lock = RLock()
"""Of what is known about sys.path, for microseconds; see _place()."""
_epoch = 0
"""Which start of the application the paths are of. The interpreter outlives it; its paths do not."""
_added: list[str] = []
_claims: dict[str, dict[int, object]] = {}
"""Orders to reload a module, and who carries them out."""

_PATIENCE = 1.0
_KEPT_ORDERS = 100


def set_up(epoch: int, paths: list[str | bytes], modules: list[str]) -> list[tuple[str, str]]:
    """Give a new context what is registered; the modules that could not be imported, each with the reason."""
    _place(epoch, paths)
    return import_modules(modules)


def add_paths(epoch: int, paths: list[str | bytes]) -> None:
    """Have all these paths on sys.path, which may have appeared on the disk since Python last looked."""
    _place(epoch, paths)
    importlib.invalidate_caches()


def import_modules(modules: list[str]) -> list[tuple[str, str]]:
    """Import what can be imported. The others fail where they are used, which is where somebody wants to know."""
    failures = []
    for name in dict.fromkeys(modules):
        try:
            importlib.import_module(name)
        except Interrupted:
            raise
        except BaseException as error:  # SystemExit, too: a script without a guard
            failures.append((name, f"{type(error).__name__}: {error}"))
    return failures


def reload(name: str, order: int) -> bool:
    """Execute a module anew if it has been imported. False where another context has got the same order before."""
    # No lock: code of the module runs, which may wait for anything, and be interrupted where it would keep it.
    claim = object()
    orders = _claims.setdefault(name, {})
    if orders.setdefault(order, claim) is not claim:
        return False
    if len(orders) > _KEPT_ORDERS:
        orders.pop(min(list(orders)), None)
    module = sys.modules.get(name)
    if module is not None:
        importlib.invalidate_caches()
        importlib.reload(module)
    return True


def _place(epoch: int, paths: list[str | bytes]) -> None:
    # A context that is stopped is interrupted anywhere, most likely as it comes back from waiting for the lock, before
    # `with` would know that it has it. Should one keep the lock all the same, another takes its place.
    global _lock
    lock = _lock
    try:
        lock.acquire(timeout=_PATIENCE)
        _place_each(epoch, paths)
    finally:
        if lock._is_owned():
            lock.release()
        else:
            _lock = RLock()


def _place_each(epoch: int, paths: list[str | bytes]) -> None:
    """Each behind the one before, the first in front of everything but the packages of a virtual environment; what is on
    sys.path already stays where it is."""
    global _epoch
    if epoch < _epoch:
        return  # of an application that has stopped; this comes late
    if epoch > _epoch:
        _remove_added()
        _epoch = epoch
    place = _behind_venv()
    for path in map(fsdecode, paths):
        if path in sys.path:
            place = sys.path.index(path) + 1
        else:
            sys.path.insert(place, path)
            _added.append(path)
            place += 1


def _behind_venv() -> int:
    venv = sys.modules.get("erlang._venv")
    entries = venv.path_entries() if venv is not None else []
    place = 0
    while place < len(sys.path) and sys.path[place] in entries:
        place += 1
    return place


def _remove_added() -> None:
    for path in _added:
        if path in sys.path:
            sys.path.remove(path)
    _added.clear()
