%%% @doc Binaries of many sizes into Python and back: copied, and looked at where they are. Each row is a whole py:call.
-module(bench_copies).

-export([rows/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    lists:append([rows(Name, Size) || {Name, Size} <- [
        {"1 KB", 1000}, {"10 KB", 10_000}, {"100 KB", 100_000}, {"1 MB", 1_000_000}, {"10 MB", 10_000_000},
        {"100 MB", 100_000_000}
    ]]).

%% `made': bytes that Python has just made; `kept': the same object each time.
rows(Name, Size) ->
    Length = fun(Value) -> {ok, Size} = py:call(builtins, len, [Value]) end,
    [row(Name, " in as bytes", Size, fun(Binary) -> Length({bytes, Binary}) end),
     row(Name, " in as a memoryview", Size, fun(Binary) -> Length({memoryview, Binary}) end),
     row(Name, " out, made", Size, fun(_) -> {ok, _} = py:call(builtins, bytes, [Size]) end),
     row(Name, " out, kept", Size, fun(_) -> {ok, _} = py:call('__main__', kept, []) end)].

row(Name, How, Size, Call) ->
    #{
        name => Name ++ How,
        unit => us,
        setup => fun() ->
            ok = py:exec(<<"kept_bytes = bytes(", (integer_to_binary(Size))/binary, ")\n"
                           "def kept(): return kept_bytes">>),
            binary:copy(<<0>>, Size)
        end,
        measure => fun(Binary) -> bench_clock:per_call(fun() -> Call(Binary) end) end
    }.
