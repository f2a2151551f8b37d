%%% @doc Several event loops: py_event_loop_pool.
-module(loop_pool_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    tasks/1, a_process_keeps_its_loop/1, loops_are_used_by_many_processes/1, tasks_begin_in_their_order/1,
    statistics/1, sessions_end_with_their_process/1, namespaces/1, owngil_loops/1, owngil_where_there_is_none/1
]).
-export([
    loops_start_when_they_are_wanted/1, the_pool_restarts_with_another_size/1, a_stopped_pool_answers_its_tasks/1,
    without_a_pool/1, a_killed_context_is_replaced/1, a_context_that_cannot_be_replaced/1,
    a_killed_pool_leaves_nothing/1, the_application_restarts/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        tasks, a_process_keeps_its_loop, loops_are_used_by_many_processes, tasks_begin_in_their_order, statistics,
        sessions_end_with_their_process, namespaces, owngil_loops, owngil_where_there_is_none,
        loops_start_when_they_are_wanted, the_pool_restarts_with_another_size, a_stopped_pool_answers_its_tasks,
        without_a_pool, a_killed_context_is_replaced, a_context_that_cannot_be_replaced,
        a_killed_pool_leaves_nothing, the_application_restarts, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    restart(#{}),
    ok = py_import:add_path(ep_fresh_context:source_dir()),
    Config.

%% Every case has a pool of its own.
end_per_testcase(_Case, _Config) ->
    restart(#{}),
    ok = py_import:clear_paths(),
    [erase(Key) || {'$py_loop_pool', _} = Key <- get_keys()],
    ep_fresh_context:forget_environments(),
    ep_ct:end_case().

nothing_is_left_behind(Config) ->
    ok = supervisor:terminate_child(erlang_python_sup, py_event_loop),
    ep_ct:audit(Config).

restart(Environment) ->
    _ = supervisor:terminate_child(erlang_python_sup, py_event_loop_pool),
    [application:unset_env(erlang_python, Key) || Key <- [event_loop_pool_size, event_loop_pool_owngil]],
    [application:set_env(erlang_python, Key, Value) || {Key, Value} <- maps:to_list(Environment)],
    {ok, _} = supervisor:restart_child(erlang_python_sup, py_event_loop_pool),
    ok.

in_processes(Count, Fun) ->
    ep_background:results([ep_background:start(Fun) || _ <- lists:seq(1, Count)]).

%% ---------------------------------------------------------------------------------------------------------------------

tasks(_Config) ->
    {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16]),
    {ok, #{<<"a">> := 1}} = py_event_loop_pool:run(coroutines, keywords, [], #{kwargs => #{a => 1}, timeout => 1000}),
    Task = py_event_loop_pool:create_task(coroutines, echo_later, [1]),
    {ok, 1} = py_event_loop_pool:await(Task),
    {ok, 2} = py_event_loop_pool:await(py_event_loop_pool:create_task(coroutines, echo, [2]), 1000),
    ok = py_event_loop_pool:spawn_task(busy, tell, [self(), <<"told">>]),
    ep_expect:message(<<"told">>),
    Message = py_event_loop_pool:create_task(coroutines, echo, [3], #{}),
    ep_expect:message({async_result, Message, {ok, 3}}),
    {error, function_not_found} = py_event_loop_pool:run(math, none_such, []).

a_process_keeps_its_loop(_Config) ->
    restart(#{event_loop_pool_size => 3}),
    {ok, Loop} = py_event_loop_pool:get_loop(),
    true = is_reference(Loop),
    {ok, Thread} = py_event_loop_pool:run(threading, get_ident, []),
    [{ok, Thread} = py_event_loop_pool:run(threading, get_ident, []) || _ <- lists:seq(1, 50)],
    {ok, Thread} = py_event_loop_pool:run(coroutines, thread, []),
    {ok, Thread} = py_event_loop:run(Loop, coroutines, thread, []),
    {ok, Loop} = py_event_loop_pool:get_loop().

loops_are_used_by_many_processes(_Config) ->
    restart(#{event_loop_pool_size => 3}),
    Threads = in_processes(100, fun() -> py_event_loop_pool:run(threading, get_ident, []) end),
    3 = length(lists:usort(Threads)).

tasks_begin_in_their_order(_Config) ->
    Results = in_processes(20, fun() ->
        Tasks = [py_event_loop_pool:create_task(builtins, abs, [N]) || N <- lists:seq(1, 100)],
        [receive {async_result, Any, {ok, N}} -> {Any, N} end || _ <- Tasks] =:= lists:zip(Tasks, lists:seq(1, 100))
    end),
    [true] = lists:usort(Results).

statistics(_Config) ->
    Owngil = ep_ct:mode() =:= owngil,
    Schedulers = erlang:system_info(schedulers),
    #{num_loops := Schedulers, supported := true, owngil_enabled := Owngil, active_sessions := 0} =
        py_event_loop_pool:get_stats(),
    {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16]),
    #{active_sessions := 1} = py_event_loop_pool:get_stats().

sessions_end_with_their_process(_Config) ->
    in_processes(20, fun() -> py_event_loop_pool:run(math, sqrt, [16]) end),
    ep_ct:wait_until(fun() -> maps:get(active_sessions, py_event_loop_pool:get_stats()) =:= 0 end).

namespaces(_Config) ->
    ok = py_event_loop_pool:exec(<<"async def doubled(x): return 2 * x">>),
    {ok, 4} = py_event_loop_pool:run('__main__', doubled, [2]),
    {ok, 6} = py_event_loop_pool:eval(<<"2 * 3">>),
    {error, function_not_found} = ep_ct:in_process(fun() -> py_event_loop_pool:run('__main__', doubled, [2]) end).

owngil_loops(_Config) ->
    case py_nif:owngil_supported() of
        true ->
            restart(#{event_loop_pool_owngil => true, event_loop_pool_size => 2}),
            #{owngil_enabled := true, supported := true, num_loops := 2} = py_event_loop_pool:get_stats(),
            [{ok, N} = py_event_loop_pool:run(coroutines, echo_later, [N]) || N <- lists:seq(1, 20)],
            Ids = in_processes(50, fun() -> py_event_loop_pool:run('_interpreters', get_current, []) end),
            2 = length(lists:usort(Ids));
        false ->
            {skip, no_owngil}
    end.

owngil_where_there_is_none(_Config) ->
    case py_nif:owngil_problem() of
        ok ->
            {skip, owngil};
        {error, Problem} ->
            restart(#{event_loop_pool_owngil => true}),
            #{supported := false, owngil_enabled := false} = py_event_loop_pool:get_stats(),
            {error, Problem} = py_event_loop_pool:run(math, sqrt, [16]),
            {error, Problem} = py_event_loop_pool:await(py_event_loop_pool:create_task(math, sqrt, [16])),
            {error, Problem} = py_event_loop_pool:spawn_task(math, sqrt, [16])
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends

loops_start_when_they_are_wanted(_Config) ->
    restart(#{event_loop_pool_size => 3}),
    Before = ep_ct:alive(contexts),
    #{num_loops := 3} = py_event_loop_pool:get_stats(),
    Before = ep_ct:alive(contexts),
    {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16]),
    ?assertEqual(Before + 3, ep_ct:alive(contexts)).

the_pool_restarts_with_another_size(_Config) ->
    [begin
         restart(#{event_loop_pool_size => Size}),
         #{num_loops := Size} = py_event_loop_pool:get_stats(),
         {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16])
     end || Size <- [1, 3, 2]].

a_stopped_pool_answers_its_tasks(_Config) ->
    Tasks = [py_event_loop_pool:create_task(coroutines, quiet_forever, []) || _ <- lists:seq(1, 100)],
    ok = supervisor:terminate_child(erlang_python_sup, py_event_loop_pool),
    [{error, context_stopped} = py_event_loop_pool:await(Task) || Task <- Tasks].

without_a_pool(_Config) ->
    ok = supervisor:terminate_child(erlang_python_sup, py_event_loop_pool),
    {error, {not_started, py_event_loop_pool}} = py_event_loop_pool:run(math, sqrt, [16]),
    {error, {not_started, py_event_loop_pool}} = py_event_loop_pool:get_loop(),
    #{num_loops := 0, supported := false} = py_event_loop_pool:get_stats(),
    {ok, 4.0} = py_event_loop:run(math, sqrt, [16]).

a_killed_context_is_replaced(_Config) ->
    {ok, Ref} = py_event_loop_pool:get_loop(),
    {ok, Loop} = py_loop:of_ref(Ref),
    {Context, _, _} = py_loop:context(Loop),
    exit(Context, kill),
    ep_ct:wait_until(fun() -> py_event_loop_pool:run(math, sqrt, [16]) =:= {ok, 4.0} end).

%% The others go on with what they have, and it is tried again.
a_context_that_cannot_be_replaced(_Config) ->
    restart(#{event_loop_pool_size => 2}),
    {ok, Mine} = py_event_loop_pool:get_loop(),
    Task = py_event_loop_pool:create_task(coroutines, quiet_forever, []),
    Others = fun() -> [Ref || {ok, Ref} <- in_processes(30, fun py_event_loop_pool:get_loop/0), Ref =/= Mine] end,
    [Other | _] = Others(),
    {ok, Loop} = py_loop:of_ref(Other),
    {Context, _, _} = py_loop:context(Loop),
    ok = py_preload:set_code(<<"1 / 0">>),
    try
        exit(Context, kill),
        ep_ct:down(Context),
        [{error, _} | _] = in_processes(1, fun py_event_loop_pool:get_loop/0),
        {error, timeout} = py_event_loop_pool:await(Task, 0),
        {ok, Mine} = py_event_loop_pool:get_loop(),
        #{num_loops := 2, active_sessions := 1} = py_event_loop_pool:get_stats()
    after
        py_preload:clear_code()
    end,
    [_ | _] = Others().

a_killed_pool_leaves_nothing(_Config) ->
    {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16]),
    Task = py_event_loop_pool:create_task(coroutines, quiet_forever, []),
    exit(whereis(py_event_loop_pool), kill),
    {error, _} = py_event_loop_pool:await(Task),
    ep_ct:wait_until(fun() -> py_event_loop_pool:run(math, sqrt, [16]) =:= {ok, 4.0} end).

the_application_restarts(_Config) ->
    [begin
         {ok, 4.0} = py_event_loop_pool:run(math, sqrt, [16]),
         {ok, 4.0} = py_event_loop:run(math, sqrt, [16]),
         ok = ep_ct:restart()
     end || _ <- lists:seq(1, 5)].
