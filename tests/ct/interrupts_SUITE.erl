%%% @doc An interrupt ends the Python code that runs at that moment, and nothing that comes after it.
-module(interrupts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    an_interrupt_from_another_process/1, an_idle_context_has_nothing_to_interrupt/1,
    an_interrupt_hits_only_what_runs/1, an_interrupt_hits_the_innermost_call/1,
    an_interrupt_while_only_a_callback_runs/1, interrupts_race_with_short_calls/1, interrupts_race_with_callbacks/1,
    interrupts_race_with_timeouts/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 180}}].

all() ->
    [
        an_interrupt_from_another_process, an_idle_context_has_nothing_to_interrupt,
        an_interrupt_hits_only_what_runs, an_interrupt_hits_the_innermost_call,
        an_interrupt_while_only_a_callback_runs, interrupts_race_with_short_calls, interrupts_race_with_callbacks,
        interrupts_race_with_timeouts, nothing_is_left_behind
    ].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = ep_hold:register(),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

an_interrupt_from_another_process(Config) ->
    Ctx = ctx(Config),
    [begin
         Running = ep_background:spinning(Ctx),
         ok = Interrupt(Ctx),
         {error, interrupted} = ep_background:result(Running),
         ep_expect:own_answer(Ctx)
     end || Interrupt <- [fun py:interrupt/1, fun py_context:interrupt/1], _ <- lists:seq(1, 20)],
    ep_expect:idle(Ctx).

an_idle_context_has_nothing_to_interrupt(Config) ->
    Ctx = ctx(Config),
    [begin
         not_running = py:interrupt(Ctx),
         ep_expect:own_answer(Ctx)
     end || _ <- lists:seq(1, 500)],
    ok = py_context:stop(Ctx),
    not_running = py:interrupt(Ctx).

an_interrupt_hits_only_what_runs(Config) ->
    Ctx = ctx(Config),
    Running = ep_background:spinning(Ctx),
    Queued = [ep_background:start(fun() -> py:call(Ctx, busy, work, [200_000, N]) end) || N <- lists:seq(1, 4)],
    ep_ct:wait_until(fun() -> ep_live:count(requests) =:= 1 + 4 end),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 4)], ep_background:results(Queued)),
    ep_expect:idle(Ctx).

an_interrupt_hits_the_innermost_call(Config) ->
    Ctx = ctx(Config),
    Me = self(),
    ok = py:register_function(descend, fun
        ([1]) -> {error, interrupted} = py:call(Ctx, busy, spin, [Me]), 1;
        ([N]) -> {ok, Below} = py:call(Ctx, busy, call, [descend, [N - 1]]), Below + 1
    end),
    [begin
         Outer = ep_background:start(fun() -> py:call(Ctx, busy, call, [descend, [Depth]]) end),
         ep_expect:message(<<"running">>),
         ok = py:interrupt(Ctx),
         ?assertEqual({ok, Depth}, ep_background:result(Outer))
     end || Depth <- [1, 2, 5, 10]],
    ok = py:unregister_function(descend),
    ep_expect:idle(Ctx).

%% While Python waits for Erlang it is either nothing that runs, or what the interrupt ends; and never what comes after.
an_interrupt_while_only_a_callback_runs(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    [begin
         Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
         Holder = ep_hold:holder(),
         Outcome = py:interrupt(Ctx),
         ep_hold:release(Holder),
         Result = ep_background:result(Caller),
         ?assert(lists:member({Outcome, Result}, [{not_running, {ok, <<"released">>}}, {ok, {error, interrupted}}])),
         ep_expect:own_answer(Ctx)
     end || _ <- lists:seq(1, 20)],
    ep_expect:idle(Ctx).

interrupts_race_with_short_calls(Config) ->
    Ctx = ctx(Config),
    Interrupter = interrupter(Ctx),
    Outcomes = [case py:call(Ctx, busy, work, [rand:uniform(500), N]) of
                    {ok, N} -> ok;
                    {error, interrupted} -> interrupted
                end || N <- lists:seq(1, 5000)],
    Hits = stop_interrupter(Interrupter),
    ct:pal("~b of 5000 calls interrupted by ~b interrupts that hit", [count(interrupted, Outcomes), Hits]),
    ?assert(count(ok, Outcomes) > 0),
    ?assert(count(interrupted, Outcomes) =< Hits),
    [ep_expect:own_answer(Ctx) || _ <- lists:seq(1, 100)],
    ep_expect:idle(Ctx).

interrupts_race_with_callbacks(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(compute, fun([N]) ->
        case py:call(Ctx, busy, work, [100, N]) of
            {ok, N} -> N;
            {error, interrupted} -> interrupted
        end
    end),
    Interrupter = interrupter(Ctx),
    [case py:call(Ctx, busy, call, [compute, [N]]) of
         {ok, N} -> ok;
         {ok, <<"interrupted">>} -> ok;
         {error, interrupted} -> ok
     end || N <- lists:seq(1, 2000)],
    _ = stop_interrupter(Interrupter),
    {ok, 1} = py:call(Ctx, busy, call, [compute, [1]]),
    ok = py:unregister_function(compute),
    ep_expect:idle(Ctx).

interrupts_race_with_timeouts(Config) ->
    Ctx = ctx(Config),
    Interrupter = interrupter(Ctx),
    [case py:call(Ctx, busy, work, [rand:uniform(60_000), N], #{timeout => N rem 3}) of
         {ok, N} -> ok;
         {error, timeout} -> ok;
         {error, interrupted} -> ok
     end || N <- lists:seq(1, 2000)],
    _ = stop_interrupter(Interrupter),
    [ep_expect:own_answer(Ctx) || _ <- lists:seq(1, 100)],
    ep_expect:idle(Ctx).

interrupter(Ctx) ->
    ep_background:start(fun() -> interrupt_until_told(Ctx, 0) end).

stop_interrupter(Interrupter) ->
    ep_background:pid(Interrupter) ! enough,
    ep_background:result(Interrupter).

interrupt_until_told(Ctx, Hits) ->
    receive enough -> Hits
    after 0 ->
        case py:interrupt(Ctx) of
            ok -> interrupt_until_told(Ctx, Hits + 1);
            not_running -> interrupt_until_told(Ctx, Hits)
        end
    end.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

count(What, Outcomes) -> length([Outcome || Outcome <- Outcomes, Outcome =:= What]).
