%%% @doc What two contexts cost while nothing is asked of them, after each has worked a little.
-module(bench_idle).

-export([rows/0]).
%% Run in another VM.
-export([idle/0]).

-define(SECONDS, 5).
%% Spinning, and whatever starting left to do, are over by then.
-define(SETTLE_MS, 1000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "idle, 2 contexts: wake-ups of the new threads", unit => per_second, rounds => 1, reach => {at_most, 0},
       measure => fun(_) -> maps:get(new_threads, bench_vm:run({?MODULE, idle, []})) end},
     #{name => "idle, 2 contexts: wake-ups of the whole VM", unit => per_second, rounds => 1,
       measure => fun(_) -> maps:get(wakeups, bench_vm:run({?MODULE, idle, []})) end},
     #{name => "idle, 2 contexts: CPU time a second", unit => us, rounds => 1,
       measure => fun(_) -> maps:get(cpu_us, bench_vm:run({?MODULE, idle, []})) end}].

%% @doc Per second: wake-ups of threads that were not there before the application started, and by how much it raised
%% the wake-ups and the CPU time of the whole VM.
-spec idle() -> #{new_threads | wakeups | cpu_us => float()}.
idle() ->
    Old = bench_proc:threads(),
    #{wakeups := Wakeups0, cpu_us := Cpu0} = watch(Old, []),
    work(),
    New = bench_proc:threads() -- Old,
    #{wakeups := Wakeups, cpu_us := Cpu, new_threads := OfNew} = watch(Old, New),
    #{new_threads => OfNew, wakeups => Wakeups - Wakeups0, cpu_us => Cpu - Cpu0}.

work() ->
    ok = bench_vm:start_application(),
    _ = [{ok, 4.0} = py:call(Context, math, sqrt, [16])
         || Context <- py_context_router:contexts(), _ <- lists:seq(1, 100)],
    ok.

watch(Old, New) ->
    timer:sleep(?SETTLE_MS),
    Before = {bench_proc:activity(Old), bench_proc:activity(New)},
    timer:sleep(?SECONDS * 1000),
    After = {bench_proc:activity(Old), bench_proc:activity(New)},
    {OldWakeups, OldCpu} = difference(element(1, Before), element(1, After)),
    {NewWakeups, NewCpu} = difference(element(2, Before), element(2, After)),
    #{new_threads => NewWakeups, wakeups => OldWakeups + NewWakeups, cpu_us => OldCpu + NewCpu}.

difference(#{wakeups := Wakeups0, cpu_ns := Cpu0}, #{wakeups := Wakeups, cpu_ns := Cpu}) ->
    {(Wakeups - Wakeups0) / ?SECONDS, (Cpu - Cpu0) / 1000 / ?SECONDS}.
