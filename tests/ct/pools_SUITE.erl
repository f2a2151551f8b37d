%%% @doc Pools made on demand, calls that name them, and calls that are routed to them.
-module(pools_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_pool_has_the_contexts_it_was_asked_for/1, the_size_alone_is_enough/1, a_stopped_pool_is_gone/1,
    stopping_a_pool_leaves_others_alone/1, stopping_no_pool_is_harmless/1, a_stopped_pool_can_be_started_again/1,
    a_pool_of_an_unknown_mode_is_refused/1, a_pool_of_an_unsupported_mode_is_refused/1,
    a_context_of_a_pool_is_sticky/1, a_pool_gives_a_live_context_when_one_died/1
]).
-export([
    a_call_names_its_pool/1, a_call_names_its_pool_and_keywords/1, the_default_pool_has_a_name/1,
    a_call_to_no_pool_is_refused/1, a_pool_has_its_own_environments/1
]).
-export([
    a_registered_module_routes_all_its_functions/1, a_registered_function_routes_alone/1,
    a_function_takes_priority_over_its_module/1, unregistering_routes_back_to_the_default_pool/1,
    spawned_calls_follow_the_registration/1, calls_with_keywords_follow_the_registration/1,
    an_explicit_pool_beats_the_registration/1, an_explicit_context_beats_the_registration/1,
    registrations_are_listed/1, registering_again_replaces/1, a_module_registered_to_no_pool_is_refused/1,
    both_modules_register/1,
    unregistering_the_unknown_is_harmless/1, a_slow_pool_does_not_delay_the_default_pool/1,
    a_batch_is_fetched_in_parallel/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_pool_has_the_contexts_it_was_asked_for, the_size_alone_is_enough, a_stopped_pool_is_gone,
        stopping_a_pool_leaves_others_alone, stopping_no_pool_is_harmless, a_stopped_pool_can_be_started_again,
        a_pool_of_an_unknown_mode_is_refused, a_pool_of_an_unsupported_mode_is_refused,
        a_context_of_a_pool_is_sticky, a_pool_gives_a_live_context_when_one_died,
        a_call_names_its_pool, a_call_names_its_pool_and_keywords, the_default_pool_has_a_name,
        a_call_to_no_pool_is_refused, a_pool_has_its_own_environments,
        a_registered_module_routes_all_its_functions, a_registered_function_routes_alone,
        a_function_takes_priority_over_its_module, unregistering_routes_back_to_the_default_pool,
        spawned_calls_follow_the_registration, calls_with_keywords_follow_the_registration,
        an_explicit_pool_beats_the_registration, an_explicit_context_beats_the_registration,
        registrations_are_listed, registering_again_replaces, a_module_registered_to_no_pool_is_refused,
        both_modules_register,
        unregistering_the_unknown_is_harmless, a_slow_pool_does_not_delay_the_default_pool,
        a_batch_is_fetched_in_parallel, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

%% Every case has a pool `io' of two contexts, and no registrations.
init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    {ok, Contexts} = py_context_router:start_pool(io, 2, ep_ct:context_mode()),
    [{contexts, Contexts}, {threads, [thread(Context) || Context <- Contexts]} | Config].

end_per_testcase(nothing_is_left_behind, _Config) ->
    ep_ct:end_case();
end_per_testcase(_Case, _Config) ->
    [forget(Registration) || {Registration, _} <- py_context_router:list_pool_registrations()],
    ok = py_context_router:stop_pool(io),
    ep_ct:end_case().

forget({Module, '_'}) -> ok = py_context_router:unregister_pool(Module);
forget({Module, Function}) -> ok = py_context_router:unregister_pool(Module, Function).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% The thread of a context tells which context served a call.
thread(Context) ->
    {ok, Id} = py_context:call(Context, threading, get_native_id, []),
    Id.

in_pool({ok, Thread}, Config) ->
    lists:member(Thread, proplists:get_value(threads, Config)).

%% ---------------------------------------------------------------------------------------------------------------------
%% Pools

a_pool_has_the_contexts_it_was_asked_for(Config) ->
    Contexts = proplists:get_value(contexts, Config),
    2 = length(lists:usort(Contexts)),
    2 = py_context_router:num_contexts(io),
    Contexts = py_context_router:contexts(io),
    true = py_context_router:pool_started(io),
    [] = [C || C <- Contexts, lists:member(C, py_context_router:contexts(default))],
    [] = Contexts -- py_context_sup:which_contexts(),
    2 = length(lists:usort(proplists:get_value(threads, Config))).

the_size_alone_is_enough(_Config) ->
    {ok, [Context]} = py_context_router:start_pool(gpu, 1),
    true = is_process_alive(Context),
    {ok, 4.0} = py:call(gpu, math, sqrt, [16]),
    ok = py_context_router:stop_pool(gpu).

a_stopped_pool_is_gone(Config) ->
    Contexts = proplists:get_value(contexts, Config),
    ok = py_context_router:stop_pool(io),
    [_ = ep_ct:down(Context) || Context <- Contexts],
    false = py_context_router:pool_started(io),
    0 = py_context_router:num_contexts(io),
    [] = py_context_router:contexts(io).

stopping_a_pool_leaves_others_alone(_Config) ->
    Default = py_context_router:contexts(default),
    {ok, _} = py_context_router:start_pool(gpu, 1, ep_ct:context_mode()),
    ok = py_context_router:stop_pool(gpu),
    true = py_context_router:pool_started(io),
    {ok, 4.0} = py:call(io, math, sqrt, [16]),
    Default = py_context_router:contexts(default),
    {ok, 4.0} = py:call(math, sqrt, [16]).

stopping_no_pool_is_harmless(_Config) ->
    ok = py_context_router:stop_pool(ep_no_such_pool),
    false = py_context_router:pool_started(ep_no_such_pool),
    0 = py_context_router:num_contexts(ep_no_such_pool),
    [] = py_context_router:contexts(ep_no_such_pool).

a_stopped_pool_can_be_started_again(Config) ->
    ok = py_context_router:stop_pool(io),
    {ok, New} = py_context_router:start_pool(io, 1, ep_ct:context_mode()),
    [] = [C || C <- New, lists:member(C, proplists:get_value(contexts, Config))],
    1 = py_context_router:num_contexts(io),
    {ok, 4.0} = py:call(io, math, sqrt, [16]).

a_pool_of_an_unknown_mode_is_refused(_Config) ->
    Before = lists:sort(py_context_sup:which_contexts()),
    {error, {invalid_mode, no_such_mode}} = py_context_router:start_pool(refused, 2, no_such_mode),
    false = py_context_router:pool_started(refused),
    Before = lists:sort(py_context_sup:which_contexts()).

a_pool_of_an_unsupported_mode_is_refused(_Config) ->
    case py_nif:owngil_supported() of
        true ->
            {skip, "this Python has subinterpreters with a GIL of their own"};
        false ->
            Before = lists:sort(py_context_sup:which_contexts()),
            {error, Reason} = py_nif:owngil_problem(),
            {error, Reason} = py_context_router:start_pool(refused, 2, owngil),
            false = py_context_router:pool_started(refused),
            Before = lists:sort(py_context_sup:which_contexts())
    end.

a_context_of_a_pool_is_sticky(Config) ->
    Context = py_context_router:get_context(io),
    true = lists:member(Context, proplists:get_value(contexts, Config)),
    [Context = py_context_router:get_context(io) || _ <- lists:seq(1, 20)],
    Thread = thread(Context),
    [{ok, Thread} = py:call(io, threading, get_native_id, []) || _ <- lists:seq(1, 20)].

a_pool_gives_a_live_context_when_one_died(_Config) ->
    Context = py_context_router:get_context(io),
    ok = py_context:stop(Context),
    _ = ep_ct:down(Context),
    New = py_context_router:get_context(io),
    true = New =/= Context andalso is_process_alive(New),
    true = py_context_router:pool_started(io),
    {ok, 4.0} = py:call(io, math, sqrt, [16]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Named pools

a_call_names_its_pool(Config) ->
    {ok, 4.0} = py:call(io, math, sqrt, [16]),
    true = in_pool(py:call(io, threading, get_native_id, []), Config),
    false = in_pool(py:call(threading, get_native_id, []), Config).

a_call_names_its_pool_and_keywords(Config) ->
    {ok, <<"{\n \"a\": 1\n}">>} = py:call(io, json, dumps, [#{a => 1}], #{indent => 1}),
    {ok, <<"1">>} = py:call(io, json, dumps, [1], #{}),
    true = in_pool(py:call(io, threading, get_native_id, [], #{}), Config).

the_default_pool_has_a_name(Config) ->
    {ok, 4.0} = py:call(default, math, sqrt, [16]),
    false = in_pool(py:call(default, threading, get_native_id, []), Config).

a_call_to_no_pool_is_refused(_Config) ->
    {error, _} = py:call(ep_no_such_pool, math, sqrt, [16]),
    {error, _} = py:call(ep_no_such_pool, math, sqrt, [16], #{}).

a_pool_has_its_own_environments(_Config) ->
    ok = py:exec(<<"def where(): return 'default'">>),
    {ok, <<"default">>} = py:call(default, '__main__', where, []),
    {error, {_, _}} = py:call(io, '__main__', where, []),
    ok = py:exec(py_context_router:get_context(io), <<"def where(): return 'io'">>),
    {ok, <<"io">>} = py:call(io, '__main__', where, []),
    {ok, <<"default">>} = py:call('__main__', where, []).

%% ---------------------------------------------------------------------------------------------------------------------
%% Registrations

a_registered_module_routes_all_its_functions(Config) ->
    ok = py:register_pool(io, threading),
    true = in_pool(py:call(threading, get_native_id, []), Config),
    true = in_pool(py:call(<<"threading">>, <<"get_native_id">>, []), Config),
    [io = py_context_router:lookup_pool(threading, Function) || Function <- [get_native_id, active_count, other]],
    default = py_context_router:lookup_pool(math, sqrt),
    {ok, 4.0} = py:call(math, sqrt, [16]).

a_registered_function_routes_alone(Config) ->
    ok = py:register_pool(io, {threading, get_native_id}),
    true = in_pool(py:call(threading, get_native_id, []), Config),
    io = py_context_router:lookup_pool(threading, get_native_id),
    default = py_context_router:lookup_pool(threading, get_ident).

a_function_takes_priority_over_its_module(Config) ->
    ok = py:register_pool(io, threading),
    ok = py:register_pool(default, {threading, get_native_id}),
    false = in_pool(py:call(threading, get_native_id, []), Config),
    default = py_context_router:lookup_pool(threading, get_native_id),
    io = py_context_router:lookup_pool(threading, active_count).

unregistering_routes_back_to_the_default_pool(Config) ->
    ok = py:register_pool(io, threading),
    ok = py:register_pool(io, {threading, get_native_id}),
    ok = py:unregister_pool(threading),
    true = in_pool(py:call(threading, get_native_id, []), Config),
    ok = py:unregister_pool({threading, get_native_id}),
    false = in_pool(py:call(threading, get_native_id, []), Config),
    default = py_context_router:lookup_pool(threading, get_native_id).

spawned_calls_follow_the_registration(Config) ->
    ok = py:register_pool(io, threading),
    true = in_pool(py:await(py:spawn_call(threading, get_native_id, [])), Config).

calls_with_keywords_follow_the_registration(Config) ->
    ok = py:register_pool(io, threading),
    true = in_pool(py:call(threading, get_native_id, [], #{}), Config),
    true = in_pool(py:call(threading, get_native_id, [], #{}, 5000), Config).

an_explicit_pool_beats_the_registration(Config) ->
    ok = py:register_pool(io, threading),
    false = in_pool(py:call(default, threading, get_native_id, []), Config).

an_explicit_context_beats_the_registration(_Config) ->
    ok = py:register_pool(io, threading),
    Context = py:context(1),
    Thread = thread(Context),
    {ok, Thread} = py:call(Context, threading, get_native_id, []).

registrations_are_listed(_Config) ->
    [] = py_context_router:list_pool_registrations(),
    ok = py:register_pool(io, requests),
    ok = py:register_pool(default, {json, dumps}),
    [{{json, dumps}, default}, {{requests, '_'}, io}] = lists:sort(py_context_router:list_pool_registrations()).

registering_again_replaces(_Config) ->
    ok = py:register_pool(io, json),
    ok = py:register_pool(default, json),
    default = py_context_router:lookup_pool(json, loads),
    [{{json, '_'}, default}] = py_context_router:list_pool_registrations().

a_module_registered_to_no_pool_is_refused(_Config) ->
    ok = py:register_pool(ep_no_such_pool, json),
    {error, _} = py:call(json, dumps, [1]),
    {error, _} = py:await(py:spawn_call(json, dumps, [1])),
    ok = py:unregister_pool(json),
    {ok, <<"1">>} = py:call(json, dumps, [1]).

both_modules_register(_Config) ->
    ok = py_context_router:init_pool_registry(),
    ok = py_context_router:register_pool(io, httpx),
    ok = py_context_router:register_pool(io, db, 'query'),
    ok = py_context_router:init_pool_registry(),
    io = py_context_router:lookup_pool(httpx, get),
    io = py_context_router:lookup_pool(db, 'query'),
    default = py_context_router:lookup_pool(db, connect),
    ok = py_context_router:unregister_pool(db, 'query'),
    ok = py_context_router:unregister_pool(httpx),
    [] = py_context_router:list_pool_registrations().

unregistering_the_unknown_is_harmless(_Config) ->
    ok = py:unregister_pool(ep_no_such_module),
    ok = py:unregister_pool({ep_no_such_module, f}).

%% The slow calls end when the test has seen the quick one, not before.
a_slow_pool_does_not_delay_the_default_pool(Config) ->
    Busy = [{Context, ep_ct:busy(Context)} || Context <- proplists:get_value(contexts, Config)],
    {ok, 4.0} = py:call(math, sqrt, [16]),
    [begin
        ok = py:interrupt(Context),
        {error, interrupted} = ep_ct:result(Caller)
    end || {Context, Caller} <- Busy].

a_batch_is_fetched_in_parallel(_Config) ->
    ok = py:register_pool(io, base64),
    Keys = [integer_to_binary(N) || N <- lists:seq(1, 20)],
    Futures = [py:spawn_call(base64, b64encode, [{bytes, Key}]) || Key <- Keys],
    true = [{ok, base64:encode(Key)} || Key <- Keys] =:= [py:await(Future) || Future <- Futures].
