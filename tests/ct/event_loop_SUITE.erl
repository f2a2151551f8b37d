%%% @doc Erlang's event loop for asyncio: the ways to run one, timers, tasks, threads, executors, files, refusals.
-module(event_loop_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_group/2, end_per_group/2]).
-export([init_per_testcase/2, end_per_testcase/2]).
-export([
    run_gives_the_result/1, run_raises_what_was_raised/1, run_refuses_to_run_inside_a_loop/1, a_runner/1,
    a_loop_factory/1, a_loop_by_hand/1, installing/1, a_policy/1
]).
-export([
    loops_that_are_stepped/1, loops_in_threads/1, one_loop_in_many_threads/1, a_thread_wakes_a_loop/1,
    threads_wake_a_loop_often/1, executors/1
]).
-export([
    timers/1, many_timers/1, a_loop_that_sleeps_uses_no_cpu/1, tasks/1, waiting_with_a_limit/1,
    a_run_ends_what_it_started/1, context_variables/1, unhandled_exceptions/1, debug_mode/1
]).
-export([
    files_that_come_and_go/1, pipes/1, addresses/1, signals_and_subprocesses_are_refused/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> ep_selectors:all().

groups() ->
    ep_selectors:groups([
        run_gives_the_result, run_raises_what_was_raised, run_refuses_to_run_inside_a_loop, a_runner,
        a_loop_factory, a_loop_by_hand, installing, a_policy,
        loops_that_are_stepped, loops_in_threads, one_loop_in_many_threads, a_thread_wakes_a_loop,
        threads_wake_a_loop_often, executors,
        timers, many_timers, a_loop_that_sleeps_uses_no_cpu, tasks, waiting_with_a_limit,
        a_run_ends_what_it_started, context_variables, unhandled_exceptions, debug_mode,
        files_that_come_and_go, pipes, addresses, signals_and_subprocesses_are_refused, nothing_is_left_behind
    ]).

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_group(Selector, Config) -> ep_selectors:init(Selector, Config).
end_per_group(_Selector, Config) -> ep_selectors:finish(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ways to run one

run_gives_the_result(Config) ->
    <<"ErlangEventLoop">> = does(Config, kind),
    42 = does(Config, run, [42]),
    true = does(Config, run_in_debug_mode),
    {ok, [1, 2]} = py:eval(ctx(Config), <<"__import__('loops').run([1, 2])">>).

run_raises_what_was_raised(Config) ->
    {error, {'KeyError', _}} = py:call(ctx(Config), loops, run_failing, []),
    {error, {_, _}} = py:eval(ctx(Config), <<"erlang.run(1)">>).

run_refuses_to_run_inside_a_loop(Config) ->
    Text = does(Config, run_inside_a_loop),
    true = binary:match(Text, <<"running event loop">>) =/= nomatch.

a_runner(Config) ->
    [0, 1, 2, <<"ErlangEventLoop">>] = does(Config, with_a_runner).

a_loop_factory(Config) ->
    case does(Config, version) of
        [3, Minor] when Minor >= 12 -> 42 = does(Config, with_a_loop_factory, [42]);
        _ -> {skip, "asyncio.run takes a loop_factory from Python 3.12 on"}
    end.

a_loop_by_hand(Config) ->
    {42, true} = does(Config, by_hand, [42]).

installing(Config) ->
    case does(Config, version) of
        [3, Minor] when Minor >= 14 ->
            Result = py:call(ctx(Config), loops, install, []),
            ep_expect:python_error('RuntimeError', "loop_factory", Result);
        [3, Minor] when Minor >= 12 ->
            {[<<"DeprecationWarning">>], <<"ErlangEventLoop">>} = does(Config, install);
        _ ->
            {[], <<"ErlangEventLoop">>} = does(Config, install)
    end.

a_policy(Config) ->
    <<"ErlangEventLoop">> = does(Config, a_policys_loop).

%% ---------------------------------------------------------------------------------------------------------------------
%% Threads

loops_that_are_stepped(Config) ->
    [<<"soon">>, <<"later">>] = does(Config, stepped_here),
    Seen = #{<<"a">> => [<<"a">>, <<"a">>], <<"b">> => [<<"b">>, <<"b">>]},
    Seen = does(Config, stepped_by_hand, [[<<"a">>, <<"b">>]]).

loops_in_threads(Config) ->
    Expected = lists:seq(0, 9),
    Expected = does(Config, in_threads, [10]).

%% Also in another context's thread, where the interpreter is shared, after the first context is gone.
one_loop_in_many_threads(Config) ->
    [<<"here">>, <<"there">>, <<"elsewhere">>, <<"home">>] = does(Config, moving_from_thread_to_thread),
    ep_cell:isolates() orelse used_in_contexts(Config).

used_in_contexts(Config) ->
    Other = ep_fresh_context:start(),
    ok = py:exec(Other, <<"import builtins, erlang; builtins.ep_loop = erlang.new_event_loop()">>),
    Use = <<"ep_loop.run_until_complete(__import__('loops').answer(1))">>,
    {ok, 1} = py:eval(Other, Use),
    {ok, 1} = py:eval(ctx(Config), Use),
    {ok, 1} = py:eval(Other, Use),
    ok = py_context:stop(Other),
    {ok, 1} = py:eval(ctx(Config), Use),
    is_woken_in_contexts_that_follow(Use),
    {ok, 1} = py:eval(ctx(Config), Use),
    ok = py:exec(ctx(Config), <<"ep_loop.close(); import builtins; del builtins.ep_loop">>).

%% Each may get numbers of files, and memory, of the one before.
is_woken_in_contexts_that_follow(Use) ->
    [begin
         Files = ep_files:open(),
         ok = ep_ct:in_process(fun() -> is_woken_in_another_context(Use) end),
         ok = ep_files:back_to(Files)
     end || _ <- lists:seq(1, 5)].

is_woken_in_another_context(Use) ->
    Next = ep_fresh_context:start(),
    {ok, 1} = py:eval(Next, Use),
    {error, timeout} = py:call(Next, loops, sleep_on, [60], #{timeout => 20}),
    {ok, 1} = py:eval(Next, Use),
    py_context:stop(Next).

a_thread_wakes_a_loop(Config) ->
    <<"woken">> = does(Config, woken_by_a_thread),
    42 = does(Config, submitted_by_a_thread, [42]).

threads_wake_a_loop_often(Config) ->
    20_000 = does(Config, woken_often, [5_000]).

executors(Config) ->
    [true, true, [1, 2, 4, 8]] = does(Config, in_executors).

%% ---------------------------------------------------------------------------------------------------------------------
%% Timers and tasks

timers(Config) ->
    [<<"at once">>, <<"first">>, <<"second">>, <<"third">>] = does(Config, timers_in_order),
    [true = does(Config, sleeps_at_least, [Seconds]) || Seconds <- [0, 0.0001, 0.001, 0.05]],
    <<"awake">> = does(Config, erlang_sleep).

many_timers(Config) ->
    1000 = does(Config, many_sleep, [1000]),
    <<"done">> = does(Config, cancelled_timers, [1000]).

a_loop_that_sleeps_uses_no_cpu(Config) ->
    true = does(Config, idle_cpu, [0.5]) < 0.05.

tasks(Config) ->
    [2, 4, 6] = does(Config, gathered),
    [<<"int">>, <<"ValueError">>] = does(Config, gathered_with_exceptions),
    [3, 0, [1], 1] = does(Config, waited),
    <<"worker: background">> = does(Config, in_the_background),
    [0, 1, 2] = does(Config, in_a_group).

waiting_with_a_limit(Config) ->
    [<<"in time">>, <<"timeout">>, <<"timeout">>] = does(Config, waited_for).

a_run_ends_what_it_started(Config) ->
    none = does(Config, ended_with_the_run, [self()]),
    ep_expect:message(<<"task cancelled">>),
    ep_expect:message(<<"generator closed">>).

context_variables(Config) ->
    [<<"a">>, <<"b">>, <<"main">>, <<"main">>, <<"main">>, <<"nobody">>] = does(Config, context_variables).

unhandled_exceptions(Config) ->
    true = binary:match(does(Config, unhandled), <<"ZeroDivisionError">>) =/= nomatch.

debug_mode(Config) ->
    [true, true] = does(Config, debug_mode).

%% ---------------------------------------------------------------------------------------------------------------------
%% Files

files_that_come_and_go(Config) ->
    500 = does(Config, churn, [500]).

pipes(Config) ->
    <<"through a pipe">> = does(Config, pipes).

addresses(Config) ->
    [{<<"127.0.0.1">>, 80}, {<<"127.0.0.1">>, <<"80">>}] = does(Config, addresses).

signals_and_subprocesses_are_refused(Config) ->
    [Set, Remove, Exec, Shell] = does(Config, refused),
    Alternatives = [{Set, <<"os:set_signal/2">>}, {Remove, <<"Erlang">>}, {Exec, <<"port">>}, {Shell, <<"port">>}],
    [?assertNotEqual(nomatch, binary:match(Text, Alternative)) || {Text, Alternative} <- Alternatives],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

does(Config, Function) -> does(Config, Function, []).

does(Config, Function, Args) ->
    {ok, Result} = py:call(ctx(Config), loops, Function, Args),
    Result.

ctx(Config) -> proplists:get_value(ctx, Config).
