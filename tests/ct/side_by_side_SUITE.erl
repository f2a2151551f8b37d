%%% @doc Contexts of several modes in one VM: which modes there are, what they share, what they do not, and calls that
%%% run in several of them.
-module(side_by_side_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    every_mode_is_served_or_refused/1, one_backend_is_chosen_and_others_say_why_not/1,
    contexts_of_both_modes_work_at_once/1, pools_of_both_modes_work_at_once/1, a_pool_replaces_a_context_in_its_mode/1,
    worker_contexts_share_an_interpreter/1, owngil_contexts_share_nothing/1, both_modes_share_nothing/1,
    an_extension_that_refuses_is_an_import_error/1, an_extension_in_a_file_that_refuses_is_an_import_error/1
]).
-export([
    parallel_calls_give_results_in_their_order/1, parallel_calls_run_at_the_same_time/1,
    parallel_calls_run_in_different_interpreters/1, the_gil_stays_off/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        every_mode_is_served_or_refused, one_backend_is_chosen_and_others_say_why_not,
        contexts_of_both_modes_work_at_once, pools_of_both_modes_work_at_once, a_pool_replaces_a_context_in_its_mode,
        worker_contexts_share_an_interpreter, owngil_contexts_share_nothing, both_modes_share_nothing,
        an_extension_that_refuses_is_an_import_error, an_extension_in_a_file_that_refuses_is_an_import_error,
        parallel_calls_give_results_in_their_order, parallel_calls_run_at_the_same_time,
        parallel_calls_run_in_different_interpreters, the_gil_stays_off, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Modes

every_mode_is_served_or_refused(_Config) ->
    #{free_threading := FreeThreading} = py_nif:runtime(),
    Owngil = case py_nif:owngil_problem() of
        ok -> served;
        {error, _} = Problem -> Problem
    end,
    ?assertEqual(Owngil =:= served, py:subinterp_supported()),
    NoGil = case FreeThreading of
        true -> served;
        false -> {error, freethreaded_requires_free_threaded_python}
    end,
    [?assertEqual({Mode, Expected}, {Mode, tried(Mode)})
     || {Mode, Expected} <- [{worker, served}, {owngil, Owngil}, {freethreaded, NoGil}]],
    ok.

tried(Mode) ->
    case py_context:new(#{mode => Mode}) of
        {ok, Context} ->
            {ok, 4.0} = py:call(Context, math, sqrt, [16]),
            ?assertEqual(Mode =:= owngil, py_context:is_subinterp(Context)),
            ok = py_context:stop(Context),
            served;
        Error ->
            Error
    end.

%% A backend that may come to be used is not refused; one that cannot, since a VM has one Python, is, by both names.
one_backend_is_chosen_and_others_say_why_not(_Config) ->
    #{libpython := Running, manifest := Chosen} = py_nif:runtime(),
    Found = [Backend || #{kind := backend} = Backend <- py_nif:backends()],
    ?assertMatch([#{manifest := Chosen}], [Backend || #{status := chosen} = Backend <- Found]),
    [case Backend of
         #{libpython := Running, status := Status} ->
             ?assert(lists:member(Status, [chosen, loaded, available])),
             ?assertNot(is_map_key(reason, Backend));
         #{libpython := Other, status := Status, reason := Reason} ->
             ?assertEqual(refused, Status),
             [?assertNotEqual({nomatch, Reason}, {binary:match(Reason, Path), Reason}) || Path <- [Running, Other]]
     end || Backend <- Found],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% At once

contexts_of_both_modes_work_at_once(_Config) ->
    ep_cell:with_owngil(fun() ->
        Contexts = [new(Mode) || _ <- [1, 2], Mode <- [worker, owngil]],
        Callers = [ep_background:start(fun() -> [answer(Context, N) || N <- lists:seq(1, 100)] end)
                   || Context <- Contexts, _ <- [1, 2]],
        Expected = lists:duplicate(length(Callers), [{ok, {N, N * N}} || N <- lists:seq(1, 100)]),
        ?assertEqual(Expected, ep_background:results(Callers)),
        ?assertEqual([false, true, false, true], [py_context:is_subinterp(Context) || Context <- Contexts]),
        ?assertEqual([{ok, <<"shared_gil">>}, {ok, <<"subinterp">>}, {ok, <<"shared_gil">>}, {ok, <<"subinterp">>}],
                     [py:eval(Context, <<"erlang.detect_mode()">>) || Context <- Contexts]),
        stop(Contexts)
    end).

answer(Context, N) -> py:eval(Context, <<"(n, n * n)">>, #{n => N}).

pools_of_both_modes_work_at_once(_Config) ->
    ep_cell:with_owngil(fun() ->
        {ok, Shared} = py_context_router:start_pool(ep_shared, 2, worker),
        {ok, Isolated} = py_context_router:start_pool(ep_isolated, 2, owngil),
        ok = py:register_pool(ep_isolated, json),
        ?assertEqual([], Shared -- (Shared -- Isolated)),
        ?assertEqual({ok, 4.0}, py:call(ep_shared, math, sqrt, [16])),
        ?assertEqual({ok, 4.0}, py:call(ep_isolated, math, sqrt, [16])),
        %% What one process puts into a module is seen by all contexts of the one pool, and by one of the other.
        ok = mark(hd(Shared)),
        ?assertEqual([true, true, false, false], [marked(Context) || Context <- Shared ++ Isolated]),
        ok = unmark(hd(Shared)),
        %% A registration sends work to a pool whatever its mode.
        ?assertEqual({ok, #{<<"a">> => 1}}, py:call(json, loads, [<<"{\"a\": 1}">>])),
        ?assertEqual(ep_isolated, py_context_router:lookup_pool(json, loads)),
        ok = py:unregister_pool(json),
        ok = py_context_router:stop_pool(ep_shared),
        ?assertEqual({ok, 4.0}, py:call(ep_isolated, math, sqrt, [16])),
        ok = py_context_router:stop_pool(ep_isolated)
    end).

a_pool_replaces_a_context_in_its_mode(_Config) ->
    ep_cell:with_owngil(fun() ->
        {ok, [One, Two]} = py_context_router:start_pool(ep_isolated, 2, owngil),
        exit(One, kill),
        ep_ct:wait_until(fun() ->
            Contexts = py_context_router:contexts(ep_isolated),
            not lists:member(One, Contexts) andalso lists:all(fun is_process_alive/1, Contexts)
        end),
        [New, Two] = py_context_router:contexts(ep_isolated),
        ?assert(py_context:is_subinterp(New)),
        ?assertEqual({ok, <<"subinterp">>}, py:eval(New, <<"erlang.detect_mode()">>)),
        ok = py_context_router:stop_pool(ep_isolated)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Shared or not

worker_contexts_share_an_interpreter(_Config) ->
    [One, Two] = [new(worker), new(worker)],
    ok = mark(One),
    ?assert(marked(Two)),
    ?assertEqual({ok, true}, py:eval(Two, <<"ep_len('abc') == 3">>)),
    ok = unmark(Two),
    ?assertNot(marked(One)),
    ?assertMatch({error, {'NameError', _}}, py:eval(One, <<"ep_len('abc')">>)),
    stop([One, Two]).

owngil_contexts_share_nothing(_Config) ->
    ep_cell:with_owngil(fun() -> share_nothing(new(owngil), new(owngil)) end).

both_modes_share_nothing(_Config) ->
    ep_cell:with_owngil(fun() ->
        share_nothing(new(owngil), new(worker)),
        share_nothing(new(worker), new(owngil))
    end).

%% Neither sees what the other has done to its modules, and what is broken in one is whole in the other.
share_nothing(One, Two) ->
    ok = mark(One),
    ?assert(marked(One)),
    ?assertNot(marked(Two)),
    ?assertMatch({error, {'NameError', _}}, py:eval(Two, <<"ep_len('abc')">>)),
    ?assertEqual({ok, false}, py:eval(Two, <<"'/ep_mark' in __import__('sys').path">>)),
    %% Their ends do not meet either.
    ok = mark(Two),
    ok = py_context:stop(One),
    ?assert(marked(Two)),
    ok = unmark(Two),
    stop([Two]).

mark(Context) ->
    py:exec(Context, <<"
import builtins, json, sys, types
json.ep_mark = 'an attribute'
sys.modules['ep_module'] = types.ModuleType('ep_module')
builtins.ep_len = builtins.len
sys.path.append('/ep_mark')
">>).

unmark(Context) ->
    py:exec(Context, <<"
import builtins, json, sys
del json.ep_mark, sys.modules['ep_module'], builtins.ep_len
sys.path.remove('/ep_mark')
">>).

marked(Context) ->
    {ok, [Attribute, Module]} = py:eval(Context, <<"
import json, sys
[hasattr(json, 'ep_mark'), 'ep_module' in sys.modules]">>),
    ?assertEqual(Attribute, Module),
    Attribute.

%% ---------------------------------------------------------------------------------------------------------------------
%% Extension modules that know one interpreter only

%% One that is part of every Python.
an_extension_that_refuses_is_an_import_error(_Config) ->
    ep_cell:with_owngil(fun() -> refused([<<"faulthandler">>]) end).

an_extension_in_a_file_that_refuses_is_an_import_error(_Config) ->
    ep_cell:with_owngil(fun() ->
        Worker = new(worker),
        Found = [Name || Name <- [<<"readline">>, <<"_curses">>, <<"_tkinter">>], in_a_file(Worker, Name)],
        stop([Worker]),
        case Found of
            [] -> {skip, "this Python was built without readline, curses and tkinter"};
            _ -> refused(Found)
        end
    end).

in_a_file(Context, Name) ->
    {ok, Origin} = py:eval(Context, <<"getattr(__import__('importlib.util').util.find_spec(n), 'origin', None)">>,
                           #{n => Name}),
    is_binary(Origin) andalso filename:extension(Origin) =:= <<".so">>.

refused(Names) ->
    Context = new(owngil),
    [begin
         Import = <<"import ", Name/binary>>,
         Text = ep_expect:python_error('ImportError', binary_to_list(Name), py:exec(Context, Import)),
         ?assertNotEqual(nomatch, string:find(Text, "subinterpreters")),
         ?assertEqual({error, {'ImportError', Text}}, py:exec(Context, Import)),
         ?assertMatch({error, {'ImportError', _}}, py:call(Context, Name, no_matter, [])),
         ep_expect:still_works(Context)
     end || Name <- Names],
    stop([Context]).

%% ---------------------------------------------------------------------------------------------------------------------
%% py:parallel/1

parallel_calls_give_results_in_their_order(_Config) ->
    with_parallel(fun() ->
        {ok, []} = py:parallel([]),
        Calls = [{math, sqrt, [N * N]} || N <- lists:seq(1, 50)],
        ?assertEqual({ok, [{ok, float(N)} || N <- lists:seq(1, 50)]}, py:parallel(Calls)),
        ?assertMatch({ok, [{ok, 2.0}, {error, {'ValueError', _}}, {error, {'AttributeError', _}}, {ok, 3.0}]},
                     py:parallel([{math, sqrt, [4]}, {math, sqrt, [-1]}, {math, no_such_function, []},
                                  {<<"math">>, "sqrt", [9]}]))
    end).

%% Each one waits until all have begun.
parallel_calls_run_at_the_same_time(_Config) ->
    with_parallel(fun() ->
        Count = erlang:system_info(schedulers),
        Meeting = spawn_link(fun() ->
            Guests = [receive {here, Guest} -> Guest end || _ <- lists:seq(1, Count)],
            [Guest ! together || Guest <- Guests]
        end),
        Meet = fun([N]) -> Meeting ! {here, self()}, receive together -> N end end,
        ep_ct:with_function(ep_meet, Meet, fun() ->
            Numbers = lists:seq(1, Count),
            ?assertEqual({ok, [{ok, N} || N <- Numbers]},
                         py:parallel([{erlang, call, [ep_meet, N]} || N <- Numbers]))
        end)
    end).

parallel_calls_run_in_different_interpreters(_Config) ->
    with_parallel(fun() ->
        ep_cell:with_owngil(fun() ->
            Count = erlang:system_info(schedulers),
            {ok, Results} = py:parallel(lists:duplicate(2 * Count, {'_interpreters', get_current, []})),
            Ids = [Id || {ok, {Id, _}} <- Results],
            ?assertEqual(2 * Count, length(Ids)),
            ?assertEqual(Count, length(lists:usort(Ids))),
            ?assertNot(lists:member(0, Ids))
        end)
    end).

%% Where nothing runs side by side, that is the answer.
with_parallel(Case) ->
    case py:subinterp_supported() orelse py_nif:execution_mode() =:= free_threaded of
        true -> Case();
        false -> ?assertEqual({error, subinterpreters_not_supported}, py:parallel([{math, sqrt, [16]}]))
    end.

%% ---------------------------------------------------------------------------------------------------------------------

%% A module that does not say that it can do without would have switched it on for everybody.
the_gil_stays_off(_Config) ->
    ep_cell:with_free_threading(fun() ->
        Context = new(worker),
        Me = self(),
        ok = ep_fresh_context:add_sources(Context),
        ep_ct:with_function(ep_echo, fun([Value]) -> Value end, fun() ->
            Values = [1, -(1 bsl 80), 1.5, true, none, <<"text">>, {bytes, <<0, 255>>}, [1, [2]], {1, <<"two">>},
                      #{<<"a">> => 1}, Me, make_ref()],
            [{ok, _} = py:call(Context, builtins, repr, [Value]) || Value <- Values],
            [{ok, _} = py:call(Context, erlang, call, [ep_echo, Value]) || Value <- Values],
            {ok, Object} = py:call(Context, builtins, list, [[1]], #{return => ref}),
            {ok, none} = py:call_method(Object, append, [2]),
            {ok, [1, 2]} = py:to_term(Object),
            {ok, 2} = py:call(Context, builtins, len, [Object]),
            {ok, none} = py:call(Context, erlang, send, [Me, <<"sent">>]),
            ep_expect:message(<<"sent">>),
            {ok, none} = py:call(Context, busy, call_in_thread, [Me, ep_echo, [3]]),
            ep_expect:message({<<"returned">>, 3}),
            {ok, [0, 1, 2, 3]} = py:eval(Context, <<"
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(4) as executor: results = list(executor.map(lambda n: erlang.call('ep_echo', n), range(4)))
results">>),
            {error, {'ZeroDivisionError', _}} = py:eval(Context, <<"1 / 0">>),
            {error, timeout} = py:call(Context, busy, spin, [Me], #{timeout => 100}),
            ep_expect:message(<<"running">>)
        end),
        [?assertEqual({ok, false}, py:eval(Any, <<"__import__('sys')._is_gil_enabled()">>))
         || Any <- [Context | py_context_router:contexts()]],
        ?assertEqual({ok, <<"free_threaded">>}, py:eval(Context, <<"erlang.detect_mode()">>)),
        ?assertMatch(#{mode := freethreaded}, py_nif:runtime()),
        stop([Context])
    end).

%% ---------------------------------------------------------------------------------------------------------------------

new(Mode) ->
    {ok, Context} = py_context:new(#{mode => Mode}),
    Context.

stop(Contexts) ->
    lists:foreach(fun(Context) -> ok = py_context:stop(Context) end, Contexts).
