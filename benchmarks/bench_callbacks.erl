%%% @doc From Python to Erlang. The clock is Python's own, around a loop, so that the call that started the loop is not
%%% in it.
-module(bench_callbacks).

-export([rows/0]).

-define(ECHO, bench_echo).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "erlang.call, from a context's thread", unit => us, reach => {times_floor, 1.8},
       setup => fun prepare/0, floor => fun bench_floor:one_caller/1, measure => fun(_) -> measure(calls, [5000]) end},
     #{name => "erlang.call, from one other Python thread", unit => us,
       setup => fun prepare/0, floor => fun bench_floor:one_caller/1,
       measure => fun(_) -> measure(calls_of_threads, [1, 2000]) end},
     #{name => "erlang.call, from 4 Python threads, each", unit => us, reach => {at_most, 10},
       setup => fun prepare/0, measure => fun(_) -> measure(calls_of_threads, [4, 2000]) end},
     #{name => "erlang.call, from 4 Python threads, together", unit => per_second,
       setup => fun prepare/0, measure => fun(_) -> measure(rate_of_threads, [4, 2000]) end},
     #{name => "erlang.async_call, one after the other", unit => us,
       setup => fun prepare/0, floor => fun bench_floor:one_caller/1, measure => fun(_) -> measure(async_calls, [1, 2000]) end},
     #{name => "erlang.async_call, 50 at once, together", unit => per_second,
       setup => fun prepare/0, measure => fun(_) -> measure(rate_of_async_calls, [50, 100]) end},
     #{name => "erlang.gen_call of a gen_server", unit => us,
       setup => fun prepare/0, floor => fun bench_floor:one_caller/1, measure => fun(_) -> measure(gen_calls, [2000]) end},
     #{name => "erlang.send", unit => per_second, reach => {at_least, 2000000},
       setup => fun prepare/0, measure => fun sends/1}].

prepare() ->
    ok = py:register_function(?ECHO, fun([Value]) -> Value end),
    {ok, Code} = file:read_file(filename:join(filename:dirname(source()), "callbacks.py")),
    ok = py:exec(Code),
    bench_floor:context().

%% The Python beside this module.
source() ->
    proplists:get_value(source, ?MODULE:module_info(compile)).

measure(Function, Args) ->
    {ok, Value} = py:call('__main__', Function, Args, #{}, infinity),
    Value.

%% To a process that does nothing but receive.
sends(_) ->
    {Sink, Monitor} = spawn_monitor(fun sink/0),
    Rate = measure(sends, [Sink, 200000]),
    Sink ! stop,
    receive {'DOWN', Monitor, process, Sink, normal} -> Rate end.

sink() ->
    receive
        stop -> ok;
        _ -> sink()
    end.
