%%% @doc Requests that run an event loop, seen from Erlang: they end when they have to, clean up and leave nothing;
%%% others are served in between where that is wanted; callbacks come and go as everywhere.
-module(event_loop_requests_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_timeout/1, an_interrupt/1, a_killed_caller/1, a_stopped_context/1, a_killed_context/1,
    an_interrupt_of_a_coroutine_that_computes/1, one_that_cleans_up_nothing/1, a_loop_in_a_thread/1,
    many_at_once/1, ends_that_race/1, a_loop_is_made_to_the_end/1, a_loop_whose_end_has_none/1, a_loop_below_another/1,
    a_loop_that_was_interrupted_runs_again/1,
    a_loop_holds_no_slot/1
]).
-export([
    others_are_served_in_between/1, strangers_wait_unless_asked_in/1, a_loop_inside_a_served_request/1,
    served_requests_fail_and_time_out_alone/1, an_interrupted_loop_serves_on_afterwards/1,
    a_stopped_context_that_serves/1, contexts_stopped_when_their_loops_go_to_sleep/1, many_served/1,
    those_it_has_started_are_let_in/1, those_it_has_started_are_let_in_while_it_computes/1
]).
-export([
    a_loop_that_moves_where_its_number_wakes_another/1, a_loop_that_moves_where_its_number_is_a_file/1
]).
-export([a_callback/1, callbacks_of_many_coroutines/1, nested_loops/1, nothing_is_left_behind/1]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_timeout, an_interrupt, a_killed_caller, a_stopped_context, a_killed_context,
        an_interrupt_of_a_coroutine_that_computes, one_that_cleans_up_nothing, a_loop_in_a_thread, many_at_once,
        ends_that_race, a_loop_is_made_to_the_end, a_loop_whose_end_has_none, a_loop_below_another,
        a_loop_that_was_interrupted_runs_again, a_loop_holds_no_slot,
        others_are_served_in_between, strangers_wait_unless_asked_in, a_loop_inside_a_served_request,
        served_requests_fail_and_time_out_alone, an_interrupted_loop_serves_on_afterwards,
        a_stopped_context_that_serves, contexts_stopped_when_their_loops_go_to_sleep, many_served,
        those_it_has_started_are_let_in, those_it_has_started_are_let_in_while_it_computes,
        a_loop_that_moves_where_its_number_wakes_another, a_loop_that_moves_where_its_number_is_a_file,
        a_callback, callbacks_of_many_coroutines, nested_loops, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends

a_timeout(Config) ->
    Ctx = ctx(Config),
    {ok, 1} = py:call(Ctx, loop_requests, run, [1]), % what it imports may take longer than the timeout
    {error, timeout} = py:call(Ctx, loop_requests, sleep_and_clean_up, [self()], #{timeout => 1000}),
    cleans_up(),
    ep_expect:idle(Ctx).

an_interrupt(Config) ->
    Ctx = ctx(Config),
    Running = running(Ctx, sleep_and_clean_up),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    cleaned_up(),
    ep_expect:idle(Ctx).

a_killed_caller(Config) ->
    Ctx = ctx(Config),
    ok = ep_background:kill(running(Ctx, sleep_and_clean_up)),
    cleaned_up(),
    ep_expect:idle(Ctx).

a_stopped_context(Config) ->
    Ctx = ctx(Config),
    Running = running(Ctx, sleep_and_clean_up),
    ok = py_context:stop(Ctx),
    {error, context_stopped} = ep_background:result(Running),
    cleaned_up().

a_killed_context(Config) ->
    Ctx = ctx(Config),
    Running = running(Ctx, sleep_and_clean_up),
    exit(Ctx, kill),
    {error, context_stopped} = ep_background:result(Running),
    cleaned_up().

an_interrupt_of_a_coroutine_that_computes(Config) ->
    interrupted(ctx(Config), compute_in_a_coroutine, [<<"has cleaned up">>]).

%% What it has opened goes with its loop.
one_that_cleans_up_nothing(Config) ->
    Ctx = ctx(Config),
    [begin
         Running = running(Ctx, sleep_without_cleaning_up),
         ok = py:interrupt(Ctx),
         {error, interrupted} = ep_background:result(Running)
     end || _ <- lists:seq(1, 20)],
    {ok, _} = py:call(Ctx, gc, collect, []),
    ep_expect:idle(Ctx).

%% One that the request which started it does not wait for.
a_loop_in_a_thread(Config) ->
    Ctx = ctx(Config),
    ok = py:exec(Ctx, <<"
import asyncio, threading, erlang

def in_a_thread(pid):
    async def main():
        erlang.send(pid, 'running')
        await asyncio.sleep(0.01)
        erlang.send(pid, 'done')
    thread = threading.Thread(target=erlang.run, args=(main(),))
    thread.start()
    return 'started'
">>),
    {ok, <<"started">>} = py:call(Ctx, '__main__', in_a_thread, [self()]),
    ep_expect:message(<<"running">>),
    ep_expect:message(<<"done">>),
    ep_expect:idle(Ctx).

many_at_once(Config) ->
    ep_ct:with_contexts(8, fun(Contexts) ->
        [ok = ep_fresh_context:add_sources(Each) || Each <- Contexts],
        Running = [running(Each, sleep_and_clean_up) || Each <- Contexts],
        Stopping = [ep_background:start(fun() -> py_context:stop(Each) end) || Each <- Contexts],
        [ok, ok, ok, ok, ok, ok, ok, ok] = ep_background:results(Stopping),
        [{error, context_stopped} = Result || Result <- ep_background:results(Running)],
        [cleaned_up() || _ <- Contexts]
    end),
    ep_expect:idle(ctx(Config)).

%% Sometimes the timeout wins, sometimes the loop, and what comes next always gets its own answer.
ends_that_race(Config) ->
    Ctx = ctx(Config),
    [begin
         case py:call(Ctx, loop_requests, run, [N], #{timeout => N rem 5}) of
             {ok, N} -> ok;
             {error, timeout} -> ok
         end,
         {ok, {<<"next">>, N}} = py:call(Ctx, loop_requests, run, [{next, N}])
     end || N <- lists:seq(1, 300)],
    %% Requests that were given up may still run below these. When they are over, a loop that was interrupted while it was
    %% made or closed goes with the garbage.
    ep_ct:wait_until(fun() -> ep_ct:alive(requests) =:= 0 end),
    {ok, _} = py:call(Ctx, gc, collect, []),
    ep_expect:idle(Ctx).

%% Interrupted where its sockets are numbers that no object would close.
a_loop_is_made_to_the_end(Config) ->
    interrupted(ctx(Config), make_slowly, [<<"made">>]).

%% What is not interrupted because it is soon done, and is not.
a_loop_whose_end_has_none(Config) ->
    interrupted(ctx(Config), close_for_ever, []).

%% It is left to this one to raise an interrupt, also when the other was the last to look for events.
a_loop_below_another(Config) ->
    Ctx = ctx(Config),
    Other = fun([]) -> {ok, 1} = py:call(Ctx, loop_requests, run, [1]), none end,
    Me = self(),
    ep_ct:with_function(run_another, Other, fun() ->
        Running = ep_background:start(fun() ->
            py:call(Ctx, loop_requests, in_machinery_after, [Me, run_another])
        end),
        ep_expect:message(<<"running">>),
        ok = py:interrupt(Ctx),
        ep_expect:message(<<"worked">>),
        {error, interrupted} = ep_background:result(Running)
    end),
    ep_expect:idle(Ctx).

%% Wherever the interrupt hits it, where it begins and where it ends.
a_loop_that_was_interrupted_runs_again(Config) ->
    Ctx = ctx(Config),
    {ok, 0} = py:call(Ctx, loop_requests, run_kept, [0]),
    [begin
         _ = py:call(Ctx, loop_requests, run_kept, [N], #{timeout => N rem 4}),
         {ok, {<<"next">>, N}} = py:call(Ctx, loop_requests, run_kept, [{next, N}])
     end || N <- lists:seq(1, 300)],
    {ok, none} = py:call(Ctx, loop_requests, close_kept, []).

a_loop_holds_no_slot(Config) ->
    Ctx = ctx(Config),
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(1),
    try
        ep_ct:with_context(fun(Other) ->
            Running = running(Ctx, sleep_and_clean_up),
            [{ok, 4.0} = py:call(Other, math, sqrt, [16]) || _ <- lists:seq(1, 50)],
            ok = py:interrupt(Ctx),
            {error, interrupted} = ep_background:result(Running),
            cleaned_up()
        end)
    after
        ok = py_semaphore:set_max_concurrent(Max)
    end,
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Others in between

others_are_served_in_between(Config) ->
    Ctx = ctx(Config),
    Loop = serving(Ctx, [main]),
    [begin
         {ok, 4.0} = py:call(Ctx, math, sqrt, [16]),
         {ok, N} = py:eval(Ctx, <<"n">>, #{n => N}),
         ok = py:exec(Ctx, <<"x = 1">>)
     end || N <- lists:seq(1, 200)],
    {ok, none} = py:call(Ctx, loop_requests, running_loop, []),
    {ok, none} = py:call(Ctx, loop_requests, stop_after, [main, done, 0.01]),
    {ok, {<<"done">>, true}} = ep_background:result(Loop),
    ep_expect:idle(Ctx).

strangers_wait_unless_asked_in(Config) ->
    Ctx = ctx(Config),
    Loop = serving(Ctx, [main, false]),
    {error, timeout} = py:call(Ctx, math, sqrt, [16], #{timeout => 50}),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Loop),
    ep_expect:idle(Ctx).

a_loop_inside_a_served_request(Config) ->
    Ctx = ctx(Config),
    Outer = serving(Ctx, [outer]),
    {ok, 1} = py:call(Ctx, loop_requests, run, [1]),
    Inner = serving(Ctx, [inner]),
    {ok, 2} = py:call(Ctx, loop_requests, run, [2]),
    %% Frames end from the top: the loop below is told, and goes on when the one above is over.
    {ok, none} = py:call(Ctx, loop_requests, stop, [outer, below]),
    {ok, 3} = py:call(Ctx, loop_requests, run, [3]),
    {ok, none} = py:call(Ctx, loop_requests, stop, [inner, above]),
    {ok, {<<"above">>, _}} = ep_background:result(Inner),
    {ok, {<<"below">>, _}} = ep_background:result(Outer),
    ep_expect:idle(Ctx).

served_requests_fail_and_time_out_alone(Config) ->
    Ctx = ctx(Config),
    Loop = serving(Ctx, [main]),
    [begin
         {error, {'ZeroDivisionError', _}} = py:eval(Ctx, <<"1 / 0">>),
         {error, timeout} = py:call(Ctx, busy, spin, [self()], #{timeout => 100}),
         {ok, 3} = py:eval(Ctx, <<"1 + 2">>),
         receive <<"running">> -> ok after 0 -> ok end
     end || _ <- lists:seq(1, 3)],
    {error, timeout} = py:call(Ctx, loop_requests, sleep_and_clean_up, [self()], #{timeout => 1000}),
    cleans_up(),
    {ok, none} = py:call(Ctx, loop_requests, stop, [main, done]),
    {ok, {<<"done">>, true}} = ep_background:result(Loop),
    ep_expect:idle(Ctx).

an_interrupted_loop_serves_on_afterwards(Config) ->
    Ctx = ctx(Config),
    [begin
         Loop = serving(Ctx, [main]),
         {ok, 3} = py:eval(Ctx, <<"1 + 2">>),
         ok = py:interrupt(Ctx),
         {error, interrupted} = ep_background:result(Loop),
         {ok, 4.0} = py:call(Ctx, math, sqrt, [16])
     end || _ <- lists:seq(1, 10)],
    ep_expect:idle(Ctx).

a_stopped_context_that_serves(Config) ->
    Ctx = ctx(Config),
    Loop = serving(Ctx, [main]),
    Callers = [ep_background:start(fun() -> calls_until_stopped(Ctx) end) || _ <- lists:seq(1, 4)],
    ok = py_context:stop(Ctx),
    {error, context_stopped} = ep_background:result(Loop),
    [{error, context_stopped} = Result || Result <- ep_background:results(Callers)],
    ok.

calls_until_stopped(Ctx) ->
    case py:eval(Ctx, <<"1 + 2">>) of
        {ok, 3} -> calls_until_stopped(Ctx);
        Other -> Other
    end.

%% Nothing wakes it any more when it has gone to sleep. Requests that are not let in wake it and let it go to sleep
%% again, and many of them make that take long: it looks through them.
contexts_stopped_when_their_loops_go_to_sleep(_Config) ->
    Threads = ep_live:count(threads),
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(100_000),
    try
        [stop_when_its_loop_goes_to_sleep(Threads) || _ <- lists:seq(1, 20)]
    after
        ok = py_semaphore:set_max_concurrent(Max)
    end.

stop_when_its_loop_goes_to_sleep(Threads) ->
    Ctx = ep_fresh_context:start(),
    Me = self(),
    Loop = ep_background:start(fun() -> py:call(Ctx, loop_requests, sleep_for_ever, [Me]) end),
    ep_expect:message(<<"running">>),
    Stranger = ep_background:start(fun() ->
        [ok = py:cast(Ctx, builtins, int, []) || _ <- lists:seq(1, 2000)],
        Me ! many,
        casts_until_stopped(Ctx)
    end),
    ep_expect:message(many),
    ok = py_context:stop(Ctx),
    {error, context_stopped} = ep_background:result(Loop),
    stopped = ep_background:result(Stranger),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =< Threads end).

casts_until_stopped(Ctx) ->
    ok = py:cast(Ctx, builtins, int, []),
    case is_process_alive(Ctx) of
        true -> casts_until_stopped(Ctx);
        false -> stopped
    end.

%% A request of a process that the loop's caller has started may be what its coroutines wait for.
those_it_has_started_are_let_in(Config) ->
    Ctx = ctx(Config),
    [{ok, [<<"child">>, <<"loop">>]} = served_over_a_loop(Ctx, false, []) || _ <- lists:seq(1, 20)],
    ep_expect:idle(Ctx).

%% Also when it comes while the loop does not sleep; a stranger's, which comes before it, waits for the end of the loop.
those_it_has_started_are_let_in_while_it_computes(Config) ->
    Ctx = ctx(Config),
    Submitted = fun([]) -> ep_ct:wait_until(fun() -> ep_live:count(requests) >= 3 end), none end,
    ep_ct:with_function(ep_submitted, Submitted, fun() ->
        {ok, [<<"child">>, <<"loop">>]} = served_over_a_loop(Ctx, true, [stranger])
    end),
    {ok, [<<"child">>, <<"loop">>, <<"stranger">>]} = py:call(Ctx, loop_requests, arrived, []),
    ep_expect:idle(Ctx).

served_over_a_loop(Ctx, Computes, Others) ->
    {ok, []} = py:call(Ctx, loop_requests, forget_arrived, []),
    Strangers = [ep_background:start(fun() ->
        receive go -> py:call(Ctx, loop_requests, arrive, [Other]) end
    end) || Other <- Others],
    Loop = ep_background:start(fun() ->
        Child = spawn_link(fun() ->
            receive <<"running">> -> ok end,
            [ep_background:pid(Stranger) ! go || Stranger <- Strangers],
            length(Others) > 0 andalso ep_ct:wait_until(fun() -> ep_live:count(requests) >= 1 + length(Others) end),
            {ok, none} = py:call(Ctx, loop_requests, arrive, [child])
        end),
        py:call(Ctx, loop_requests, wait_for_arrivals, [Child, Computes])
    end),
    Result = ep_background:result(Loop),
    [{ok, none} = Answer || Answer <- ep_background:results(Strangers)],
    Result.

many_served(Config) ->
    Ctx = ctx(Config),
    Loop = serving(Ctx, [main]),
    Callers = [ep_background:start(fun() ->
        [{ok, N} = py:call(Ctx, busy, work, [100, N]) || N <- lists:seq(From, From + 200)],
        ok
    end) || From <- lists:seq(1000, 10_000, 1000)],
    [ok = Result || Result <- ep_background:results(Callers)],
    {ok, none} = py:call(Ctx, loop_requests, stop, [main, done]),
    {ok, {<<"done">>, true}} = ep_background:result(Loop),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Callbacks

a_callback(Config) ->
    Ctx = ctx(Config),
    Same = fun([X]) ->
        {ok, X} = py:eval(Ctx, <<"x">>, #{x => X}),
        {ok, X} = py:call(Ctx, loop_requests, run, [X]),
        X
    end,
    ep_ct:with_function(ep_same, Same, fun() ->
        {ok, 7} = py:call(Ctx, loop_requests, call_from_a_coroutine, [ep_same, 7])
    end),
    ep_ct:with_function(ep_fail, fun([]) -> error(bad_luck) end, fun() ->
        Failed = py:call(Ctx, loop_requests, call_from_a_coroutine, [ep_fail]),
        ep_expect:python_error('RuntimeError', "bad_luck", Failed)
    end),
    ep_expect:idle(Ctx).

callbacks_of_many_coroutines(Config) ->
    Ctx = ctx(Config),
    Twice = fun([N]) -> {ok, Twice} = py:eval(Ctx, <<"2 * n">>, #{n => N}), Twice end,
    Expected = lists:seq(0, 198, 2),
    ep_ct:with_function(ep_twice, Twice, fun() ->
        {ok, Expected} = py:call(Ctx, loop_requests, call_from_many_coroutines, [ep_twice, 100])
    end),
    ep_expect:idle(Ctx).

nested_loops(Config) ->
    Ctx = ctx(Config),
    Nest = fun([Depth]) ->
        {ok, Reached} = py:call(Ctx, loop_requests, nest, [ep_nest, Depth]),
        Reached
    end,
    ep_ct:with_function(ep_nest, Nest, fun() ->
        {ok, 20} = py:call(Ctx, loop_requests, nest, [ep_nest, 20])
    end),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Loops that outlive their context, and the number of what woke them there

%% It is what wakes the other context, too; so the loop could seem to watch it already.
a_loop_that_moves_where_its_number_wakes_another(Config) ->
    Ctx = ctx(Config),
    moved(Ctx, fun(Number) ->
        {ok, Number} = py:call(Ctx, loop_requests, wake_by, [Number]),
        Me = self(),
        Loop = ep_background:start(fun() -> py:call(Ctx, loop_requests, move_here, [Me]) end),
        ep_expect:message(<<"running">>),
        [{ok, N} = py_context:eval(Ctx, <<"n">>, #{n => N}, 5000) || N <- lists:seq(1, 20)],
        ok = py:interrupt(Ctx),
        {error, interrupted} = ep_background:result(Loop)
    end).

%% It is a file that the loop is to watch.
a_loop_that_moves_where_its_number_is_a_file(Config) ->
    Ctx = ctx(Config),
    moved(Ctx, fun(Number) ->
        {ok, <<"came">>} = py:call(Ctx, loop_requests, read_by, [Number])
    end).

moved(Ctx, Fun) ->
    case ep_ct:context_mode() of
        owngil -> {skip, "objects of an interpreter go with its context"};
        worker -> with_moved_loop(Ctx, Fun)
    end.

with_moved_loop(Ctx, Fun) ->
    First = ep_fresh_context:start(),
    {ok, Number} = py:call(First, loop_requests, start_here, []),
    ok = py_context:stop(First),
    ep_fresh_context:forget_environments(),
    ep_ct:wait_until(fun() ->
        erlang:garbage_collect(),
        {ok, IsOpen} = py:call(Ctx, loop_requests, is_open, [Number]),
        not IsOpen
    end),
    Fun(Number),
    {ok, none} = py:call(Ctx, loop_requests, close_here, []),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------

interrupted(Ctx, Function, Messages) ->
    Running = running(Ctx, Function),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Running),
    lists:foreach(fun ep_expect:message/1, Messages),
    ep_expect:idle(Ctx).

running(Ctx, Function) ->
    Me = self(),
    Running = ep_background:start(fun() -> py:call(Ctx, loop_requests, Function, [Me]) end),
    ep_expect:message(<<"running">>),
    Running.

%% A loop that serves others, running.
serving(Ctx, Args) ->
    Me = self(),
    Loop = ep_background:start(fun() -> py:call(Ctx, loop_requests, serve_until, [Me | Args]) end),
    ep_expect:message(<<"running">>),
    Loop.

cleans_up() ->
    ep_expect:message(<<"running">>),
    cleaned_up().

cleaned_up() ->
    ep_expect:message(<<"task has cleaned up">>),
    ep_expect:message(<<"has cleaned up">>).

ctx(Config) -> proplists:get_value(ctx, Config).
