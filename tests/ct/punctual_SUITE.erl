%%% @doc Nothing Python does, and nothing that has to be done for it, keeps a scheduler of the VM busy.
-module(punctual_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    timers_are_punctual/1, no_native_function_holds_a_scheduler/1, submitting_is_quick/1, nothing_is_left_behind/1
]).

%% A shared machine with two cores takes a thread off the processor for longer than any of ours may run. So a load is
%% put on in rounds, and what has to be shown is shown when one of them passes: a function that blocks does so in each.
-define(ROUNDS, 3).
-define(ROUND_MS, 3000).

-define(LATE_US, 50_000).
-define(LONG_SCHEDULE_MS, 20).
-define(QUICK_US, 1000).

suite() -> [{timetrap, {seconds, 300}}].

all() -> [timers_are_punctual, no_native_function_holds_a_scheduler, submitting_is_quick, nothing_is_left_behind].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) -> Config;
init_per_testcase(_Case, Config) -> ep_fresh_context:init(Config).

end_per_testcase(nothing_is_left_behind, _Config) -> ok;
end_per_testcase(_Case, Config) -> ep_fresh_context:finish(Config).

%% ---------------------------------------------------------------------------------------------------------------------

timers_are_punctual(Config) ->
    passes_in_one_round(fun() ->
        {Late, Calls} = under_load(Config, fun tick/1),
        P99 = lists:nth(length(Late) * 99 div 100, lists:sort(Late)),
        ct:pal("~b ticks of 1 ms, ~b calls: median ~b us late, p99 ~b us, worst ~b us",
               [length(Late), Calls, lists:nth(length(Late) div 2, lists:sort(Late)), P99, lists:max(Late)]),
        Calls > 0 andalso P99 < ?LATE_US
    end).

no_native_function_holds_a_scheduler(Config) ->
    passes_in_one_round(fun() ->
        {Events, Calls} = under_load(Config, fun watch_schedulers/1),
        Ours = [Event || Event <- Events, names_native_core(Event)],
        ct:pal("~b calls, ~b schedules over ~b ms, of them ours: ~p", [Calls, length(Events), ?LONG_SCHEDULE_MS, Ours]),
        Calls > 0 andalso Ours =:= []
    end).

%% How long a submit is on a normal scheduler before it is done, or goes on on a dirty one.
submitting_is_quick(Config) ->
    Native = py_context:get_nif_ref(ctx(Config)),
    {ok, Object} = py:call(ctx(Config), builtins, list, [[]], #{return => ref}),
    Medians = [{Submit, Argument, medians([submit(Function) || _ <- lists:seq(1, 7)])}
               || {Argument, Value} <- arguments() ++ costly_arguments(),
                  {Submit, Function} <- submits(Native, Object, Value)],
    [ct:pal("~s of ~s: ~b us, of them ~b us at a time on a normal scheduler", [Submit, Argument, Total, Longest])
     || {Submit, Argument, {Total, Longest}} <- Medians],
    ?assertEqual([], [Slow || {_, _, {_, Longest}} = Slow <- Medians, Longest >= ?QUICK_US]).

submits(Native, Object, Value) ->
    [
        {"submit_call", fun(Ref) -> py_nif:submit_call(Native, Ref, builtins, len, [Value], #{}, undefined, 0) end},
        {"submit_call with keywords",
         fun(Ref) -> py_nif:submit_call(Native, Ref, builtins, dict, [], #{x => Value}, undefined, 0) end},
        {"submit_eval", fun(Ref) -> py_nif:submit_eval(Native, Ref, <<"1">>, #{x => Value}, undefined, 0) end},
        {"submit_object", fun(Ref) -> py_nif:submit_object(Ref, method, Object, count, [Value], #{}, 0) end}
    ] ++ [
        {"submit_exec", fun(Ref) -> py_nif:submit_exec(Native, Ref, <<"# ", Value/binary>>, undefined, 0) end}
        || is_binary(Value)
    ].

submit(Function) ->
    Submitted = fun() -> Ref = make_ref(), {Ref, Function(Ref)} end,
    ep_scheduled:measure(Submitted, fun({Ref, Handle}) when is_integer(Handle) -> receive {Ref, _Result} -> ok end end).

medians(Samples) ->
    Median = fun(Index) -> lists:nth(length(Samples) div 2, lists:sort([element(Index, One) || One <- Samples])) end,
    {Median(1), Median(2)}.

%% ---------------------------------------------------------------------------------------------------------------------
%% Load

passes_in_one_round(Round) -> passes_in_one_round(Round, ?ROUNDS).

passes_in_one_round(_Round, 0) -> error(failed_in_every_round);
passes_in_one_round(Round, Left) -> Round() orelse passes_in_one_round(Round, Left - 1).

%% Runs Measure(Deadline) while one context is busy, one sleeps, and four processes call with large arguments.
under_load(Config, Measure) ->
    Ctx = ctx(Config),
    [Busy, Asleep] = Others = [ep_fresh_context:start() || _ <- [1, 2]],
    Running = [ep_background:spinning(Busy), ep_background:sleeping(Asleep, 2 * ?ROUND_MS / 1000)],
    Until = erlang:monotonic_time(millisecond) + ?ROUND_MS,
    Arguments = [Value || {_Name, Value} <- arguments()],
    Callers = [ep_background:start(fun() -> call_until(Ctx, Arguments, Until, 0) end) || _ <- lists:seq(1, 4)],
    Measured = ep_background:result(ep_background:start(fun() -> Measure(Until) end)),
    Calls = lists:sum(ep_background:results(Callers)),
    [ok = py_context:stop(Other) || Other <- Others],
    _ = ep_background:results(Running),
    {Measured, Calls}.

call_until(Ctx, [Argument | Rest], Until, Calls) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            {ok, _} = py:call(Ctx, builtins, len, [Argument], #{timeout => 60_000}),
            call_until(Ctx, Rest ++ [Argument], Until, Calls + 1);
        false ->
            Calls
    end.

arguments() ->
    [
        {"a list of 1,000,000 integers", lists:seq(1, 1_000_000)},
        {"a list of 1,000,000 floats", [N / 2 || N <- lists:seq(1, 1_000_000)]},
        {"a binary of 10 MB", binary:copy(<<"0123456789">>, 1_000_000)},
        {"bytes of 10 MB", {bytes, binary:copy(<<255>>, 10_000_000)}},
        {"a map of 100,000", maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 100_000)])},
        {"1,000 lists of 1,000 binaries", lists:duplicate(1000, lists:duplicate(1000, <<"some text">>))},
        {"a tuple of 1,000,000", list_to_tuple(lists:seq(1, 1_000_000))}
    ].

%% Few elements, each of them more work than a number.
costly_arguments() ->
    List = lists:seq(1, 1_000_000),
    [
        {"20,000 binaries of 500 bytes", [binary:copy(<<(N rem 256)>>, 500) || N <- lists:seq(1, 20_000)]},
        {"20,000 binaries of 5,000 bytes", [binary:copy(<<(N rem 256)>>, 5_000) || N <- lists:seq(1, 20_000)]},
        {"10,000 integers of 8,000 bits", [N bsl 8_000 || N <- lists:seq(1, 10_000)]},
        {"an integer of 8,000,000 bits", 1 bsl 8_000_000},
        {"10,000 references", [make_ref() || _ <- lists:seq(1, 10_000)]},
        {"a fun that holds 1,000,000 integers", fun() -> List end}
    ].

%% ---------------------------------------------------------------------------------------------------------------------
%% Measurements

%% By how many microseconds timers of one millisecond are late.
tick(Until) ->
    process_flag(priority, high),
    tick(Until, []).

tick(Until, Late) ->
    Start = erlang:monotonic_time(microsecond),
    case Start < Until * 1000 of
        true ->
            receive after 1 -> ok end,
            tick(Until, [max(0, erlang:monotonic_time(microsecond) - Start - 1000) | Late]);
        false ->
            Late
    end.

%% What the VM itself reports as having run too long on a normal scheduler.
watch_schedulers(Until) ->
    undefined = erlang:system_monitor(self(), [{long_schedule, ?LONG_SCHEDULE_MS}]),
    Events = long_schedules(Until, []),
    erlang:system_monitor(undefined),
    drain(Events).

long_schedules(Until, Events) ->
    receive
        {monitor, Pid, long_schedule, Info} -> long_schedules(Until, [{Pid, Info} | Events])
    after max(0, Until - erlang:monotonic_time(millisecond)) ->
        Events
    end.

drain(Events) ->
    receive {monitor, Pid, long_schedule, Info} -> drain([{Pid, Info} | Events])
    after 0 -> Events
    end.

names_native_core({_Pid, Info}) ->
    lists:any(fun({Key, {py_nif, _, _}}) -> Key =:= in orelse Key =:= out; (_) -> false end, Info).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).
