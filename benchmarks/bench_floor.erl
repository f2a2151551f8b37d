%%% @doc What nothing can be faster than: a request that does nothing, through the same inbox, answered by the same
%%% thread and awaited in the same receive. Python has no part in it.
-module(bench_floor).

-export([context/0, handoff/1, one_caller/1, callers/2]).

%% @doc The native half of the context the calling process uses.
-spec context() -> py_nif:context().
context() ->
    py_nif:context_of(py:context()).

%% @doc One hand-off and the message back.
-spec handoff(py_nif:context()) -> ok.
handoff(Context) ->
    Ref = make_ref(),
    Handle = py_nif:submit_noop(Context, Ref, 0),
    true = is_integer(Handle),
    receive
        {Ref, Result} -> Result
    after 30000 ->
        error(timeout)
    end.

%% @doc The microseconds of one hand-off.
-spec one_caller(py_nif:context()) -> float().
one_caller(Context) ->
    bench_clock:per_call(fun() -> handoff(Context) end).

%% @doc Hand-offs a second of several processes.
-spec callers(pos_integer(), pos_integer()) -> float().
callers(Processes, Each) ->
    bench_clock:callers(Processes, Each, {fun context/0, fun handoff/1}).
