%%% @doc The event loop beside asyncio's own, in one context of one VM, in turns: what asyncio's takes is the floor.
-module(bench_loop).

-export([rows/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    Uvloop = [uvloop || has_uvloop()],
    Files = [{"loop: TCP echo of 1 KiB, protocols", echo, 3000},
             {"loop: TCP echo of 1 KiB, streams", stream_echo, 2000}],
    More = [{"loop: TCP echo of 1 KiB, 100 connections at once", many_echoes, 10000},
            {"loop: TCP connection, an echo of 1 KiB, and its end", connections, 1000}],
    Rest = [{"loop: call_soon", us, soon, 20000},
            {"loop: sleep(0)", us, naps, 20000},
            {"loop: 1,000 sleeps of 10 ms at once", ms, sleeps, 1000}],
    [row(Name, us, Function, Count) || {Name, Function, Count} <- Files] ++
    [row(Name, Unit, Function, Count) || {Name, Unit, Function, Count} <- Rest] ++
    %% For information: docs/decisions/selectors.md.
    [with_selector(native, Name, us, Function, Count) || {Name, Function, Count} <- More] ++
    [with_selector(uvloop, Name ++ ", uvloop", Unit, Function, Count)
     || uvloop <- Uvloop, {Name, Unit, Function, Count} <- [{N, us, F, C} || {N, F, C} <- Files] ++ Rest] ++
    [with_selector(beam, Name ++ ", beam selector", us, Function, Count) || {Name, Function, Count} <- Files ++ More].

%% Beside the others if somebody has installed it for this Python.
has_uvloop() ->
    {ok, Has} = py:eval(<<"__import__('importlib.util').util.find_spec('uvloop') is not None">>),
    Has.

row(Name, Unit, Function, Count) ->
    (with_selector(native, Name, Unit, Function, Count))#{reach => {times_floor, 1.0}}.

with_selector(Selector, Name, Unit, Function, Count) ->
    #{
        name => Name,
        unit => Unit,
        setup => fun prepare/0,
        floor => fun(_) -> run(asyncio, Function, Count) end,
        measure => fun(_) -> run(Selector, Function, Count) end
    }.

prepare() ->
    {ok, Code} = file:read_file(filename:join(filename:dirname(source()), "loops.py")),
    ok = py:exec(Code).

%% The Python beside this module.
source() ->
    proplists:get_value(source, ?MODULE:module_info(compile)).

run(Kind, Function, Count) ->
    {ok, Value} = py:call('__main__', run, [Kind, Function, Count], #{}, infinity),
    Value.
