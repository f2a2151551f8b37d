%%% @doc JSON as RFC 8259 has it, encoding only; OTP has no such module before version 27.
-module(py_json).

-export([encode/1]).

-export_type([value/0]).

-type value() :: null | boolean() | number() | Text :: binary() | [value()] | #{Text :: binary() => value()}.

%% @doc Text has to be UTF-8. Raises `{not_json, Term}' for what is no value.
-spec encode(value()) -> iodata().
encode(null) -> <<"null">>;
encode(true) -> <<"true">>;
encode(false) -> <<"false">>;
encode(Integer) when is_integer(Integer) -> integer_to_binary(Integer);
encode(Float) when is_float(Float) -> io_lib:format("~w", [Float]); % the shortest form that gives the same number
encode(Text) when is_binary(Text) -> string(Text);
encode(List) when is_list(List) -> [$[, separated(fun encode/1, List), $]];
encode(Map) when is_map(Map) -> [${, separated(fun member/1, lists:sort(maps:to_list(Map))), $}];
encode(Other) -> error({not_json, Other}).

member({Name, Value}) when is_binary(Name) -> [string(Name), $:, encode(Value)];
member({Name, _}) -> error({not_json, Name}).

separated(Encode, Elements) ->
    try lists:join($,, lists:map(Encode, Elements))
    catch error:function_clause -> error({not_json, Elements}) % an improper list
    end.

string(Text) ->
    is_list(unicode:characters_to_list(Text)) orelse error({not_json, Text}),
    [$", [escaped(Piece) || Piece <- re:split(Text, <<"([\"\\\\\\x00-\\x1f])">>), Piece =/= <<>>], $"].

escaped(<<$">>) -> <<"\\\"">>;
escaped(<<$\\>>) -> <<"\\\\">>;
escaped(<<Control>>) when Control < 32 -> io_lib:format("\\u~4.16.0b", [Control]);
escaped(Text) -> Text.
