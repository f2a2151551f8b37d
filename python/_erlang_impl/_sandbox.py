"""Whether operations that fork or replace the process are refused."""


def is_sandboxed() -> bool:
    """True: code that can import this runs inside the Erlang VM, where they always are."""
    return True
