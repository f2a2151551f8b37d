%%% @doc Callbacks that go on into Python: the same context again, another one, one of another mode, and back; from
%%% contexts' own threads and from threads that Python started.
-module(across_contexts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    one_context_twelve_levels_deep/1, two_contexts_twelve_levels_deep/1, two_modes_twelve_levels_deep/1,
    every_level_runs_once/1, every_level_in_a_process_of_its_own/1, an_error_comes_back_through_all_levels/1,
    an_interrupt_at_the_bottom_comes_back_through_all_levels/1
]).
-export([
    threads_of_twelve_contexts/1, an_executor_asks_another_context/1,
    a_thread_asks_while_its_context_waits/1, nothing_is_left_behind/1
]).

-define(DEPTH, 12).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        one_context_twelve_levels_deep, two_contexts_twelve_levels_deep, two_modes_twelve_levels_deep,
        every_level_runs_once, every_level_in_a_process_of_its_own, an_error_comes_back_through_all_levels,
        an_interrupt_at_the_bottom_comes_back_through_all_levels, threads_of_twelve_contexts,
        an_executor_asks_another_context, a_thread_asks_while_its_context_waits, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% On contexts' own threads

one_context_twelve_levels_deep(Config) ->
    descends([ctx(Config)]).

two_contexts_twelve_levels_deep(Config) ->
    with_another(ep_ct:context_mode(), fun(Other) -> descends([ctx(Config), Other]) end).

two_modes_twelve_levels_deep(Config) ->
    case ep_cell:other_modes() of
        [] -> {skip, "contexts have one mode here"};
        [Mode | _] -> with_another(Mode, fun(Other) -> descends([ctx(Config), Other]) end)
    end.

%% Every level adds itself to what the level below returns.
descends(Contexts) ->
    with_levels(Contexts, fun(0) -> [] end, fun() ->
        ?assertEqual({ok, lists:seq(?DEPTH, 1, -1)}, level(Contexts, ?DEPTH)),
        %% Again, and many at once.
        Callers = [ep_background:start(fun() -> level(Contexts, ?DEPTH) end) || _ <- lists:seq(1, 4)],
        [?assertEqual({ok, lists:seq(?DEPTH, 1, -1)}, Result) || Result <- ep_background:results(Callers)]
    end).

%% Nothing is thrown away and run again.
every_level_runs_once(Config) ->
    Contexts = [ctx(Config)],
    Me = self(),
    ok = py:exec(ctx(Config), <<"__import__('sys').ep_levels = 0">>),
    with_levels(Contexts, fun(0) -> Me ! bottom, [] end, fun() ->
        {ok, _} = level(Contexts, ?DEPTH),
        ?assertEqual(bottom, ep_ct:message()),
        ok = ep_ct:mailbox_empty(),
        ?assertEqual({ok, ?DEPTH}, py:eval(ctx(Config), <<"__import__('sys').ep_levels">>))
    end).

%% Levels of one caller run in its process; a process that the callback starts may go on, too.
every_level_in_a_process_of_its_own(Config) ->
    Ctx = ctx(Config),
    Below = fun([N]) ->
        case N of
            0 -> [];
            _ -> {ok, Pids} = ep_ct:in_process(fun() -> down(Ctx, N) end), Pids
        end
    end,
    ep_ct:with_function(ep_below, Below, fun() ->
        {ok, Levels} = down(Ctx, ?DEPTH),
        ?assertEqual(lists:seq(?DEPTH, 1, -1), Levels)
    end).

an_error_comes_back_through_all_levels(Config) ->
    with_another(ep_ct:context_mode(), fun(Other) ->
        Contexts = [ctx(Config), Other],
        with_levels(Contexts, fun(0) -> error(at_the_bottom) end, fun() ->
            ep_expect:python_error('RuntimeError', "at_the_bottom", level(Contexts, ?DEPTH))
        end)
    end).

an_interrupt_at_the_bottom_comes_back_through_all_levels(Config) ->
    with_another(ep_ct:context_mode(), fun(Other) ->
        Contexts = [ctx(Config), Other],
        Me = self(),
        Bottom = fun(0) ->
            Result = py:call(Other, busy, spin, [Me]),
            Me ! {bottom, Result},
            error(Result)
        end,
        with_levels(Contexts, Bottom, fun() ->
            Caller = ep_background:start(fun() -> level(Contexts, ?DEPTH) end),
            ep_expect:message(<<"running">>),
            ok = py:interrupt(Other),
            ep_expect:message({bottom, {error, interrupted}}),
            ep_expect:python_error('RuntimeError', "interrupted", ep_background:result(Caller))
        end)
    end).

%% Level N runs in one context, N - 1 in the next one.
with_levels(Contexts, Bottom, Case) ->
    Below = fun([0]) -> Bottom(0);
               ([N]) -> case level(Contexts, N) of {ok, Levels} -> Levels; {error, Reason} -> error(Reason) end
            end,
    ep_ct:with_function(ep_below, Below, Case).

level(Contexts, N) ->
    down(lists:nth(N rem length(Contexts) + 1, Contexts), N).

down(Context, N) ->
    case py:exec(Context, <<"
def level(n):
    import sys
    sys.ep_levels = getattr(sys, 'ep_levels', 0) + 1
    return [n] + erlang.call('ep_below', n - 1)
">>) of
        ok -> py:call(Context, '__main__', level, [N]);
        Error -> Error
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% On threads that Python started

%% Each context waits for a thread of its own, which asks the next context.
threads_of_twelve_contexts(_Config) ->
    Contexts = [ep_fresh_context:start() || _ <- lists:seq(1, ?DEPTH)],
    Ask = fun([N]) -> {ok, Levels} = in_thread(N, Contexts), Levels end,
    %% A context that waits for its thread, and not for Erlang, keeps its slot meanwhile.
    Max = py_semaphore:max_concurrent(),
    ok = py_semaphore:set_max_concurrent(Max + ?DEPTH),
    ep_ct:with_function(ep_ask, Ask, fun() ->
        ?assertEqual({ok, lists:seq(1, ?DEPTH)}, in_thread(1, Contexts))
    end),
    ok = py_semaphore:set_max_concurrent(Max),
    lists:foreach(fun py_context:stop/1, Contexts).

in_thread(N, Contexts) when N > length(Contexts) ->
    {ok, []};
in_thread(N, Contexts) ->
    Context = lists:nth(N, Contexts),
    ok = py:exec(Context, <<"
import threading
def ask(n):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(erlang.call('ep_ask', n + 1)))
    thread.start()
    thread.join()
    return [n] + answers[0]
">>),
    py:call(Context, '__main__', ask, [N]).

an_executor_asks_another_context(Config) ->
    with_another(ep_ct:context_mode(), fun(Other) ->
        Ask = fun([N]) -> {ok, Square} = py:eval(Other, <<"n * n">>, #{n => N}), Square end,
        ep_ct:with_function(ep_ask, Ask, fun() ->
            ok = with_executor(ctx(Config)),
            ?assertEqual({ok, [N * N || N <- lists:seq(0, 199)]}, py:call(ctx(Config), '__main__', ask_all, [200]))
        end)
    end).

%% The context's thread waits in a callback; the thread's question to it is served meanwhile.
a_thread_asks_while_its_context_waits(Config) ->
    Ctx = ctx(Config),
    Me = self(),
    Ask = fun([N]) -> {ok, Square} = py:eval(Ctx, <<"n * n">>, #{n => N}), Me ! {asked, Square}, Square end,
    Wait = fun([]) -> Me ! {waits, self()}, receive go_on -> waited end end,
    ep_ct:with_function(ep_ask, Ask, fun() ->
        ep_ct:with_function(ep_wait, Wait, fun() ->
            Caller = ep_background:start(fun() ->
                ok = py:exec(Ctx, <<"
import threading
def start_and_wait():
    thread = threading.Thread(target=lambda: erlang.call('ep_ask', 7))
    thread.start()
    return erlang.call('ep_wait')
">>),
                py:call(Ctx, '__main__', start_and_wait, [])
            end),
            {waits, Waiting} = receive {waits, _} = Message -> Message end,
            receive {asked, Answer} -> ?assertEqual(49, Answer) end,
            Waiting ! go_on,
            ?assertEqual({ok, <<"waited">>}, ep_background:result(Caller))
        end)
    end),
    ep_expect:idle(Ctx).

with_executor(Context) ->
    py:exec(Context, <<"
from concurrent.futures import ThreadPoolExecutor
def ask_all(n):
    with ThreadPoolExecutor(8) as executor:
        return list(executor.map(lambda i: erlang.call('ep_ask', i), range(n)))
">>).

%% ---------------------------------------------------------------------------------------------------------------------

with_another(Mode, Case) ->
    {ok, Other} = py_context:new(#{mode => Mode}),
    ok = ep_fresh_context:add_sources(Other),
    Case(Other),
    ok = py_context:stop(Other).

ctx(Config) -> proplists:get_value(ctx, Config).
