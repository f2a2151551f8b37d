%%% @doc Values of attributes as JSON has them, whatever they are.
-module(py_trace_json).

-export([value/1, object/1, text/1]).

-spec object(#{term() => term()}) -> #{binary() => py_json:value()}.
object(Map) ->
    maps:from_list([{text(Key), value(Value)} || {Key, Value} <- maps:to_list(Map)]).

%% @doc Tuples are lists; what JSON has nothing for is text.
-spec value(term()) -> py_json:value().
value(None) when None =:= none; None =:= undefined; None =:= nil -> null;
value(Same) when is_boolean(Same); is_number(Same) -> Same;
value(Tuple) when is_tuple(Tuple) -> value(tuple_to_list(Tuple));
value(Map) when is_map(Map) -> object(Map);
value(List) when is_list(List) ->
    case is_integer(catch length(List)) of
        true -> [value(Element) || Element <- List];
        false -> text(List)
    end;
value(Other) -> text(Other).

%% @doc Text stays what it is; bytes that are none are in base 64.
-spec text(term()) -> binary().
text(Binary) when is_binary(Binary) ->
    case unicode:characters_to_binary(Binary) of
        Binary -> Binary;
        _ -> base64:encode(Binary)
    end;
text(Atom) when is_atom(Atom) -> atom_to_binary(Atom, utf8);
text(Term) -> unicode:characters_to_binary(io_lib:format("~0tp", [Term])).
