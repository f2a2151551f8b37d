%%% @doc The life of contexts, what their own functions do, and interrupts.
-module(contexts_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    context_functions_use_its_own_namespace/1, context_functions_take_timeouts/1,
    context_functions_take_environments/1, a_context_is_new_or_linked/1, an_unknown_mode_is_refused/1,
    context_ids_are_unique/1, ids_of_contexts_need_not_be/1, stopping_ends_one_context_only/1,
    destroying_is_stopping/1, the_starter_survives_a_stop/1, a_context_ends_with_its_starter/1,
    a_stopped_context_answers_its_waiters/1, the_supervisor_starts_and_stops_contexts/1
]).
-export([
    interrupt_ends_what_runs/1, interrupt_of_an_idle_context_does_nothing/1, an_interrupt_never_hits_a_later_request/1,
    an_interrupt_ends_a_loop_that_swallows_exceptions/1, nothing_comes_after_any_outcome/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        context_functions_use_its_own_namespace, context_functions_take_timeouts, context_functions_take_environments,
        a_context_is_new_or_linked, an_unknown_mode_is_refused, context_ids_are_unique, ids_of_contexts_need_not_be,
        stopping_ends_one_context_only, destroying_is_stopping, the_starter_survives_a_stop,
        a_context_ends_with_its_starter, a_stopped_context_answers_its_waiters,
        the_supervisor_starts_and_stops_contexts, interrupt_ends_what_runs, interrupt_of_an_idle_context_does_nothing,
        an_interrupt_never_hits_a_later_request, an_interrupt_ends_a_loop_that_swallows_exceptions,
        nothing_comes_after_any_outcome, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

context_functions_use_its_own_namespace(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"def add(x, y=1): return x + y\nkept = 2">>),
        {ok, 2} = py_context:eval(Context, <<"kept">>),
        {ok, 5} = py_context:eval(Context, <<"kept + x">>, #{x => 3}),
        {ok, 3} = py_context:call(Context, '__main__', add, [2]),
        {ok, 7} = py_context:call(Context, '__main__', add, [2], #{y => 5}),
        {ok, 2} = ep_ct:in_process(fun() -> py_context:eval(Context, "kept") end),
        {ok, none} = py_context:eval(Context, <<"globals().__setitem__('more', 1)">>),
        {ok, 1} = py_context:eval(Context, <<"more">>)
    end).

context_functions_take_timeouts(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"def forever():\n    while True: pass">>),
        {ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}, 5000),
        {ok, 2} = py_context:eval(Context, <<"1 + 1">>, #{}, infinity),
        {error, timeout} = py_context:call(Context, '__main__', forever, [], #{}, 20),
        {error, timeout} = py_context:eval(Context, <<"forever()">>, #{}, 20),
        {ok, 2} = py_context:eval(Context, <<"1 + 1">>)
    end).

context_functions_take_environments(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, Env} = py_context:create_local_env(Context),
        ok = py_context:exec(Context, <<"def twice(x, plus=0): return 2 * x + plus">>, Env),
        {ok, 4} = py_context:call(Context, '__main__', twice, [2], #{}, 5000, Env),
        {ok, 5} = py_context:call(Context, '__main__', twice, [2], #{plus => 1}, infinity, Env),
        {ok, 6} = py_context:eval(Context, <<"twice(x)">>, #{x => 3}, 5000, Env),
        {error, {_, _}} = py_context:call(Context, '__main__', twice, [2])
    end).

a_context_is_new_or_linked(_Config) ->
    {ok, New} = py_context:new(#{}),
    {ok, Moded} = py_context:new(#{mode => ep_ct:context_mode()}),
    {ok, Linked} = py_context:start_link(1, ep_ct:context_mode()),
    {links, Links} = process_info(self(), links),
    true = lists:member(Linked, Links),
    [begin
        {ok, 4.0} = py:call(Context, math, sqrt, [16]),
        ok = py_context:stop(Context)
    end || Context <- [New, Moded, Linked]].

an_unknown_mode_is_refused(_Config) ->
    [{Mode, {error, {invalid_mode, Mode}}} = {Mode, Start(Mode)} || Mode <- [no_such_mode, subinterp, auto, 1],
        Start <- [
            fun(M) -> py_context:new(#{mode => M}) end, fun(M) -> py_context:start_link(1, M) end,
            fun(M) -> py_context_sup:start_context(1, M) end
        ]].

context_ids_are_unique(_Config) ->
    ep_ct:with_contexts(3, fun(New) ->
        All = New ++ py_context_router:contexts(),
        Ids = [begin {ok, Id} = py_context:get_interp_id(Context), Id end || Context <- All],
        [true = is_integer(Id) andalso Id >= 0 || Id <- Ids],
        true = length(lists:usort(Ids)) =:= length(All),
        Ids = [begin {ok, Id} = py_context:get_interp_id(Context), Id end || Context <- All]
    end).

ids_of_contexts_need_not_be(_Config) ->
    Contexts = [begin {ok, Context} = py_context:start_link(7, ep_ct:context_mode()), Context end || _ <- [1, 2, 3]],
    3 = length(lists:usort(Contexts)),
    [ok = py_context:stop(Context) || Context <- Contexts].

stopping_ends_one_context_only(_Config) ->
    ep_ct:with_contexts(3, fun([One, Two, Three]) ->
        ok = py:exec(Two, <<"kept = 1">>),
        ok = py_context:stop(One),
        _ = ep_ct:down(One),
        {ok, 1} = py:eval(Two, <<"kept">>),
        true = is_process_alive(Three),
        {ok, 4.0} = py:call(math, sqrt, [16]),
        {error, context_stopped} = py:call(One, math, sqrt, [16]),
        {error, context_stopped} = py_context:call(One, math, sqrt, [16]),
        {error, _} = py_context:get_interp_id(One),
        ok = py_context:stop(One)
    end).

destroying_is_stopping(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:destroy(Context),
        _ = ep_ct:down(Context),
        {error, context_stopped} = py:eval(Context, <<"1">>)
    end).

the_starter_survives_a_stop(_Config) ->
    ok = ep_ct:in_process(fun() ->
        {ok, Linked} = py_context:start_link(1, ep_ct:context_mode()),
        {ok, New} = py_context:new(#{mode => ep_ct:context_mode()}),
        [ok = py_context:stop(Context) || Context <- [Linked, New]],
        ok
    end).

a_context_ends_with_its_starter(_Config) ->
    Owner = self(),
    [begin
        Starter = spawn(fun() ->
            {ok, Context} = py_context:start_link(1, ep_ct:context_mode()),
            Owner ! {context, Context},
            receive {'end', Reason} -> exit(Reason) end
        end),
        {context, Context} = ep_ct:message(),
        Starter ! {'end', Reason},
        _ = ep_ct:down(Context),
        {error, context_stopped} = py:eval(Context, <<"1">>)
    end || Reason <- [shutdown, killed]].

a_stopped_context_answers_its_waiters(_Config) ->
    [ep_ct:with_context(fun(Context) ->
        Running = ep_ct:busy(Context),
        Queued = [spawn_monitor(fun() -> exit({result, py:eval(Context, <<"1">>)}) end) || _ <- [1, 2]],
        ep_ct:wait_until(fun() -> maps:get(requests, py_nif:counters()) >= 3 end),
        _ = Stop(Context),
        [{error, context_stopped} = ep_ct:result(Caller) || Caller <- [Running | Queued]]
    end) || Stop <- [fun py_context:stop/1, fun(Context) -> exit(Context, kill) end]].

the_supervisor_starts_and_stops_contexts(_Config) ->
    Before = lists:sort(py_context_sup:which_contexts()),
    [] = py_context_router:contexts() -- Before,
    {error, {already_started, _}} = py_context_sup:start_link(),
    {ok, One} = py_context_sup:start_context(one, ep_ct:context_mode()),
    {ok, Two} = py_context_sup:start_context({any, term}, ep_ct:context_mode()),
    true = lists:sort([One, Two | Before]) =:= lists:sort(py_context_sup:which_contexts()),
    {ok, 4.0} = py:call(One, math, sqrt, [16]),
    ok = py_context_sup:stop_context(One),
    _ = ep_ct:down(One),
    {ok, 4.0} = py:call(Two, math, sqrt, [16]),
    ok = py_context_sup:stop_context(Two),
    _ = ep_ct:down(Two),
    Before = lists:sort(py_context_sup:which_contexts()).

%% ---------------------------------------------------------------------------------------------------------------------
%% Interrupts

interrupt_ends_what_runs(_Config) ->
    ep_ct:with_context(fun(Context) ->
        [begin
            Caller = ep_ct:busy(Context),
            ok = Interrupt(Context),
            {error, interrupted} = ep_ct:result(Caller),
            {ok, 2} = py:eval(Context, <<"1 + 1">>)
        end || Interrupt <- [fun py:interrupt/1, fun py_context:interrupt/1]]
    end).

interrupt_of_an_idle_context_does_nothing(_Config) ->
    ep_ct:with_context(fun(Context) ->
        not_running = py:interrupt(Context),
        {ok, 2} = py:eval(Context, <<"1 + 1">>),
        not_running = py:interrupt(Context),
        not_running = py_context:interrupt(Context),
        {ok, 2} = py:eval(Context, <<"1 + 1">>)
    end).

%% Interrupts that strike at any point of a request, its end included.
an_interrupt_never_hits_a_later_request(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py:exec(Context, <<"def loop(n):\n    for i in range(n): pass\n    return n">>),
        Striker = spawn_link(fun Strike() ->
            receive
                {strike, From} -> From ! {struck, py:interrupt(Context)}, Strike();
                stop -> ok
            end
        end),
        [begin
            Striker ! {strike, self()},
            Result = py:call(Context, '__main__', loop, [N * 100]),
            receive
                {struck, not_running} -> {ok, _} = Result;
                {struck, ok} -> true = lists:member(Result, [{ok, N * 100}, {error, interrupted}])
            end,
            {ok, 50000} = py:call(Context, '__main__', loop, [50000])
        end || N <- lists:seq(1, 300)],
        Striker ! stop
    end),
    ok.

an_interrupt_ends_a_loop_that_swallows_exceptions(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Owner = self(),
        ok = py_context:exec(Context, <<"
def stubborn(pid):
    erlang.send(pid, 'running')
    while True:
        try:
            while True:
                pass
        except Exception:
            pass
">>),
        Caller = spawn_monitor(fun() -> exit({result, py:call(Context, '__main__', stubborn, [Owner])}) end),
        <<"running">> = ep_ct:message(),
        ok = py:interrupt(Context),
        {error, interrupted} = ep_ct:result(Caller)
    end).

nothing_comes_after_any_outcome(_Config) ->
    ok = py:exec(<<"def forever():\n    while True: pass">>),
    %% Strikes when the code says that it runs.
    Struck = fun(Strike) ->
        ep_ct:with_context(fun(Context) ->
            Striker = spawn(fun() -> receive <<"running">> -> Strike(Context) end end),
            ok = py:exec(Context, <<"
def run(striker):
    erlang.send(striker, 'running')
    while True:
        pass
">>),
            py:call(Context, '__main__', run, [Striker])
        end)
    end,
    [begin
        {What, Expected} = {What, Run()},
        {ok, 2} = py:eval(<<"1 + 1">>),
        {What, ok} = {What, ep_ct:mailbox_empty()}
    end || {What, Expected, Run} <- [
        {call, {ok, 4.0}, fun() -> py:call(math, sqrt, [16]) end},
        {timeout, {error, timeout}, fun() -> py:call('__main__', forever, [], #{}, 5) end},
        {no_time, {error, timeout}, fun() -> py:call('__main__', forever, [], #{}, 0) end},
        {await_timeout, {error, timeout}, fun() -> py:await(py:spawn_call('__main__', forever, []), 5) end},
        {interrupted, {error, interrupted}, fun() -> Struck(fun py:interrupt/1) end},
        {stopped, {error, context_stopped}, fun() -> Struck(fun py_context:stop/1) end},
        {killed, {error, context_stopped}, fun() -> Struck(fun(Context) -> exit(Context, kill) end) end}
    ]].
