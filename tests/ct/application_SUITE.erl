%%% @doc Starting, stopping and configuring the application.
-module(application_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    starting_names_the_supervisors/1, the_default_pool_is_there_after_the_start/1,
    the_size_of_the_default_pool_is_configurable/1, the_package_and_its_marker_are_importable/1,
    the_application_restarts_thirty_times/1, stopping_succeeds_while_threads_are_busy/1,
    a_restart_forgets_functions_and_pools/1, python_survives_a_restart/1,
    the_native_core_answers_before_the_application_starts/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        starting_names_the_supervisors, the_default_pool_is_there_after_the_start,
        the_size_of_the_default_pool_is_configurable, the_package_and_its_marker_are_importable,
        the_application_restarts_thirty_times, stopping_succeeds_while_threads_are_busy,
        a_restart_forgets_functions_and_pools, python_survives_a_restart,
        the_native_core_answers_before_the_application_starts, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

starting_names_the_supervisors(_Config) ->
    [true = is_pid(whereis(Name)) || Name <- [erlang_python_sup, py_context_sup]],
    true = is_list(supervisor:which_children(erlang_python_sup)).

the_default_pool_is_there_after_the_start(_Config) ->
    ep_ct:restart(),
    true = py:contexts_started(),
    true = py_context_router:num_contexts() =:= erlang:system_info(schedulers),
    {ok, 4.0} = py:call(math, sqrt, [16]).

the_size_of_the_default_pool_is_configurable(_Config) ->
    ep_ct:with_environment([{num_contexts, 3}], fun() ->
        3 = py_context_router:num_contexts(),
        3 = length(lists:usort(py_context_router:contexts()))
    end).

the_package_and_its_marker_are_importable(_Config) ->
    Priv = list_to_binary(code:priv_dir(erlang_python)),
    [begin
        {ok, true} = py:eval(Context, <<"priv in __import__('sys').path">>, #{priv => Priv}),
        ok = py:exec(Context, <<"import erlang, py_event_loop">>)
    end || Context <- py_context_router:contexts()].

the_application_restarts_thirty_times(_Config) ->
    [begin
        ep_ct:restart(),
        {ok, N} = py:eval(<<"n">>, #{n => N})
    end || N <- lists:seq(1, 30)].

stopping_succeeds_while_threads_are_busy(_Config) ->
    {ok, _} = py_context_router:start_pool(stopped, 2, ep_ct:context_mode()),
    ok = py:exec(<<"
from concurrent.futures import ThreadPoolExecutor
import sys, time
sys.ep_executor = ThreadPoolExecutor(2)
sys.ep_futures = [sys.ep_executor.submit(time.sleep, 0.2) for _ in range(4)]
">>),
    Busy = [ep_ct:busy(Context) || Context <- [py:context(1), py_context_router:get_context(stopped)]],
    ok = application:stop(erlang_python),
    [{error, context_stopped} = ep_ct:result(Caller) || Caller <- Busy],
    ok = application:start(erlang_python),
    {ok, 4.0} = py:call(math, sqrt, [16]).

a_restart_forgets_functions_and_pools(_Config) ->
    ok = py:register_function(ep_forgotten, fun(_) -> 1 end),
    {ok, _} = py_context_router:start_pool(forgotten, 1, ep_ct:context_mode()),
    ok = py:register_pool(forgotten, json),
    ok = py:exec(<<"forgotten = 1">>),
    Old = py_context_router:contexts(),
    ep_ct:restart(),
    {ok, false} = py:eval(<<"hasattr(erlang, 'ep_forgotten')">>),
    false = py_context_router:pool_started(forgotten),
    [] = py_context_router:list_pool_registrations(),
    default = py_context_router:lookup_pool(json, dumps),
    {error, {'NameError', _}} = py:eval(<<"forgotten">>),
    [] = [Pid || Pid <- Old, is_process_alive(Pid)],
    [] = [Pid || Pid <- py_context_router:contexts(), lists:member(Pid, Old)].

python_survives_a_restart(_Config) ->
    case ep_ct:mode() of
        owngil ->
            %% Each context has an interpreter of its own there, which ends with it.
            {skip, "no interpreter outlives its context"};
        _ ->
            ok = py:exec(<<"import sys; sys.ep_survivor = 'here'">>),
            ep_ct:restart(),
            {ok, <<"here">>} = py:eval(<<"__import__('sys').ep_survivor">>)
    end.

the_native_core_answers_before_the_application_starts(_Config) ->
    ep_ct:with_peer(not_started, fun(Call) ->
        Supported = Call(py_nif, owngil_supported, []),
        true = is_boolean(Supported),
        Supported = Call(py_nif, subinterp_supported, []),
        false = lists:keymember(erlang_python, 1, Call(application, which_applications, []))
    end).
