%%% @doc Which context serves a process, what binding changes, and what a context is to the threads of the system.
-module(context_affinity_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    state_stays_in_the_context_it_was_made_in/1, two_contexts_have_two_namespaces/1,
    two_processes_have_two_namespaces_in_one_context/1, an_index_names_the_same_context_for_everyone/1,
    an_index_beyond_the_pool_is_refused/1, a_process_keeps_its_context_across_schedulers/1,
    processes_are_spread_over_the_contexts/1, a_process_whose_context_died_gets_a_live_one/1,
    calls_survive_the_death_of_their_context/1
]).
-export([
    a_bound_context_serves_calls_evals_and_execs/1, a_binding_ends_with_unbind/1, a_binding_is_of_one_process_only/1,
    a_binding_is_of_one_pool_only/1, a_binding_can_be_replaced/1, an_exception_does_not_end_a_binding/1,
    a_process_bound_to_a_context_that_died_gets_a_live_one/1, what_is_not_bound_stays_as_it_is/1
]).
-export([
    one_context_is_one_thread/1, two_contexts_are_two_threads/1, thread_local_data_persists_in_a_context/1,
    the_pool_shows_its_contexts/1, contexts_started_follows_the_pool/1, a_database_connection_is_kept/1,
    results_accumulate/1, a_pickled_model_is_loaded_once/1, a_session_keeps_its_history/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        state_stays_in_the_context_it_was_made_in, two_contexts_have_two_namespaces,
        two_processes_have_two_namespaces_in_one_context, an_index_names_the_same_context_for_everyone,
        an_index_beyond_the_pool_is_refused, a_process_keeps_its_context_across_schedulers,
        processes_are_spread_over_the_contexts, a_process_whose_context_died_gets_a_live_one,
        calls_survive_the_death_of_their_context,
        a_bound_context_serves_calls_evals_and_execs, a_binding_ends_with_unbind, a_binding_is_of_one_process_only,
        a_binding_is_of_one_pool_only, a_binding_can_be_replaced, an_exception_does_not_end_a_binding,
        a_process_bound_to_a_context_that_died_gets_a_live_one, what_is_not_bound_stays_as_it_is,
        one_context_is_one_thread, two_contexts_are_two_threads, thread_local_data_persists_in_a_context,
        the_pool_shows_its_contexts, contexts_started_follows_the_pool, a_database_connection_is_kept,
        results_accumulate, a_pickled_model_is_loaded_once, a_session_keeps_its_history, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_context_router:unbind_context(),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Which context

state_stays_in_the_context_it_was_made_in(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"counter = 0">>),
    ok = py:exec(Context, <<"counter += 1">>),
    {ok, 1} = py:eval(Context, <<"counter">>),
    ok = py:exec(Context, <<"import math as kept_module">>),
    {ok, 3.0} = py:eval(Context, <<"kept_module.sqrt(9)">>).

two_contexts_have_two_namespaces(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py:exec(One, <<"here = 'first'; only_one = 1">>),
        ok = py:exec(Two, <<"here = 'second'">>),
        {ok, <<"first">>} = py:eval(One, <<"here">>),
        {ok, <<"second">>} = py:eval(Two, <<"here">>),
        {error, {'NameError', _}} = py:eval(Two, <<"only_one">>)
    end).

two_processes_have_two_namespaces_in_one_context(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"counter = 1">>),
    {ok, 100} = ep_ct:in_process(fun() ->
        {error, {'NameError', _}} = py:eval(Context, <<"counter">>),
        ok = py:exec(Context, <<"counter = 100">>),
        py:eval(Context, <<"counter">>)
    end),
    {ok, 1} = py:eval(Context, <<"counter">>).

an_index_names_the_same_context_for_everyone(_Config) ->
    N = py_context_router:num_contexts(),
    Contexts = [py:context(I) || I <- lists:seq(1, N)],
    Contexts = ep_ct:in_process(fun() -> [py_context_router:get_context(I) || I <- lists:seq(1, N)] end),
    Contexts = py_context_router:contexts(),
    N = length(lists:usort(Contexts)),
    [true = is_pid(Context) andalso is_process_alive(Context) || Context <- Contexts].

an_index_beyond_the_pool_is_refused(_Config) ->
    [refused(fun() -> py:context(Index) end) || Index <- [0, -1, py_context_router:num_contexts() + 1]],
    refused(fun() -> py_context_router:get_context(ep_no_such_pool) end).

%% Either way of refusing will do, but no pid.
refused(Fun) ->
    try Fun() of
        {error, _} -> ok;
        Other -> ct:fail({not_refused, Other})
    catch
        error:_ -> ok
    end.

a_process_keeps_its_context_across_schedulers(_Config) ->
    Context = py_context_router:get_context(),
    ok = py:exec(<<"kept = 1">>),
    [begin
        _ = process_flag(scheduler, Scheduler),
        true = erlang:yield(),
        Context = py_context_router:get_context(),
        Context = py:context(),
        {ok, 1} = py:eval(<<"kept">>)
    end || Scheduler <- lists:seq(1, erlang:system_info(schedulers_online)) ++ [0]].

processes_are_spread_over_the_contexts(_Config) ->
    Contexts = py_context_router:contexts(),
    Used = [begin
        {Pid, Monitor} = spawn_opt(fun() -> exit({result, py:context()}) end, [monitor, {scheduler, Scheduler}]),
        ep_ct:result({Pid, Monitor})
    end || Scheduler <- lists:seq(1, erlang:system_info(schedulers_online))],
    [] = Used -- Contexts,
    true = length(lists:usort(Used)) =:= min(length(Contexts), length(Used)).

a_process_whose_context_died_gets_a_live_one(_Config) ->
    Context = py:context(),
    ok = py_context_sup:stop_context(Context),
    _ = ep_ct:down(Context),
    New = py:context(),
    true = New =/= Context andalso is_process_alive(New),
    {ok, 2} = py:eval(New, <<"1 + 1">>),
    ep_ct:restart_contexts().

calls_survive_the_death_of_their_context(_Config) ->
    ok = py:exec(<<"gone = 1">>),
    Context = py:context(),
    exit(Context, kill),
    _ = ep_ct:down(Context),
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, 2} = py:eval(<<"1 + 1">>),
    {error, {'NameError', _}} = py:eval(<<"gone">>),
    {error, context_stopped} = py:eval(Context, <<"1 + 1">>),
    {error, context_stopped} = py:exec(Context, <<"x = 1">>),
    {error, context_stopped} = py:call(Context, math, sqrt, [16]),
    ep_ct:restart_contexts().

%% ---------------------------------------------------------------------------------------------------------------------
%% Binding

a_bound_context_serves_calls_evals_and_execs(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context_router:bind_context(Context),
        Context = py_context_router:get_context(),
        Context = py:context(),
        ok = py:exec(<<"
def triple(x):
    return x * 3
x = 42
">>),
        {ok, 42} = py:eval(<<"x">>),
        {ok, 42} = py:eval(Context, <<"x">>),
        {ok, 6} = py:call('__main__', triple, [2]),
        {ok, Thread} = py:call(threading, get_native_id, []),
        {ok, Thread} = py:call(Context, threading, get_native_id, []),
        {ok, Thread} = py:await(py:spawn_call(threading, get_native_id, []))
    end).

a_binding_ends_with_unbind(_Config) ->
    Before = py:context(),
    ep_ct:with_context(fun(Context) ->
        ok = py_context_router:bind_context(Context),
        Context = py:context(),
        ok = py_context_router:unbind_context(),
        Before = py:context()
    end).

a_binding_is_of_one_process_only(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context_router:bind_context(Context),
        true = ep_ct:in_process(fun() -> py:context() end) =/= Context
    end).

a_binding_is_of_one_pool_only(_Config) ->
    {ok, _} = py_context_router:start_pool(affinity, 1, ep_ct:context_mode()),
    [InPool] = py_context_router:contexts(affinity),
    ep_ct:with_context(fun(Context) ->
        ok = py_context_router:bind_context(affinity, Context),
        Context = py_context_router:get_context(affinity),
        true = py:context() =/= Context,
        {ok, Thread} = py:call(Context, threading, get_native_id, []),
        {ok, Thread} = py:call(affinity, threading, get_native_id, []),
        ok = py_context_router:unbind_context(affinity),
        InPool = py_context_router:get_context(affinity)
    end),
    ok = py_context_router:stop_pool(affinity).

a_binding_can_be_replaced(_Config) ->
    Before = py:context(),
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py_context_router:bind_context(One),
        ok = py_context_router:bind_context(Two),
        Two = py:context(),
        ok = py_context_router:unbind_context(),
        Before = py:context()
    end).

an_exception_does_not_end_a_binding(_Config) ->
    Run = fun(Fun) ->
        ok = py_context_router:bind_context(py_context_router:get_context()),
        try Fun() after py_context_router:unbind_context() end
    end,
    {ok, 3} = Run(fun() ->
        ok = py:exec(<<"seen = set()">>),
        {error, {'ZeroDivisionError', _}} = py:exec(<<"1 / 0">>),
        ok = py:exec(<<"for c in 'abca': seen.add(c)">>),
        py:eval(<<"len(seen)">>)
    end).

a_process_bound_to_a_context_that_died_gets_a_live_one(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context_router:bind_context(Context),
        ok = py_context:stop(Context),
        _ = ep_ct:down(Context),
        New = py_context_router:get_context(),
        true = New =/= Context andalso is_process_alive(New),
        {ok, 4.0} = py:call(math, sqrt, [16])
    end).

what_is_not_bound_stays_as_it_is(_Config) ->
    Context = py:context(),
    {error, _} = py_context_router:bind_context(self()),
    ok = py_context_router:unbind_context(),
    ok = py_context_router:unbind_context(ep_no_such_pool),
    Context = py:context().

%% ---------------------------------------------------------------------------------------------------------------------
%% Threads, pool, uses

one_context_is_one_thread(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Own = fun() -> {ok, Id} = py:call(Context, threading, get_native_id, []), Id end,
        Id = Own(),
        {ok, Id} = py:eval(Context, <<"__import__('threading').get_native_id()">>),
        ok = py:exec(Context, <<"import threading; seen = threading.get_native_id()">>),
        {ok, Id} = py:eval(Context, <<"seen">>),
        {ok, Id} = py_context:call(Context, threading, get_native_id, []),
        {error, timeout} = py:call(Context, time, sleep, [0.05], #{timeout => 10}),
        [Id] = lists:usort([ep_ct:in_process(Own) || _ <- lists:seq(1, 20)])
    end).

two_contexts_are_two_threads(_Config) ->
    Contexts = py_context_router:contexts(),
    Ids = [begin {ok, Id} = py:call(Context, threading, get_native_id, []), Id end || Context <- Contexts],
    true = length(lists:usort(Ids)) =:= length(Contexts).

thread_local_data_persists_in_a_context(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"
import threading
local = threading.local()
local.value = 7
">>),
        {ok, 7} = py_context:eval(Context, <<"local.value">>),
        {ok, 7} = ep_ct:in_process(fun() -> py_context:eval(Context, <<"local.value">>) end)
    end).

the_pool_shows_its_contexts(_Config) ->
    N = py_context_router:num_contexts(),
    N = length(py_context_router:contexts()),
    N = py_context_router:num_contexts(default),
    true = py_context_router:contexts() =:= py_context_router:contexts(default),
    true = py_context_router:pool_started(default),
    false = py_context_router:pool_started(ep_no_such_pool).

contexts_started_follows_the_pool(_Config) ->
    true = py:contexts_started(),
    true = py_context_router:is_started(),
    ok = py:stop_contexts(),
    false = py:contexts_started(),
    false = py_context_router:is_started(),
    ep_ct:restart_contexts(),
    true = py:contexts_started().

a_database_connection_is_kept(_Config) ->
    Context = py:context(1),
    [ok = py:exec(Context, Code) || Code <- [
        <<"
import sqlite3
db = sqlite3.connect(':memory:')
db.execute('CREATE TABLE town (name TEXT, people INTEGER)')
">>,
        <<"db.execute('INSERT INTO town VALUES (?, ?)', ('Ghent', 265))">>,
        <<"db.execute('INSERT INTO town VALUES (?, ?)', ('Lund', 94))">>
    ]],
    {ok, [{<<"Lund">>, 94}, {<<"Ghent">>, 265}]} =
        py:eval(Context, <<"db.execute('SELECT * FROM town ORDER BY people').fetchall()">>),
    ok = py:exec(Context, <<"db.close()">>).

results_accumulate(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"squares = []">>),
    [{ok, none} = py:eval(Context, <<"squares.append(n * n)">>, #{n => N}) || N <- [1, 2, 3, 4]],
    {ok, [1, 4, 9, 16]} = py:eval(Context, <<"squares">>).

a_pickled_model_is_loaded_once(Config) ->
    Context = py:context(1),
    Path = list_to_binary(filename:join(proplists:get_value(priv_dir, Config), "model.pkl")),
    {ok, _} = py:eval(Context, <<"__import__('pickle').dump({'slope': 2}, open(path, 'wb'))">>, #{path => Path}),
    ok = py:exec(Context, <<"
import pickle
model = None

def load(path):
    global model
    with open(path, 'rb') as f:
        model = pickle.load(f)

def predict(xs):
    return [model['slope'] * x for x in xs]
">>),
    {ok, none} = py:call(Context, '__main__', load, [Path]),
    {ok, [2, 4, 6]} = py:eval(Context, <<"predict([1, 2, 3])">>),
    {ok, [8]} = py:call(Context, '__main__', predict, [[4]]).

a_session_keeps_its_history(_Config) ->
    Context = py:context(),
    Session = fun(Messages) ->
        ok = py:exec(Context, <<"
heard = []

def hear(who, what):
    heard.append({'who': who, 'what': what})

def recall():
    return heard
">>),
        [{ok, none} = py:call(Context, '__main__', hear, [<<"user">>, Message]) || Message <- Messages],
        {ok, History} = py:call(Context, '__main__', recall, []),
        [What || #{<<"who">> := <<"user">>, <<"what">> := What} <- History]
    end,
    [<<"hello">>, <<"bye">>] = ep_ct:in_process(fun() -> Session([<<"hello">>, <<"bye">>]) end),
    [<<"other">>] = ep_ct:in_process(fun() -> Session([<<"other">>]) end).
