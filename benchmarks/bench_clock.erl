%%% @doc Takes the time of things that are too short for a clock.
-module(bench_clock).

-export([per_call/1, callers/3, milliseconds/1]).

%% How long one batch of calls takes, about. Long against the clock, short against what else the machine does.
-define(BATCH_US, 30000).
%% How long a batch must take before it says how many calls make up ?BATCH_US.
-define(TRIAL_US, 1000).

%% @doc The microseconds one call takes.
-spec per_call(fun(() -> term())) -> float().
per_call(Fun) ->
    Count = max(1, round(?BATCH_US / trial(Fun, 1))),
    microseconds(Fun, Count) / Count.

trial(Fun, Count) ->
    case microseconds(Fun, Count) of
        Took when Took >= ?TRIAL_US -> Took / Count;
        _ -> trial(Fun, Count * 4)
    end.

microseconds(Fun, Count) ->
    elapsed(fun() -> times(Fun, Count) end, nanosecond) / 1000.

%% @doc How often a second something is done when several processes do it at once, each so many times. A process
%% prepares itself, which includes the first time, and gets what that returned.
-spec callers(pos_integer(), pos_integer(), {fun(() -> Prepared), fun((Prepared) -> term())}) -> float().
callers(Processes, Each, {Prepare, Fun}) ->
    Self = self(),
    Monitors = [spawn_monitor(fun() -> caller(Self, Each, Prepare, Fun) end) || _ <- lists:seq(1, Processes)],
    [receive {prepared, Pid} -> ok end || {Pid, _} <- Monitors],
    Took = elapsed(fun() ->
        [Pid ! go || {Pid, _} <- Monitors],
        [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Monitors]
    end, nanosecond),
    Processes * Each * 1.0e9 / Took.

caller(Parent, Each, Prepare, Fun) ->
    Prepared = Prepare(),
    Fun(Prepared),
    Parent ! {prepared, self()},
    receive go -> ok end,
    times(fun() -> Fun(Prepared) end, Each).

%% @doc How long something takes once.
-spec milliseconds(fun(() -> term())) -> float().
milliseconds(Fun) ->
    elapsed(Fun, microsecond) / 1000.

elapsed(Fun, Unit) ->
    Start = erlang:monotonic_time(),
    _ = Fun(),
    erlang:convert_time_unit(erlang:monotonic_time() - Start, native, Unit).

times(_Fun, 0) -> ok;
times(Fun, Count) ->
    Fun(),
    times(Fun, Count - 1).
