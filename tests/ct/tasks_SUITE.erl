%%% @doc Functions and coroutines on the event loop of the VM: py_event_loop, py:async_call, erlang.async_call.
-module(tasks_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    functions_and_coroutines/1, coroutines_begin_in_order/1, coroutines_of_a_callback/1, what_runs_in_a_task/1,
    a_function_that_hides_the_loop/1, modules_that_change/1, whatever_can_be_awaited/1, keyword_arguments/1, names_of_all_kinds/1,
    results_are_messages/1, results_come_in_order/1, unknown_functions/1, exceptions/1, large_results/1,
    results_without_a_form/1, a_future_of_two_tasks/1, exceptions_that_are_no_exception/1, a_result_that_is_a_class/1,
    a_task_that_stops_the_loop/1, many_tasks_at_once/1, a_task_of_another_process/1, spawned_tasks/1
]).
-export([
    functions_of_the_process/1, functions_of_the_loop/1, processes_are_isolated/1, state_stays/1,
    namespaces_end_with_their_process/1, references_to_loops/1
]).
-export([
    an_await_that_gives_up_is_silent/1, a_late_result_never_comes/1, giving_up_can_cancel/1, run_cancels/1,
    a_dead_creator_cancels_its_tasks/1, a_dead_creator_interrupts_its_function/1, spawned_tasks_outlive_their_creator/1,
    a_loop_that_was_killed_is_replaced/1, failed_tasks_leave_nothing/1
]).
-export([
    async_call_and_await/1, gathering/1, calling_erlang/1, calling_erlang_many_times/1, calling_erlang_that_fails/1,
    calling_erlang_from_any_loop/1, spawning_from_python/1, sleeping/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        functions_and_coroutines, coroutines_begin_in_order, coroutines_of_a_callback, what_runs_in_a_task,
        a_function_that_hides_the_loop, modules_that_change, whatever_can_be_awaited, keyword_arguments, names_of_all_kinds, results_are_messages,
        results_come_in_order, unknown_functions, exceptions, large_results, results_without_a_form,
        a_future_of_two_tasks, exceptions_that_are_no_exception, a_result_that_is_a_class, a_task_that_stops_the_loop,
        many_tasks_at_once, a_task_of_another_process, spawned_tasks, functions_of_the_process, functions_of_the_loop,
        processes_are_isolated, state_stays, namespaces_end_with_their_process, references_to_loops,
        an_await_that_gives_up_is_silent, a_late_result_never_comes, giving_up_can_cancel, run_cancels,
        a_dead_creator_cancels_its_tasks, a_dead_creator_interrupts_its_function, spawned_tasks_outlive_their_creator,
        a_loop_that_was_killed_is_replaced, failed_tasks_leave_nothing, async_call_and_await, gathering,
        calling_erlang, calling_erlang_many_times, calling_erlang_that_fails, calling_erlang_from_any_loop,
        spawning_from_python, sleeping, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    {ok, _} = py_event_loop:get_loop(),
    ok = py_import:add_path(ep_fresh_context:source_dir()),
    Config.

end_per_testcase(_Case, _Config) ->
    py:unregister_function(double),
    ep_ct:end_case().

nothing_is_left_behind(Config) ->
    ok = supervisor:terminate_child(erlang_python_sup, py_event_loop),
    [erase(Key) || {'$py_loop_pool', _} = Key <- get_keys()],
    ep_fresh_context:forget_environments(),
    ok = py_import:clear_paths(),
    try
        ep_ct:audit(Config)
    after
        {ok, _} = supervisor:restart_child(erlang_python_sup, py_event_loop)
    end.

create(Function, Args) -> py_event_loop:create_task(coroutines, Function, Args).

%% ---------------------------------------------------------------------------------------------------------------------
%% Results

functions_and_coroutines(_Config) ->
    {ok, 4.0} = py_event_loop:run(math, sqrt, [16]),
    {ok, <<"x">>} = py_event_loop:run(coroutines, echo, [x]),
    {ok, <<"x">>} = py_event_loop:run(coroutines, echo_later, [x]),
    Task = create(echo_later, [1]),
    true = is_reference(Task),
    {ok, 1} = py_event_loop:await(Task),
    {ok, 2} = py_event_loop:await(create(echo, [2]), infinity),
    {ok, none} = py_event_loop:run(asyncio, sleep, [0]).

%% One that does not wait is over before the next task begins.
coroutines_begin_in_order(_Config) ->
    Tasks = [case N rem 2 of
        0 -> py_event_loop:create_task(builtins, abs, [N]);
        1 -> create(echo, [N])
    end || N <- lists:seq(1, 1000)],
    ?assertEqual([{async_result, Task, {ok, N}} || {Task, N} <- lists:zip(Tasks, lists:seq(1, 1000))],
                 [ep_ct:message() || _ <- Tasks]).

%% On top of the coroutine that waits for the callback.
coroutines_of_a_callback(_Config) ->
    ok = py:register_function(double, fun([X]) ->
        {ok, X} = py_event_loop:run(coroutines, echo, [X]),
        {ok, [Name, _]} = py_event_loop:run(coroutines, running_loop_of_a_coroutine, []),
        {ok, [Name, _]} = py_event_loop:run(coroutines, running_loop, []),
        2 * X
    end),
    [{ok, 42} = py_event_loop:run(coroutines, call_blocking, [double, 21]) || _ <- lists:seq(1, 10)],
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1]).

what_runs_in_a_task(_Config) ->
    {ok, <<"name_of_task">>} = py_event_loop:run(coroutines, name_of_task, []),
    [begin
         {ok, [<<"_Loop">>, Refusal]} = py_event_loop:run(coroutines, Function, []),
         ?assertMatch({_, _}, binary:match(Refusal, <<"running event loop">>))
     end || Function <- [running_loop, running_loop_of_a_coroutine]],
    {ok, none} = py_event_loop:eval(<<"__import__('asyncio')._get_running_loop()">>),
    [{error, {'SystemExit', "3"}} = py_event_loop:run(Module, Function, [3])
     || {Module, Function} <- [{coroutines, leave_at_once}, {coroutines, leave}, {sys, exit}]],
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1]).

a_function_that_hides_the_loop(_Config) ->
    [begin
         {ok, none} = py_event_loop:run(coroutines, hides_the_loop, []),
         {ok, [<<"_Loop">>, _]} = py_event_loop:run(coroutines, running_loop, []),
         {ok, 1} = py_event_loop:run(coroutines, echo_later, [1])
     end || _ <- lists:seq(1, 10)],
    %% Those that come while one blocks are one batch.
    Tasks = [py_event_loop:create_task(Module, Function, Args)
             || {Module, Function, Args} <- [{time, sleep, [0.1]}, {coroutines, hides_the_loop, []},
                                             {coroutines, echo_later, [1]}, {coroutines, running_loop, []}]],
    [{ok, none}, {ok, none}, {ok, 1}, {ok, [<<"_Loop">>, _]}] = [py_event_loop:await(Task) || Task <- Tasks],
    ok.

modules_that_change(_Config) ->
    [begin
         ok = py_event_loop:exec(["import coroutines\ncoroutines.changing = lambda: ", integer_to_list(N)]),
         {ok, N} = py_event_loop:run(coroutines, changing, [])
     end || N <- [1, 2, 3]],
    ok = py_event_loop:exec(<<"del coroutines.changing">>),
    {error, function_not_found} = py_event_loop:run(coroutines, changing, []),
    ok = py_event_loop:exec(<<"import sys\ndel sys.modules['coroutines']">>),
    {ok, 1} = py_event_loop:run(coroutines, echo, [1]).

whatever_can_be_awaited(_Config) ->
    {ok, <<"awaited">>} = py_event_loop:run(coroutines, waiting, []),
    {ok, <<"set">>} = py_event_loop:run(coroutines, future, []),
    {ok, [1, 2]} = py_event_loop:run(builtins, list, [[1, 2]]).

keyword_arguments(_Config) ->
    {ok, #{<<"a">> := 1}} = py_event_loop:run(coroutines, keywords, [], #{kwargs => #{a => 1}}),
    {ok, #{<<"b">> := 2}} = py_event_loop:await(py_event_loop:create_task(coroutines, keywords, [], #{b => 2})).

names_of_all_kinds(_Config) ->
    {ok, 4.0} = py_event_loop:run(<<"math">>, "sqrt", [16]),
    {ok, <<"a/b">>} = py_event_loop:run("os.path", <<"join">>, [a, b]).

results_are_messages(_Config) ->
    Task = create(echo_later, [1]),
    ep_expect:message({async_result, Task, {ok, 1}}),
    {error, not_owner} = py_event_loop:await(Task, infinity),
    Failing = create(fail, [<<"why">>]),
    ep_expect:message({async_result, Failing, {error, {'ValueError', "why"}}}).

results_come_in_order(_Config) ->
    Tasks = [py_event_loop:create_task(builtins, abs, [N]) || N <- lists:seq(1, 1000)],
    ?assertEqual([{async_result, Task, {ok, N}} || {Task, N} <- lists:zip(Tasks, lists:seq(1, 1000))],
                 [ep_ct:message() || _ <- Tasks]).

unknown_functions(_Config) ->
    [{error, function_not_found} = py_event_loop:run(Module, Function, [])
     || {Module, Function} <- [{math, no_such_function}, {no_such_module, f}, {'no_such.module', f},
                               {'os.no_such_module', f}, {'__main__', no_such_function}]].

exceptions(_Config) ->
    {error, {'ValueError', "why"}} = py_event_loop:run(coroutines, fail, [why]),
    ep_expect:python_error('ValueError', py_event_loop:run(math, sqrt, [-1])),
    ep_expect:python_error('TypeError', py_event_loop:run(math, sqrt, [])),
    {error, {'ValueError', _}} = py_event_loop:run(math, sqrt, [[a | b]]).

large_results(_Config) ->
    [begin
         {ok, Bytes} = py_event_loop:run(coroutines, large, [Size]),
         Size = byte_size(Bytes)
     end || Size <- [0, 1000, 100_000, 10_000_000]].

results_without_a_form(_Config) ->
    {error, _} = py_event_loop:run(coroutines, without_form, []),
    {ok, 1} = py_event_loop:run(coroutines, echo, [1]).

a_future_of_two_tasks(_Config) ->
    Tasks = [create(shared_future, []) || _ <- lists:seq(1, 5)],
    [{ok, <<"shared">>} = py_event_loop:await(Task) || Task <- Tasks].

exceptions_that_are_no_exception(_Config) ->
    {error, {'_Base', _}} = py_event_loop:run(coroutines, raises, [base]),
    {error, {'RuntimeError', _}} = py_event_loop:run(coroutines, raises, [stop]),
    {error, {'CancelledError', _}} = py_event_loop:run(coroutines, raises, [cancelled]),
    {error, {'GeneratorExit', _}} = py_event_loop:run(coroutines, raises, [generator]),
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1]).

a_result_that_is_a_class(_Config) ->
    {ok, Class} = py_event_loop:run(coroutines, a_class_that_can_be_awaited_when_made, []),
    true = is_binary(Class).

%% It is nobody's but ours.
a_task_that_stops_the_loop(_Config) ->
    Other = create(echo_later, [1, 0.01]),
    [{ok, <<"stopped and on">>} = py_event_loop:run(coroutines, stops_its_loop, []) || _ <- lists:seq(1, 10)],
    {ok, 1} = py_event_loop:await(Other).

many_tasks_at_once(_Config) ->
    Results = ep_background:results([ep_background:start(fun() ->
        Tasks = [create(echo_later, [M]) || M <- lists:seq(1, 50)],
        [py_event_loop:await(Task) || Task <- Tasks]
    end) || _ <- lists:seq(1, 50)]),
    ?assertEqual([[{ok, N} || N <- lists:seq(1, 50)]], lists:usort(Results)).

a_task_of_another_process(_Config) ->
    Task = create(echo_later, [1, 0.05]),
    {error, not_owner} = ep_ct:in_process(fun() -> py_event_loop:await(Task, infinity) end),
    {ok, 1} = py_event_loop:await(Task).

spawned_tasks(_Config) ->
    ok = py_event_loop:spawn_task(coroutines, tell_later, [self(), <<"one">>, 0.001]),
    ep_expect:message(<<"one">>),
    ok = py_event_loop:spawn_task(coroutines, tell_later, [self(), <<"two">>], #{seconds => 0}),
    ep_expect:message(<<"two">>),
    ok = py_event_loop:spawn_task(coroutines, fail, [<<"unseen">>]),
    ok = py_event_loop:spawn_task(no_such_module, f, []),
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Namespaces

%% The loop can only use what is in its own interpreter.
functions_of_the_process(_Config) ->
    Expected = fun(Result) ->
        case ep_ct:mode() of
            owngil -> {error, function_not_found};
            _ -> Result
        end
    end,
    ok = py:exec(<<"
import asyncio
async def doubled(items):
    await asyncio.sleep(0)
    return [2 * item for item in items]
">>),
    ?assertEqual(Expected({ok, [2, 4]}), py_event_loop:run('__main__', doubled, [[1, 2]])),
    ok = py:exec(<<"def later(): return 'defined later'">>),
    ?assertEqual(Expected({ok, <<"defined later">>}), py_event_loop:await(py_event_loop:create_task("__main__", later, []))),
    Context = py:context(1),
    ok = py:exec(Context, <<"def named(): return 'of a context'">>),
    ?assertEqual(Expected({ok, <<"of a context">>}), py_event_loop:run(<<"__main__">>, named, [])),
    {error, function_not_found} = ep_ct:in_process(fun() -> py_event_loop:run('__main__', later, []) end).

functions_of_the_loop(_Config) ->
    {ok, Loop} = py_event_loop:get_loop(),
    ok = py_nif:event_loop_exec(Loop, <<"async def tripled(x): return 3 * x">>),
    {ok, 6} = py_event_loop:run('__main__', tripled, [2]),
    {ok, Task} = py_event_loop:create_task(Loop, '__main__', tripled, [3]),
    {ok, 9} = py_event_loop:await(Task),
    {ok, 42} = py_nif:event_loop_eval(Loop, <<"21 * 2">>),
    {ok, 5} = py_event_loop:eval(<<"2 + 3">>),
    {error, {'SyntaxError', _}} = py_event_loop:exec(<<"def">>),
    ok = py_event_loop:exec(<<"x = 1">>),
    {ok, 1} = py_event_loop:eval(Loop, <<"x">>).

processes_are_isolated(_Config) ->
    Results = ep_background:results([ep_background:start(fun() ->
        ok = py_event_loop:exec([<<"mine = ">>, integer_to_binary(N), <<"\nasync def get(): return mine\n">>]),
        {py_event_loop:eval(<<"mine">>), py_event_loop:run('__main__', get, [])}
    end) || N <- lists:seq(1, 20)]),
    ?assertEqual([{{ok, N}, {ok, N}} || N <- lists:seq(1, 20)], Results).

state_stays(_Config) ->
    ok = py_event_loop:exec(<<"
counter = 0
async def increment():
    global counter
    counter += 1
    return counter
">>),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 10)],
                 [py_event_loop:run('__main__', increment, []) || _ <- lists:seq(1, 10)]).

namespaces_end_with_their_process(_Config) ->
    ep_ct:in_process(fun() -> py_event_loop:run(math, sqrt, [4]) end),
    Before = ep_ct:alive(envs),
    [ep_ct:in_process(fun() ->
         ok = py_event_loop:exec(<<"def f(): return 1">>),
         {ok, 1} = py_event_loop:run('__main__', f, [])
     end) || _ <- lists:seq(1, 20)],
    ep_ct:wait_until(fun() -> ep_ct:alive(envs) =< Before end).

references_to_loops(_Config) ->
    {ok, Loop} = py_event_loop:get_loop(),
    {ok, Loop} = py_event_loop:get_loop(),
    true = is_reference(Loop),
    Loop = py_event_loop:get_nif_ref(Loop),
    {ok, 4.0} = py_event_loop:run(Loop, math, sqrt, [16]),
    {ok, 4.0} = py_event_loop:run(Loop, math, sqrt, [16], #{timeout => 1000}),
    {ok, Task} = py_event_loop:create_task(Loop, coroutines, keywords, [], #{a => 1}),
    {ok, #{<<"a">> := 1}} = py_event_loop:await(Task),
    ok = py_event_loop:spawn_task(Loop, busy, tell, [self(), 1], #{}),
    ep_expect:message(1).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends

an_await_that_gives_up_is_silent(_Config) ->
    Task = create(echo_later, [1, 0.05]),
    {error, timeout} = py_event_loop:await(Task, 0),
    {error, not_owner} = py_event_loop:await(Task, infinity),
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1, 0.1]),
    ep_ct:mailbox_empty().

%% Whether the result or the timeout is first, exactly one of them counts.
a_late_result_never_comes(_Config) ->
    Results = [py_event_loop:await(create(echo_later, [N, 0.001]), 1) || N <- lists:seq(1, 500)],
    [] = [Other || {N, Other} <- lists:zip(lists:seq(1, 500), Results), Other =/= {ok, N}, Other =/= {error, timeout}],
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1, 0.01]),
    ep_ct:mailbox_empty().

giving_up_can_cancel(_Config) ->
    Task = create(forever, [self()]),
    ep_expect:message(<<"running">>),
    {error, timeout} = py_event_loop:await(Task, #{timeout => 5, cancel => true}),
    ep_expect:message(<<"cancelled">>).

run_cancels(_Config) ->
    {error, timeout} = py_event_loop:run(coroutines, forever, [self()], #{timeout => 50}),
    ep_expect:message(<<"running">>),
    ep_expect:message(<<"cancelled">>).

a_dead_creator_cancels_its_tasks(_Config) ->
    Tester = self(),
    {Creator, Monitor} = spawn_monitor(fun() ->
        _ = [create(forever, [Tester]) || _ <- [1, 2]],
        receive never -> ok end
    end),
    [ep_expect:message(<<"running">>) || _ <- [1, 2]],
    exit(Creator, kill),
    [ep_expect:message(<<"cancelled">>) || _ <- [1, 2]],
    receive {'DOWN', Monitor, process, Creator, killed} -> ok end.

a_dead_creator_interrupts_its_function(_Config) ->
    Tester = self(),
    {Creator, Monitor} = spawn_monitor(fun() ->
        py_event_loop:run(coroutines, spin_function, [Tester], #{timeout => infinity})
    end),
    ep_expect:message(<<"running">>),
    exit(Creator, kill),
    receive {'DOWN', Monitor, process, Creator, killed} -> ok end,
    {ok, 1} = py_event_loop:run(coroutines, echo_later, [1], #{timeout => 20000}).

spawned_tasks_outlive_their_creator(_Config) ->
    Tester = self(),
    ep_ct:in_process(fun() -> py_event_loop:spawn_task(coroutines, tell_later, [Tester, <<"told">>, 0.05]) end),
    ep_expect:message(<<"told">>).

a_loop_that_was_killed_is_replaced(_Config) ->
    {ok, Old} = py_event_loop:get_loop(),
    {ok, Loop} = py_loop:of_ref(Old),
    {Context, _, _} = py_loop:context(Loop),
    Task = create(forever, [self()]),
    ep_expect:message(<<"running">>),
    exit(Context, kill),
    {error, context_stopped} = py_event_loop:await(Task),
    _ = [receive <<"cancelled">> -> ok after 1000 -> ok end],
    ep_ct:wait_until(fun() -> py_event_loop:run(math, sqrt, [16]) =:= {ok, 4.0} end),
    {ok, New} = py_event_loop:get_loop(),
    true = New =/= Old,
    {error, no_loop} = py_event_loop:run(Old, math, sqrt, [16]).

failed_tasks_leave_nothing(_Config) ->
    ok = py_event_loop:exec(<<"async def at_once(): raise ValueError('no')">>),
    Before = ep_ct:alive(tasks),
    [{error, _} = py_event_loop:run(Module, Function, Args)
     || _ <- lists:seq(1, 20), {Module, Function, Args} <- [{'__main__', at_once, []}, {coroutines, fail, [no]},
                                                          {math, sqrt, [-1]}, {math, none_such, []}]],
    ep_ct:wait_until(fun() -> ep_ct:alive(tasks) =< Before end).

%% ---------------------------------------------------------------------------------------------------------------------
%% The functions of py

async_call_and_await(_Config) ->
    Ref = py:async_call(coroutines, echo_later, [1]),
    {ok, 1} = py:async_await(Ref),
    {ok, #{<<"a">> := 1}} = py:await(py:async_call(coroutines, keywords, [], #{a => 1})),
    {ok, 4.0} = py:async_await(py:async_call(math, sqrt, [16]), 1000),
    {error, timeout} = py:async_await(py:async_call(coroutines, forever, [self()]), 50),
    ep_expect:message(<<"running">>),
    ep_expect:message(<<"cancelled">>),
    {error, not_owner} = py:await(Ref, 0),
    {ok, 4.0} = py:await(py:spawn_call(math, sqrt, [16])).

gathering(_Config) ->
    {ok, [4.0, 1, <<"x">>]} = py:async_gather([{math, sqrt, [16]}, {coroutines, echo_later, [1]}, {coroutines, echo, [x]}]),
    {ok, []} = py:async_gather([]),
    {error, {gather_failed, [{2, {'ValueError', "no"}}, {3, timeout}, {4, function_not_found}]}} =
        py:async_gather([{math, sqrt, [16]}, {coroutines, fail, [no]}, {coroutines, quiet_forever, []}, {math, f, []}], 50).

calling_erlang(_Config) ->
    ok = py:register_function(double, fun([X]) -> 2 * X end),
    {ok, 42} = py_event_loop:run(coroutines, call, [double, 21]),
    {ok, 42} = py_event_loop:run(coroutines, call_blocking, [double, 21]).

calling_erlang_many_times(_Config) ->
    %% None of the first ten ends before ten have begun.
    Begun = counters:new(1, []),
    ok = py:register_function(double, fun([X]) ->
        counters:add(Begun, 1, 1),
        ep_ct:wait_until(fun() -> counters:get(Begun, 1) >= 10 end),
        X
    end),
    {ok, Sizes} = py_event_loop:run(coroutines, call_many, [double, 50, 65536], #{timeout => 20000}),
    ?assertEqual(lists:duplicate(50, 65536), Sizes).

calling_erlang_that_fails(_Config) ->
    ok = py:register_function(double, fun([_]) -> error(no_number) end),
    ep_expect:python_error('RuntimeError', "no_number", py_event_loop:run(coroutines, call, [double, 21])),
    ep_expect:python_error('RuntimeError', py_event_loop:run(coroutines, call, [no_such_function])).

calling_erlang_from_any_loop(_Config) ->
    ok = py:register_function(double, fun([X]) -> 2 * X end),
    [{ok, 42} = py:call(coroutines, Function, [double, 21]) || Function <- [in_asyncio_run, in_erlang_run, in_thread]].

spawning_from_python(_Config) ->
    {ok, <<"submitted">>} = py:call(coroutines, spawn_from_function, [self()]),
    ep_expect:message({<<"teller">>, <<"told">>}),
    {ok, <<"submitted">>} = py_event_loop:run(coroutines, spawn_from_function, [self()]),
    ep_expect:message({<<"teller">>, <<"told">>}),
    {ok, <<"teller">>} = py_event_loop:run(coroutines, spawn_from_coroutine, [self()]),
    ep_expect:message({<<"teller">>, <<"told">>}).

sleeping(_Config) ->
    {ok, true} = py_event_loop:run(coroutines, sleep_of_erlang, [0.02]),
    {ok, true} = py_event_loop:run(coroutines, sleep_of_erlang, [0]).
