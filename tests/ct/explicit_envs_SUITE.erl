%%% @doc Environments made by hand and passed around, and how long environments live.
-module(explicit_envs_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    an_explicit_environment_is_isolated/1, a_process_holds_several_environments/1,
    an_environment_is_passed_to_another_process/1, the_environment_of_a_process_is_explicit_too/1,
    native_functions_take_environments/1, native_functions_work_without_one/1,
    an_environment_of_another_context_is_refused/1, an_environment_of_a_stopped_context_is_refused/1
]).
-export([
    environments_end_with_their_process/1, environments_end_when_nobody_holds_them/1,
    an_environment_may_outlive_its_context/1, python_objects_end_with_the_environment/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        an_explicit_environment_is_isolated, a_process_holds_several_environments,
        an_environment_is_passed_to_another_process, the_environment_of_a_process_is_explicit_too,
        native_functions_take_environments, native_functions_work_without_one,
        an_environment_of_another_context_is_refused, an_environment_of_a_stopped_context_is_refused,
        environments_end_with_their_process, environments_end_when_nobody_holds_them,
        an_environment_may_outlive_its_context, python_objects_end_with_the_environment, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Explicit environments

an_explicit_environment_is_isolated(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, EnvA} = py_context:create_local_env(Context),
        {ok, EnvB} = py_context:create_local_env(Context),
        [true = is_reference(Env) || Env <- [EnvA, EnvB]],
        ok = py_context:exec(Context, <<"x = 'left'">>, EnvA),
        ok = py_context:exec(Context, <<"x = 'right'">>, EnvB),
        {ok, <<"left">>} = py_context:eval(Context, <<"x">>, #{}, 5000, EnvA),
        {ok, <<"right">>} = py_context:eval(Context, <<"x">>, #{}, infinity, EnvB),
        {error, {'NameError', _}} = py_context:eval(Context, <<"x">>),
        {error, {'NameError', _}} = py:eval(Context, <<"x">>)
    end).

a_process_holds_several_environments(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Envs = [begin
            {ok, Env} = py_context:create_local_env(Context),
            ok = py_context:exec(Context, <<"def me(): return ", (integer_to_binary(N))/binary>>, Env),
            {N, Env}
        end || N <- lists:seq(1, 20)],
        [{ok, N} = py_context:call(Context, '__main__', me, [], #{}, 5000, Env) || {N, Env} <- Envs]
    end).

an_environment_is_passed_to_another_process(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, Env} = py_context:create_local_env(Context),
        ok = py_context:exec(Context, <<"x = 1">>, Env),
        ok = ep_ct:in_process(fun() -> py_context:exec(Context, <<"x += 1">>, Env) end),
        {ok, 2} = py_context:eval(Context, <<"x">>, #{}, 5000, Env)
    end).

the_environment_of_a_process_is_explicit_too(_Config) ->
    Context = py:context(1),
    Env = py:get_local_env(Context),
    true = is_reference(Env),
    ok = py_context:exec(Context, <<"def twice(x): return 2 * x\nmine = 1">>, Env),
    {ok, 1} = py:eval(Context, <<"mine">>),
    {ok, 1} = py_context:eval(Context, <<"mine">>, #{}, 5000, Env),
    {ok, 4} = py_context:call(Context, '__main__', twice, [2], #{}, 5000, Env),
    {ok, 6} = py:call(Context, '__main__', twice, [3]).

native_functions_take_environments(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, Env} = py_context:create_local_env(Context),
        Native = py_context:get_nif_ref(Context),
        true = is_reference(Native),
        ok = py_nif:context_exec(Native, <<"
import itertools
ticket = itertools.count(1).__next__

def add(x, y=0):
    return x + y
">>, Env),
        {ok, 1} = py_nif:context_eval(Native, <<"ticket()">>, #{}, Env),
        {ok, 2} = py_nif:context_eval(Native, <<"ticket()">>, #{}, Env),
        {ok, 12} = py_nif:context_eval(Native, <<"ticket() + n">>, #{n => 9}, Env),
        {ok, 3} = py_nif:context_call(Native, '__main__', add, [1], #{y => 2}, Env),
        {ok, 4.0} = py_nif:context_call(Native, math, sqrt, [16], #{}, Env),
        {error, {'NameError', _}} = py_nif:context_eval(Native, <<"ticket">>)
    end).

native_functions_work_without_one(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Native = py_context:get_nif_ref(Context),
        ok = py_nif:context_exec(Native, <<"y = 2">>),
        {ok, 2} = py_nif:context_eval(Native, <<"y">>),
        {ok, 3} = py_nif:context_eval(Native, <<"y + z">>, #{z => 1}),
        {ok, 2} = py_context:eval(Context, <<"y">>),
        {ok, 4.0} = py_nif:context_call(Native, math, sqrt, [16], #{})
    end).

an_environment_of_another_context_is_refused(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py:exec(One, <<"x = 1">>),
        [all_refuse(Two, Env) || Env <- [py:get_local_env(One), element(2, py_context:create_local_env(One))]],
        {ok, 1} = py:eval(One, <<"x">>)
    end).

an_environment_of_a_stopped_context_is_refused(_Config) ->
    ep_ct:with_contexts(2, fun([Stopped, Live]) ->
        Env = py:get_local_env(Stopped),
        ok = py_context:exec(Stopped, <<"x = 1">>, Env),
        Native = py_context:get_nif_ref(Stopped),
        ok = py_context:stop(Stopped),
        _ = ep_ct:down(Stopped),
        all_refuse(Live, Env),
        {error, context_stopped} = py_nif:context_eval(Native, <<"x">>, #{}, Env),
        {error, context_stopped} = py_nif:context_exec(Native, <<"x">>, Env),
        {error, context_stopped} = py_context:eval(Stopped, <<"x">>, #{}, 5000, Env),
        {error, _} = py_context:create_local_env(Stopped)
    end).

all_refuse(Context, Env) ->
    Native = py_context:get_nif_ref(Context),
    [{error, env_wrong_interpreter} = Refused || Refused <- [
        py_context:exec(Context, <<"x = 2">>, Env),
        py_context:eval(Context, <<"1">>, #{}, 5000, Env),
        py_context:call(Context, '__main__', f, [], #{}, 5000, Env),
        py_nif:context_exec(Native, <<"x = 2">>, Env),
        py_nif:context_eval(Native, <<"1">>, #{}, Env),
        py_nif:context_call(Native, math, sqrt, [16], #{}, Env)
    ]].

%% ---------------------------------------------------------------------------------------------------------------------
%% The end of environments

environments_end_with_their_process(_Config) ->
    Context = py:context(1),
    {ok, _} = py:eval(Context, <<"1">>),
    Before = envs(),
    Processes = [spawn_monitor(fun() ->
        ok = py:exec(Context, <<"data = bytearray(1000)">>),
        receive {'end', Reason} -> exit(Reason) end
    end) || _ <- lists:seq(1, 300)],
    ep_ct:wait_until(fun() -> envs() =:= Before + 300 end),
    [Pid ! {'end', Reason} || {{Pid, _}, Reason} <- lists:zip(lists:sublist(Processes, 200),
        lists:duplicate(100, normal) ++ lists:duplicate(100, abnormal))],
    [exit(Pid, kill) || {Pid, _} <- lists:nthtail(200, Processes)],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Processes],
    ep_ct:wait_until(fun() -> envs() =:= Before end).

environments_end_when_nobody_holds_them(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Before = envs(),
        ep_ct:in_process(fun() ->
            [begin
                {ok, Env} = py_context:create_local_env(Context),
                ok = py_context:exec(Context, <<"x = 1">>, Env)
            end || _ <- lists:seq(1, 50)],
            true = erlang:garbage_collect(),
            ep_ct:wait_until(fun() -> envs() =:= Before end)
        end)
    end).

an_environment_may_outlive_its_context(_Config) ->
    Before = envs(),
    ep_ct:in_process(fun() ->
        Env = ep_ct:with_context(fun(Context) ->
            ok = py:exec(Context, <<"x = 1">>),
            py:get_local_env(Context)
        end),
        true = py_nif:is_env(Env)
    end),
    ep_ct:wait_until(fun() -> envs() =:= Before end).

python_objects_end_with_the_environment(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"
import weakref
class Held: pass
alive = weakref.WeakSet()
def hold():
    held = Held()
    alive.add(held)
    return held
">>),
        Alive = fun() -> {ok, N} = py_context:eval(Context, <<"len(alive)">>), N end,
        Holder = spawn(fun() ->
            ok = py:exec(Context, <<"mine = hold()">>),
            receive stop -> ok end
        end),
        ep_ct:wait_until(fun() -> Alive() =:= 1 end),
        exit(Holder, kill),
        ep_ct:wait_until(fun() -> Alive() =:= 0 end)
    end).

envs() ->
    ep_ct:alive(envs).
