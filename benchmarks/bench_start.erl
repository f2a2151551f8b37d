%%% @doc How long the application takes to start in a VM that has not loaded anything of it.
-module(bench_start).

-export([rows/0]).
%% Run in another VM.
-export([start/0, start_and_call/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "application start, 2 contexts", unit => ms, reach => {at_most, 60}, rounds => 7,
       measure => fun(_) -> bench_vm:run({?MODULE, start, []}) end},
     #{name => "application start and first call", unit => ms, rounds => 7,
       measure => fun(_) -> bench_vm:run({?MODULE, start_and_call, []}) end}].

-spec start() -> float().
start() ->
    bench_clock:milliseconds(fun bench_vm:start_application/0).

-spec start_and_call() -> float().
start_and_call() ->
    bench_clock:milliseconds(fun() ->
        ok = bench_vm:start_application(),
        {ok, 4.0} = py:call(math, sqrt, [16])
    end).
