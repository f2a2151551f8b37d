%%% @doc Tasks of the event loop. One at a time is beside a hand-off without Python; thousands are beside what asyncio
%%% itself takes for as many in one interpreter, where nothing crosses over.
-module(bench_tasks).

-export([rows/0]).

-define(PROCESSES, 50).
-define(EACH, 1000).
-define(MANY, 10000).
-define(LATER, 1000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "tasks: one after the other", unit => us, reach => {times_floor, 2.5}, setup => fun prepare/0,
       floor => fun bench_floor:one_caller/1,
       measure => fun(_) -> bench_clock:per_call(fun() -> {ok, 1} = one(value) end) end},
     #{name => "tasks: one after the other, functions", unit => us, reach => {times_floor, 2.0}, setup => fun prepare/0,
       floor => fun bench_floor:one_caller/1,
       measure => fun(_) -> bench_clock:per_call(fun() -> {ok, 1} = one(plain) end) end},
     #{name => "tasks: one after the other, by another thread", unit => us, reach => {times_floor, 1.0},
       setup => fun prepare/0, floor => fun(_) -> asyncio(from_thread, [2000]) end,
       measure => fun(_) -> bench_clock:per_call(fun() -> {ok, 1} = one(value) end) end},
     #{name => "tasks: 10,000 submitted, then collected", unit => per_second, reach => {at_least, 500000},
       setup => fun prepare/0, floor => fun(_) -> asyncio(collected, [?MANY]) end, measure => fun collected/1},
     #{name => "tasks: 50 processes", unit => per_second, reach => {at_least, 200000}, setup => fun prepare/0,
       floor => fun(_) -> bench_floor:callers(?PROCESSES, ?EACH) end,
       measure => fun(_) ->
           bench_clock:callers(?PROCESSES, ?EACH, {fun prepare/0, fun(_) -> {ok, 1} = one(value) end})
       end},
     #{name => "tasks: 1,000 that sleep 10 ms", unit => ms, reach => {times_floor, 1.5}, setup => fun prepare/0,
       floor => fun(_) -> asyncio(sleepers, [?LATER]) end, measure => fun sleepers/1}].

%% The floors are Python of the process; what the tasks run is importable, as a user's would be.
prepare() ->
    Folder = filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile))),
    ok = py_import:add_path(unicode:characters_to_binary(Folder)),
    {ok, _} = py_event_loop:get_loop(),
    bench_floor:context().

one(Function) ->
    py_event_loop:await(py_event_loop:create_task(task_work, Function, [1])).

collected(_) ->
    Took = bench_clock:milliseconds(fun() ->
        Tasks = [py_event_loop:create_task(task_work, value, [1]) || _ <- lists:seq(1, ?MANY)],
        [{ok, 1} = py_event_loop:await(Task) || Task <- Tasks]
    end),
    ?MANY * 1000 / Took.

sleepers(_) ->
    bench_clock:milliseconds(fun() ->
        Tasks = [py_event_loop:create_task(task_work, later, [0.01]) || _ <- lists:seq(1, ?LATER)],
        [{ok, 0.01} = py_event_loop:await(Task) || Task <- Tasks]
    end).

asyncio(Function, Args) ->
    {ok, Value} = py:call(task_work, Function, Args, #{}, infinity),
    Value.
