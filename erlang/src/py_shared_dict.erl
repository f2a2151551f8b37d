%%% @doc Dicts that Erlang and Python share, each known by a reference.
%%%
%%% A dict lives as long as anybody holds its reference, in Erlang or in Python, or until it is destroyed. Its values
%%% are copied in both directions. Whoever stored a value, Erlang gets it as it gets results of calls. Any process may
%%% use it.
-module(py_shared_dict).

-export([new/0, get/3, set/3, del/2, keys/1, destroy/1]).

-export_type([shared_dict/0]).

-type shared_dict() :: reference().

-spec new() -> {ok, shared_dict()}.
new() ->
    {ok, py_nif:store_new()}.

%% @doc The value of a key, or the default. Raises `badarg' for a dict that was destroyed, as all but destroy/1 do.
-spec get(shared_dict(), Key :: binary(), Default) -> term() | Default.
get(Dict, Key, Default) when is_reference(Dict), is_binary(Key) ->
    case py_nif:store_get(Dict, Key) of
        {ok, Value} -> Value;
        error -> Default
    end.

%% @doc Stores what Python makes of a value: atoms become text, but for those that are `True', `False' and `None' there.
-spec set(shared_dict(), Key :: binary(), Value :: term()) -> ok.
set(Dict, Key, Value) when is_reference(Dict), is_binary(Key) ->
    ok = py_nif:store_put(Dict, Key, as_result(Value), infinity).

%% Pairs that say how Python is to see a binary stay, or it could not see it so. Integers stay exact.
as_result(Truth) when is_boolean(Truth) -> Truth;
as_result(None) when None =:= none; None =:= nil; None =:= undefined -> none;
as_result(Atom) when is_atom(Atom) -> atom_to_binary(Atom, utf8);
as_result([Head | Tail]) -> [as_result(Head) | as_result(Tail)];
as_result({How, Binary} = Pair) when is_binary(Binary), How =:= bytes orelse How =:= memoryview -> Pair;
as_result(Tuple) when is_tuple(Tuple) -> list_to_tuple([as_result(Element) || Element <- tuple_to_list(Tuple)]);
as_result(Map) when is_map(Map) -> maps:fold(fun(K, V, Seen) -> Seen#{as_result(K) => as_result(V)} end, #{}, Map);
as_result(Same) -> Same.

%% @doc `ok' also when there is no such key.
-spec del(shared_dict(), Key :: binary()) -> ok.
del(Dict, Key) when is_reference(Dict), is_binary(Key) ->
    py_nif:store_remove(Dict, Key).

%% @doc In no order.
-spec keys(shared_dict()) -> [binary()].
keys(Dict) when is_reference(Dict) ->
    py_nif:store_keys(Dict).

%% @doc Drops all values at once; any number of times.
-spec destroy(shared_dict()) -> ok.
destroy(Dict) ->
    py_nif:store_close(Dict).
