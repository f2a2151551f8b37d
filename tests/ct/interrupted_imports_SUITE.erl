%%% @doc Requests that end early while they import, or wait for a module that another thread imports: the import system
%%% goes on for everybody else.
-module(interrupted_imports_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    an_interrupted_wait_for_an_import_wakes_the_next_one/1, an_interrupted_import_is_done_again/1,
    tangled_imports_with_short_timeouts/1, locks_of_modules_and_short_timeouts/1, nothing_is_left_behind/1
]).

%% For so many milliseconds requests are interrupted, each after 0 to LONGEST milliseconds.
-define(DURATION, 2500).
-define(LONGEST, 11).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        an_interrupted_wait_for_an_import_wakes_the_next_one, an_interrupted_import_is_done_again,
        tangled_imports_with_short_timeouts, locks_of_modules_and_short_timeouts, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(Case, Config) ->
    Tester = self(),
    ok = py:register_function(importing, fun([]) -> Tester ! {importing, self()}, receive go_on -> ok end end),
    New = ep_fresh_context:init(Case, Config),
    {ok, _} = py:eval(proplists:get_value(ctx, New), <<"__import__('sys').modules.pop('slow_import', None)">>),
    New.

end_per_testcase(nothing_is_left_behind, _Config) ->
    ok;
end_per_testcase(Case, Config) ->
    ok = py:unregister_function(importing),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

an_interrupted_wait_for_an_import_wakes_the_next_one(Config) ->
    case ep_cell:isolates() of
        true -> {skip, "contexts have an interpreter each, so that none waits for the import of another"};
        false -> waits(ctx(Config))
    end.

waits(Ctx) ->
    [Imports, GivesUp, Waits] = Contexts = [ep_fresh_context:start() || _ <- [1, 2, 3]],
    Importer = ask(Imports, infinity),
    {importing, Holder} = ep_ct:message(),
    %% The first in line gives up...
    Impatient = ask(GivesUp, 1000),
    in_line(Ctx, 1),
    Patient = ask(Waits, infinity),
    in_line(Ctx, 2),
    ?assertEqual({error, timeout}, ep_background:result(Impatient)),
    Holder ! go_on,
    %% ...and the others do not notice.
    ?assertEqual({ok, <<"imported">>}, ep_background:result(Importer)),
    ?assertEqual({ok, <<"imported">>}, ep_background:result(Patient)),
    [?assertEqual({ok, <<"imported">>}, ep_background:result(ask(Context, 10_000))) || Context <- Contexts],
    lists:foreach(fun py_context:stop/1, Contexts),
    ep_expect:idle(Ctx).

%% So many threads wait inside the import system, besides the one that imports.
in_line(Ctx, Count) ->
    ep_ct:wait_until(fun() ->
        {ok, Waiting} = py:eval(Ctx, <<"
import sys
sum(f.f_code.co_filename == '<frozen importlib._bootstrap>' for f in sys._current_frames().values())">>),
        Waiting >= Count
    end).

an_interrupted_import_is_done_again(Config) ->
    Ctx = ctx(Config),
    Interrupted = ask(Ctx, infinity),
    {importing, Holder} = ep_ct:message(),
    ok = py:interrupt(Ctx),
    Holder ! go_on,
    ?assertEqual({error, interrupted}, ep_background:result(Interrupted)),
    Again = ask(Ctx, infinity),
    {importing, Second} = ep_ct:message(),
    Second ! go_on,
    ?assertEqual({ok, <<"imported">>}, ep_background:result(Again)),
    ep_expect:idle(Ctx).

%% Packages, circles, reloads, modules that are missing or call Erlang, which imports in another context; each context
%% begins elsewhere.
tangled_imports_with_short_timeouts(Config) ->
    Contexts = contexts(),
    Import = fun([]) ->
        Context = lists:nth(rand:uniform(length(Contexts)), Contexts),
        _ = py_context:eval(Context, <<"__import__('tangled.plain')">>, #{}, rand:uniform(?LONGEST)),
        none
    end,
    ok = ep_ct:with_function(tangle, Import, fun() ->
        hurried(Contexts, fun(Context, Round, Timeout) ->
            py_context:call(Context, tangle, again, [Round], #{}, Timeout)
        end),
        can_import(Contexts)
    end),
    lists:foreach(fun py_context:stop/1, Contexts),
    ep_expect:idle(ctx(Config)).

locks_of_modules_and_short_timeouts(Config) ->
    Contexts = contexts(),
    Hurried = case py_nif:runtime() of
        #{free_threading := true} -> Contexts;
        %% With a GIL, threads that wait for each other inside the import system are never seen anywhere else.
        _ -> [hd(Contexts)]
    end,
    hurried(Hurried, fun(Context, _Round, Timeout) ->
        {error, _} = py_context:call(Context, tangle, drop_locks, [], #{}, Timeout)
    end),
    ok = ep_ct:with_function(tangle, fun([]) -> none end, fun() -> can_import(Contexts) end),
    lists:foreach(fun py_context:stop/1, Contexts),
    ep_expect:idle(ctx(Config)).

contexts() -> [ep_fresh_context:start() || _ <- lists:seq(1, 4)].

%% What comes of each request does not matter: modules that vanish while they are imported are errors, too.
hurried(Contexts, Ask) ->
    Until = erlang:monotonic_time(millisecond) + ?DURATION,
    Hurried = [ep_background:start(fun() ->
        true = group_leader(ep_leader:start(), self()),
        hurry(Until, Round, fun(N, Timeout) -> Ask(Context, N, Timeout) end)
    end) || {Round, Context} <- lists:zip(lists:seq(1, length(Contexts)), Contexts)],
    ok = lists:foreach(fun(One) -> ok = ep_background:result(One) end, Hurried),
    %% What was given up last may still be at work, and makes modules vanish in the middle of others' imports.
    [{ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}, 10_000) || Context <- Contexts],
    ok.

hurry(Until, Round, Ask) ->
    _ = Ask(Round, Round rem (?LONGEST + 1)),
    case erlang:monotonic_time(millisecond) < Until of
        true -> hurry(Until, Round + 1, Ask);
        false -> ok
    end.

can_import(Contexts) ->
    [?assertEqual({ok, 1999 * 1999}, py_context:call(Context, tangle, again, [0], #{}, 10_000)) || Context <- Contexts],
    ok.

ask(Context, Timeout) ->
    ep_background:start(fun() -> py:call(Context, slow_import, answer, [], #{timeout => Timeout}) end).

ctx(Config) -> proplists:get_value(ctx, Config).
