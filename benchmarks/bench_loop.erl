%%% @doc The event loop beside asyncio's own, in one context of one VM, in turns: what asyncio's takes is the floor.
-module(bench_loop).

-export([rows/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    [row("loop: TCP echo of 1 KiB, protocols", us, echo, 3000),
     row("loop: TCP echo of 1 KiB, streams", us, stream_echo, 2000),
     row("loop: call_soon", us, soon, 20000),
     row("loop: sleep(0)", us, naps, 20000),
     row("loop: 1,000 sleeps of 10 ms at once", ms, sleeps, 1000)].

row(Name, Unit, Function, Count) ->
    #{
        name => Name,
        unit => Unit,
        reach => {times_floor, 1.0},
        setup => fun prepare/0,
        floor => fun(_) -> run(false, Function, Count) end,
        measure => fun(_) -> run(true, Function, Count) end
    }.

prepare() ->
    {ok, Code} = file:read_file(filename:join(filename:dirname(source()), "loops.py")),
    ok = py:exec(Code).

%% The Python beside this module.
source() ->
    proplists:get_value(source, ?MODULE:module_info(compile)).

run(Ours, Function, Count) ->
    {ok, Value} = py:call('__main__', run, [Ours, Function, Count], #{}, infinity),
    Value.
