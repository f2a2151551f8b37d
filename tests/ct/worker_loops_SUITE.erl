%%% @doc An event loop in a context: py_context:start_loop, submit, stop_loop.
-module(worker_loops_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_loop_runs_until_it_is_stopped/1, other_work_goes_on/1, a_loop_is_started_once/1, a_loop_is_stopped_once/1,
    without_a_loop_there_are_no_tasks/1, a_loop_is_a_reference/1, a_loop_starts_again/1, a_busy_context/1,
    a_context_that_waits_below/1, many_starts_at_once/1
]).
-export([
    a_stopped_loop_answers_all_tasks/1, a_stopped_context_answers_all_tasks/1, a_killed_context_answers_all_tasks/1,
    a_context_stops_without_its_thread/1, answers_in_line_are_small/1,
    answers_of_every_kind_in_one_turn/1,
    tasks_clean_up_when_the_loop_stops/1, a_stubborn_task_does_not_hold_up_the_end/1,
    a_task_that_spins_does_not_hold_up_the_end/1, a_dead_owner_ends_the_loop/1, a_killed_loop_process_ends_the_loop/1,
    a_killed_loop_process_leaves_nothing/1, a_loop_that_is_killed_while_it_starts/1,
    a_context_that_stops_while_its_loop_starts/1, tasks_submitted_while_the_loop_ends/1,
    a_loop_stops_with_the_application/1, no_slot_is_taken/1
]).
-export([
    an_interrupt_leaves_the_loop_running/1, an_interrupt_ends_the_task_that_spins/1,
    an_interrupt_ends_the_function_that_spins/1, interrupts_race_with_tasks/1,
    an_interrupt_of_a_loop_that_never_sleeps/1, exits_end_one_task/1,
    a_context_that_stops_between_two_requests/1, callbacks_nest/1, files_are_closed/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_loop_runs_until_it_is_stopped, other_work_goes_on, a_loop_is_started_once, a_loop_is_stopped_once,
        without_a_loop_there_are_no_tasks, a_loop_is_a_reference, a_loop_starts_again, a_busy_context,
        a_context_that_waits_below, many_starts_at_once, a_stopped_loop_answers_all_tasks,
        a_stopped_context_answers_all_tasks, a_killed_context_answers_all_tasks,
        a_context_stops_without_its_thread, answers_in_line_are_small,
        answers_of_every_kind_in_one_turn, tasks_clean_up_when_the_loop_stops,
        a_stubborn_task_does_not_hold_up_the_end, a_task_that_spins_does_not_hold_up_the_end,
        a_dead_owner_ends_the_loop, a_killed_loop_process_ends_the_loop, a_killed_loop_process_leaves_nothing,
        a_loop_that_is_killed_while_it_starts, a_context_that_stops_while_its_loop_starts,
        tasks_submitted_while_the_loop_ends, a_loop_stops_with_the_application,
        no_slot_is_taken, an_interrupt_leaves_the_loop_running, an_interrupt_ends_the_task_that_spins,
        an_interrupt_ends_the_function_that_spins, interrupts_race_with_tasks,
        an_interrupt_of_a_loop_that_never_sleeps, exits_end_one_task,
        a_context_that_stops_between_two_requests, callbacks_nest,
        files_are_closed, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    _ = stop(proplists:get_value(ctx, Config)),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% The loop was interrupted, and nobody runs it any more.
a_context_that_stops_between_two_requests(Config) ->
    Open = ep_files:open(),
    [ep_ct:in_process(fun() ->
         Ctx = ep_fresh_context:start(),
         ok = py_context:start_loop(Ctx),
         {ok, Task} = py_context:submit(Ctx, asyncio, sleep, [60]),
         {ok, 4.0} = py:call(Ctx, math, sqrt, [16]), % so that the task is asleep, and the loop is what is interrupted
         [Process] = [Pid || {_, Pid, _, _} <- supervisor:which_children(py_loop_sup),
                             {monitors, Those} <- [process_info(Pid, monitors)],
                             lists:member({process, self()}, Those)],
         true = erlang:suspend_process(Process),
         ok = py_context:interrupt(Ctx),
         ep_ct:wait_until(fun() -> py_context:interrupt(Ctx) =:= not_running end),
         ok = py_context:stop(Ctx),
         true = erlang:resume_process(Process),
         {error, context_stopped} = py_event_loop:await(Task, 20_000),
         receive {py_loop_exit, Ctx, _} -> ok end
     end) || _ <- [1, 2, 3]],
    ok = ep_files:back_to(Open),
    {ok, 0} = py:eval(proplists:get_value(ctx, Config), <<"
len(__import__('sys').modules['erlang._tasks']._loops if 'erlang._tasks' in __import__('sys').modules else ())
">>).

stop(undefined) -> ok;
stop(Ctx) ->
    _ = py_context:stop_loop(Ctx, 1000),
    receive {py_loop_exit, Ctx, _} -> ok after 0 -> ok end.

ctx(Config) -> proplists:get_value(ctx, Config).

with_loop(Config) ->
    Ctx = ctx(Config),
    ok = py_context:start_loop(Ctx),
    Ctx.

exited(Ctx, Result) -> ep_expect:message({py_loop_exit, Ctx, Result}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Start and stop

a_loop_runs_until_it_is_stopped(Config) ->
    Ctx = with_loop(Config),
    {ok, 4.0} = py_context:submit_await(Ctx, math, sqrt, [16]),
    {ok, <<"x">>} = py_context:submit_await(Ctx, coroutines, echo_later, [x]),
    {ok, #{<<"a">> := 1}} = py_context:submit_await(Ctx, coroutines, keywords, [], #{a => 1}),
    {error, timeout} = py_context:submit_await(Ctx, coroutines, quiet_forever, [], #{}, 10),
    {ok, Task} = py_context:submit(Ctx, coroutines, echo, [y], #{}),
    ep_expect:message({async_result, Task, {ok, <<"y">>}}),
    ok = py_context:stop_loop(Ctx),
    exited(Ctx, ok),
    ep_expect:still_works(Ctx).

other_work_goes_on(Config) ->
    Ctx = with_loop(Config),
    Pending = pending(Ctx, 50),
    [{ok, 4.0} = py:call(Ctx, math, sqrt, [16]) || _ <- lists:seq(1, 20)],
    {ok, Thread} = py_context:submit_await(Ctx, coroutines, thread, []),
    {ok, Thread} = py:call(Ctx, threading, get_ident, []),
    Tasks = [begin {ok, Task} = py_context:submit(Ctx, coroutines, echo_later, [N]), Task end || N <- lists:seq(1, 50)],
    Running = ep_background:spinning(Ctx),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 50)], [py_event_loop:await(Task, 30000) || Task <- Tasks]),
    [{error, timeout} = py_event_loop:await(Task, 0) || Task <- Pending].

a_loop_is_started_once(Config) ->
    Ctx = with_loop(Config),
    {error, already_started} = py_context:start_loop(Ctx),
    {error, already_started} = ep_ct:in_process(fun() -> py_context:start_loop(Ctx) end),
    {ok, 4.0} = py_context:submit_await(Ctx, math, sqrt, [16]).

a_loop_is_stopped_once(Config) ->
    Ctx = with_loop(Config),
    ok = py_context:stop_loop(Ctx),
    {error, no_loop} = py_context:stop_loop(Ctx),
    exited(Ctx, ok),
    ok = py_context:stop(Ctx),
    {error, no_loop} = py_context:stop_loop(Ctx),
    {error, context_stopped} = py_context:start_loop(Ctx).

without_a_loop_there_are_no_tasks(Config) ->
    Ctx = ctx(Config),
    {error, no_loop} = py_context:submit(Ctx, math, sqrt, [16]),
    {error, no_loop} = py_context:submit_await(Ctx, math, sqrt, [16]),
    {error, no_loop} = py_context:loop_ref(Ctx),
    {error, no_loop} = py_event_loop:create_task(make_ref(), math, sqrt, [16]),
    {error, no_loop} = py_event_loop:exec(make_ref(), <<"pass">>),
    py_context:stop(Ctx),
    {error, context_stopped} = py_context:submit(Ctx, math, sqrt, [16]),
    {error, context_stopped} = py_context:submit(self(), math, sqrt, [16]).

a_loop_is_a_reference(Config) ->
    Ctx = with_loop(Config),
    {ok, Loop} = py_context:loop_ref(Ctx),
    true = is_reference(Loop),
    {ok, 4.0} = py_event_loop:run(Loop, math, sqrt, [16]),
    {ok, Task} = py_event_loop:create_task(Loop, coroutines, echo_later, [1]),
    {ok, 1} = py_event_loop:await(Task),
    ok = py_event_loop:spawn_task(Loop, busy, tell, [self(), <<"spawned">>]),
    ep_expect:message(<<"spawned">>),
    ok = py_nif:event_loop_exec(Loop, <<"async def double(x): return 2 * x">>),
    {ok, 6} = py_event_loop:run(Loop, '__main__', double, [3], #{timeout => 1000}),
    ok = py_context:stop_loop(Ctx),
    exited(Ctx, ok),
    {error, no_loop} = py_event_loop:run(Loop, math, sqrt, [16]).

a_loop_starts_again(Config) ->
    Ctx = ctx(Config),
    [begin
         ok = py_context:start_loop(Ctx),
         {ok, N} = py_context:submit_await(Ctx, coroutines, echo_later, [N]),
         ok = py_context:stop_loop(Ctx),
         exited(Ctx, ok)
     end || N <- lists:seq(1, 20)].

a_busy_context(Config) ->
    Ctx = ctx(Config),
    Running = ep_background:spinning(Ctx),
    {error, timeout} = py_context:start_loop(Ctx, #{timeout => 50}),
    exited(Ctx, ok),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    ok = py_context:start_loop(Ctx).

%% The loop must not end up on top of something that waits for Erlang: that could never go on.
a_context_that_waits_below(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    ok = py:register_function(hold, fun([]) -> Tester ! {holding, self()}, receive go_on -> done end end),
    Waiting = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, []]) end),
    Holder = receive {holding, Pid} -> Pid end,
    {error, timeout} = py_context:start_loop(Ctx, #{timeout => 200}),
    exited(Ctx, ok),
    Holder ! go_on,
    {ok, <<"done">>} = ep_background:result(Waiting),
    ok = py_context:start_loop(Ctx),
    py:unregister_function(hold).

many_starts_at_once(Config) ->
    Ctx = ctx(Config),
    Started = ep_background:results([ep_background:start(fun() ->
        case py_context:start_loop(Ctx) of
            ok ->
                {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1]),
                ok = py_context:stop_loop(Ctx),
                exited(Ctx, ok),
                ok;
            {error, already_started} ->
                ok
        end
    end) || _ <- lists:seq(1, 20)]),
    [ok] = lists:usort(Started).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends

pending(Ctx, Count) ->
    [begin {ok, Task} = py_context:submit(Ctx, coroutines, quiet_forever, []), Task end || _ <- lists:seq(1, Count)].

%% Without awaiting: the messages come by themselves.
answers(Tasks, Result) ->
    [ep_expect:message({async_result, Task, Result}) || Task <- Tasks].

a_stopped_loop_answers_all_tasks(Config) ->
    Ctx = with_loop(Config),
    Tasks = pending(Ctx, 1000),
    ok = py_context:stop_loop(Ctx),
    exited(Ctx, ok),
    answers(Tasks, {error, loop_stopped}),
    ep_expect:still_works(Ctx).

a_stopped_context_answers_all_tasks(Config) ->
    Ctx = with_loop(Config),
    Tasks = pending(Ctx, 1000),
    ok = py_context:stop(Ctx),
    answers(Tasks, {error, context_stopped}),
    exited(Ctx, {error, context_stopped}),
    {error, context_stopped} = py_context:submit(Ctx, math, sqrt, [16]).

a_killed_context_answers_all_tasks(Config) ->
    Ctx = with_loop(Config),
    {ok, Spinning} = py_context:submit(Ctx, coroutines, wait_then_spin, [self()]),
    ep_expect:message(<<"running">>),
    Tasks = pending(Ctx, 1000), % none of them reaches Python
    exit(Ctx, kill),
    answers([Spinning | Tasks], {error, context_stopped}),
    exited(Ctx, {error, context_stopped}).

%% Which is in a C function that nothing interrupts. A task that waits, the one that runs, and those behind it.
a_context_stops_without_its_thread(Config) ->
    Ctx = with_loop(Config),
    Waiting = pending(Ctx, 10),
    {ok, Asleep} = py_context:submit(Ctx, busy, sleep, [self(), 3]),
    ep_expect:message(<<"running">>),
    Queued = pending(Ctx, 100),
    Start = erlang:monotonic_time(millisecond),
    ok = py_context:stop(Ctx),
    answers(Waiting ++ [Asleep | Queued], {error, context_stopped}),
    ?assert(erlang:monotonic_time(millisecond) - Start < 2500),
    exited(Ctx, {error, context_stopped}).

%% Small ones, large ones and failures, for several processes that look at nothing else meanwhile and collect garbage.
answers_of_every_kind_in_one_turn(Config) ->
    Ctx = with_loop(Config),
    {ok, Asleep} = py_context:submit(Ctx, busy, sleep, [self(), 0.3]),
    ep_expect:message(<<"running">>),
    Running = [ep_background:start(fun() ->
        Tasks = [{N, submit_kind(Ctx, Process, N)} || N <- lists:seq(1, 300)],
        lists:foreach(fun({N, Task}) ->
            receive {async_result, Task, Result} -> true = is_answer(Process, N, Result) end,
            N rem 10 =:= 0 andalso erlang:garbage_collect()
        end, Tasks)
    end) || Process <- lists:seq(1, 8)],
    _ = ep_background:results(Running),
    ep_expect:message(<<"woke">>),
    ep_expect:message({async_result, Asleep, {ok, <<"slept">>}}).

submit_kind(Ctx, Process, N) ->
    {Module, Function, Args} = case N rem 6 of
        0 -> {builtins, int, [number(Process, N)]};
        1 -> {builtins, bytes, [2000 + N]};
        2 -> {coroutines, echo, [lists:seq(N, N + 300)]};
        3 -> {coroutines, missing, []};
        4 -> {coroutines, fail, [number(Process, N)]};
        5 -> {coroutines, echo, [{Process, N, number(Process, N)}]}
    end,
    {ok, Task} = py_context:submit(Ctx, Module, Function, Args),
    Task.

is_answer(Process, N, Result) ->
    case N rem 6 of
        0 ->
            {error, {'ValueError', Text}} = Result,
            lists:suffix("'" ++ binary_to_list(number(Process, N)) ++ "'", Text);
        1 -> {ok, binary:copy(<<0>>, 2000 + N)} =:= Result;
        2 -> {ok, lists:seq(N, N + 300)} =:= Result;
        3 -> {error, function_not_found} =:= Result;
        4 -> {error, {'ValueError', binary_to_list(number(Process, N))}} =:= Result;
        5 -> {ok, {Process, N, number(Process, N)}} =:= Result
    end.

number(Process, N) -> iolist_to_binary(io_lib:format("number ~b of ~b", [N, Process])).

answers_in_line_are_small(Config) ->
    Ctx = with_loop(Config),
    Count = 20_000,
    {Bytes, Tasks} = ep_ct:growth(fun() ->
        Submitted = [begin
             {ok, Task} = py_context:submit(Ctx, coroutines, echo, [{token, N, <<"of some text">>}]),
             {N, Task}
         end || N <- lists:seq(1, Count)],
        ep_ct:wait_until(fun() -> lists:all(fun({_, Task}) -> py_nif:task_state(Task) =:= over end, Submitted) end),
        Submitted
    end),
    [ep_expect:message({async_result, Task, {ok, {<<"token">>, N, <<"of some text">>}}}) || {N, Task} <- Tasks],
    ?assert(Bytes < 1500 * Count, #{bytes => Bytes div Count}).

tasks_clean_up_when_the_loop_stops(Config) ->
    Ctx = with_loop(Config),
    {ok, Task} = py_context:submit(Ctx, coroutines, cleaning_up, [self()]),
    ep_expect:message(<<"running">>),
    ok = py_context:stop_loop(Ctx),
    ep_expect:message({async_result, Task, {error, loop_stopped}}),
    ep_expect:message(<<"cleaned up">>),
    exited(Ctx, ok).

a_stubborn_task_does_not_hold_up_the_end(Config) ->
    Ctx = with_loop(Config),
    {ok, Task} = py_context:submit(Ctx, coroutines, stubborn, [self()]),
    ep_expect:message(<<"running">>),
    ok = py_context:stop_loop(Ctx),
    ep_expect:message({async_result, Task, {error, loop_stopped}}),
    exited(Ctx, ok),
    ep_expect:still_works(Ctx).

a_task_that_spins_does_not_hold_up_the_end(Config) ->
    Ctx = with_loop(Config),
    {ok, Task} = py_context:submit(Ctx, coroutines, wait_then_spin, [self()]),
    ep_expect:message(<<"running">>),
    ok = py_context:stop_loop(Ctx, 50),
    exited(Ctx, ok),
    {error, Reason} = py_event_loop:await(Task, 10000),
    true = lists:member(Reason, [interrupted, loop_stopped]),
    ep_expect:still_works(Ctx).

a_dead_owner_ends_the_loop(Config) ->
    Ctx = ctx(Config),
    {Owner, Monitor} = spawn_monitor(fun() -> ok = py_context:start_loop(Ctx), receive stop -> ok end end),
    ep_ct:wait_until(fun() -> py_context:loop_ref(Ctx) =/= {error, no_loop} end),
    [Task] = pending(Ctx, 1),
    exit(Owner, kill),
    receive {'DOWN', Monitor, process, Owner, killed} -> ok end,
    ep_expect:message({async_result, Task, {error, loop_stopped}}),
    ep_ct:wait_until(fun() -> py_context:loop_ref(Ctx) =:= {error, no_loop} end),
    ok = py_context:start_loop(Ctx),
    ep_expect:still_works(Ctx).

a_killed_loop_process_ends_the_loop(Config) ->
    Ctx = with_loop(Config),
    [Task] = pending(Ctx, 1),
    [exit(Pid, kill) || {_, Pid, _, _} <- supervisor:which_children(py_loop_sup)],
    ep_expect:message({async_result, Task, {error, loop_stopped}}),
    ep_ct:wait_until(fun() -> py_context:start_loop(Ctx) =:= ok end),
    {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1]).

%% Nobody starts another one there, and nothing of the context is kept: init and end of the case count.
a_killed_loop_process_leaves_nothing(Config) ->
    Ctx = with_loop(Config),
    {ok, Loop} = py_context:loop_ref(Ctx),
    [Task] = pending(Ctx, 1),
    [exit(Pid, kill) || {_, Pid, _, _} <- supervisor:which_children(py_loop_sup)],
    ep_expect:message({async_result, Task, {error, loop_stopped}}),
    {error, no_loop} = py_context:loop_ref(Ctx),
    {error, no_loop} = py_event_loop:run(Loop, math, sqrt, [16]),
    {error, no_loop} = py_context:stop_loop(Ctx),
    ep_expect:still_works(Ctx),
    %% Rows of the dead go when any other loop starts.
    ep_ct:with_context(fun(Other) ->
        ok = py_context:start_loop(Other),
        [] = ets:lookup(py_loop, Ctx),
        [] = ets:lookup(py_loop, Loop),
        ok = py_context:stop_loop(Other),
        exited(Other, ok)
    end).

%% Wherever it is hit.
a_loop_that_is_killed_while_it_starts(Config) ->
    Ctx = ctx(Config),
    [begin
         {Starter, Monitor} = spawn_monitor(fun() -> py_context:start_loop(Ctx), receive stop -> ok end end),
         spin(N * 40),
         case N rem 2 of
             0 -> exit(Starter, kill);
             1 -> [exit(Pid, kill) || {_, Pid, _, _} <- supervisor:which_children(py_loop_sup)], exit(Starter, kill)
         end,
         receive {'DOWN', Monitor, process, Starter, _} -> ok end
     end || N <- lists:seq(1, 60)],
    ep_ct:wait_until(fun() -> py_context:start_loop(Ctx) =/= {error, already_started} end),
    {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1]),
    ok = py_context:stop_loop(Ctx),
    ep_ct:wait_until(fun() -> supervisor:which_children(py_loop_sup) =:= [] end),
    flush_exits(Ctx).

a_context_that_stops_while_its_loop_starts(_Config) ->
    [ep_ct:with_context(fun(Ctx) ->
         Starting = spawn_monitor(fun() -> exit({result, py_context:start_loop(Ctx)}) end),
         spin(N * 40),
         py_context:stop(Ctx),
         Result = ep_ct:result(Starting),
         true = lists:member(Result, [ok, {error, context_stopped}, {error, loop_stopped}])
     end) || N <- lists:seq(1, 40)],
    ep_ct:wait_until(fun() -> supervisor:which_children(py_loop_sup) =:= [] end).

%% Each has an answer, of whichever side came first.
tasks_submitted_while_the_loop_ends(Config) ->
    Ctx = ctx(Config),
    [begin
         ok = py_context:start_loop(Ctx),
         Stopping = ep_background:start(fun() -> spin(N * 40), py_context:stop_loop(Ctx) end),
         Answers = [case py_context:submit_await(Ctx, coroutines, echo_later, [N, 0]) of
             {ok, N} -> ok;
             {error, loop_stopped} -> ok;
             {error, no_loop} -> ok
         end || _ <- lists:seq(1, 30)],
         [ok] = lists:usort(Answers),
         true = lists:member(ep_background:result(Stopping), [ok, {error, no_loop}]),
         exited(Ctx, ok)
     end || N <- lists:seq(1, 20)].

%% Short of the clock's resolution, and different each time.
spin(0) -> ok;
spin(N) -> spin(N - 1).

flush_exits(Ctx) ->
    receive {py_loop_exit, Ctx, _} -> flush_exits(Ctx) after 0 -> ok end.

a_loop_stops_with_the_application(Config) ->
    Ctx = with_loop(Config),
    [Task] = pending(Ctx, 1),
    ok = ep_ct:restart(),
    receive {async_result, Task, {error, Reason}} -> true = lists:member(Reason, [loop_stopped, context_stopped]) end,
    receive {py_loop_exit, Ctx, _} -> ok end,
    {error, context_stopped} = py_context:submit(Ctx, math, sqrt, [16]).

no_slot_is_taken(Config) ->
    Ctx = with_loop(Config),
    Tasks = pending(Ctx, 200),
    0 = py_semaphore:current(),
    ok = py_context:stop_loop(Ctx),
    exited(Ctx, ok),
    answers(Tasks, {error, loop_stopped}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Interrupts

an_interrupt_leaves_the_loop_running(Config) ->
    Ctx = with_loop(Config),
    [Task] = pending(Ctx, 1),
    [begin
         _ = py_context:interrupt(Ctx),
         {ok, N} = py_context:submit_await(Ctx, coroutines, echo_later, [N]),
         {ok, 4.0} = py:call(Ctx, math, sqrt, [16])
     end || N <- lists:seq(1, 20)],
    {error, timeout} = py_event_loop:await(Task, 0).

an_interrupt_ends_the_task_that_spins(Config) ->
    Ctx = with_loop(Config),
    Others = pending(Ctx, 10),
    [begin
         {ok, Task} = py_context:submit(Ctx, coroutines, Function, [self()]),
         ep_expect:message(<<"running">>),
         ok = py_context:interrupt(Ctx),
         {error, interrupted} = py_event_loop:await(Task, 10000),
         {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1])
     end || Function <- [spin, wait_then_spin], _ <- lists:seq(1, 5)],
    [{error, timeout} = py_event_loop:await(Task, 0) || Task <- Others].

an_interrupt_ends_the_function_that_spins(Config) ->
    Ctx = with_loop(Config),
    {ok, Task} = py_context:submit(Ctx, coroutines, spin_function, [self()]),
    ep_expect:message(<<"running">>),
    ok = py_context:interrupt(Ctx),
    {error, interrupted} = py_event_loop:await(Task, 10000),
    {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1]).

%% Whatever an interrupt hits, each task has a result, and the loop goes on.
interrupts_race_with_tasks(Config) ->
    Ctx = with_loop(Config),
    Interrupter = spawn_link(fun Again() ->
        _ = py_context:interrupt(Ctx),
        receive stop -> ok after 1 -> Again() end
    end),
    Results = [py_context:submit_await(Ctx, coroutines, echo_later, [N, 0]) || N <- lists:seq(1, 300)],
    unlink(Interrupter),
    Interrupter ! stop,
    [] = [Other || Other <- Results, not (element(1, Other) =:= ok orelse Other =:= {error, interrupted})],
    ep_ct:wait_until(fun() -> py_context:submit_await(Ctx, coroutines, echo_later, [1]) =:= {ok, 1} end).

%% The loop never sleeps, so nobody can tell it then.
an_interrupt_of_a_loop_that_never_sleeps(Config) ->
    Ctx = with_loop(Config),
    Others = pending(Ctx, 10),
    {ok, Sleepless} = py_context:submit(Ctx, coroutines, never_sleeps, [self()]),
    ep_expect:message(<<"running">>),
    [begin
         ok = py_context:interrupt(Ctx),
         {ok, N} = py_context:submit_await(Ctx, coroutines, echo_later, [N])
     end || N <- lists:seq(1, 20)],
    {error, Reason} = py_event_loop:await(Sleepless, 0),
    true = lists:member(Reason, [timeout, interrupted]),
    [{error, timeout} = py_event_loop:await(Task, 0) || Task <- Others].

exits_end_one_task(Config) ->
    Ctx = with_loop(Config),
    [Other] = pending(Ctx, 1),
    {error, {'SystemExit', _}} = py_context:submit_await(Ctx, coroutines, leave, [1]),
    {error, {'SystemExit', _}} = py_context:submit_await(Ctx, sys, exit, [1]),
    {ok, 1} = py_context:submit_await(Ctx, coroutines, echo_later, [1]),
    {error, timeout} = py_event_loop:await(Other, 0).

%% A coroutine calls Erlang, which calls the context, and so on.
callbacks_nest(Config) ->
    Ctx = with_loop(Config),
    ok = py:register_function(deeper, fun
        ([0]) -> 0;
        ([N]) -> {ok, Below} = py:call(Ctx, busy, call, [deeper, [N - 1]]), Below + 1
    end),
    {ok, 5} = py_context:submit_await(Ctx, coroutines, call_blocking, [deeper, 5]),
    {ok, 5} = py_context:submit_await(Ctx, coroutines, call, [deeper, 5]),
    py:unregister_function(deeper).

files_are_closed(Config) ->
    Ctx = ctx(Config),
    {ok, Before} = py:call(Ctx, coroutines, fds, []),
    [begin
         ok = py_context:start_loop(Ctx),
         {ok, N} = py_context:submit_await(Ctx, coroutines, echo_later, [N]),
         ok = py_context:stop_loop(Ctx),
         exited(Ctx, ok)
     end || N <- lists:seq(1, 10)],
    {ok, After} = py:call(Ctx, coroutines, fds, []),
    true = After =< Before + 2.
