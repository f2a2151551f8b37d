%%% @doc Nothing waits by the wall clock, which somebody may change.
-module(clock_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([loops_go_by_the_monotonic_clock/1, waits_outlast_changes_of_the_wall_clock/1, nothing_is_left_behind/1]).
%% Called in another VM.
-export([prepare/0, wall_clock/1, wait_how_long/2]).

%% How long is waited, and how much longer it may take on a machine with other things to do.
-define(WAIT_MS, 400).
-define(LATE_MS, 5_000).
-define(DAY, 86_400).

suite() -> [{timetrap, {seconds, 120}}].

all() -> [loops_go_by_the_monotonic_clock, waits_outlast_changes_of_the_wall_clock, nothing_is_left_behind].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

loops_go_by_the_monotonic_clock(Config) ->
    Ctx = proplists:get_value(ctx, Config),
    {ok, true} = py:call(Ctx, clocks, loop_that_runs_is_monotonic, []),
    ok = py_context:start_loop(Ctx),
    {ok, true} = py_context:submit_await(Ctx, clocks, loop_is_monotonic, []),
    ok = py_context:stop_loop(Ctx),
    ep_expect:message({py_loop_exit, Ctx, ok}).

%% In a VM whose wall clock alone is moved, a day on and two days back, while it waits.
waits_outlast_changes_of_the_wall_clock(Config) ->
    Library = filename:join(filename:dirname(code:which(?MODULE)), "wall_clock.so"),
    case {filelib:is_regular(Library), os:getenv("LD_PRELOAD")} of
        {true, false} -> moved(Library, Config);
        {true, _} -> {skip, "something else is preloaded here"};
        {false, _} -> {skip, "there is no library here that moves the wall clock of one process"}
    end.

moved(Library, Config) ->
    File = filename:join(proplists:get_value(priv_dir, Config), "offset"),
    Set = fun(Seconds) ->
        {ok, Device} = file:open(File, [raw, binary, read, write]),
        ok = file:pwrite(Device, 0, <<Seconds:64/native-signed>>),
        ok = file:close(Device)
    end,
    Set(0),
    with_environment([{"LD_PRELOAD", Library}, {"EP_WALL_CLOCK", File}], fun() ->
        ep_ct:with_peer([], fun(Call) -> in_peer(Call, Set) end)
    end).

in_peer(Call, Set) ->
    Context = Call(?MODULE, prepare, []),
    Before = Call(?MODULE, wall_clock, [Context]),
    Set(?DAY),
    true = Call(?MODULE, wall_clock, [Context]) >= Before + ?DAY,
    Set(0),
    Taken = [{Wait, Change, begin
        Set(0),
        Waiting = ep_background:start(fun() -> Call(?MODULE, wait_how_long, [Context, Wait]) end),
        receive after ?WAIT_MS div 4 -> Set(Change) end,
        ep_background:result(Waiting)
    end} || Wait <- waits(), Change <- [?DAY, -2 * ?DAY]],
    ct:pal("milliseconds: ~p", [Taken]),
    %% After a change the VM lets its own clock go wrong by up to a hundredth, until it has made up for it.
    Shortest = ?WAIT_MS * 98 div 100,
    Longest = ?WAIT_MS + ?LATE_MS,
    [] = [One || {_, _, Milliseconds} = One <- Taken, Milliseconds < Shortest orelse Milliseconds > Longest],
    ok.

waits() ->
    [a_task, a_loop_that_runs, sleep_of_erlang, the_timeout_of_a_call, the_timeout_of_a_task, the_timeout_of_a_slot].

with_environment(Values, Fun) ->
    [true = os:putenv(Name, Value) || {Name, Value} <- Values],
    try
        Fun()
    after
        [true = os:unsetenv(Name) || {Name, _} <- Values]
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% In the other VM

-spec prepare() -> pid().
prepare() ->
    Self = self(),
    _ = spawn(fun() ->
        Context = ep_fresh_context:start(),
        ok = py_context:start_loop(Context),
        Self ! {context, Context},
        receive never -> ok end
    end),
    receive {context, Context} -> Context end.

-spec wall_clock(pid()) -> number().
wall_clock(Context) ->
    {ok, Seconds} = py:call(Context, clocks, wall_clock, []),
    Seconds.

%% In milliseconds.
-spec wait_how_long(pid(), atom()) -> non_neg_integer().
wait_how_long(Context, Wait) ->
    Other = ep_fresh_context:start(),
    {ok, _} = py:eval(Other, <<"__import__('clocks')">>),
    Begin = os:perf_counter(microsecond),
    wait(Wait, Context, Other),
    Taken = (os:perf_counter(microsecond) - Begin) div 1000,
    ok = py_context:stop(Other),
    Taken.

wait(a_task, Context, _) ->
    {ok, none} = py_context:submit_await(Context, clocks, sleep, [self(), ?WAIT_MS / 1000]);
wait(a_loop_that_runs, _, Other) ->
    {ok, none} = py:call(Other, clocks, sleep_in_run, [self(), ?WAIT_MS / 1000]);
wait(sleep_of_erlang, _, Other) ->
    {ok, none} = py:call(Other, clocks, sleep_of_erlang, [self(), ?WAIT_MS / 1000]);
wait(the_timeout_of_a_call, _, Other) ->
    {error, timeout} = py:call(Other, clocks, sleep_in_run, [self(), 3600], #{timeout => ?WAIT_MS});
wait(the_timeout_of_a_task, Context, _) ->
    {error, timeout} = py_context:submit_await(Context, asyncio, sleep, [3600], #{}, ?WAIT_MS);
wait(the_timeout_of_a_slot, _, _) ->
    Slots = lists:seq(1, py_semaphore:max_concurrent()),
    Holder = spawn_link(fun() -> [ok = py_semaphore:acquire(1000) || _ <- Slots], receive release -> ok end end),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= length(Slots) end),
    {error, max_concurrent} = py_semaphore:acquire(?WAIT_MS),
    unlink(Holder),
    exit(Holder, kill),
    ok.
