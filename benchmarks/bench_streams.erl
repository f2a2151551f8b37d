%%% @doc Items of Python iterators, sent as they come.
-module(bench_streams).

-export([rows/0]).

-define(ITEMS, 200_000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "stream_start, items", unit => per_second, reach => {at_least, 500000},
       measure => fun(_) -> items(#{}) end},
     #{name => "stream_start, items, window of 1,000", unit => per_second,
       measure => fun(_) -> items(#{window => 1000}) end}].

items(Options) ->
    Took = bench_clock:milliseconds(fun() ->
        {ok, Ref} = py:stream_start(builtins, range, [?ITEMS], Options),
        ?ITEMS = count(Ref, maps:is_key(window, Options), 0)
    end),
    ?ITEMS * 1000 / Took.

%% An owner with a window acknowledges a part of it at a time.
count(Ref, Acknowledges, N) ->
    receive
        {py_stream, Ref, {data, _}} ->
            Acknowledges andalso N rem 250 =:= 249 andalso py:stream_ack(Ref, 250),
            count(Ref, Acknowledges, N + 1);
        {py_stream, Ref, done} ->
            N
    end.
