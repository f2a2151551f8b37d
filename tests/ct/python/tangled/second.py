import erlang

from . import third

erlang.call("tangle")
