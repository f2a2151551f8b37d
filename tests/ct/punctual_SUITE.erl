%%% @doc Nothing Python does, and nothing that has to be done for it, keeps a scheduler of the VM busy.
-module(punctual_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    timers_are_punctual/1, no_native_function_holds_a_scheduler/1, submitting_is_quick/1, taking_a_result_is_quick/1,
    nothing_is_left_behind/1
]).
%% Called in another VM.
-export([tick/1]).

%% A shared machine with two cores takes a thread off the processor for longer than any of ours may run. So a load is
%% put on in rounds, and what has to be shown is shown when one of them passes: a function that blocks does so in each.
-define(ROUNDS, 3).
-define(ROUND_MS, 3000).

-define(LATE_US, 50_000).
-define(LONG_SCHEDULE_MS, 20).
-define(QUICK_US, 1000).

suite() -> [{timetrap, {seconds, 300}}].

all() ->
    [
        timers_are_punctual, no_native_function_holds_a_scheduler, submitting_is_quick, taking_a_result_is_quick,
        nothing_is_left_behind
    ].

init_per_suite(Config) ->
    persistent_term:put({?MODULE, arguments}, [Value || {_Name, Value} <- arguments()]),
    ep_ct:init_suite(Config).

end_per_suite(Config) ->
    persistent_term:erase({?MODULE, arguments}),
    ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

%% On a machine that others use, timers are late in every VM. So another one, which does nothing else, is asked as well.
timers_are_punctual(Config) ->
    ep_ct:with_peer(not_started, fun(Call) ->
        passes_in_one_round(fun() ->
            {{Late, Elsewhere}, Calls} = under_load(Config, fun(Until) -> tick_here_and_there(Call, Until) end),
            ct:pal("microseconds late here: ~s~nand in an idle VM: ~s~nduring ~b calls",
                   [describe(Late), describe(Elsewhere), Calls]),
            Calls > 0 andalso p99(Late) < p99(Elsewhere) + ?LATE_US
        end)
    end).

tick_here_and_there(Call, Until) ->
    Left = Until - erlang:monotonic_time(millisecond),
    There = ep_background:start(fun() -> Call(?MODULE, tick, [Left]) end),
    {tick(Left), ep_background:result(There)}.

describe(Late) ->
    io_lib:format("~b ticks, median ~b, p99 ~b, worst ~b", [length(Late), median(Late), p99(Late), lists:max(Late)]).

p99(Late) -> lists:nth(length(Late) * 99 div 100 + 1, lists:sort(Late)).

no_native_function_holds_a_scheduler(Config) ->
    passes_in_one_round(fun() ->
        {Events, Calls} = under_load(Config, fun watch_schedulers/1),
        Ours = [Event || Event <- Events, names_native_core(Event)],
        ct:pal("~b calls, ~b schedules over ~b ms, of them ours: ~p", [Calls, length(Events), ?LONG_SCHEDULE_MS, Ours]),
        Calls > 0 andalso Ours =:= []
    end).

submitting_is_quick(Config) ->
    {ok, Object} = py:call(ctx(Config), builtins, list, [[]], #{return => ref}),
    all_quick([{Name, Argument, fun() -> submit(Submit) end}
               || {Argument, Value} <- arguments() ++ costly_arguments(),
                  {Name, Submit} <- submits(ctx(Config), Object, Value)]).

submits(Ctx, Object, Value) ->
    Native = py_context:get_nif_ref(Ctx),
    [
        {"submit_call", fun(Ref) -> py_nif:submit_call(Native, Ref, builtins, len, [Value], #{}, undefined, 0) end},
        {"submit_call with keywords",
         fun(Ref) -> py_nif:submit_call(Native, Ref, busy, ignore, [], #{x => Value}, undefined, 0) end},
        {"submit_eval", fun(Ref) -> py_nif:submit_eval(Native, Ref, <<"1">>, #{x => Value}, undefined, 0) end},
        {"submit_object", fun(Ref) -> py_nif:submit_object(Ref, method, Object, count, [Value], #{}, 0) end}
    ] ++ [
        {"submit_exec", fun(Ref) -> py_nif:submit_exec(Native, Ref, Source, undefined, 0) end}
        || is_binary(Value), Source <- [<<"# ", Value/binary>>]
    ].

submit(Submit) ->
    ep_scheduled:measure(fun make_ref/0, fun(Ref) -> {Ref, Submit(Ref)} end,
                         fun({Ref, Handle}) when is_integer(Handle) -> receive {Ref, _Result} -> ok end end).

%% What a caller does when its answer has come.
taking_a_result_is_quick(Config) ->
    Native = py_context:get_nif_ref(ctx(Config)),
    all_quick([{"the result", Name, fun() -> take(Native, Value) end}
               || {Name, Value} <- arguments() ++ costly_arguments()]).

take(Native, Value) ->
    Answer = fun() ->
        Ref = make_ref(),
        _ = py_nif:submit_call(Native, Ref, hostile, identity, [Value], #{}, undefined, 0),
        receive
            {Ref, flat, Flat} -> {flat, Flat};
            {Ref, Result} -> {term, Result}
        end
    end,
    Take = fun({flat, Flat}) -> py_nif:build(Flat); ({term, Result}) -> Result end,
    ep_scheduled:measure(Answer, Take, fun({_OkOrError, _}) -> ok end).

%% How long each of these is on a normal scheduler before it is done, or goes on on a dirty one. The machine can only
%% add to that, for instance by running the thread that is being woken in the middle of it. So the shortest sample
%% counts.
all_quick(Rows) ->
    Times = [{Name, Argument, lists:unzip([Measure() || _ <- lists:seq(1, 7)])}
             || {Name, Argument, Measure} <- Rows],
    [ct:pal("~s of ~s: ~b us, of them ~b us at a time on a normal scheduler (medians)",
            [Name, Argument, median(Totals), median(Slices)])
     || {Name, Argument, {Totals, Slices}} <- Times],
    ?assertEqual([], [{Name, Argument, Slices} || {Name, Argument, {_, Slices}} <- Times,
                                                  lists:min(Slices) >= quick_us()]).

%% Code that a sanitizer looks at is several times slower, which says nothing about ours.
quick_us() ->
    case os:getenv("LD_PRELOAD") of
        false -> ?QUICK_US;
        _Sanitizer -> 20 * ?QUICK_US
    end.

median(Times) -> lists:nth((length(Times) + 1) div 2, lists:sort(Times)).

%% ---------------------------------------------------------------------------------------------------------------------
%% Load

passes_in_one_round(Round) -> passes_in_one_round(Round, ?ROUNDS).

passes_in_one_round(_Round, 0) -> error(failed_in_every_round);
passes_in_one_round(Round, Left) -> Round() orelse passes_in_one_round(Round, Left - 1).

%% Runs Measure(Deadline) while one context is busy, one sleeps, and four processes call with large arguments.
under_load(Config, Measure) ->
    Ctx = ctx(Config),
    [Busy, Asleep] = Others = [ep_fresh_context:start() || _ <- [1, 2]],
    Running = [ep_background:spinning(Busy), ep_background:start(fun() -> py:call(Asleep, time, sleep, [6]) end)],
    Tester = self(),
    Callers = [ep_background:start(fun() -> call_until_told(Ctx, Tester) end) || _ <- lists:seq(1, 4)],
    [ep_expect:message({ready, ep_background:pid(Caller)}) || Caller <- Callers],
    Until = erlang:monotonic_time(millisecond) + ?ROUND_MS,
    [ep_background:pid(Caller) ! {until, Until} || Caller <- Callers],
    Measured = ep_background:result(ep_background:start(fun() -> Measure(Until) end)),
    Calls = lists:sum(ep_background:results(Callers)),
    [ok = py_context:stop(Other) || Other <- Others],
    _ = ep_background:results(Running),
    {Measured, Calls}.

%% The arguments are on no process's heap: to copy them there, and to collect the garbage around them, would itself hold
%% a scheduler.
call_until_told(Ctx, Tester) ->
    Arguments = persistent_term:get({?MODULE, arguments}),
    Tester ! {ready, self()},
    receive {until, Until} -> call_until(Ctx, Arguments, Until, 0) end.

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
        {"an integer of 32,000,000 bits", 1 bsl 32_000_000},
        {"10,000 references", [make_ref() || _ <- lists:seq(1, 10_000)]},
        {"a fun that holds 1,000,000 integers", fun() -> List end}
    ].

%% ---------------------------------------------------------------------------------------------------------------------
%% Measurements

%% By how many microseconds timers of one millisecond are late, for so many milliseconds.
-spec tick(integer()) -> [non_neg_integer()].
tick(Milliseconds) ->
    process_flag(priority, high),
    tick(erlang:monotonic_time(microsecond) + 1000 * Milliseconds, []).

tick(Until, Late) ->
    Start = erlang:monotonic_time(microsecond),
    receive after 1 -> ok end,
    Now = erlang:monotonic_time(microsecond),
    Times = [max(0, Now - Start - 1000) | Late],
    case Now < Until of
        true -> tick(Until, Times);
        false -> Times
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
