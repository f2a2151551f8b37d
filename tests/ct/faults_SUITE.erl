%%% @doc Callers and contexts that end at the worst moment.
-module(faults_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    caller_killed_while_queued/1, caller_killed_while_running/1, caller_killed_in_an_endless_loop/1,
    caller_killed_while_its_callback_runs/1, many_callers_killed_at_any_moment/1,
    ten_thousand_processes_with_environments_die/1
]).
-export([
    killed/1, stopped/1, stopped_by_supervisor/1, shut_down/1, stopped_twice_and_from_many_processes/1,
    nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 300}}].

all() -> [{group, callers}, {group, contexts}, nothing_is_left_behind].

groups() ->
    [
        {callers, [], [
            caller_killed_while_queued, caller_killed_while_running, caller_killed_in_an_endless_loop,
            caller_killed_while_its_callback_runs, many_callers_killed_at_any_moment,
            ten_thousand_processes_with_environments_die
        ]},
        {contexts, [], [
            killed, stopped, stopped_by_supervisor, shut_down, stopped_twice_and_from_many_processes
        ]}
    ].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = ep_hold:register(),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).

%% Whatever happened, nothing stays alive: the audit in there is the second half of every test here.
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Callers

caller_killed_while_queued(Config) ->
    Ctx = ctx(Config),
    Runner = ep_background:spinning(Ctx),
    Tester = self(),
    Queued = [ep_background:start(fun() -> py:call(Ctx, busy, tell, [Tester, N]) end) || N <- lists:seq(1, 10)],
    ep_ct:wait_until(fun() -> ep_live:count(requests) =:= 1 + 10 end),
    {Killed, Spared} = lists:split(5, Queued),
    [ep_background:kill(Caller) || Caller <- Killed],
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Runner),
    {ok, 6} = ep_background:result(hd(Spared)),
    ?assertEqual([{ok, N} || N <- [7, 8, 9, 10]], ep_background:results(tl(Spared))),
    [ep_expect:message(N) || N <- lists:seq(6, 10)],
    drop_messages(lists:seq(1, 5)),
    ep_expect:idle(Ctx).

caller_killed_while_running(Config) ->
    Ctx = ctx(Config),
    Gate = gate(faults_gate),
    Tester = self(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, while_registered, [Tester, faults_gate]) end),
    ep_expect:message(<<"running">>),
    ep_background:kill(Caller),
    open(Gate),
    ep_expect:idle(Ctx).

%% A dead caller cannot time out; its code ends all the same, or the context and a slot would be lost for ever.
caller_killed_in_an_endless_loop(Config) ->
    Ctx = ctx(Config),
    [begin
         ep_background:kill(Start(Ctx)),
         ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
         ep_expect:still_works(Ctx)
     end || Start <- [fun ep_background:spinning/1, fun spinning_below_a_callback/1, fun spinning_for_an_await/1]],
    ok = py:unregister_function(spin),
    ep_expect:idle(Ctx).

spinning_below_a_callback(Ctx) ->
    Tester = self(),
    ok = py:register_function(spin, fun([]) -> py:call(Ctx, busy, spin, [Tester]) end),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [spin, []]) end),
    ep_expect:message(<<"running">>),
    Caller.

spinning_for_an_await(Ctx) ->
    Tester = self(),
    Caller = ep_background:start(fun() -> py:await(py:spawn_call(Ctx, busy, spin, [Tester])) end),
    ep_expect:message(<<"running">>),
    Caller.

caller_killed_while_its_callback_runs(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call_and_report, [Tester, hold, [Tester]]) end),
    held_by(Caller),
    ep_background:kill(Caller),
    receive
        {<<"raised">>, Name} -> ct:log("Python saw ~ts", [Name]);
        {<<"returned">>, Value} -> error({a_dead_process_answered, Value})
    after 30_000 -> error(python_waits_for_the_dead)
    end,
    ep_expect:idle(Ctx).

%% Calls, callbacks and nested calls whose callers are killed after a while of any length.
many_callers_killed_at_any_moment(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(compute, fun([N]) -> {ok, R} = py:call(Ctx, busy, work, [10, N]), R end),
    [begin
         Callers = [ep_background:start(fun() -> py:call(Ctx, busy, call, [compute, [N]]), loop_calls(Ctx, N) end)
                    || N <- lists:seq(1, 20)],
         busy_wait(rand:uniform(2000)),
         [ep_background:kill(Caller) || Caller <- Callers]
     end || _ <- lists:seq(1, 50)],
    {ok, 7} = py:call(Ctx, busy, call, [compute, [7]]),
    ok = py:unregister_function(compute),
    ep_expect:idle(Ctx).

loop_calls(Ctx, N) ->
    {ok, N} = py:call(Ctx, busy, work, [100, N]),
    loop_calls(Ctx, N).

%% All of them alive at once, each with a namespace of its own.
ten_thousand_processes_with_environments_die(Config) ->
    Ctx = ctx(Config),
    Before = ep_live:count(envs),
    Tester = self(),
    Actors = [spawn_monitor(fun() ->
        ok = py:exec(Ctx, <<"mine = 0">>),
        {ok, N} = py:eval(Ctx, <<"(globals().__setitem__('mine', n), mine)[1]">>, #{n => N}),
        Tester ! {ready, self()},
        receive never -> ok end
    end) || N <- lists:seq(1, 10_000)],
    [receive {ready, Pid} -> ok; {'DOWN', _, process, Pid, Reason} -> error(Reason) end || {Pid, _} <- Actors],
    ?assertEqual(Before + 10_000, ep_live:count(envs)),
    ep_expect:still_works(Ctx),
    [exit(Pid, kill) || {Pid, _} <- Actors],
    [receive {'DOWN', Monitor, process, Pid, killed} -> ok end || {Pid, Monitor} <- Actors],
    ep_ct:wait_until(fun() -> ep_live:count(envs) =< Before + 1 end),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

killed(Config) -> ends_while_busy(Config, fun new_context/0, fun(Ctx) -> exit(Ctx, kill) end).

stopped(Config) -> ends_while_busy(Config, fun new_context/0, fun(Ctx) -> ok = py_context:stop(Ctx) end).

shut_down(Config) ->
    ends_while_busy(Config, fun new_context/0, fun(Ctx) -> exit(Ctx, shutdown) end).

stopped_by_supervisor(Config) ->
    Start = fun() ->
        {ok, Ctx} = py_context_sup:start_context(make_ref(), ep_ct:context_mode()),
        ep_fresh_context:add_sources(Ctx),
        Ctx
    end,
    ends_while_busy(Config, Start, fun(Ctx) -> ok = py_context_sup:stop_context(Ctx) end).

new_context() -> ep_fresh_context:start().

%% Every kind of work a context can have when it ends, each in a context of its own; the test's other context lives on.
ends_while_busy(Config, Start, End) ->
    Other = ctx(Config),
    Tester = self(),
    Works = [
        {nothing, fun(_Ctx) -> [] end},
        {spinning, fun(Ctx) -> [ep_background:spinning(Ctx)] end},
        {sleeping, fun(Ctx) -> [ep_background:sleeping(Ctx, 2)] end},
        {queued, fun(Ctx) ->
            Running = ep_background:spinning(Ctx),
            Queue = [ep_background:start(fun() -> py:call(Ctx, math, sqrt, [16]) end) || _ <- lists:seq(1, 20)],
            Waits = fun(Caller) -> process_info(ep_background:pid(Caller), status) =:= {status, waiting} end,
            ep_ct:wait_until(fun() -> lists:all(Waits, Queue) end),
            [Running | Queue]
        end},
        {callback, fun(Ctx) ->
            Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
            held_by(Caller),
            [Caller]
        end},
        {nested, fun(Ctx) ->
            ok = py:register_function(nest, fun([]) -> py:call(Ctx, busy, spin, [Tester]) end),
            Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [nest, []]) end),
            ep_expect:message(<<"running">>),
            [Caller]
        end}
    ],
    [begin
         ct:log("ends while it has: ~p", [Name]),
         Ctx = Start(),
         Monitor = monitor(process, Ctx),
         Callers = Work(Ctx),
         End(Ctx),
         receive {'DOWN', Monitor, process, Ctx, _} -> ok end,
         [ep_hold:release(ep_background:pid(Caller)) || Name =:= callback, Caller <- Callers],
         ?assertEqual([{error, context_stopped} || _ <- Callers], ep_background:results(Callers)),
         ?assertEqual({error, context_stopped}, py:call(Ctx, math, sqrt, [16])),
         ?assertEqual(undefined, py_nif:context_of(Ctx)),
         ep_expect:still_works(Other)
     end || {Name, Work} <- Works],
    ok = py:unregister_function(nest),
    ep_expect:idle(Other).

stopped_twice_and_from_many_processes(Config) ->
    Other = ctx(Config),
    [begin
         Ctx = ep_fresh_context:start(),
         Caller = ep_background:spinning(Ctx),
         Stoppers = [ep_background:start(fun() -> py_context:stop(Ctx) end) || _ <- lists:seq(1, 10)],
         ep_background:results(Stoppers),
         false = is_process_alive(Ctx),
         {error, context_stopped} = ep_background:result(Caller)
     end || _ <- lists:seq(1, 10)],
    ep_expect:idle(Other).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

held_by(Caller) -> ?assertEqual(ep_background:pid(Caller), ep_hold:holder()).

%% A registered name that Python can wait for the end of.
gate(Name) ->
    Pid = spawn(fun() -> receive open -> ok end end),
    true = register(Name, Pid),
    {Pid, monitor(process, Pid)}.

open({Pid, Monitor}) ->
    Pid ! open,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

drop_messages(Messages) -> [receive Message -> ok after 0 -> ok end || Message <- Messages].

busy_wait(Micros) -> busy_until(erlang:monotonic_time(microsecond) + Micros).

busy_until(Then) ->
    case erlang:monotonic_time(microsecond) < Then of
        true -> erlang:yield(), busy_until(Then);
        false -> ok
    end.
