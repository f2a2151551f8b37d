%%% @doc Pools and the whole application go away and come back while everybody is at work.
-module(restarts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([pool_members_are_replaced/1, restarted_thirty_times_under_load/1, nothing_is_left_behind/1]).

suite() -> [{timetrap, {seconds, 300}}].

all() -> [pool_members_are_replaced, restarted_thirty_times_under_load, nothing_is_left_behind].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

pool_members_are_replaced(_Config) ->
    Size = py_context_router:num_contexts(),
    [begin
         Victim = py_context_router:get_context(rand:uniform(Size)),
         exit(Victim, kill),
         ep_ct:wait_until(fun() ->
             Contexts = py_context_router:contexts(),
             length(Contexts) =:= Size andalso lists:all(fun is_process_alive/1, Contexts)
         end),
         {ok, 3} = py:eval(<<"1 + 2">>)
     end || _ <- lists:seq(1, 5)],
    ok.

%% Callers go on calling through every stop and start; each of them always gets some answer, and never a wrong one.
restarted_thirty_times_under_load(_Config) ->
    Callers = [ep_background:start(fun() -> call_until_told(N, 0) end) || N <- lists:seq(1, 8)],
    [begin
         [Holding, Spinning] = keep_busy(),
         ok = application:stop(erlang_python),
         ep_hold:release(ep_background:pid(Holding)),
         ?assertEqual(lists:duplicate(2, {error, context_stopped}), ep_background:results([Holding, Spinning])),
         ok = application:start(erlang_python),
         {ok, 3} = py:eval(<<"1 + 2">>)
     end || _ <- lists:seq(1, 30)],
    [ep_background:pid(Caller) ! enough || Caller <- Callers],
    Answered = ep_background:results(Callers),
    ct:pal("right answers while restarting: ~p", [Answered]),
    true = lists:all(fun(Count) -> Count > 0 end, Answered),
    ok = ep_hold:register(),
    %% Where every context has an interpreter of its own, they end with that, by an exception.
    ep_ct:context_mode() =:= owngil orelse end_threads(),
    ok.

end_threads() ->
    Ctx = py:context(1),
    ok = ep_fresh_context:add_sources(Ctx),
    {ok, none} = py:call(Ctx, busy, stop_threads, []),
    [receive <<"thread ended">> -> ok after 30_000 -> error(thread_never_ended) end || _ <- lists:seq(1, 30)],
    ok.

%% A spinning call, one in a callback, and a Python thread and an executor that nobody ends.
keep_busy() ->
    ok = ep_hold:register(),
    Ctx = py:context(1),
    ok = ep_fresh_context:add_sources(Ctx),
    {ok, none} = py:call(Ctx, busy, stop_threads, []),
    {ok, none} = py:call(Ctx, busy, leave_thread_running, [self()]),
    ep_expect:message(<<"thread running">>),
    {ok, none} = py:call(Ctx, busy, leave_executor_running, [self()]),
    ep_expect:message(<<"executor running">>),
    Tester = self(),
    Holding = ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Tester]]) end),
    ?assertEqual(ep_background:pid(Holding), ep_hold:holder()),
    [Holding, ep_background:spinning(Ctx)].

call_until_told(N, Answered) ->
    receive enough -> Answered
    after 0 ->
        try py:call(operator, add, [N, Answered], #{}, 5000) of
            {ok, Sum} when Sum =:= N + Answered -> call_until_told(N, Answered + 1);
            {ok, Sum} -> error({wrong_answer, Sum, N, Answered});
            {error, timeout} -> error(no_answer);
            {error, _} -> erlang:yield(), call_until_told(N, Answered)
        catch
            %% There is no application at this moment.
            error:badarg -> erlang:yield(), call_until_told(N, Answered);
            exit:{noproc, _} -> erlang:yield(), call_until_told(N, Answered)
        end
    end.

nothing_is_left_behind(Config) -> ep_ct:audit(Config).
