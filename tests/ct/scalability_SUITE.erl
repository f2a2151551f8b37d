%%% @doc Modes and the size of the pool, the bound on concurrent requests, and callbacks that call Python again.
-module(scalability_SUITE).

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    the_mode_is_worker_or_owngil/1, support_for_subinterpreters_is_a_boolean/1, a_context_says_what_it_is/1,
    owngil_contexts_need_support/1, the_router_starts_with_the_number_asked_for/1,
    starting_a_running_pool_changes_nothing/1, stopping_ends_every_context/1, contexts_share_no_state/1,
    many_processes_share_a_context/1, busy_contexts_do_not_block_each_other/1
]).
-export([
    the_bound_defaults_to_the_schedulers/1, the_bound_is_configurable/1, the_bound_is_adjustable/1,
    acquiring_counts_and_releasing_uncounts/1, acquiring_beyond_the_bound_is_refused/1,
    a_waiting_acquire_gets_the_released_slot/1, waiters_are_served_in_order/1, raising_the_bound_serves_waiters/1,
    lowering_the_bound_takes_no_slot_away/1, releasing_without_a_slot_is_harmless/1,
    a_dead_holder_gives_its_slots_back/1, a_dead_waiter_gives_its_turn_up/1
]).
-export([
    a_running_call_holds_a_slot/1, a_call_without_a_slot_is_overloaded/1, everything_is_counted/1,
    a_call_waits_for_its_slot/1, an_overloaded_call_never_runs/1, every_outcome_gives_the_slot_back/1,
    a_caller_killed_while_queued_leaves_no_slot/1, a_caller_killed_while_running_leaves_no_slot/1,
    a_caller_killed_during_its_callback_leaves_no_slot/1, a_burst_never_exceeds_the_bound/1,
    nested_calls_need_no_second_slot/1
]).
-export([
    a_callback_calls_the_context_that_waits/1, ten_levels_nest/1, a_hundred_levels_nest/1,
    endless_nesting_is_refused/1, a_process_of_the_callback_calls_the_context_that_waits/1,
    a_callback_runs_in_the_calling_process/1, a_callback_of_a_cast_runs_in_a_process_of_its_own/1,
    code_around_a_callback_runs_once/1, handlers_do_not_see_a_callback/1, the_old_control_exception_exists/1,
    a_failing_callback_is_a_runtime_error/1, a_failure_travels_through_all_levels/1,
    results_of_callbacks_convert_like_arguments/1, callbacks_interleave/1, a_memo_in_erlang_serves_recursion/1,
    methods_call_back/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> [{group, contexts}, {group, semaphore}, {group, overload}, {group, callbacks}, nothing_is_left_behind].

groups() ->
    [
        {contexts, [], [
            the_mode_is_worker_or_owngil, support_for_subinterpreters_is_a_boolean, a_context_says_what_it_is,
            owngil_contexts_need_support, the_router_starts_with_the_number_asked_for,
            starting_a_running_pool_changes_nothing, stopping_ends_every_context, contexts_share_no_state,
            many_processes_share_a_context, busy_contexts_do_not_block_each_other
        ]},
        {semaphore, [], [
            the_bound_defaults_to_the_schedulers, the_bound_is_configurable, the_bound_is_adjustable,
            acquiring_counts_and_releasing_uncounts, acquiring_beyond_the_bound_is_refused,
            a_waiting_acquire_gets_the_released_slot, waiters_are_served_in_order, raising_the_bound_serves_waiters,
            lowering_the_bound_takes_no_slot_away, releasing_without_a_slot_is_harmless,
            a_dead_holder_gives_its_slots_back, a_dead_waiter_gives_its_turn_up
        ]},
        {overload, [], [
            a_running_call_holds_a_slot, a_call_without_a_slot_is_overloaded, everything_is_counted,
            a_call_waits_for_its_slot, an_overloaded_call_never_runs, every_outcome_gives_the_slot_back,
            a_caller_killed_while_queued_leaves_no_slot, a_caller_killed_while_running_leaves_no_slot,
            a_caller_killed_during_its_callback_leaves_no_slot, a_burst_never_exceeds_the_bound,
            nested_calls_need_no_second_slot
        ]},
        {callbacks, [], [
            a_callback_calls_the_context_that_waits, ten_levels_nest, a_hundred_levels_nest,
            endless_nesting_is_refused, a_process_of_the_callback_calls_the_context_that_waits,
            a_callback_runs_in_the_calling_process, a_callback_of_a_cast_runs_in_a_process_of_its_own,
            code_around_a_callback_runs_once, handlers_do_not_see_a_callback, the_old_control_exception_exists,
            a_failing_callback_is_a_runtime_error, a_failure_travels_through_all_levels,
            results_of_callbacks_convert_like_arguments, callbacks_interleave, a_memo_in_erlang_serves_recursion,
            methods_call_back
        ]}
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_semaphore:set_max_concurrent(default_bound()),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

default_bound() ->
    erlang:system_info(schedulers) * 2 + 1.

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

the_mode_is_worker_or_owngil(_Config) ->
    true = py:execution_mode() =:= ep_ct:context_mode().

support_for_subinterpreters_is_a_boolean(_Config) ->
    true = is_boolean(py:subinterp_supported()),
    true = py:subinterp_supported() =:= py_nif:subinterp_supported().

a_context_says_what_it_is(_Config) ->
    ep_ct:with_context(fun(Context) ->
        true = py_context:is_subinterp(Context) =:= (ep_ct:context_mode() =:= owngil)
    end).

owngil_contexts_need_support(_Config) ->
    case py_nif:owngil_supported() of
        true ->
            {ok, Context} = py_context:new(#{mode => owngil}),
            true = py_context:is_subinterp(Context),
            ok = py_context:stop(Context);
        false ->
            {error, owngil_requires_python314} = py_context:new(#{mode => owngil}),
            {error, owngil_requires_python314} = py_context_sup:start_context(1, owngil)
    end.

the_router_starts_with_the_number_asked_for(_Config) ->
    ok = py_context_router:stop(),
    {ok, Contexts} = py_context_router:start(#{contexts => 3, mode => ep_ct:context_mode()}),
    3 = length(lists:usort(Contexts)),
    3 = py_context_router:num_contexts(),
    Contexts = py_context_router:contexts(),
    [{ok, 4.0} = py:call(Context, math, sqrt, [16]) || Context <- Contexts],
    ok = py_context_router:stop(),
    {ok, ByDefault} = py_context_router:start(),
    true = length(ByDefault) =:= erlang:system_info(schedulers),
    ep_ct:restart_contexts().

starting_a_running_pool_changes_nothing(_Config) ->
    Contexts = py_context_router:contexts(),
    {ok, Contexts} = py:start_contexts(),
    {ok, Contexts} = py:start_contexts(#{contexts => length(Contexts) + 2}),
    {ok, Contexts} = py_context_router:start(),
    {ok, Contexts} = py_context_router:start(#{contexts => 1}),
    Contexts = [py:context(N) || N <- lists:seq(1, length(Contexts))].

stopping_ends_every_context(_Config) ->
    Contexts = py_context_router:contexts(),
    ok = py:stop_contexts(),
    [_ = ep_ct:down(Context) || Context <- Contexts],
    0 = py_context_router:num_contexts(),
    [] = py_context_router:contexts(),
    ok = py:stop_contexts(),
    {ok, [One]} = py:start_contexts(#{contexts => 1, mode => ep_ct:context_mode()}),
    1 = py_context_router:num_contexts(),
    One = py:context(1),
    ep_ct:restart_contexts().

contexts_share_no_state(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py:exec(One, <<"my_var = 'hello'">>),
        {ok, <<"hello">>} = py:eval(One, <<"my_var">>),
        {ok, 4.0} = py:call(One, math, sqrt, [16]),
        {error, {'NameError', _}} = py:eval(Two, <<"my_var">>),
        ok = py_context:exec(One, <<"in_context = 1">>),
        {error, {'NameError', _}} = py_context:eval(Two, <<"in_context">>)
    end).

many_processes_share_a_context(_Config) ->
    Context = py:context(1),
    ok = py_semaphore:set_max_concurrent(500),
    Callers = [{N, spawn_monitor(fun() ->
        exit({result, [py:eval(Context, <<"n * 2">>, #{n => N + I}) || I <- lists:seq(1, 20)]})
    end)} || N <- lists:seq(1, 100)],
    [true = ep_ct:result(Caller) =:= [{ok, 2 * (N + I)} || I <- lists:seq(1, 20)] || {N, Caller} <- Callers].

busy_contexts_do_not_block_each_other(_Config) ->
    ep_ct:with_contexts(2, fun([Busy, Free]) ->
        Caller = ep_ct:busy(Busy),
        {ok, 2} = py:eval(Free, <<"1 + 1">>),
        ok = py:interrupt(Busy),
        {error, interrupted} = ep_ct:result(Caller),
        {ok, 2} = py:eval(Busy, <<"1 + 1">>)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% The semaphore by hand

the_bound_defaults_to_the_schedulers(_Config) ->
    true = py_semaphore:max_concurrent() =:= default_bound(),
    ok = py_semaphore:init(),
    true = py_semaphore:max_concurrent() =:= default_bound().

the_bound_is_configurable(_Config) ->
    ep_ct:with_environment([{max_concurrent, 7}], fun() -> 7 = py_semaphore:max_concurrent() end),
    true = py_semaphore:max_concurrent() =:= default_bound().

the_bound_is_adjustable(_Config) ->
    ok = py_semaphore:set_max_concurrent(50),
    50 = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(1),
    1 = py_semaphore:max_concurrent().

acquiring_counts_and_releasing_uncounts(_Config) ->
    0 = py_semaphore:current(),
    ok = py_semaphore:acquire(0),
    1 = py_semaphore:current(),
    ok = py_semaphore:acquire(infinity),
    2 = py_semaphore:current(),
    ok = py_semaphore:release(),
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

acquiring_beyond_the_bound_is_refused(_Config) ->
    ok = py_semaphore:set_max_concurrent(2),
    [ok = py_semaphore:acquire(0) || _ <- [1, 2]],
    {error, max_concurrent} = py_semaphore:acquire(0),
    {error, max_concurrent} = py_semaphore:acquire(20),
    2 = py_semaphore:current(),
    ok = py_semaphore:release(),
    ok = py_semaphore:acquire(0),
    [ok = py_semaphore:release() || _ <- [1, 2]],
    0 = py_semaphore:current().

a_waiting_acquire_gets_the_released_slot(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiter = acquirer(),
    ok = py_semaphore:release(),
    {acquired, Waiter} = ep_ct:message(),
    1 = py_semaphore:current(),
    let_go(Waiter),
    0 = py_semaphore:current().

waiters_are_served_in_order(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiters = [acquirer() || _ <- lists:seq(1, 10)],
    ok = py_semaphore:release(),
    [begin
        {acquired, Waiter} = ep_ct:message(),
        let_go(Waiter)
    end || Waiter <- Waiters],
    0 = py_semaphore:current().

raising_the_bound_serves_waiters(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    Waiters = [acquirer() || _ <- [1, 2]],
    ok = py_semaphore:set_max_concurrent(3),
    [{acquired, Waiter} = ep_ct:message() || Waiter <- Waiters],
    3 = py_semaphore:current(),
    [let_go(Waiter) || Waiter <- Waiters],
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

lowering_the_bound_takes_no_slot_away(_Config) ->
    ok = py_semaphore:set_max_concurrent(3),
    [ok = py_semaphore:acquire(0) || _ <- [1, 2, 3]],
    ok = py_semaphore:set_max_concurrent(1),
    3 = py_semaphore:current(),
    [begin
        {error, max_concurrent} = py_semaphore:acquire(0),
        ok = py_semaphore:release()
    end || _ <- [1, 2, 3]],
    0 = py_semaphore:current(),
    ok = py_semaphore:acquire(0),
    ok = py_semaphore:release().

releasing_without_a_slot_is_harmless(_Config) ->
    ok = py_semaphore:release(),
    0 = py_semaphore:current().

a_dead_holder_gives_its_slots_back(_Config) ->
    [begin
        Holder = spawn(fun() ->
            [ok = py_semaphore:acquire(0) || _ <- [1, 2]],
            receive {'end', How} -> exit(How) end
        end),
        ep_ct:wait_until(fun() -> py_semaphore:current() =:= 2 end),
        End(Holder),
        ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end)
    end || End <- [fun(Pid) -> Pid ! {'end', normal} end, fun(Pid) -> exit(Pid, kill) end]].

a_dead_waiter_gives_its_turn_up(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    [Dead, Alive] = [acquirer() || _ <- [1, 2]],
    true = unlink(Dead),
    exit(Dead, kill),
    _ = ep_ct:down(Dead),
    ok = py_semaphore:release(),
    {acquired, Alive} = ep_ct:message(),
    let_go(Alive),
    0 = py_semaphore:current().

%% A process that waits for a slot when this returns, or has one and said so.
acquirer() ->
    Owner = self(),
    Pid = spawn_link(fun() ->
        ok = py_semaphore:acquire(infinity),
        Owner ! {acquired, self()},
        receive release -> ok = py_semaphore:release(), Owner ! {released, self()} end
    end),
    waits(Pid),
    Pid.

let_go(Pid) ->
    Pid ! release,
    receive {released, Pid} -> ok end.

waits(Pid) ->
    ep_ct:wait_until(fun() -> process_info(Pid, status) =:= {status, waiting} end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Requests and the semaphore

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
        {error, {overloaded, 1, 1}} = py:eval(py:context(1), <<"1">>, #{}, 20),
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

nested_calls_need_no_second_slot(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    with_levels(fun() ->
        {ok, 10} = climb(10),
        Callers = [spawn_monitor(fun() -> exit({result, climb(10)}) end) || _ <- lists:seq(1, 5)],
        [{ok, 10} = ep_ct:result(Caller) || Caller <- Callers]
    end),
    0 = py_semaphore:current().

%% Runs a function while the only slot is taken by this process.
full(Fun) ->
    ok = py_semaphore:set_max_concurrent(1),
    ok = py_semaphore:acquire(0),
    try Fun() after py_semaphore:release() end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Callbacks

a_callback_calls_the_context_that_waits(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
def complex_compute(x):
    return x * x

def process(x):
    from erlang import call
    result = call('ep_compute', x)
    return result + 1
">>),
    Compute = fun([X]) -> {ok, Result} = py:call(Context, '__main__', complex_compute, [X]), Result * 2 end,
    ep_ct:with_function(ep_compute, Compute, fun() ->
        {ok, 201} = py:call(Context, '__main__', process, [10])
    end).

ten_levels_nest(_Config) ->
    with_levels(fun() -> {ok, 10} = climb(10) end).

a_hundred_levels_nest(_Config) ->
    with_levels(fun() -> {ok, 100} = climb(100) end).

endless_nesting_is_refused(_Config) ->
    with_levels(fun() ->
        {error, {_, _}} = climb(1 bsl 60),
        {ok, 10} = climb(10)
    end),
    %% What the deepest level was told; those above it only pass the failure on.
    [_ | _] = erase(ep_deepest),
    {ok, 2} = py:eval(<<"1 + 1">>).

%% Erlang and Python take turns until the level asked for; every Python level is in the same context.
with_levels(Fun) ->
    Level = fun
        ([N, Max]) when N >= Max ->
            N;
        ([N, Max]) ->
            case py:call(py:context(1), '__main__', next_level, [N + 1, Max]) of
                {ok, Result} ->
                    Result;
                {error, {_, Text}} ->
                    get(ep_deepest) =:= undefined andalso put(ep_deepest, Text),
                    error(level_failed)
            end
    end,
    ep_ct:with_function(ep_level, Level, Fun).

climb(Max) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
def next_level(n, max):
    from erlang import call
    return call('ep_level', n, max)
">>),
    py:call(Context, '__main__', next_level, [1, Max]).

a_process_of_the_callback_calls_the_context_that_waits(_Config) ->
    Context = py:context(1),
    ok = py_context:exec(Context, <<"def ep_square(x): return x * x">>),
    Squares = fun([Items]) ->
        Workers = [spawn_monitor(fun() -> exit({result, py:call(Context, '__main__', ep_square, [X])}) end) || X <- Items],
        [begin {ok, Square} = ep_ct:result(Worker), Square end || Worker <- Workers]
    end,
    ep_ct:with_function(ep_squares, Squares, fun() ->
        {ok, [1, 4, 9, 16]} = py:eval(Context, <<"erlang.call('ep_squares', [1, 2, 3, 4])">>)
    end).

a_callback_runs_in_the_calling_process(_Config) ->
    put(ep_mark, marked),
    Self = self(),
    ep_ct:with_function(ep_where, fun([]) -> [self(), get(ep_mark)] end, fun() ->
        [{ok, [Self, <<"marked">>]} = Result || Result <- [
            py:eval(<<"erlang.call('ep_where')">>),
            py:call(erlang, call, [<<"ep_where">>]),
            py_context:eval(py:context(1), <<"erlang.call('ep_where')">>)
        ]]
    end),
    erase(ep_mark).

a_callback_of_a_cast_runs_in_a_process_of_its_own(_Config) ->
    Owner = self(),
    ep_ct:with_function(ep_report, fun([]) -> Owner ! {ran_in, self()} end, fun() ->
        ok = py:cast(erlang, call, [<<"ep_report">>]),
        {ran_in, Pid} = ep_ct:message(),
        true = Pid =/= Owner
    end).

code_around_a_callback_runs_once(_Config) ->
    ok = py:exec(<<"
trace = []

def traced(n):
    trace.append('before')
    for i in range(n):
        trace.append(erlang.call('ep_echo', i))
    trace.append('after')
    return len(trace)
">>),
    with_echo(fun() ->
        {ok, 5} = py:call('__main__', traced, [3]),
        {ok, [<<"before">>, 0, 1, 2, <<"after">>]} = py:eval(<<"trace">>)
    end).

handlers_do_not_see_a_callback(_Config) ->
    ok = py:exec(<<"
import contextlib

def in_except_exception():
    try:
        return erlang.call('ep_echo', 1)
    except Exception:
        return 'caught'

def in_except_base_exception():
    try:
        return erlang.call('ep_echo', 2)
    except BaseException:
        return 'caught'

def in_bare_except():
    try:
        return erlang.call('ep_echo', 3)
    except:
        return 'caught'

def in_finally():
    seen = []
    try:
        seen.append(erlang.call('ep_echo', 4))
    finally:
        seen.append(erlang.call('ep_echo', 5))
    return seen

def in_generator():
    def generate():
        for i in range(3):
            yield erlang.call('ep_echo', i)
    return list(generate())

def in_comprehension():
    return [erlang.call('ep_echo', i) for i in range(3)]

def in_sort_key():
    return sorted([3, 1, 2], key=lambda x: erlang.call('ep_echo', x))

def in_middleware():
    def middleware(app):
        def wrapped(request):
            try:
                return app(request)
            except BaseException as e:
                return 'swallowed'
        return wrapped
    return middleware(middleware(lambda request: erlang.call('ep_echo', request)))(6)

def in_with():
    with contextlib.suppress(BaseException):
        return erlang.call('ep_echo', 7)

def in_property():
    class C:
        @property
        def value(self):
            return erlang.call('ep_echo', 8)
    return C().value

def in_handler():
    try:
        1 / 0
    except ZeroDivisionError:
        return erlang.call('ep_echo', 9)
">>),
    with_echo(fun() ->
        [{Where, {ok, Expected}} = {Where, py:call('__main__', Where, [])} || {Where, Expected} <- [
            {in_except_exception, 1}, {in_except_base_exception, 2}, {in_bare_except, 3}, {in_finally, [4, 5]},
            {in_generator, [0, 1, 2]}, {in_comprehension, [0, 1, 2]}, {in_sort_key, [1, 2, 3]}, {in_middleware, 6},
            {in_with, 7}, {in_property, 8}, {in_handler, 9}
        ]]
    end).

the_old_control_exception_exists(_Config) ->
    {ok, true} = py:eval(<<"issubclass(erlang.SuspensionRequired, BaseException)">>),
    {ok, false} = py:eval(<<"issubclass(erlang.SuspensionRequired, Exception)">>),
    ok = py:exec(<<"
try:
    pass
except erlang.SuspensionRequired:
    raise
">>).

a_failing_callback_is_a_runtime_error(_Config) ->
    ok = py:exec(<<"
def guarded(name):
    try:
        erlang.call(name)
    except RuntimeError as e:
        return str(e)
    return 'no error'
">>),
    [ep_ct:with_function(ep_failing, Fail, fun() ->
        {ok, Text} = py:call('__main__', guarded, [<<"ep_failing">>]),
        {How, true} = {How, binary:match(Text, <<"out_of_cheese">>) =/= nomatch},
        {error, {'RuntimeError', Message}} = py:eval(<<"erlang.call('ep_failing')">>),
        {How, true} = {How, string:find(Message, "out_of_cheese") =/= nomatch},
        {ok, 2} = py:eval(<<"1 + 1">>)
    end) || {How, Fail} <- [
        {error, fun([]) -> error(out_of_cheese) end},
        {exit, fun([]) -> exit(out_of_cheese) end},
        {throw, fun([]) -> throw(out_of_cheese) end},
        {badmatch, fun([]) -> ok = out_of_cheese() end}
    ]],
    ep_ct:with_function(ep_picky, fun([X]) -> X end, fun() ->
        {error, {'RuntimeError', _}} = py:eval(<<"erlang.call('ep_picky', 1, 2)">>)
    end).

%% The compiler is not to know that it does not match.
out_of_cheese() -> list_to_atom("out_of_cheese").

a_failure_travels_through_all_levels(_Config) ->
    ok = py:exec(<<"
def fail(n):
    if n == 0:
        raise ValueError('at the bottom')
    return erlang.call('ep_down', n - 1)
">>),
    Down = fun([N]) ->
        case py:call('__main__', fail, [N]) of
            {ok, Result} -> Result;
            {error, {_, Text}} -> error({below, list_to_binary(Text)})
        end
    end,
    ep_ct:with_function(ep_down, Down, fun() ->
        {error, {'RuntimeError', Text}} = py:call('__main__', fail, [4]),
        true = string:find(Text, "at the bottom") =/= nomatch
    end).

results_of_callbacks_convert_like_arguments(_Config) ->
    Ref = make_ref(),
    [ep_ct:with_function(ep_value, fun([]) -> Term end, fun() ->
        {Term, {ok, {Type, Text}}} =
            {Term, py:eval(<<"(lambda v: (type(v).__name__, ascii(v)))(erlang.call('ep_value'))">>)}
    end) || {Term, Type, Text} <- [
        {<<"text">>, <<"str">>, <<"'text'">>}, {<<255, 1>>, <<"bytes">>, <<"b'\\xff\\x01'">>},
        {{bytes, <<"raw">>}, <<"bytes">>, <<"b'raw'">>}, {"list", <<"list">>, <<"[108, 105, 115, 116]">>},
        {[1, 2], <<"list">>, <<"[1, 2]">>}, {{1, a}, <<"tuple">>, <<"(1, 'a')">>},
        {#{k => 1.5}, <<"dict">>, <<"{'k': 1.5}">>}, {1 bsl 70, <<"int">>, <<"1180591620717411303424">>},
        {ok, <<"str">>, <<"'ok'">>}, {undefined, <<"NoneType">>, <<"None">>}, {true, <<"bool">>, <<"True">>},
        {{error, reason}, <<"tuple">>, <<"('error', 'reason')">>}, {{ok, 1}, <<"tuple">>, <<"('ok', 1)">>},
        {<<"__etf__:abc">>, <<"str">>, <<"'__etf__:abc'">>}
    ]],
    [ep_ct:with_function(ep_value, fun([]) -> Term end, fun() ->
        {ok, {true, Term}} = py:eval(<<
            "(lambda v, c: (isinstance(v, c), v))(erlang.call('ep_value'), erlang.", Class/binary, ")"
        >>)
    end) || {Term, Class} <- [{self(), <<"Pid">>}, {Ref, <<"Ref">>}]],
    ep_ct:with_function(ep_value, fun([]) -> [1 | 2] end, fun() ->
        {error, {_, _}} = py:eval(<<"erlang.call('ep_value')">>)
    end).

%% Two requests of one context wait for callbacks that end in the order the requests began.
callbacks_interleave(_Config) ->
    Context = py:context(1),
    Owner = self(),
    Ask = fun([N]) -> Owner ! {asked, N, self()}, receive {answer, A} -> A end end,
    ep_ct:with_function(ep_ask, Ask, fun() ->
        Callers = [begin
            Caller = spawn_monitor(fun() ->
                exit({result, py:eval(Context, <<"[n, erlang.call('ep_ask', n)]">>, #{n => N})})
            end),
            receive {asked, N, Pid} -> {N, Pid, Caller} end
        end || N <- [1, 2, 3]],
        {ok, 2} = py:eval(Context, <<"1 + 1">>),
        [Pid ! {answer, N * 10} || {N, Pid, _} <- Callers],
        [[1, 10], [2, 20], [3, 30]] = [begin {ok, R} = ep_ct:result(Caller), R end || {_, _, Caller} <- Callers]
    end).

a_memo_in_erlang_serves_recursion(_Config) ->
    Memo = ets:new(memo, [public]),
    ok = py:exec(<<"
def fib(n):
    if n < 2:
        return n
    return erlang.call('ep_fib', n - 1) + erlang.call('ep_fib', n - 2)
">>),
    Fib = fun([N]) ->
        case ets:lookup(Memo, N) of
            [{N, Known}] ->
                Known;
            [] ->
                {ok, Result} = py:call('__main__', fib, [N]),
                ets:insert(Memo, {N, Result}),
                Result
        end
    end,
    ep_ct:with_function(ep_fib, Fib, fun() -> {ok, 75025} = py:call('__main__', fib, [25]) end).

methods_call_back(_Config) ->
    ok = py:exec(<<"
class Account:
    def __init__(self):
        self.total = 0
    def add(self, amount):
        self.total += erlang.call('ep_echo', amount)
        return self.total

account = Account()
">>),
    with_echo(fun() -> [{ok, Total} = py:eval(<<"account.add(5)">>) || Total <- [5, 10, 15]] end).

with_echo(Fun) ->
    ep_ct:with_function(ep_echo, fun([X]) -> X end, Fun).
