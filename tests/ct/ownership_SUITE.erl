%%% @doc Environments and object handles, used by others than those who made them, and after the end of what they live
%%% in.
-module(ownership_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    things_that_outlive_their_context/1, environments_belong_to_one_context/1, objects_belong_to_one_context/1,
    environments_cross_processes/1, finalisers_may_call_erlang/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        things_that_outlive_their_context, environments_belong_to_one_context, objects_belong_to_one_context,
        environments_cross_processes, finalisers_may_call_erlang, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

things_that_outlive_their_context(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Env} = py_context:create_local_env(Other),
    {ok, Unused} = py_context:create_local_env(Other),
    ok = py_context:exec(Other, <<"x = 1">>, Env),
    {ok, Ref} = py:call(Other, builtins, list, [[1]], #{return => ref}),
    Native = py_context:get_nif_ref(Other),
    ok = py_context:stop(Other),
    [begin
         ?assertEqual({error, context_stopped}, py_context:exec(Other, <<"x">>, Dead)),
         ?assertEqual({error, context_stopped}, py_nif:context_eval(Native, <<"x">>, #{}, Dead)),
         ?assertEqual({error, context_stopped}, py_nif:context_call(Native, math, sqrt, [4], #{}, Dead)),
         ?assertEqual({error, env_wrong_interpreter}, py_context:eval(Ctx, <<"x">>, #{}, 5000, Dead))
     end || Dead <- [Env, Unused]],
    ?assertEqual({error, context_stopped}, py:to_term(Ref)),
    ?assertEqual({error, context_stopped}, py:getattr(Ref, append)),
    ?assertEqual({error, context_stopped}, py:call_method(Ref, append, [1])),
    {error, _} = py:call(Ctx, builtins, len, [Ref]),
    true = py:is_ref(Ref),
    ep_expect:idle(Ctx).

environments_belong_to_one_context(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Env} = py_context:create_local_env(Ctx),
    Native = py_context:get_nif_ref(Other),
    Wrong = {error, env_wrong_interpreter},
    ?assertEqual(Wrong, py_context:exec(Other, <<"x = 1">>, Env)),
    ?assertEqual(Wrong, py_context:eval(Other, <<"1">>, #{}, 5000, Env)),
    ?assertEqual(Wrong, py_context:call(Other, math, sqrt, [4], #{}, 5000, Env)),
    ?assertEqual(Wrong, py_nif:context_exec(Native, <<"x = 1">>, Env)),
    ?assertEqual(Wrong, py_nif:context_eval(Native, <<"1">>, #{}, Env)),
    ?assertEqual(Wrong, py_nif:context_call(Native, math, sqrt, [4], #{}, Env)),
    ok = py_context:exec(Ctx, <<"x = 1">>, Env),
    {ok, 1} = py_context:eval(Ctx, <<"x">>, #{}, 5000, Env),
    ok = py_context:stop(Other),
    ep_expect:idle(Ctx).

%% A handle works in every context that has the same interpreter, or is refused by name.
objects_belong_to_one_context(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Ref} = py:call(Ctx, builtins, list, [[1, 2]], #{return => ref}),
    {ok, 2} = py:call(Ctx, builtins, len, [Ref]),
    case py:call(Other, builtins, len, [Ref]) of
        {ok, 2} -> worker = ep_ct:context_mode();
        {error, _} -> ok
    end,
    {ok, none} = py:call_method(Ref, append, [3]),
    {ok, [1, 2, 3]} = py:to_term(Ref),
    ok = py_context:stop(Other),
    ep_expect:idle(Ctx).

%% References may be sent to another process, and outlive the one that made them.
environments_cross_processes(Config) ->
    Ctx = ctx(Config),
    Made = ep_background:start(fun() ->
        {ok, Env} = py_context:create_local_env(Ctx),
        ok = py_context:exec(Ctx, <<"x = 'kept'">>, Env),
        {ok, Ref} = py:call(Ctx, builtins, list, [[1]], #{return => ref}),
        {Env, Ref}
    end),
    {Env, Ref} = ep_background:result(Made),
    {ok, <<"kept">>} = py_context:eval(Ctx, <<"x">>, #{}, 5000, Env),
    {ok, [1]} = py:to_term(Ref),
    ep_expect:idle(Ctx).

%% They run when a handle is released, while no request runs, and in the middle of others.
finalisers_may_call_erlang(Config) ->
    Ctx = ctx(Config),
    Me = self(),
    ok = py:register_function(farewell, fun([Name]) -> Me ! {farewell, Name}, ok end),
    in_a_process(fun() ->
        ok = py:exec(Ctx, <<"
class Leaves:
    def __init__(self, name):
        self.name = name
    def __del__(self):
        erlang.call('farewell', self.name)
kept = Leaves('environment')
">>),
        {ok, _Ref} = py:call(Ctx, '__main__', 'Leaves', [object], #{return => ref}),
        {ok, _} = py:eval(Ctx, <<"Leaves('temporary')">>)
    end),
    in_a_process(fun() -> ok = py:exec(Ctx, <<"import hostile\nkept = hostile.Leaves('no cycle')">>) end),
    [ep_expect:message({farewell, Name}) || Name <- [<<"temporary">>, <<"object">>, <<"no cycle">>]],
    %% The namespace is part of a cycle, since its functions refer to it.
    {ok, _} = py:call(Ctx, gc, collect, []),
    case ep_cell:keeps_classes() of
        false -> ep_expect:message({farewell, <<"environment">>});
        true -> ok = ep_ct:mailbox_empty()
    end,
    ok = py:unregister_function(farewell),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

in_a_process(Fun) ->
    {Pid, Monitor} = spawn_monitor(Fun),
    receive
        {'DOWN', Monitor, process, Pid, normal} -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.
