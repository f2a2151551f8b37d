%%% @doc A timeout ends the Python code it is meant for, in time, and nothing that comes after it.
-module(timeouts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_busy_loop_ends/1, a_loop_that_handles_exceptions_ends/1, code_that_swallows_it_once_ends_by_itself/1,
    a_c_call_is_interrupted_when_it_returns/1, every_way_to_call_has_a_timeout/1, zero_is_a_timeout/1,
    a_timeout_while_queued_never_runs/1, a_timeout_while_waiting_for_a_slot_is_an_overload/1,
    a_timeout_during_a_callback_ends_the_call/1, a_timeout_between_callbacks_ends_the_call/1,
    a_nested_call_times_out_alone/1,
    an_awaited_call_times_out/1, tiny_timeouts_race_with_answers/1, tiny_timeouts_race_from_many_processes/1,
    tiny_timeouts_race_with_callbacks/1, an_import_that_never_ends_times_out/1, tiny_timeouts_race_with_imports/1,
    nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 180}}].

all() ->
    [
        a_busy_loop_ends, a_loop_that_handles_exceptions_ends, code_that_swallows_it_once_ends_by_itself,
        a_c_call_is_interrupted_when_it_returns, every_way_to_call_has_a_timeout, zero_is_a_timeout,
        a_timeout_while_queued_never_runs, a_timeout_while_waiting_for_a_slot_is_an_overload,
        a_timeout_during_a_callback_ends_the_call, a_timeout_between_callbacks_ends_the_call,
        a_nested_call_times_out_alone, an_awaited_call_times_out,
        tiny_timeouts_race_with_answers, tiny_timeouts_race_from_many_processes, tiny_timeouts_race_with_callbacks,
        an_import_that_never_ends_times_out, tiny_timeouts_race_with_imports, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_busy_loop_ends(Config) ->
    Ctx = ctx(Config),
    [begin
         {error, timeout} = py:call(Ctx, busy, spin, [self()], #{timeout => 20}),
         ep_expect:own_answer(Ctx),
         drop_running()
     end || _ <- lists:seq(1, 20)],
    ep_expect:idle(Ctx).

a_loop_that_handles_exceptions_ends(Config) ->
    Ctx = ctx(Config),
    [begin
         {error, timeout} = py:call(Ctx, busy, spin_handling_exceptions, [self()], #{timeout => 50}),
         ep_expect:own_answer(Ctx),
         drop_running()
     end || _ <- lists:seq(1, 5)],
    ep_expect:idle(Ctx).

code_that_swallows_it_once_ends_by_itself(Config) ->
    Ctx = ctx(Config),
    [begin
         {error, timeout} = py:call(Ctx, busy, swallow_once, [self()], #{timeout => 200}),
         ep_expect:message(<<"running">>),
         ep_expect:message(<<"swallowed">>),
         ep_expect:own_answer(Ctx)
     end || _ <- lists:seq(1, 5)],
    ep_expect:idle(Ctx).

%% The caller does not wait for the C call, and Python does not go on after it.
a_c_call_is_interrupted_when_it_returns(Config) ->
    Ctx = ctx(Config),
    Start = erlang:monotonic_time(millisecond),
    {error, timeout} = py:call(Ctx, busy, sleep, [self(), 3], #{timeout => 200}),
    Waited = erlang:monotonic_time(millisecond) - Start,
    ?assert(Waited < 2500),
    ep_expect:message(<<"running">>),
    ep_expect:own_answer(Ctx),
    %% What comes after the sleep would have been sent before that answer.
    receive <<"woke">> -> error(went_on_after_its_timeout) after 0 -> ok end,
    ep_expect:idle(Ctx).

every_way_to_call_has_a_timeout(Config) ->
    Ctx = ctx(Config),
    Forever = <<"[n for n in __import__('itertools').count() if n < 0]">>,
    Me = self(),
    Env = py:get_local_env(Ctx),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    ok = ep_fresh_context:add_sources(py:context()),
    [begin
         ?assertEqual({error, timeout}, Call()),
         {ok, 1} = py:eval(<<"1">>),
         ep_expect:own_answer(Ctx),
         drop_running()
     end || Call <- [
        fun() -> py:call(busy, spin, [Me], #{}, 50) end,
        fun() -> py:eval(Forever, #{}, 50) end,
        fun() -> py:call(Ctx, busy, spin, [Me], #{timeout => 50}) end,
        fun() -> py:call(Ctx, busy, spin, [Me], #{timeout => 50, return => ref}) end,
        fun() -> py_context:call(Ctx, busy, spin, [Me], #{}, 50) end,
        fun() -> py_context:call(Ctx, busy, spin, [Me], #{}, 50, Env) end,
        fun() -> py_context:eval(Ctx, Forever, #{}, 50) end,
        fun() -> py_context:eval(Ctx, Forever, #{}, 50, Env) end
    ]],
    {ok, 0} = py:call_method(Ref, '__len__', []),
    ep_expect:own_answer(Ctx),
    ep_expect:idle(Ctx).

zero_is_a_timeout(Config) ->
    Ctx = ctx(Config),
    [case py:call(Ctx, busy, work, [1000, N], #{timeout => 0}) of
         {ok, N} -> ok;
         {error, timeout} -> ok;
         %% Those before it are still being interrupted.
         {error, {overloaded, _, _}} -> ok
     end || N <- lists:seq(1, 500)],
    ep_expect:own_answer(Ctx),
    {error, timeout} = py:call(Ctx, busy, spin, [self()], #{timeout => 0}),
    ep_expect:own_answer(Ctx),
    drop_running(),
    ep_expect:idle(Ctx).

a_timeout_while_queued_never_runs(Config) ->
    Ctx = ctx(Config),
    Running = ep_background:spinning(Ctx),
    [?assertEqual({error, timeout}, py:call(Ctx, busy, tell, [self(), too_late], #{timeout => 20}))
     || _ <- lists:seq(1, 20)],
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    ep_expect:own_answer(Ctx),
    receive <<"too_late">> -> error(ran_after_its_timeout) after 0 -> ok end,
    ep_expect:idle(Ctx).

a_timeout_while_waiting_for_a_slot_is_an_overload(Config) ->
    Ctx = ctx(Config),
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(1),
    try
        Running = ep_background:spinning(Ctx),
        [?assertEqual({error, {overloaded, 1, 1}}, py:call(Ctx, busy, tell, [self(), too_late], #{timeout => 20}))
         || _ <- lists:seq(1, 10)],
        ok = py:interrupt(Ctx),
        {error, interrupted} = ep_background:result(Running),
        ep_expect:own_answer(Ctx),
        receive <<"too_late">> -> error(ran_after_its_timeout) after 0 -> ok end
    after
        ok = py_semaphore:set_max_concurrent(Max)
    end,
    ep_expect:idle(Ctx).

%% There is always another callback in the mailbox.
a_timeout_between_callbacks_ends_the_call(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(echo, fun([Value]) -> Value end),
    ok = py:exec(Ctx, <<"
import erlang
def call_for_ever():
    while True:
        erlang.call('echo', 1)
">>),
    [{error, timeout} = py:call(Ctx, '__main__', call_for_ever, [], #{timeout => Timeout}) || Timeout <- [1, 20, 200]],
    ok = py:unregister_function(echo),
    ep_expect:idle(Ctx).

%% The function is never cut short, for it is Erlang's; the Python code around it is.
a_timeout_during_a_callback_ends_the_call(Config) ->
    Ctx = ctx(Config),
    Me = self(),
    Timeout = 200,
    ep_expect:own_answer(Ctx), % imports the module, which may take longer than the timeout
    ok = py:register_function(outlast, fun([]) ->
        receive after 2 * Timeout -> ok end,
        Me ! returned,
        done
    end),
    {error, timeout} = py:call(Ctx, busy, call_then_spin, [self(), outlast, []], #{timeout => Timeout}),
    ep_expect:message(returned),
    ep_expect:own_answer(Ctx),
    drop_running(),
    ok = py:unregister_function(outlast),
    ep_expect:idle(Ctx).

a_nested_call_times_out_alone(Config) ->
    Ctx = ctx(Config),
    Me = self(),
    ok = py:register_function(inner, fun([]) ->
        {error, timeout} = py:call(Ctx, busy, spin, [Me], #{timeout => 50}),
        {ok, Five} = py:call(Ctx, busy, work, [10_000, 5]),
        Five
    end),
    [{ok, 5} = py:call(Ctx, busy, call, [inner, []]) || _ <- lists:seq(1, 10)],
    [ep_expect:message(<<"running">>) || _ <- lists:seq(1, 10)],
    ok = py:unregister_function(inner),
    ep_expect:idle(Ctx).

an_awaited_call_times_out(Config) ->
    Ctx = ctx(Config),
    Call = py:spawn_call(Ctx, busy, spin, [self()]),
    ep_expect:message(<<"running">>),
    {error, timeout} = py:await(Call, 20),
    ep_expect:own_answer(Ctx),
    Fast = py:spawn_call(Ctx, busy, work, [10, 7]),
    {ok, 7} = py:await(Fast, 5000),
    ep_expect:idle(Ctx).

%% Rounds of work that take about as long as the timeout: sometimes one wins, sometimes the other, and the answer to the
%% call after it is always its own.
tiny_timeouts_race_with_answers(Config) ->
    Ctx = ctx(Config),
    Outcomes = race(Ctx, 3000),
    ct:pal("~b answers, ~b timeouts", [count(ok, Outcomes), count(timeout, Outcomes)]),
    ?assert(count(ok, Outcomes) > 0),
    ?assert(count(timeout, Outcomes) > 0),
    ep_expect:idle(Ctx).

tiny_timeouts_race_from_many_processes(Config) ->
    Ctx = ctx(Config),
    Racers = [ep_background:start(fun() -> race(Ctx, 300) end) || _ <- lists:seq(1, 10)],
    Outcomes = lists:append(ep_background:results(Racers)),
    ct:pal("~b answers, ~b timeouts", [count(ok, Outcomes), count(timeout, Outcomes)]),
    ?assertEqual(3000, length(Outcomes)),
    ep_expect:idle(Ctx).

tiny_timeouts_race_with_callbacks(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(echo, fun([N]) -> N end),
    [begin
         case py:call(Ctx, busy, call, [echo, [N]], #{timeout => N rem 2}) of
             {ok, N} -> ok;
             {error, timeout} -> ok
         end,
         {ok, N} = py:call(Ctx, busy, call, [echo, [N]])
     end || N <- lists:seq(1, 3000)],
    ok = py:unregister_function(echo),
    ep_expect:idle(Ctx).

an_import_that_never_ends_times_out(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    [begin
         ?assertEqual({error, timeout}, py:call(Each, endless, any, [], #{timeout => 100})),
         ep_expect:own_answer(Each)
     end || Each <- [Ctx, Other, Ctx]],
    ok = py_context:stop(Other),
    ep_expect:idle(Ctx).

%% What the import system has locked when a timeout comes is not locked for ever: not for this context, not for others.
tiny_timeouts_race_with_imports(Config) ->
    Ctx = ctx(Config),
    Others = [ep_fresh_context:start() || _ <- lists:seq(1, 3)],
    Modules = [<<"colorsys">>, <<"calendar">>, <<"json.scanner">>, <<"json">>],
    Importers = [ep_background:start(fun() -> race_with_imports(Each, Modules, 1000) end) || Each <- [Ctx | Others]],
    Outcomes = lists:append(ep_background:results(Importers)),
    ct:pal("~b answers, ~b timeouts", [count(ok, Outcomes), count(timeout, Outcomes)]),
    [?assertEqual({ok, 4}, py:call(Each, busy, import_again, [Modules])) || Each <- [Ctx | Others]],
    [ok = py_context:stop(Other) || Other <- Others],
    ep_expect:idle(Ctx).

race_with_imports(Ctx, Modules, Times) ->
    [case py:call(Ctx, busy, import_again, [Modules], #{timeout => rand:uniform(20) - 1}) of
         {ok, 4} -> ok;
         {error, timeout} -> timeout;
         {error, {overloaded, _, _}} -> overloaded;
         %% Another one has just thrown a module out that this one needs.
         {error, {_Exception, _}} -> error
     end || _ <- lists:seq(1, Times)].

race(Ctx, Times) ->
    [begin
         Outcome = case py:call(Ctx, busy, work, [rand:uniform(60_000), N], #{timeout => rand:uniform(3) - 1}) of
             {ok, N} -> ok;
             {error, timeout} -> timeout;
             {error, {overloaded, _, _}} -> overloaded
         end,
         {ok, [<<"next">>, N]} = py:call(Ctx, busy, work, [100, [next, N]]),
         Outcome
     end || N <- lists:seq(1, Times)].

count(What, Outcomes) -> length([Outcome || Outcome <- Outcomes, Outcome =:= What]).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

%% Code may be stopped before it says that it runs.
drop_running() ->
    receive <<"running">> -> drop_running() after 0 -> ok end.
