%%% @doc Object handles and environments where they do not belong: in another interpreter, and after the end of theirs.
%%% They are error tuples there, and are freed where they live.
-module(foreign_handles_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_foreign_object_as_an_argument/1, a_foreign_object_inside_an_argument/1, a_foreign_object_of_another_mode/1,
    a_foreign_object_is_looked_at_before_anything_runs/1, a_method_runs_where_its_object_lives/1,
    a_foreign_object_as_an_argument_of_a_method/1, a_foreign_object_as_the_result_of_a_callback/1,
    a_foreign_environment/1
]).
-export([
    a_dead_object_as_an_argument/1, a_method_of_a_dead_object/1, a_dead_environment/1,
    a_handle_is_freed_on_its_own_thread/1, handles_are_freed_with_their_context/1,
    handles_of_dead_contexts_are_freed/1, nothing_is_left_behind/1
]).

-define(WRONG, {error, env_wrong_interpreter}).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_foreign_object_as_an_argument, a_foreign_object_inside_an_argument, a_foreign_object_of_another_mode,
        a_foreign_object_is_looked_at_before_anything_runs, a_method_runs_where_its_object_lives,
        a_foreign_object_as_an_argument_of_a_method, a_foreign_object_as_the_result_of_a_callback,
        a_foreign_environment, a_dead_object_as_an_argument, a_method_of_a_dead_object, a_dead_environment,
        a_handle_is_freed_on_its_own_thread, handles_are_freed_with_their_context, handles_of_dead_contexts_are_freed,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Of another interpreter that lives. Contexts that share one can use each other's objects.

a_foreign_object_as_an_argument(Config) ->
    with_foreign(Config, fun(Ctx, Other, Ref) ->
        foreign({ok, 2}, py:call(Ctx, builtins, len, [Ref])),
        foreign({ok, 2}, py:await(py:spawn_call(Ctx, builtins, len, [Ref]))),
        foreign({ok, 2}, py_context:call(Ctx, builtins, len, [Ref])),
        foreign({ok, #{<<"ref">> => [1, 2]}}, py:call(Ctx, builtins, dict, [], #{kwargs => #{ref => Ref}})),
        foreign({ok, 2}, py:eval(Ctx, <<"len(ref)">>, #{ref => Ref})),
        ok = py:cast(Ctx, builtins, len, [Ref]),
        ?assertEqual({ok, 2}, py:call(Other, builtins, len, [Ref]))
    end).

a_foreign_object_inside_an_argument(Config) ->
    with_foreign(Config, fun(Ctx, Other, Ref) ->
        {ok, Mine} = py:call(Ctx, builtins, list, [[3]], #{return => ref}),
        [begin
             foreign({ok, true}, py:call(Ctx, builtins, bool, [Value])),
             ?assertEqual({ok, true}, py:call(Other, builtins, bool, [Value]))
         end || Value <- [[Ref], [1, [2, {3, Ref}]], #{<<"a">> => Ref}, lists:seq(1, 30_000) ++ [Ref]]],
        foreign({ok, [1, 2, 3]}, py:call(Ctx, operator, add, [Ref, Mine]))
    end).

a_foreign_object_of_another_mode(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[1, 2]], #{return => ref}),
    case ep_cell:other_modes() of
        [] ->
            {skip, "contexts have one mode here"};
        Modes ->
            [begin
                 {ok, Other} = py_context:new(#{mode => Mode}),
                 {ok, Foreign} = py:call(Other, builtins, list, [[3]], #{return => ref}),
                 ?assertEqual({Mode, ?WRONG}, {Mode, py:call(Other, builtins, len, [Ref])}),
                 ?assertEqual({Mode, ?WRONG}, {Mode, py:call(Ctx, builtins, len, [Foreign])}),
                 ?assertEqual({Mode, ?WRONG}, {Mode, py:call_method(Ref, extend, [Foreign])}),
                 ?assertEqual({Mode, {ok, [3]}}, {Mode, py:to_term(Foreign)}),
                 ep_expect:still_works(Other),
                 ok = py_context:stop(Other)
             end || Mode <- Modes],
            ok
    end.

%% Nothing has happened when a call is refused.
a_foreign_object_is_looked_at_before_anything_runs(Config) ->
    with_foreign(Config, fun(Ctx, _Other, Ref) ->
        Me = self(),
        foreign({ok, none}, py:call(Ctx, erlang, send, [Me, Ref])),
        foreign({ok, none}, py:eval(Ctx, <<"erlang.send(p, 'ran')">>, #{p => Me, ref => Ref})),
        ok = py:cast(Ctx, busy, tell, [Me, Ref]),
        %% A cast has been served before a later request.
        ok = py:exec(Ctx, <<"pass">>),
        {messages, Messages} = process_info(Me, messages),
        foreign([[1, 2], <<"ran">>, [1, 2]], [], Messages),
        [ep_expect:message(Message) || Message <- Messages]
    end).

a_method_runs_where_its_object_lives(Config) ->
    with_foreign(Config, fun(Ctx, Other, Ref) ->
        ?assertEqual({ok, 2}, py_context:call_method(Ctx, Ref, '__len__', [])),
        ?assertEqual({ok, none}, py_context:call_method(Other, Ref, append, [3])),
        ?assertEqual({ok, [1, 2, 3]}, py_context:to_term(Ref))
    end).

a_foreign_object_as_an_argument_of_a_method(Config) ->
    with_foreign(Config, fun(Ctx, _Other, Ref) ->
        {ok, Mine} = py:call(Ctx, builtins, list, [[3]], #{return => ref}),
        foreign({ok, none}, py:call_method(Mine, extend, [Ref])),
        foreign({ok, none}, py_context:call_method(Ctx, Mine, extend, [Ref])),
        ?assertEqual({ok, none}, py:call_method(Mine, extend, [Mine])),
        ?assertEqual({ok, none}, py:call_method(Ref, extend, [Ref]))
    end).

%% Python sees an exception that it can handle; one that it does not is what an argument would be.
a_foreign_object_as_the_result_of_a_callback(Config) ->
    with_foreign(Config, fun(Ctx, _Other, Ref) ->
        ep_ct:with_function(ep_foreign, fun([]) -> [Ref] end, fun() ->
            foreign({ok, [[1, 2]]}, py:eval(Ctx, <<"erlang.ep_foreign()">>)),
            ok = py:exec(Ctx, <<"
def attempt():
    try:
        return erlang.ep_foreign()
    except ReferenceError:
        return 'foreign'
">>),
            foreign({ok, [[1, 2]]}, {ok, <<"foreign">>}, py:call(Ctx, '__main__', attempt, [])),
            {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), ep_foreign, []]),
            foreign({<<"returned">>, [[1, 2]]}, {<<"raised">>, <<"WrongInterpreter">>}, ep_ct:message())
        end)
    end).

%% An environment belongs to a context, also where contexts share an interpreter.
a_foreign_environment(Config) ->
    Ctx = ctx(Config),
    [begin
         {ok, Other} = py_context:new(#{mode => Mode}),
         {ok, Env} = py_context:create_local_env(Other),
         {ok, Unused} = py_context:create_local_env(Other),
         ok = py_context:exec(Other, <<"x = 1">>, Env),
         [begin
              ?assertEqual(?WRONG, py_context:exec(Ctx, <<"x = 2">>, Foreign)),
              ?assertEqual(?WRONG, py_context:eval(Ctx, <<"x">>, #{}, 5000, Foreign)),
              ?assertEqual(?WRONG, py_context:call(Ctx, math, sqrt, [4], #{}, 5000, Foreign))
          end || Foreign <- [Env, Unused]],
         ?assertEqual({ok, 1}, py_context:eval(Other, <<"x">>, #{}, 5000, Env)),
         ok = py_context:stop(Other)
     end || Mode <- [ep_ct:context_mode() | ep_cell:other_modes()]],
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Of an interpreter or a context that has ended

a_dead_object_as_an_argument(Config) ->
    Ctx = ctx(Config),
    Ref = of_a_dead_context(),
    %% One that may have got the place of the dead one.
    New = ep_fresh_context:start(),
    {ok, Mine} = py:call(Ctx, builtins, list, [[3]], #{return => ref}),
    [?assertEqual(?WRONG, Result) || Result <- [
        py:call(Ctx, builtins, len, [Ref]), py:call(New, builtins, len, [Ref]), py:call(Ctx, builtins, len, [[[Ref]]]),
        py:eval(Ctx, <<"ref">>, #{ref => Ref}), py:call_method(Mine, append, [Ref])
    ]],
    ?assertEqual({ok, [3]}, py:to_term(Mine)),
    ok = py_context:stop(New),
    ep_expect:idle(Ctx).

a_method_of_a_dead_object(Config) ->
    Ref = of_a_dead_context(),
    Stopped = {error, context_stopped},
    ?assertEqual(Stopped, py:call_method(Ref, append, [1])),
    ?assertEqual(Stopped, py:call_method(Ref, append, [Ref])),
    ?assertEqual(Stopped, py:getattr(Ref, '__len__')),
    ?assertEqual(Stopped, py:to_term(Ref)),
    ?assertEqual(Stopped, py_context:call_method(ctx(Config), Ref, append, [1])),
    ep_expect:idle(ctx(Config)).

a_dead_environment(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Env} = py_context:create_local_env(Other),
    ok = py_context:exec(Other, <<"x = 1">>, Env),
    ok = py_context:stop(Other),
    New = ep_fresh_context:start(),
    [?assertEqual(?WRONG, py_context:eval(Context, <<"x">>, #{}, 5000, Env)) || Context <- [Ctx, New]],
    ?assertEqual({error, context_stopped}, py_context:eval(Other, <<"x">>, #{}, 5000, Env)),
    ok = py_context:stop(New),
    ep_expect:idle(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Their ends

%% Whoever held the last copy.
a_handle_is_freed_on_its_own_thread(Config) ->
    Ctx = ctx(Config),
    {ok, Thread} = py:eval(Ctx, <<"__import__('threading').get_native_id()">>),
    Me = self(),
    Holder = ep_background:start(fun() -> receive {hold, Ref} -> py:is_ref(Ref) end end),
    Maker = ep_background:start(fun() ->
        ep_background:pid(Holder) ! {hold, told(Ctx, Me, <<"held">>)},
        ok
    end),
    ok = ep_background:result(Maker),
    true = ep_background:result(Holder),
    ?assertEqual({<<"freed">>, <<"held">>, Thread}, ep_ct:message()),
    ep_expect:idle(Ctx).

%% Also those that somebody still holds.
handles_are_freed_with_their_context(Config) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Thread} = py:eval(Other, <<"__import__('threading').get_native_id()">>),
    Held = told(Other, self(), <<"held">>),
    ok = py_context:stop(Other),
    ?assertEqual({<<"freed">>, <<"held">>, Thread}, ep_ct:message()),
    ?assert(py:is_ref(Held)),
    ep_expect:idle(Ctx).

%% An object that tells its end, and on which thread that was.
told(Context, Pid, Name) ->
    ok = py:exec(Context, <<"
import threading
class Told:
    def __init__(self, pid, name):
        self.pid, self.name, self.here = pid, name, threading.get_native_id
    def __del__(self):
        erlang.send(self.pid, ('freed', self.name, self.here()))
">>),
    {ok, Ref} = py:call(Context, '__main__', 'Told', [Pid, Name], #{return => ref}),
    Ref.

handles_of_dead_contexts_are_freed(Config) ->
    Before = ep_live:snapshot(),
    Refs = [of_a_dead_context() || _ <- lists:seq(1, 10)],
    ?assertEqual(ep_live:count(objects, Before) + 10, ep_live:count(objects)),
    ?assertEqual(10, length([Ref || Ref <- Refs, py:is_ref(Ref)])),
    ep_expect:idle(ctx(Config)).

%% ---------------------------------------------------------------------------------------------------------------------

of_a_dead_context() ->
    Other = ep_fresh_context:start(),
    {ok, Ref} = py:call(Other, builtins, list, [[1, 2]], #{return => ref}),
    ok = py_context:stop(Other),
    Ref.

%% A case about an object of one context in another of the same mode.
with_foreign(Config, Case) ->
    Ctx = ctx(Config),
    Other = ep_fresh_context:start(),
    {ok, Ref} = py:call(Other, builtins, list, [[1, 2]], #{return => ref}),
    Case(Ctx, Other, Ref),
    ok = py_context:stop(Other),
    ep_expect:idle(Ctx).

foreign(Shared, Result) -> foreign(Shared, ?WRONG, Result).

foreign(Shared, Isolated, Result) ->
    ?assertEqual(case ep_cell:isolates() of true -> Isolated; false -> Shared end, Result).

ctx(Config) -> proplists:get_value(ctx, Config).
