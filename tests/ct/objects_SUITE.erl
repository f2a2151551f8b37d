%%% @doc Python objects that Erlang holds a reference to.
-module(objects_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    a_reference_stands_for_an_object/1, an_object_is_used_as_an_argument/1, methods_and_attributes_chain/1,
    eval_keeps_its_value/1, other_processes_use_an_object/1, an_object_stays_while_it_is_referenced/1,
    an_object_of_a_stopped_context_is_an_error/1, what_is_no_object_is_refused/1, failures_of_objects_are_errors/1,
    nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_reference_stands_for_an_object, an_object_is_used_as_an_argument, methods_and_attributes_chain,
        eval_keeps_its_value, other_processes_use_an_object, an_object_stays_while_it_is_referenced,
        an_object_of_a_stopped_context_is_an_error,
        what_is_no_object_is_refused, failures_of_objects_are_errors, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_reference_stands_for_an_object(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[1, 2, 3]], #{return => ref}),
    true = py:is_ref(Ref),
    {ok, 3} = py:call_method(Ref, '__len__', []),
    {ok, 3} = py_context:call_method(Context, Ref, <<"__len__">>, []),
    {ok, none} = py:call_method(Ref, append, [4]),
    {ok, [1, 2, 3, 4]} = py:to_term(Ref),
    {ok, [1, 2, 3, 4]} = py_context:to_term(Ref),
    {ok, 2} = py:call_method(Ref, index, [3]).

an_object_is_used_as_an_argument(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[1, 2, 3]], #{return => ref}),
    {ok, 3} = py:call(Context, builtins, len, [Ref]),
    {ok, {<<"list">>, 6}} = py:eval(Context, <<"(type(v).__name__, sum(v))">>, #{v => Ref}),
    {ok, true} = py:eval(Context, <<"a is b[0]">>, #{a => Ref, b => [Ref]}).

methods_and_attributes_chain(_Config) ->
    Context = py:context(1),
    {ok, Date} = py:call(Context, datetime, date, [2024, 1, 15], #{return => ref}),
    {ok, 2024} = py:getattr(Date, year),
    {ok, 1} = py:getattr(Date, <<"month">>),
    {ok, <<"2024-01-15">>} = py:call_method(Date, isoformat, []),
    {ok, <<"2024-01-15">>} = py:to_term(Date).

eval_keeps_its_value(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:eval(Context, <<"{name: len(name)}">>, #{name => <<"ann">>}, #{return => ref}),
    true = py:is_ref(Ref),
    {ok, 3} = py:call_method(Ref, get, [<<"ann">>]),
    {ok, #{<<"ann">> := 3}} = py:to_term(Ref),
    {ok, 3} = py:eval(Context, <<"1 + 2">>, #{}, #{return => term, timeout => 5000}),
    {error, timeout} = py:eval(Context, <<"erlang.sleep(60)">>, #{}, #{return => ref, timeout => 20}),
    {error, {'NameError', _}} = py:eval(Context, <<"nobody">>, #{}, #{return => ref}).

%% Whoever has the reference; the one that made it may be gone.
other_processes_use_an_object(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, Ref} = ep_ct:in_process(fun() ->
            py:call(Context, collections, 'Counter', [<<"aabab">>], #{return => ref})
        end),
        Users = [ep_background:start(fun() ->
            [{ok, none} = py:call_method(Ref, update, [<<"a">>]) || _ <- lists:seq(1, 10)],
            {ok, 2} = py:call(Context, builtins, len, [Ref]),
            py:getattr(Ref, '__class__')
        end) || _ <- lists:seq(1, 5)],
        [{ok, <<"<class 'collections.Counter'>">>} = Class || Class <- ep_background:results(Users)],
        {ok, #{<<"a">> := 53, <<"b">> := 2}} = py:to_term(Ref)
    end).

an_object_stays_while_it_is_referenced(_Config) ->
    Context = py:context(1),
    Objects = fun() -> ep_ct:alive(objects) end,
    Before = Objects(),
    ep_ct:in_process(fun() ->
        Refs = [begin
            {ok, Ref} = py:call(Context, builtins, list, [[N]], #{return => ref}),
            Ref
        end || N <- lists:seq(1, 100)],
        100 = Objects() - Before,
        [{ok, [N]} = py:to_term(Ref) || {N, Ref} <- lists:zip(lists:seq(1, 100), Refs)],
        ok
    end),
    ep_ct:wait_until(fun() -> Objects() =:= Before end).

an_object_of_a_stopped_context_is_an_error(_Config) ->
    Ref = ep_ct:with_context(fun(Context) ->
        {ok, Ref} = py:call(Context, builtins, list, [[1]], #{return => ref}),
        {ok, [1]} = py:to_term(Ref),
        Ref
    end),
    {error, _} = py:to_term(Ref),
    {error, _} = py:call_method(Ref, '__len__', []),
    {error, _} = py:getattr(Ref, '__class__'),
    %% Contexts of one interpreter may share objects until the thread of the stopped one has let go of its own.
    ep_ct:wait_until(fun() -> element(1, py:eval(<<"v">>, #{v => Ref})) =:= error end).

what_is_no_object_is_refused(_Config) ->
    [{Term, false} = {Term, py:is_ref(Term)}
        || Term <- [make_ref(), self(), 1, ref, <<"ref">>, {py_ref, make_ref()}, py:get_local_env(py:context(1))]],
    [{error, _} = Refused || Refused <- [
        py:to_term(make_ref()), py:call_method(make_ref(), '__len__', []), py:getattr(make_ref(), x),
        py_context:to_term(make_ref()), py_context:call_method(py:context(1), make_ref(), x, [])
    ]].

failures_of_objects_are_errors(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[]], #{return => ref}),
    {error, {'AttributeError', _}} = py:call_method(Ref, no_such_method, []),
    {error, {'AttributeError', _}} = py:getattr(Ref, no_such_attribute),
    {error, {'IndexError', _}} = py:call_method(Ref, pop, []),
    {error, {'TypeError', _}} = py:call_method(Ref, append, []),
    {error, {'ValueError', _}} = py:call(Context, builtins, int, [<<"x">>], #{return => ref}).
