"""State that all contexts share (py_state), and dicts that are passed around (py:shared_dict_new/0).

Both live in the native core: reading and writing needs neither a process nor another interpreter. Any thread.
"""

from __future__ import annotations

from _operator import index

import _erlang

__all__ = ["SharedDict", "state_decr", "state_delete", "state_get", "state_incr", "state_keys", "state_set"]


def state_get(key: object) -> object:
    """The value of a key, or None."""
    return _erlang.store_get(None, key, None)


def state_set(key: object, value: object) -> None:
    """Store a value under a key, which Erlang sees as a term.

    Raises:
        RuntimeError: there are as many entries as max_state_entries allows, or the key is reserved.
    """
    if not _erlang.store_put(None, key, value, None):
        _erlang.call("$py_state_set", key, value)  # a new key: Erlang says whether there may be one more


def state_delete(key: object) -> None:
    """Forget a key; nothing happens when nobody knew it."""
    _erlang.store_remove(None, key)


def state_keys() -> list:
    """All keys, in no order."""
    return _erlang.store_keys(None)


def state_incr(key: object, amount: int = 1) -> int:
    """Add to a counter, which begins as 0, and return its new value.

    Raises:
        ValueError: the key holds something else, or the counter would leave the range of 64 bits.
        RuntimeError: as for state_set.
    """
    amount = index(amount)
    if not -(2**63) <= amount < 2**63:
        raise ValueError(f"{amount} is beyond the range of 64 bits")
    value = _erlang.store_add(None, key, amount)
    return _erlang.call("$py_state_incr", key, amount) if value is None else value


def state_decr(key: object, amount: int = 1) -> int:
    """Subtract from a counter; see state_incr."""
    return state_incr(key, -index(amount))


_MISSING = object()


def _is_exact(value: object) -> bool:
    """Whether what this becomes in Erlang comes back from there as it was."""
    if value is None or type(value) is bool:
        return True
    if type(value) is str:
        return value.isascii()  # others may hold lone surrogates
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if type(value) is float:
        return value - value == 0.0  # not infinite, and a number
    return type(value) in (_erlang.Pid, _erlang.Ref)  # which pickle refuses


def _pickled(value: object) -> bytes | None:
    if _is_exact(value):
        return None
    import pickle

    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


class SharedDict:
    """A dict that Erlang made, by the reference it is known by there.

    Values are copied in both directions: changing what was read changes nothing in the dict. What Python stored comes
    back to Python with the types it had, by way of pickle; Erlang sees it as it sees results of calls.
    """

    __slots__ = ("_handle",)

    def __init__(self, handle: object) -> None:
        """handle: what py:shared_dict_new/0 returned; a TypeError else."""
        if handle is None:  # what stands for py_state below
            raise TypeError("a SharedDict is made of what py:shared_dict_new/0 returns, not of None")
        _erlang.store_size(handle)
        self._handle = handle

    def __getitem__(self, key: object) -> object:
        value = _erlang.store_get(self._handle, key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __setitem__(self, key: object, value: object) -> None:
        _erlang.store_put(self._handle, key, value, _pickled(value))

    def __delitem__(self, key: object) -> None:
        if not _erlang.store_remove(self._handle, key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return _erlang.store_has(self._handle, key)

    def __iter__(self):
        return iter(self.keys())

    def __len__(self) -> int:
        return _erlang.store_size(self._handle)

    def get(self, key: object, default: object = None) -> object:
        """The value of a key, or the default."""
        return _erlang.store_get(self._handle, key, default)

    def keys(self) -> list:
        """All keys, in no order, as they are now."""
        return _erlang.store_keys(self._handle)

    def destroy(self) -> None:
        """Drop all values; every use of the dict is an error from now on. Any number of times."""
        _erlang.store_close(self._handle)
