"""Text for Erlang of whatever there is, since records and spans must not fail where they are made."""

from __future__ import annotations


def utf8(value: object) -> bytes:
    """The str() of a value in UTF-8, what has no form there escaped; its type if it has no str()."""
    try:
        return str(value).encode("utf-8", "backslashreplace")
    except Exception:
        return f"<{type(value).__name__} object, whose __str__ raises>".encode("utf-8", "backslashreplace")
