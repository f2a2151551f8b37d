"""Its import takes until the Erlang function `importing` says so."""

import erlang

erlang.call("importing")


def answer():
    return "imported"
