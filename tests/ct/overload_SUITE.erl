%%% @doc The bound on concurrent requests, as calls meet it: who waits, who is refused, and that no slot is ever lost.
-module(overload_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    a_running_call_holds_a_slot/1, a_call_without_a_slot_is_overloaded/1, everything_is_counted/1,
    a_call_waits_for_its_slot/1, an_overloaded_call_never_runs/1, every_outcome_gives_the_slot_back/1,
    a_caller_killed_while_queued_leaves_no_slot/1, a_caller_killed_while_running_leaves_no_slot/1,
    a_caller_killed_during_its_callback_leaves_no_slot/1, a_burst_never_exceeds_the_bound/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_running_call_holds_a_slot, a_call_without_a_slot_is_overloaded, everything_is_counted,
        a_call_waits_for_its_slot, an_overloaded_call_never_runs, every_outcome_gives_the_slot_back,
        a_caller_killed_while_queued_leaves_no_slot, a_caller_killed_while_running_leaves_no_slot,
        a_caller_killed_during_its_callback_leaves_no_slot, a_burst_never_exceeds_the_bound, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_semaphore:set_max_concurrent(erlang:system_info(schedulers) * 2 + 1),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_running_call_holds_a_slot(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Caller = ep_ct:busy(Context),
        1 = py_semaphore:current(),
        ok = py:interrupt(Context),
        {error, interrupted} = ep_ct:result(Caller),
        0 = py_semaphore:current()
    end).

a_call_without_a_slot_is_overloaded(_Config) ->
    full(fun() ->
        {error, {overloaded, 1, 1}} = py:call(math, sqrt, [16], #{}, 20),
        {error, {overloaded, 1, 1}} = py:call(py:context(1), math, sqrt, [16], #{timeout => 20}),
        {error, {overloaded, 1, 1}} = py:call(math, sqrt, [16], #{}, 0),
        1 = py_semaphore:current()
    end),
    {ok, 4.0} = py:call(math, sqrt, [16], #{}, 5000).

everything_is_counted(_Config) ->
    {ok, Object} = py:call(py:context(1), builtins, list, [[1]], #{return => ref}),
    full(fun() ->
        {error, {overloaded, 1, 1}} = py:eval(<<"1">>, #{}, 20),
        {error, {overloaded, 1, 1}} = py_context:eval(py:context(1), <<"1">>, #{}, 20),
        {error, {overloaded, 1, 1}} = py_context:call(py:context(1), math, sqrt, [16], #{}, 20),
        Waiting = spawn_monitor(fun() -> exit({result, py:call_method(Object, '__len__', [])}) end),
        waits(element(1, Waiting)),
        ok = py_semaphore:release(),
        {ok, 1} = ep_ct:result(Waiting),
        ok = py_semaphore:acquire(infinity)
    end).

a_call_waits_for_its_slot(_Config) ->
    Owner = self(),
    Waiting = full(fun() ->
        Pids = [spawn_monitor(fun() ->
            Owner ! {started, self()},
            exit({result, py:eval(<<"n">>, #{n => N})})
        end) || N <- lists:seq(1, 5)],
        [begin receive {started, Pid} -> waits(Pid) end end || {Pid, _} <- Pids],
        1 = py_semaphore:current(),
        Pids
    end),
    [{ok, 1}, {ok, 2}, {ok, 3}, {ok, 4}, {ok, 5}] = [ep_ct:result(Caller) || Caller <- Waiting].

an_overloaded_call_never_runs(_Config) ->
    ok = py:exec(<<"ran = []">>),
    full(fun() -> {error, {overloaded, 1, 1}} = py:eval(<<"ran.append(1)">>, #{}, 10) end),
    {ok, []} = py:eval(<<"ran">>).

every_outcome_gives_the_slot_back(_Config) ->
    [begin
        _ = Run(),
        {Code, 0} = {Code, py_semaphore:current()}
    end || {Code, Run} <- [
        {ok, fun() -> py:eval(<<"1">>) end},
        {exception, fun() -> py:eval(<<"1 / 0">>) end},
        {syntax, fun() -> py:exec(<<"1 +">>) end},
        {no_module, fun() -> py:call(ep_no_such_module, f, []) end},
        {no_conversion, fun() -> py:eval(<<"v">>, #{v => [1 | 2]}) end},
        {object, fun() -> py:call(py:context(), builtins, list, [], #{return => ref}) end}
    ]],
    ok = py:exec(<<"def forever():\n    while True: pass">>),
    {error, timeout} = py:call('__main__', forever, [], #{}, 10),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
    ep_ct:with_context(fun(Context) ->
        Caller = ep_ct:busy(Context),
        exit(Context, kill),
        {error, context_stopped} = ep_ct:result(Caller)
    end),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
    ok = py:cast(math, sqrt, [16]),
    ok = py:cast(math, sqrt, [-1]),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end).

a_caller_killed_while_queued_leaves_no_slot(_Config) ->
    Owner = self(),
    full(fun() ->
        Callers = [spawn_monitor(fun() -> Owner ! {started, self()}, py:eval(<<"1">>) end) || _ <- lists:seq(1, 5)],
        [begin
            receive {started, Pid} -> waits(Pid) end,
            exit(Pid, kill),
            killed = ep_ct:result(Caller)
        end || {Pid, _} = Caller <- Callers]
    end),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
    {ok, 2} = py:eval(<<"1 + 1">>).

a_caller_killed_while_running_leaves_no_slot(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {Pid, _} = Caller = ep_ct:busy(Context),
        exit(Pid, kill),
        killed = ep_ct:result(Caller),
        %% Whether the code of a dead caller runs on is not the question here.
        _ = py:interrupt(Context),
        ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
        {ok, 2} = py:eval(Context, <<"1 + 1">>)
    end).

a_caller_killed_during_its_callback_leaves_no_slot(_Config) ->
    Owner = self(),
    ep_ct:with_function(ep_hang, fun([]) -> Owner ! hanging, receive never -> ok end end, fun() ->
        ep_ct:with_context(fun(Context) ->
            {Pid, _} = Caller = spawn_monitor(fun() -> py:eval(Context, <<"erlang.call('ep_hang')">>) end),
            hanging = ep_ct:message(),
            exit(Pid, kill),
            killed = ep_ct:result(Caller),
            ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end),
            {ok, 2} = py:eval(Context, <<"1 + 1">>)
        end)
    end).

a_burst_never_exceeds_the_bound(_Config) ->
    ok = py_semaphore:set_max_concurrent(2),
    Watcher = spawn_monitor(fun() -> exit({result, highest(0)}) end),
    Callers = [{N, spawn_monitor(fun() -> exit({result, py:eval(py:context(1 + N rem 2), <<"n">>, #{n => N})}) end)}
        || N <- lists:seq(1, 200)],
    [{N, {ok, N}} = {N, ep_ct:result(Caller)} || {N, Caller} <- Callers],
    element(1, Watcher) ! stop,
    true = ep_ct:result(Watcher) =< 2,
    0 = py_semaphore:current().

highest(Highest) ->
    receive
        stop -> Highest
    after 0 ->
        erlang:yield(),
        highest(max(Highest, py_semaphore:current()))
    end.

%% Runs a function while the only slot is taken by this process.
full(Fun) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    try Fun() after py_semaphore:release() end.

waits(Pid) ->
    ep_ct:wait_until(fun() -> process_info(Pid, status) =:= {status, waiting} end).
