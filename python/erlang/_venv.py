"""The virtual environment whose packages this interpreter finds first.

All interpreters of the VM have the same one. Erlang asks for it in every context, and several contexts may share an
interpreter, so what has been done already is not done again.
"""

from __future__ import annotations

import importlib
import os
import site
import sys
from _thread import allocate_lock

from . import _aside

_LISTS = ("path", "meta_path", "path_hooks")  # of sys: what .pth files and editable installs add to

_lock = allocate_lock()  # guards what follows; taken only by threads that are never interrupted
_change = 0  # the number of the last change
_added: dict[str, list[object]] = {}


def switch(change: int, site_packages: str | bytes | None) -> None:
    """Let the packages of a venv be found first, or of none, in place of those of the last venv.

    Changes are numbered in the order in which they were asked for. One that is not newer than the last is over already.
    """
    if change <= _change:
        return
    _aside.run(_switch, change, site_packages)  # not to be left half made when a context is stopped


def path_entries() -> list[str]:
    """What is on sys.path because of the venv."""
    return list(_added.get("path", ()))


def _switch(change: int, site_packages: str | bytes | None) -> None:
    global _change
    with _lock:
        if change <= _change:
            return
        _leave()
        if site_packages is not None:
            _enter(os.fsdecode(site_packages))
        _change = change
        importlib.invalidate_caches()


def _enter(folder: str) -> None:
    before = {name: list(getattr(sys, name)) for name in _LISTS}
    sys.path.insert(0, folder)  # first of all, because lines of .pth files may import from it
    try:
        # As at the start of Python. That the folder is known keeps it from being added again, and that nothing else is
        # brings what a .pth file names to the front, wherever it was before.
        site.addsitedir(folder, {site.makepath(folder)[1]})
        first = [folder]
        new = _beyond(sys.path, [*before["path"], folder])
        sys.path[:] = first + new + _beyond(sys.path, first + new)
    finally:
        for name in _LISTS:
            _added[name] = _beyond(getattr(sys, name), before[name])


def _leave() -> None:
    for name, entries in _added.items():
        current = getattr(sys, name)
        for entry in entries:
            if name == "path":
                sys.path_importer_cache.pop(entry, None)
            if entry in current:  # unless somebody was faster
                current.remove(entry)
    _added.clear()


def _beyond(entries: list, known: list) -> list:
    """Give the entries that are not among the known ones, or more often than there."""
    left = list(known)
    beyond = []
    for entry in entries:
        if entry in left:
            left.remove(entry)
        else:
            beyond.append(entry)
    return beyond
