%%% @doc Dicts that are passed around: py:shared_dict_* and erlang.SharedDict.
-module(shared_dict_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    erlang_reads_what_it_wrote/1, erlang_reads_what_python_would_return/1, a_module_works_on_a_session/1,
    a_handle_is_kept_in_globals/1, python_reads_and_writes/1, python_types_survive/1, values_are_copies/1,
    contexts_share_a_dict/1, missing_keys/1, dicts_are_apart/1, a_destroyed_dict_is_an_error/1,
    python_destroys_a_dict/1, a_dict_outlives_its_owner_where_it_is_held/1, a_dict_nobody_holds_is_freed/1,
    a_large_dict_is_freed/1,
    what_is_no_dict_is_refused/1, what_cannot_be_pickled_is_refused/1, many_write_at_once/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        erlang_reads_what_it_wrote, erlang_reads_what_python_would_return, a_module_works_on_a_session,
        a_handle_is_kept_in_globals, python_reads_and_writes, python_types_survive, values_are_copies,
        contexts_share_a_dict, missing_keys, dicts_are_apart, a_destroyed_dict_is_an_error, python_destroys_a_dict,
        a_dict_outlives_its_owner_where_it_is_held, a_dict_nobody_holds_is_freed,
        a_large_dict_is_freed, what_is_no_dict_is_refused,
        what_cannot_be_pickled_is_refused, many_write_at_once, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

erlang_reads_what_it_wrote(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    true = is_reference(Dict),
    ok = py:shared_dict_set(Dict, <<"config">>, #{<<"host">> => <<"localhost">>, <<"port">> => 8080}),
    #{<<"host">> := <<"localhost">>, <<"port">> := 8080} = py:shared_dict_get(Dict, <<"config">>),
    ok = py:shared_dict_set(Dict, <<"config">>, [1, {2, none}]),
    [1, {2, none}] = py:shared_dict_get(Dict, <<"config">>),
    [<<"config">>] = py:shared_dict_keys(Dict),
    ok = py:shared_dict_del(Dict, <<"config">>),
    [] = py:shared_dict_keys(Dict).

%% Whether Python has touched a value or not.
erlang_reads_what_python_would_return(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    ok = py:exec(<<"from erlang import SharedDict">>),
    Ref = make_ref(),
    Terms = [atom, 'gr\x{fc}n', true, false, none, nil, undefined, #{host => <<"h">>, 1 => two, {a, b} => [c]},
             {ok, [x, {}]}, "text", <<"text">>, <<255>>, -1, 1.5, [], {}, #{}, self(), Ref, {pair, <<"x">>}],
    [begin
         ok = py:shared_dict_set(Dict, <<"t">>, Term),
         Read = py:shared_dict_get(Dict, <<"t">>),
         {ok, Returned} = py:eval(<<"SharedDict(h)['t']">>, #{h => Dict}),
         {Term, Returned} = {Term, Read},
         {ok, none} = py:eval(<<"SharedDict(h).__setitem__('t', SharedDict(h)['t'])">>, #{h => Dict}),
         {Term, Read} = {Term, py:shared_dict_get(Dict, <<"t">>)}
     end || Term <- Terms],
    ok = py:shared_dict_set(Dict, <<"t">>, #{name => 'gr\x{fc}n', size => undefined}),
    #{<<"name">> := <<"grün"/utf8>>, <<"size">> := none} = py:shared_dict_get(Dict, <<"t">>),
    %% How Python is to see a binary is not lost, and neither is a digit.
    Large = 1 bsl 70,
    ok = py:shared_dict_set(Dict, <<"t">>, {{bytes, <<"raw">>}, Large}),
    {{bytes, <<"raw">>}, Large} = py:shared_dict_get(Dict, <<"t">>),
    {ok, true} = py:eval(<<"SharedDict(h)['t'] == (b'raw', 2 ** 70)">>, #{h => Dict}).

a_module_works_on_a_session(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"
from erlang import SharedDict

def take(handle, product):
    session = SharedDict(handle)
    basket = session['basket']
    basket.append({'product': product, 'for': session['customer']})
    session['basket'] = basket
    return len(basket)

def empty(handle):
    session = SharedDict(handle)
    del session['basket']
    return [key for key in session.keys() if key in session]
">>),
    ok = py_import:add_path(Directory),
    {ok, Session} = py:shared_dict_new(),
    ok = py:shared_dict_set(Session, <<"customer">>, 17),
    ok = py:shared_dict_set(Session, <<"basket">>, []),
    {ok, 1} = py:call(Module, take, [Session, <<"tea">>]),
    {ok, 2} = ep_ct:in_process(fun() -> py:call(Module, take, [Session, cake]) end),
    [#{<<"product">> := <<"tea">>, <<"for">> := 17}, #{<<"product">> := <<"cake">>}] =
        py:shared_dict_get(Session, <<"basket">>),
    {ok, [<<"customer">>]} = py:call(Module, empty, [Session]),
    [<<"customer">>] = py:shared_dict_keys(Session),
    ok = py:shared_dict_destroy(Session),
    {error, {'ValueError', _}} = py:call(Module, take, [Session, <<"tea">>]),
    ok = py_import:clear_paths().

a_handle_is_kept_in_globals(_Config) ->
    {ok, Found} = py:shared_dict_new(),
    {ok, none} = py:eval(<<"globals().update(handle=given)">>, #{<<"given">> => Found}),
    ok = py:exec(<<"
from erlang import SharedDict

found = SharedDict(handle)
found['primes'] = [n for n in range(2, 20) if all(n % d for d in range(2, n))]
">>),
    [2, 3, 5, 7, 11, 13, 17, 19] = py:shared_dict_get(Found, <<"primes">>),
    ok = py:shared_dict_set(Found, <<"answer">>, 42),
    {ok, 42} = py:eval(<<"found['answer']">>).

python_reads_and_writes(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    ok = py:shared_dict_set(Dict, <<"config">>, #{host => <<"localhost">>}),
    ok = py:exec(<<"
from erlang import SharedDict

def work(handle):
    sd = SharedDict(handle)
    assert sd['config'] == {'host': 'localhost'}
    sd['result'] = {'status': 'ok', 'count': 42}
    sd['gone'] = 1
    del sd['gone']
    assert 'config' in sd and 'gone' not in sd
    assert sorted(sd.keys()) == sorted(sd) == ['config', 'result'] and len(sd) == 2
    return sd.get('result')['count']
">>),
    {ok, 42} = py:call('__main__', work, [Dict]),
    #{<<"status">> := <<"ok">>, <<"count">> := 42} = py:shared_dict_get(Dict, <<"result">>).

%% What Python stores comes back as it was; Erlang sees it as a result of a call.
python_types_survive(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    ok = py:exec(<<"
from erlang import SharedDict
import datetime, decimal, http

def check(handle):
    sd = SharedDict(handle)
    values = [(1, 2), {1, 2}, b'text', 2**80, -2**63, 2**63, True, 1, 1.0, None, 'gr\x{fc}n', bytearray(b'x'), 1 + 2j,
              datetime.date(2024, 2, 29), decimal.Decimal('1.10'), {1: {'a': (1,)}}, [], float('inf'), frozenset('ab'), '\\ud800',
              http.HTTPStatus.OK]
    for value in values:
        sd['v'] = value
        read = sd['v']
        assert type(read) is type(value) and read == value, (read, value)
    return len(values)
"/utf8>>),
    {ok, 21} = py:call('__main__', check, [Dict]),
    {ok, none} = py:eval(<<"SharedDict(h).__setitem__('t', (1, {2}, b'x'))">>, #{h => Dict}),
    {1, [2], <<"x">>} = py:shared_dict_get(Dict, <<"t">>).

values_are_copies(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    ok = py:exec(<<"
from erlang import SharedDict

def change(handle):
    sd = SharedDict(handle)
    mine = [1, 2]
    sd['list'] = mine
    mine.append(3)
    sd['list'].append(4)
    return sd['list']
">>),
    {ok, [1, 2]} = py:call('__main__', change, [Dict]),
    [1, 2] = py:shared_dict_get(Dict, <<"list">>).

contexts_share_a_dict(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    Sum = <<"(lambda d: d.__setitem__('n', d.get('n', ()) + (1,)) or len(d['n']))"
            "(__import__('erlang').SharedDict(h))">>,
    ep_ct:with_contexts(3, fun(Contexts) ->
        [{ok, 1}, {ok, 2}, {ok, 3}] = [py_context:eval(Context, Sum, #{h => Dict}) || Context <- Contexts]
    end),
    {1, 1, 1} = py:shared_dict_get(Dict, <<"n">>).

missing_keys(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    undefined = py:shared_dict_get(Dict, <<"missing">>),
    default_value = py:shared_dict_get(Dict, <<"missing">>, default_value),
    ok = py:shared_dict_del(Dict, <<"missing">>),
    ok = py:exec(<<"from erlang import SharedDict">>),
    {ok, none} = py:eval(<<"SharedDict(h).get('missing')">>, #{h => Dict}),
    {ok, 5} = py:eval(<<"SharedDict(h).get('missing', 5)">>, #{h => Dict}),
    {error, {'KeyError', "'missing'"}} = py:eval(<<"SharedDict(h)['missing']">>, #{h => Dict}),
    {error, {'KeyError', "'missing'"}} = py:eval(<<"SharedDict(h).__delitem__('missing')">>, #{h => Dict}),
    {error, {'KeyError', "('a', 'b')"}} = py:eval(<<"SharedDict(h)['a', 'b']">>, #{h => Dict}),
    %% Neither of these looks at values.
    ok = py:shared_dict_set(Dict, <<"no form">>, [1 | 2]),
    {ok, {true, false, 1}} = py:eval(<<"('no form' in SharedDict(h), 'missing' in SharedDict(h), len(SharedDict(h)))">>,
                                     #{h => Dict}),
    {error, {'ValueError', _}} = py:eval(<<"SharedDict(h)['no form']">>, #{h => Dict}).

dicts_are_apart(_Config) ->
    {ok, One} = py:shared_dict_new(),
    {ok, Two} = py:shared_dict_new(),
    ok = py:shared_dict_set(One, <<"k">>, 1),
    [] = py:shared_dict_keys(Two),
    {error, not_found} = py:state_fetch(<<"k">>).

a_destroyed_dict_is_an_error(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    ok = py:shared_dict_set(Dict, <<"k">>, 1),
    ok = py:exec(<<"from erlang import SharedDict">>),
    {ok, Held} = py:call(py:context(), '__main__', 'SharedDict', [Dict], #{return => ref}),
    ok = py:shared_dict_destroy(Dict),
    ok = py:shared_dict_destroy(Dict),
    [{'EXIT', {badarg, _}} = (catch Fun()) || Fun <- [
        fun() -> py:shared_dict_get(Dict, <<"k">>) end, fun() -> py:shared_dict_get(Dict, <<"k">>, 1) end,
        fun() -> py:shared_dict_set(Dict, <<"k">>, 1) end, fun() -> py:shared_dict_del(Dict, <<"k">>) end,
        fun() -> py:shared_dict_keys(Dict) end]],
    {error, {'ValueError', _}} = py:call_method(Held, keys, []),
    {error, {'ValueError', _}} = py:call_method(Held, get, [<<"k">>]),
    {error, {'ValueError', _}} = py:call_method(Held, '__setitem__', [<<"k">>, 1]),
    {ok, none} = py:call_method(Held, destroy, []),
    {error, {'ValueError', _}} = py:eval(<<"SharedDict(h)">>, #{h => Dict}).

python_destroys_a_dict(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    {ok, none} = py:eval(<<"__import__('erlang').SharedDict(h).destroy()">>, #{h => Dict}),
    {'EXIT', {badarg, _}} = (catch py:shared_dict_keys(Dict)),
    ok.

a_dict_outlives_its_owner_where_it_is_held(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Owner = spawn_monitor(fun() ->
            {ok, Dict} = py:shared_dict_new(),
            ok = py:shared_dict_set(Dict, <<"k">>, <<"kept">>),
            {ok, _} = py_context:eval(Context, <<"globals().__setitem__('held', __import__('erlang').SharedDict(h))">>,
                                      #{h => Dict}),
            exit({result, ok})
        end),
        ok = ep_ct:result(Owner),
        {ok, <<"kept">>} = py_context:eval(Context, <<"held['k']">>)
    end).

%% Many entries are freed elsewhere than where the last reference goes.
a_large_dict_is_freed(_Config) ->
    Before = ep_ct:alive(stores),
    ok = ep_ct:in_process(fun() ->
        {ok, Dict} = py:shared_dict_new(),
        [ok = py:shared_dict_set(Dict, integer_to_binary(N), {N}) || N <- lists:seq(1, 20_000)],
        20_000 = length(py:shared_dict_keys(Dict)),
        ok
    end),
    ep_ct:wait_until(fun() -> ep_ct:alive(stores) =:= Before end).

a_dict_nobody_holds_is_freed(_Config) ->
    Before = ep_ct:alive(stores),
    Owners = [spawn_monitor(fun() ->
                  {ok, Dict} = py:shared_dict_new(),
                  ok = py:shared_dict_set(Dict, <<"k">>, lists:seq(1, 1000)),
                  exit({result, ok})
              end) || _ <- lists:seq(1, 1000)],
    [ok = ep_ct:result(Owner) || Owner <- Owners],
    ep_ct:wait_until(fun() -> ep_ct:alive(stores) =:= Before end).

what_is_no_dict_is_refused(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    [{'EXIT', {Reason, _}} = (catch py:shared_dict_get(Bad, <<"k">>))
     || Bad <- [make_ref(), self(), 1, state], Reason <- [function_clause, badarg],
        Reason =:= case is_reference(Bad) of true -> badarg; false -> function_clause end],
    {'EXIT', {function_clause, _}} = (catch py:shared_dict_set(Dict, no_binary, 1)),
    ok = py:exec(<<"from erlang import SharedDict">>),
    [{error, {'TypeError', _}} = py:eval(<<"SharedDict(h)">>, #{h => Bad}) || Bad <- [make_ref(), 1, <<"x">>, none]].

what_cannot_be_pickled_is_refused(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    {error, _} = py:eval(<<"__import__('erlang').SharedDict(h).__setitem__('k', lambda: 1)">>, #{h => Dict}),
    [] = py:shared_dict_keys(Dict).

many_write_at_once(_Config) ->
    {ok, Dict} = py:shared_dict_new(),
    Write = fun(N) ->
        [ok = py:shared_dict_set(Dict, integer_to_binary(I rem 10), {N, lists:seq(1, 50)}) || I <- lists:seq(1, 500)]
    end,
    Python = fun(_) ->
        {ok, true} = py:eval(<<"all(len(d.get(str(i % 10), (0, [0] * 50))[1]) == 50 and not d.__setitem__(str(i % 10), "
                               "(0, list(range(50)))) for d in [__import__('erlang').SharedDict(h)] "
                               "for i in range(300))">>, #{h => Dict})
    end,
    Running = [spawn_monitor(fun() -> _ = Fun(N), exit({result, ok}) end)
               || {N, Fun} <- lists:zip(lists:seq(1, 6), [Write, Python, Write, Python, Write, Python])],
    [ok = ep_ct:result(Process) || Process <- Running],
    10 = length(py:shared_dict_keys(Dict)).
