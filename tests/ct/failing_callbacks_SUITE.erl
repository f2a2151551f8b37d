%%% @doc Registered functions that raise, exit, kill, hang or vanish while Python waits for them.
-module(failing_callbacks_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    callback_that_raises/1, callback_that_exits/1, callback_that_throws/1, callback_that_kills_its_process/1,
    callback_that_kills_its_process_in_a_thread/1, callback_that_never_returns/1, callback_with_a_bad_result/1,
    callback_that_kills_its_context/1, callback_unregistered_while_it_runs/1, unknown_callback/1,
    callback_whose_context_ends_has_its_mailbox_to_itself/1, callback_that_is_interrupted_has_its_mailbox_to_itself/1,
    callback_nested_without_end/1, callback_nested_in_processes_without_end/1, host_process_killed/1,
    host_process_killed_again_and_again/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        callback_that_raises, callback_that_exits, callback_that_throws, callback_that_kills_its_process,
        callback_that_kills_its_process_in_a_thread, callback_that_never_returns, callback_with_a_bad_result,
        callback_that_kills_its_context, callback_unregistered_while_it_runs, unknown_callback,
        callback_whose_context_ends_has_its_mailbox_to_itself, callback_that_is_interrupted_has_its_mailbox_to_itself,
        callback_nested_without_end, callback_nested_in_processes_without_end, host_process_killed,
        host_process_killed_again_and_again, nothing_is_left_behind
    ].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = ep_hold:register(),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).


callback_that_raises(Config) ->
    fails_as(Config, fun([]) -> error(raised_on_purpose) end, "raised_on_purpose"),
    fails_as(Config, fun([]) -> 1 / zero() end, "badarith"),
    fails_as(Config, fun(no_list) -> ok end, "function_clause").

callback_that_exits(Config) ->
    fails_as(Config, fun([]) -> exit(left_on_purpose) end, "left_on_purpose"),
    fails_as(Config, fun([]) -> exit(normal) end, "normal"),
    fails_as(Config, fun([]) -> exit({a, [<<"term">>, 1.5]}) end, "term").

callback_that_throws(Config) ->
    fails_as(Config, fun([]) -> throw(thrown_on_purpose) end, "thrown_on_purpose").

%% Python can handle it, and what it does not handle is the error of the call.
fails_as(Config, Function, Text) ->
    Ctx = ctx(Config),
    ok = py:register_function(failing, Function),
    ep_expect:python_error('RuntimeError', Text, py:call(Ctx, busy, call, [failing, []])),
    ep_expect:python_error('RuntimeError', Text, py:eval(Ctx, <<"erlang.failing()">>)),
    {ok, {<<"raised">>, <<"RuntimeError">>}} = py:call(Ctx, busy, call_and_report, [self(), failing, []]),
    ep_expect:message({<<"raised">>, <<"RuntimeError">>}),
    {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), failing, []]),
    ep_expect:message({<<"raised">>, <<"RuntimeError">>}),
    ok = py:unregister_function(failing),
    ep_expect:idle(Ctx).

callback_that_kills_its_process(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    ok = py:register_function(suicide, fun([]) -> exit(self(), kill), receive never -> ok end end),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call_and_report, [Tester, suicide, []]) end),
    ?assertError({died, killed}, ep_background:result(Caller)),
    receive {<<"raised">>, _Name} -> ok after 30_000 -> error(python_waits_for_the_dead) end,
    ok = py:unregister_function(suicide),
    ep_expect:idle(Ctx).

callback_that_kills_its_process_in_a_thread(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(suicide, fun([]) -> exit(self(), kill), receive never -> ok end end),
    {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), suicide, []]),
    receive {<<"raised">>, _Name} -> ok after 30_000 -> error(python_waits_for_the_dead) end,
    ok = py:unregister_function(suicide),
    ep_expect:idle(Ctx).

%% The function has its process for itself as long as it likes; the context does not wait for it to end.
callback_that_never_returns(Config) ->
    Other = ctx(Config),
    Before = ep_live:snapshot(),
    Tester = self(),
    Ctx = ep_fresh_context:start(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
    held_by(Caller),
    exit(Ctx, kill),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= ep_live:count(threads, Before) end),
    true = is_process_alive(ep_background:pid(Caller)),
    ep_background:kill(Caller),
    ep_expect:idle(Other).

%% A function may look at everything in its process's mailbox, and must not find, or lose, what is the library's.
callback_whose_context_ends_has_its_mailbox_to_itself(Config) ->
    Other = ctx(Config),
    Before = ep_live:snapshot(),
    Tester = self(),
    Ctx = ep_fresh_context:start(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
    held_by(Caller),
    ok = py_context:stop(Ctx),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= ep_live:count(threads, Before) end),
    ?assertEqual({messages, []}, process_info(ep_background:pid(Caller), messages)),
    ep_hold:release(ep_background:pid(Caller)),
    ?assertEqual({error, context_stopped}, ep_background:result(Caller)),
    ep_expect:idle(Other).

callback_that_is_interrupted_has_its_mailbox_to_itself(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
    held_by(Caller),
    _ = py:interrupt(Ctx),
    %% Whatever the interrupt did, it has done it when the context answers.
    [ep_expect:own_answer(Ctx) || _ <- lists:seq(1, 10)],
    ?assertEqual({messages, []}, process_info(ep_background:pid(Caller), messages)),
    ep_hold:release(ep_background:pid(Caller)),
    true = lists:member(ep_background:result(Caller), [{ok, <<"released">>}, {error, interrupted}]),
    ep_expect:idle(Ctx).

callback_with_a_bad_result(Config) ->
    Ctx = ctx(Config),
    [begin
         ok = py:register_function(bad_result, fun([]) -> Bad end),
         {error, {_, _}} = py:call(Ctx, busy, call, [bad_result, []]),
         ep_expect:still_works(Ctx)
     end || Bad <- [[1 | 2], #{[1] => 2}]],
    ok = py:unregister_function(bad_result),
    ep_expect:idle(Ctx).

callback_that_kills_its_context(Config) ->
    Other = ctx(Config),
    [begin
         Ctx = ep_fresh_context:start(),
         ok = py:register_function(kill_context, fun([]) -> End(Ctx), done end),
         Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [kill_context, []]) end),
         ?assertEqual({error, context_stopped}, ep_background:result(Caller))
     end || End <- [fun py_context:stop/1, fun kill_and_wait/1]],
    ok = py:unregister_function(kill_context),
    ep_expect:idle(Other).

kill_and_wait(Ctx) ->
    Monitor = monitor(process, Ctx),
    exit(Ctx, kill),
    receive {'DOWN', Monitor, process, Ctx, _} -> ok end.

callback_unregistered_while_it_runs(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    ok = py:register_function(passing, fun([_]) -> Tester ! {holding, self()}, receive release -> released end end),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [passing, [Tester]]) end),
    held_by(Caller),
    ok = py:unregister_function(passing),
    ep_hold:release(ep_background:pid(Caller)),
    {ok, <<"released">>} = ep_background:result(Caller),
    {error, {_, _}} = py:call(Ctx, busy, call, [passing, [Tester]]),
    ep_expect:idle(Ctx).

unknown_callback(Config) ->
    Ctx = ctx(Config),
    {error, {_, Message}} = py:call(Ctx, busy, call, [no_such_callback, []]),
    true = string:find(Message, "no_such_callback") =/= nomatch,
    ep_expect:python_error('AttributeError', "no_such_callback", py:eval(Ctx, <<"erlang.no_such_callback()">>)),
    ep_expect:python_error('ImportError', "no_such_callback",
                           py:exec(Ctx, <<"from erlang import no_such_callback">>)),
    [{error, {_, _}} = py:eval(Ctx, <<"erlang.call(", Args/binary, ")">>)
     || Args <- [<<>>, <<"1">>, <<"None">>, <<"[]">>, <<"''">>, <<"'a\\0b'">>, <<"'\\ud800'">>]],
    ep_expect:idle(Ctx).

%% The bound on nesting is an error at the bottom that unwinds through every level.
callback_nested_without_end(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(deeper, fun([N]) -> deeper(Ctx, N) end),
    refused_below_ten(Ctx),
    ep_expect:idle(Ctx).

%% The same, each call from a process that the function before it started.
callback_nested_in_processes_without_end(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(deeper, fun([N]) ->
        ep_background:result(ep_background:start(fun() -> deeper(Ctx, N) end))
    end),
    refused_below_ten(Ctx),
    ep_expect:idle(Ctx).

deeper(Ctx, N) ->
    case py:call(Ctx, busy, call, [deeper, [N + 1]], #{timeout => 20_000}) of
        {ok, Result} -> Result;
        {error, {Name, Message}} -> #{depth => N, name => Name, message => unicode:characters_to_binary(Message)};
        {error, Reason} -> #{depth => N, name => Reason, message => <<>>}
    end.

refused_below_ten(Ctx) ->
    {ok, #{<<"depth">> := Depth, <<"name">> := Name, <<"message">> := Message}} =
        py:call(Ctx, busy, call, [deeper, [1]], #{timeout => 60_000}),
    ct:pal("refused at depth ~b: ~ts, ~ts", [Depth, Name, Message]),
    ?assert(Depth >= 10),
    ?assertNotEqual(<<"timeout">>, Name),
    ok = py:unregister_function(deeper).

%% Callbacks in their callers do not need the host process. Those of Python's own threads get an answer, or an exception
%% when there is nobody left to answer; a new host takes over with every function still registered.
host_process_killed(Config) ->
    Ctx = ctx(Config),
    Tester = self(),
    Caller = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
    held_by(Caller),
    [Answers, Dies] = [hold_in_thread(Ctx) || _ <- [1, 2]],
    kill_host(),
    ep_hold:release(Answers),
    ep_expect:message({<<"returned">>, <<"released">>}),
    exit(Dies, kill),
    receive {<<"raised">>, _} -> ok after 30_000 -> error(a_thread_waits_for_the_dead) end,
    ep_hold:release(ep_background:pid(Caller)),
    {ok, <<"released">>} = ep_background:result(Caller),
    ep_hold:release(hold_in_thread(Ctx)),
    ep_expect:message({<<"returned">>, <<"released">>}),
    ep_expect:idle(Ctx).

%% The calls that were on their way to a host when it died do not wait for ever either.
host_process_killed_again_and_again(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(echo, fun([N]) -> N end),
    Threads = 8,
    [{ok, none} = py:call(Ctx, busy, call_often_in_thread, [self(), echo, 2000]) || _ <- lists:seq(1, Threads)],
    [begin kill_host(), {ok, 1} = py:eval(Ctx, <<"1">>) end || _ <- lists:seq(1, 5)],
    Answered = [receive {calls, N, Failed} -> {N, Failed} after 30_000 -> error(a_thread_waits_for_ever) end
                || _ <- lists:seq(1, Threads)],
    ct:log("{calls, failed ones}: ~p", [Answered]),
    ?assertEqual(lists:duplicate(Threads, 2000), [N || {N, _} <- Answered]),
    ok = py:unregister_function(echo),
    ep_expect:idle(Ctx).

hold_in_thread(Ctx) ->
    {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), hold, [self()]]),
    ep_hold:holder().

kill_host() ->
    Host = whereis(py_host),
    true = is_pid(Host),
    exit(Host, kill),
    ep_ct:wait_until(fun() -> is_pid(whereis(py_host)) andalso whereis(py_host) =/= Host end).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

held_by(Caller) -> ?assertEqual(ep_background:pid(Caller), ep_hold:holder()).

zero() -> length([]).
