%%% @doc Every function of the API, called with arguments of the wrong shape: it refuses at once, with an error tuple or
%%% an exception that names the mistake, and leaves nothing behind.
-module(wrong_shapes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    calls/1, evaluation/1, asynchronous_calls/1, contexts/1, callbacks_and_pools/1, objects/1, context_functions/1,
    router_and_semaphore/1, native_functions/1, forged_references/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        calls, evaluation, asynchronous_calls, contexts, callbacks_and_pools, objects, context_functions,
        router_and_semaphore, native_functions, forged_references, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% Each row is {Function, Arguments}.

calls(Config) ->
    Ctx = ctx(Config),
    refuses(Ctx, py, [
        {call, [math, sqrt, no_list]},
        {call, [math, sqrt, [16 | 17]]},
        {call, [1, sqrt, [16]]},
        {call, [{math}, sqrt, [16]]},
        {call, [math, 1.5, [16]]},
        {call, [math, [$s, not_a_character], [16]]},
        {call, [math, sqrt, [16], no_map]},
        {call, [math, sqrt, [16], #{}, never]},
        {call, [math, sqrt, [16], #{}, -1]},
        {call, [math, sqrt, [16], #{}, 1.5]},
        {call, [math, sqrt, [16], #{}, 1 bsl 64]},
        {call, [no_such_pool, math, sqrt, [16]]},
        {call, [no_such_pool, math, sqrt, [16], #{}]},
        {call, [make_ref(), math, sqrt, [16]]},
        {call, [self(), math, sqrt, [16]]},
        {call, [Ctx, math, sqrt, 16]},
        {call, [Ctx, math, sqrt, [16 | 17]]},
        {call, [Ctx, 1, sqrt, [16]]},
        {call, [Ctx, math, 1, [16]]},
        {call, [Ctx, math, sqrt, [16], []]},
        {call, [Ctx, math, sqrt, [16], #{timeout => soon}]},
        {call, [Ctx, math, sqrt, [16], #{timeout => -1}]},
        {call, [Ctx, math, sqrt, [16], #{kwargs => []}]}
    ]).

evaluation(Config) ->
    Ctx = ctx(Config),
    refuses(Ctx, py, [
        {eval, [an_atom]},
        {eval, [1]},
        {eval, [{code}]},
        {eval, [[$1, an_atom]]},
        {eval, [<<1:3>>]},
        {eval, [<<"1">>, no_map]},
        {eval, [<<"1">>, #{}, soon]},
        {eval, [<<"1">>, #{}, -1]},
        {eval, [self(), <<"1">>]},
        {eval, [Ctx, an_atom]},
        {eval, [Ctx, <<"1">>, []]},
        {exec, [an_atom]},
        {exec, [1]},
        {exec, [self(), <<"x = 1">>]},
        {exec, [Ctx, an_atom]},
        {exec, [Ctx, [$x, an_atom]]},
        {exec, [make_ref(), <<"x = 1">>]}
    ]).

asynchronous_calls(Config) ->
    Ctx = ctx(Config),
    refuses(Ctx, py, [
        {cast, [math, sqrt, no_list]},
        {cast, [1, sqrt, [16]]},
        {cast, [math, 1, [16]]},
        {cast, [math, sqrt, [16], no_map]},
        {cast, [Ctx, math, sqrt, no_list]},
        {cast, [Ctx, math, sqrt, [16], no_map]},
        {cast, [make_ref(), math, sqrt, [16], #{}]},
        {spawn_call, [math, sqrt, no_list]},
        {spawn_call, [1, sqrt, [16]]},
        {spawn_call, [math, sqrt, [16], no_map]},
        {spawn_call, [Ctx, math, sqrt, no_list]},
        {spawn_call, [Ctx, math, sqrt, [16], no_map]},
        {spawn_call, [self(), math, sqrt, [16]]},
        {await, [an_atom, 100]},
        {await, [1]},
        {await, [make_ref(), soon]},
        {await, [make_ref(), 10]},
        {parallel, [no_list]},
        {parallel, [[no_call]]},
        {parallel, [[{math, sqrt}]]},
        {parallel, [[{math, sqrt, no_list}]]},
        {parallel, [[{math, sqrt, [4]} | no_tail]]}
    ]),
    [begin
         %% What went wrong in waiting takes nothing away from the call.
         Call = py:spawn_call(Ctx, busy, sleep, [self(), 0.1]),
         ep_expect:message(<<"running">>),
         ?assertError(_, py:await(Call, Timeout)),
         {ok, <<"slept">>} = py:await(Call),
         ep_expect:message(<<"woke">>)
     end || Timeout <- [soon, -1, 1.5, 1 bsl 64]].

contexts(Config) ->
    refuses(ctx(Config), py, [
        {context, [0]},
        {context, [-1]},
        {context, [1_000_000]},
        {context, [1.5]},
        {context, [{}]},
        {start_contexts, [no_map]},
        {get_local_env, [no_pid]},
        {get_local_env, [self()]},
        {interrupt, [no_pid]}
    ]).

callbacks_and_pools(Config) ->
    refuses(ctx(Config), py, [
        {register_function, [1, fun(_) -> ok end]},
        {register_function, [{a}, fun(_) -> ok end]},
        {register_function, [wrong_shape, no_fun]},
        {register_function, [wrong_shape, fun() -> ok end]},
        {register_function, [wrong_shape, fun(_, _) -> ok end]},
        {register_function, [wrong_shape, 1, f]},
        {register_function, [wrong_shape, lists, 1]},
        {unregister_function, [1]},
        {register_pool, [1, math]},
        {register_pool, [io, 1]},
        {register_pool, [io, {a, b, c}]},
        {unregister_pool, [1]}
    ]).

objects(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    Env = py:get_local_env(Ctx),
    Forged = make_ref(),
    refuses(Ctx, py, [
        {Function, [Object | Rest]}
        || Object <- [an_atom, 1, self(), Forged, Env],
           {Function, Rest} <- [{call_method, [append, [1]]}, {getattr, [append]}, {to_term, []}]
    ] ++ [
        {call_method, [Ref, 1, []]},
        {call_method, [Ref, append, no_list]},
        {call_method, [Ref, append, [1 | 2]]},
        {getattr, [Ref, 1]},
        {getattr, [Ref, {a}]}
    ]),
    [false = py:is_ref(Term) || Term <- [an_atom, 1, self(), Forged, Env, [Ref], {py_ref, Ref}]],
    true = py:is_ref(Ref),
    {ok, []} = py:to_term(Ref).

context_functions(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    Silent = spawn(fun() -> receive stop -> ok end end),
    refuses(Ctx, py_context, [
        {new, [no_map]},
        {new, [#{mode => sideways}]},
        {start_link, [1, sideways]},
        {call, [Ctx, math, sqrt, no_list]},
        {call, [Ctx, 1, sqrt, [16]]},
        {call, [Ctx, math, sqrt, [16], no_map]},
        {call, [Ctx, math, sqrt, [16], #{}, soon]},
        {call, [Ctx, math, sqrt, [16], #{}, -1]},
        {call, [Ctx, math, sqrt, [16], #{}, 1000, no_env]},
        {call, [Ctx, math, sqrt, [16], #{}, 1000, make_ref()]},
        {call, [Ctx, math, sqrt, [16], #{}, 1000, Ref]},
        {call, [Silent, math, sqrt, [16]]},
        {call, [no_pid, math, sqrt, [16]]},
        {eval, [Ctx, an_atom]},
        {eval, [Ctx, <<"1">>, no_map]},
        {eval, [Ctx, <<"1">>, #{}, soon]},
        {eval, [Ctx, <<"1">>, #{}, 1000, no_env]},
        {eval, [Ctx, <<"1">>, #{}, 1000, make_ref()]},
        {eval, [Silent, <<"1">>]},
        {exec, [Ctx, an_atom]},
        {exec, [Ctx, <<"x = 1">>, no_env]},
        {exec, [Ctx, <<"x = 1">>, make_ref()]},
        {exec, [Silent, <<"x = 1">>]},
        {call_method, [Ctx, make_ref(), append, []]},
        {call_method, [Ctx, Ref, 1, []]},
        {to_term, [make_ref()]},
        {create_local_env, [Silent]},
        {create_local_env, [no_pid]},
        {get_interp_id, [Silent]},
        {get_nif_ref, [Silent]},
        {interrupt, [no_pid]}
    ]),
    exit(Silent, kill),
    {error, {invalid_mode, sideways}} = py_context:new(#{mode => sideways}),
    ok.

router_and_semaphore(Config) ->
    Ctx = ctx(Config),
    refuses(Ctx, py_context_router, [
        {get_context, [0]},
        {get_context, [1_000_000]},
        {get_context, [no_such_pool]},
        {bind_context, [no_pid]},
        {start_pool, [wrong_shape, 0]},
        {start_pool, [wrong_shape, many]},
        {start_pool, [wrong_shape, 1, sideways]},
        {start_pool, ["wrong_shape", 1]}
    ]),
    refuses(Ctx, py_semaphore, [
        {acquire, [soon]},
        {acquire, [-1]},
        {set_max_concurrent, [0]},
        {set_max_concurrent, [-1]},
        {set_max_concurrent, [many]}
    ]).

native_functions(Config) ->
    Ctx = ctx(Config),
    Native = py_context:get_nif_ref(Ctx),
    Ref = make_ref(),
    refuses(Ctx, py_nif, [
        {submit_call, [no_context, Ref, math, sqrt, [16], #{}, undefined, 0]},
        {submit_call, [Native, no_reference, math, sqrt, [16], #{}, undefined, 0]},
        {submit_call, [Native, Ref, 1, sqrt, [16], #{}, undefined, 0]},
        {submit_call, [Native, Ref, math, sqrt, no_list, #{}, undefined, 0]},
        {submit_call, [Native, Ref, math, sqrt, [16], no_map, undefined, 0]},
        {submit_call, [Native, Ref, math, sqrt, [16], #{}, no_env, 0]},
        {submit_call, [Native, Ref, math, sqrt, [16], #{}, undefined, no_flags]},
        {submit_eval, [Native, Ref, an_atom, #{}, undefined, 0]},
        {submit_eval, [Native, Ref, <<"1">>, no_map, undefined, 0]},
        {submit_exec, [Native, Ref, an_atom, undefined, 0]},
        {submit_object, [Ref, method, make_ref(), append, [], #{}, 0]},
        {submit_object, [Ref, sideways, make_ref(), append, [], #{}, 0]},
        {submit_noop, [no_context, Ref, 0]},
        {cancel, [no_handle]},
        {cancel, [-1]},
        {configure, [no_map]},
        {set_host, [no_pid]},
        {function_registered, [1]},
        {context_new, [no_reference, #{mode => worker}]},
        {context_new, [Ref, no_map]},
        {semaphore_acquire, [no_pid]},
        {semaphore_set_max, [0]},
        {answer, [no_callback, ok, 1]}
    ]).

%% References that look right but stand for something else, or for nothing.
forged_references(Config) ->
    Ctx = ctx(Config),
    Native = py_context:get_nif_ref(Ctx),
    Env = py:get_local_env(Ctx),
    {ok, Object} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    Kinds = [{context, Native}, {env, Env}, {object, Object}, {none, make_ref()}],
    Wrong = fun(Right) -> [Ref || {Kind, Ref} <- Kinds, Kind =/= Right] end,
    Ref = make_ref(),
    refuses(Ctx, py_nif, lists:append([
        [{Function, [Bad]} || Bad <- Wrong(context),
                              Function <- [context_destroy, context_id, context_interrupt, env_new]],
        [{submit_noop, [Bad, Ref, 0]} || Bad <- Wrong(context)],
        [{submit_exec, [Native, Ref, <<"x = 1">>, Bad, 0]} || Bad <- Wrong(env)],
        [{submit_object, [Ref, getattr, Bad, append, [], #{}, 0]} || Bad <- Wrong(object)],
        [{object_context, [Bad]} || Bad <- Wrong(object)],
        [{build, [Bad]} || Bad <- Wrong(flat)],
        [{Function, [Bad]} || Bad <- Wrong(slot), Function <- [semaphore_release, semaphore_cancel]],
        [{async_handle, [Bad]} || Bad <- Wrong(async)],
        [{answer, [Bad, ok, 1]} || Bad <- Wrong(callback)]
    ])),
    %% A handle no request has; a reference number from nowhere may be answered in any way but a crash.
    _ = try py_nif:cancel(1 bsl 40) catch error:badarg -> badarg end,
    [false = py_nif:is_env(Bad) || Bad <- [an_atom, 1 | Wrong(env)]],
    [false = py_nif:is_object(Bad) || Bad <- [an_atom, 1 | Wrong(object)]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

%% All rows are tried before the test fails, so that one run shows all of what is wrong.
refuses(Ctx, Module, Rows) ->
    Accepted = [{Module, Function, Args, Outcome}
                || {Function, Args} <- Rows,
                   Outcome <- [outcome(Module, Function, Args)],
                   not is_refusal(Outcome)],
    [] = Accepted,
    ep_expect:still_works(Ctx),
    ep_ct:wait_until(fun() -> ep_live:count(requests) =:= 0 end),
    ep_ct:wait_until(fun() -> py_semaphore:current() =:= 0 end).

outcome(Module, Function, Args) ->
    Work = fun() ->
        try apply(Module, Function, Args) of
            Async when Function =:= spawn_call, is_reference(Async) -> {returned, py:await(Async, 5000)};
            Result -> {returned, Result}
        catch
            Class:Reason -> {Class, Reason}
        end
    end,
    try ep_background:result(ep_background:start(Work))
    catch error:Reason -> Reason
    end.

is_refusal({returned, {error, _}}) -> true;
is_refusal({returned, error}) -> true;
is_refusal({returned, {ok, Results}}) when is_list(Results) -> lists:any(fun is_error/1, Results);
is_refusal({error, Reason}) -> names_a_mistake(Reason);
is_refusal({exit, {noproc, _}}) -> true;
is_refusal(_) -> false.

is_error({error, _}) -> true;
is_error(_) -> false.

%% An exception that says that an argument was wrong, not one that happened to come out of the depth.
names_a_mistake(badarg) -> true;
names_a_mistake({badarg, _}) -> true;
names_a_mistake(function_clause) -> true;
names_a_mistake({badmap, _}) -> true;
names_a_mistake(timeout_value) -> true;
names_a_mistake(context_stopped) -> true;
names_a_mistake({no_such_context, _}) -> true;
names_a_mistake({pool_not_started, _}) -> true;
names_a_mistake(_) -> false.
