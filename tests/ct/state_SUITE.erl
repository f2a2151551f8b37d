%%% @doc State that Erlang and all contexts share: py_state, py:state_*, erlang.state_*.
-module(state_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    erlang_gets_back_what_it_stored/1, python_and_erlang_see_one_state/1, all_contexts_see_one_state/1,
    any_term_is_a_key/1, counters_count/1, what_is_no_counter_does_not_count/1, counters_end_at_64_bits/1,
    counting_together_loses_nothing/1, python_threads_count_too/1, keys_while_others_write/1
]).
-export([
    a_full_state_takes_no_new_keys/1, the_limit_is_read_at_every_store/1, some_keys_are_reserved/1,
    the_builtin_callbacks_are_registered/1, the_state_ends_with_the_application/1, large_values_are_shared/1,
    what_has_no_python_form_is_an_error/1, a_key_without_a_python_form_is_listed/1, keys_have_a_size/1,
    keys_have_small_maps/1,
    registered_functions_hide_nothing/1, the_module_has_the_same_functions/1, results_are_kept_for_later/1,
    nothing_is_left_behind/1
]).

-define(WRITERS, 8).
-define(EACH, 2000).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        erlang_gets_back_what_it_stored, python_and_erlang_see_one_state, all_contexts_see_one_state,
        any_term_is_a_key, counters_count, what_is_no_counter_does_not_count, counters_end_at_64_bits,
        counting_together_loses_nothing, python_threads_count_too, keys_while_others_write,
        a_full_state_takes_no_new_keys, the_limit_is_read_at_every_store, some_keys_are_reserved,
        the_builtin_callbacks_are_registered, the_state_ends_with_the_application, large_values_are_shared,
        what_has_no_python_form_is_an_error, a_key_without_a_python_form_is_listed, keys_have_a_size,
        keys_have_small_maps,
        registered_functions_hide_nothing, the_module_has_the_same_functions, results_are_kept_for_later,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(_Case, Config) ->
    ok = py:state_clear(),
    Config.

end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

erlang_gets_back_what_it_stored(_Config) ->
    Terms = [undefined, nil, none, true, "text", <<"text">>, <<255>>, <<1:3>>, 1, -1, 1 bsl 70, 1.5, {bytes, <<"x">>},
             {a, [b | c]}, #{1 => #{}}, self(), make_ref(), fun() -> ok end, []],
    [begin
         ok = py:state_store(<<"k">>, Term),
         {ok, Same} = py:state_fetch(<<"k">>),
         true = Same =:= Term
     end || Term <- Terms],
    {error, not_found} = py:state_fetch(<<"another">>),
    ok = py:state_remove(<<"k">>),
    ok = py:state_remove(<<"k">>),
    {error, not_found} = py:state_fetch(<<"k">>).

python_and_erlang_see_one_state(_Config) ->
    ok = py:exec(<<"
from erlang import state_get, state_set, state_delete, state_keys
state_set('my_key', {'data': [1, 2, 3], 'text': 'gr\x{fc}n', 'none': None})
"/utf8>>),
    {ok, #{<<"data">> := [1, 2, 3], <<"text">> := <<"grün"/utf8>>, <<"none">> := none}} = py:state_fetch(<<"my_key">>),
    {ok, #{<<"data">> := [1, 2, 3]}} = py:eval(<<"state_get('my_key')">>),
    ok = py:state_store(<<"from_erlang">>, #{value => 42}),
    {ok, #{<<"value">> := 42}} = py:eval(<<"state_get('from_erlang')">>),
    {ok, [<<"from_erlang">>, <<"my_key">>]} = py:eval(<<"sorted(state_keys())">>),
    {ok, none} = py:eval(<<"state_get('nobody')">>),
    ok = py:exec(<<"state_delete('my_key'); state_delete('my_key')">>),
    [<<"from_erlang">>] = py:state_keys().

all_contexts_see_one_state(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py_context:exec(One, <<"import erlang; erlang.state_set('shared', [1, {'two': 2}])">>),
        {ok, [1, #{<<"two">> := 2}]} = py_context:eval(Two, <<"__import__('erlang').state_get('shared')">>),
        ok = py_context:exec(Two, <<"import erlang; erlang.state_set('shared', 'new')">>),
        {ok, <<"new">>} = py_context:eval(One, <<"erlang.state_get('shared')">>)
    end).

any_term_is_a_key(_Config) ->
    Keys = [a, <<"a">>, "a", 1, 1.0, {1}, #{a => 1}, self(), <<>>, <<1:3>>, []],
    [ok = py:state_store(Key, {value_of, Key}) || Key <- Keys],
    [{ok, {value_of, Key}} = py:state_fetch(Key) || Key <- Keys],
    [] = Keys -- py:state_keys(),
    true = length(Keys) =:= length(py:state_keys()),
    {ok, _} = py:eval(<<"__import__('erlang').state_get((1,))">>),
    ok = py:state_clear(),
    [] = py:state_keys().

counters_count(_Config) ->
    1 = py:state_incr(<<"hits">>),
    11 = py:state_incr(<<"hits">>, 10),
    10 = py:state_decr(<<"hits">>),
    6 = py_state:decr(<<"hits">>, 4),
    {ok, 6} = py:state_fetch(<<"hits">>),
    ok = py:exec(<<"
from erlang import state_incr, state_decr
assert state_incr('hits') == 7
assert state_incr('hits', 10) == 17
assert state_decr('hits') == 16
assert state_decr('hits', 5) == 11
assert state_incr('new') == 1
assert state_decr('newer', 3) == -3
">>),
    12 = py:state_incr(<<"hits">>),
    ok = py:state_store(<<"hits">>, 100),
    101 = py:state_incr(<<"hits">>).

what_is_no_counter_does_not_count(_Config) ->
    ok = py:state_store(<<"text">>, <<"five">>),
    {'EXIT', {badarg, _}} = (catch py:state_incr(<<"text">>)),
    {'EXIT', {badarg, _}} = (catch py:state_incr(<<"n">>, 1.5)),
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_incr('text')">>),
    {error, {'TypeError', _}} = py:eval(<<"__import__('erlang').state_incr('n', 'one')">>),
    {ok, <<"five">>} = py:state_fetch(<<"text">>),
    {error, not_found} = py:state_fetch(<<"n">>).

counters_end_at_64_bits(_Config) ->
    Most = (1 bsl 63) - 1,
    ok = py:state_store(<<"n">>, Most),
    {'EXIT', {badarg, _}} = (catch py:state_incr(<<"n">>)),
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_incr('n')">>),
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_incr('n', 2**70)">>),
    {ok, Most} = py:state_fetch(<<"n">>),
    -1 = py:state_decr(<<"n">>, (1 bsl 63) - 1) - 1.

counting_together_loses_nothing(_Config) ->
    Count = fun() -> [py:state_incr(<<"together">>) || _ <- lists:seq(1, ?EACH)] end,
    CountInPython = fun() ->
        {ok, _} = py:eval(<<"[__import__('erlang').state_incr('together') for _ in range(n)][-1]">>, #{n => ?EACH})
    end,
    Work = lists:append(lists:duplicate(?WRITERS div 2, [Count, CountInPython])),
    Running = [spawn_monitor(fun() -> _ = Fun(), exit({result, done}) end) || Fun <- Work],
    [done = ep_ct:result(Process) || Process <- Running],
    Total = ?WRITERS * ?EACH,
    {ok, Total} = py:state_fetch(<<"together">>).

python_threads_count_too(_Config) ->
    ok = py:exec(<<"
import threading
from erlang import state_incr, state_set, state_get

def count():
    for i in range(1000):
        state_incr('in_threads')
        state_set('own', {'thread': threading.get_native_id(), 'i': i})
        assert set(state_get('own')) == {'thread', 'i'}

threads = [threading.Thread(target=count) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
">>),
    {ok, 4000} = py:state_fetch(<<"in_threads">>).

%% Whoever lists or clears meanwhile sees whole entries, and never one twice.
keys_while_others_write(_Config) ->
    Writers = [spawn_monitor(fun() ->
                   [begin
                        ok = py:state_store({N, I rem 100}, I),
                        ok = py:state_remove({N, (I + 50) rem 100})
                    end || I <- lists:seq(1, ?EACH)],
                   exit({result, done})
               end) || N <- lists:seq(1, ?WRITERS)],
    [begin
         Keys = py:state_keys(),
         true = length(Keys) =:= length(lists:usort(Keys)),
         true = lists:all(fun({Writer, Entry}) -> is_integer(Writer) andalso is_integer(Entry) end, Keys),
         I rem 20 =:= 0 andalso py:state_clear()
     end || I <- lists:seq(1, 100)],
    [done = ep_ct:result(Writer) || Writer <- Writers],
    ok = py:state_clear(),
    [] = py:state_keys().

%% ---------------------------------------------------------------------------------------------------------------------

a_full_state_takes_no_new_keys(_Config) ->
    with_most(2, fun() ->
        ok = py:state_store(<<"a">>, 1),
        ok = py:state_store(<<"b">>, 2),
        {error, full} = py:state_store(<<"c">>, 3),
        {'EXIT', {full, _}} = (catch py:state_incr(<<"c">>)),
        {error, {'RuntimeError', Message}} = py:eval(<<"__import__('erlang').state_set('c', 3)">>),
        {match, _} = re:run(Message, "full"),
        {error, {'RuntimeError', _}} = py:eval(<<"__import__('erlang').state_incr('c')">>),
        ok = py:state_store(<<"a">>, 4),
        {ok, 3} = py:eval(<<"__import__('erlang').state_incr('b')">>),
        ok = py:state_remove(<<"a">>),
        {ok, none} = py:eval(<<"__import__('erlang').state_set('c', 3)">>),
        {ok, 3} = py:state_fetch(<<"c">>)
    end).

the_limit_is_read_at_every_store(_Config) ->
    with_most(0, fun() ->
        {error, full} = py:state_store(<<"a">>, 1),
        {'EXIT', {full, _}} = (catch py:state_incr(<<"a">>)),
        ok
    end),
    with_most(1, fun() ->
        ok = py:state_store(<<"a">>, 1),
        {error, full} = py:state_store(<<"b">>, 1),
        ok = application:set_env(erlang_python, max_state_entries, 2),
        {ok, none} = py:eval(<<"__import__('erlang').state_set('b', 1)">>),
        {error, full} = py:state_store(<<"c">>, 1),
        ok = application:set_env(erlang_python, max_state_entries, infinity),
        ok = py:state_store(<<"c">>, 1),
        ok = application:set_env(erlang_python, max_state_entries, many),
        {'EXIT', {{bad_config, max_state_entries, many}, _}} = (catch py:state_store(<<"d">>, 1)),
        ok
    end).

some_keys_are_reserved(_Config) ->
    {error, reserved_key} = py:state_store('$anything', 1),
    {'EXIT', {reserved_key, _}} = (catch py:state_incr('$anything')),
    {error, not_found} = py:state_fetch('$anything'),
    ok = py:state_store(<<"$text">>, 1),
    {ok, 1} = py:eval(<<"__import__('erlang').state_get('$text')">>).

the_builtin_callbacks_are_registered(_Config) ->
    Names = [<<"state_get">>, <<"state_set">>, <<"state_delete">>, <<"state_keys">>, <<"state_incr">>,
             <<"state_decr">>],
    {ok, [true, true, true, true, true, true]} =
        py:eval(<<"[hasattr(__import__('erlang'), name) for name in names]">>, #{names => Names}),
    ok = py:exec(<<"
import erlang
erlang.call('state_set', 'k', [1])
assert erlang.call('state_get', 'k') == [1]
assert erlang.call('state_keys') == ['k']
assert erlang.call('state_incr', 'n') == 1
assert erlang.call('state_incr', 'n', 4) == 5
assert erlang.call('state_decr', 'n', 2) == 3
erlang.call('state_delete', 'k')
assert erlang.call('state_get', 'k') is None
">>),
    {ok, 3} = py:state_fetch(<<"n">>).

the_state_ends_with_the_application(_Config) ->
    ok = py:state_store(<<"k">>, 1),
    ep_ct:restart(),
    {error, not_found} = py:state_fetch(<<"k">>),
    {ok, none} = py:eval(<<"__import__('erlang').state_get('k')">>).

large_values_are_shared(_Config) ->
    Large = binary:copy(<<"0123456789">>, 1_000_000),
    ok = py:state_store(<<"large">>, #{data => {bytes, Large}, list => lists:seq(1, 10_000)}),
    {ok, [10_000_000, 10_000]} =
        py:eval(<<"[len(v) for v in __import__('erlang').state_get('large').values()]">>),
    {ok, none} = py:eval(<<"__import__('erlang').state_set('large', bytes(10_000_000))">>),
    {ok, Zeros} = py:state_fetch(<<"large">>),
    10_000_000 = byte_size(Zeros).

what_has_no_python_form_is_an_error(_Config) ->
    ok = py:state_store(<<"improper">>, [1 | 2]),
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_get('improper')">>),
    Deep = lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, 100_000)),
    ok = py:state_store(<<"deep">>, Deep),
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_get('deep')">>),
    {error, {'ValueError', _}} =
        py:eval(<<"__import__('erlang').state_set('cyclic', (lambda l: l.append(l) or l)([]))">>),
    {error, not_found} = py:state_fetch(<<"cyclic">>).

a_key_without_a_python_form_is_listed(_Config) ->
    ok = py:state_store([1 | 2], 1),
    ok = py:state_store(<<"k">>, 2),
    {ok, [<<"Term">>, <<"str">>]} =
        py:eval(<<"sorted(type(key).__name__ for key in __import__('erlang').state_keys())">>),
    {ok, 3} = py:eval(<<"sum(__import__('erlang').state_get(key) for key in __import__('erlang').state_keys())">>).

keys_have_a_size(_Config) ->
    Largest = binary:copy(<<"k">>, 65536),
    ok = py:state_store(Largest, 1),
    2 = py:state_incr(Largest),
    TooLarge = <<Largest/binary, "k">>,
    [{'EXIT', {badarg, _}} = (catch Fun()) || Fun <- [
        fun() -> py:state_store(TooLarge, 1) end, fun() -> py:state_fetch(TooLarge) end,
        fun() -> py:state_incr(TooLarge) end, fun() -> py:state_remove({TooLarge}) end]],
    [{error, {'ValueError', _}} = py:eval(Code, #{key => TooLarge}) || Code <- [
        <<"__import__('erlang').state_get(key)">>, <<"__import__('erlang').state_set(key, 1)">>,
        <<"__import__('erlang').state_incr(key)">>, <<"__import__('erlang').state_delete(key)">>]],
    [Largest] = py:state_keys().

%% The VM cannot make larger ones of their external form on threads of Python.
keys_have_small_maps(_Config) ->
    Map = fun(Pairs) -> maps:from_list([{N, N} || N <- lists:seq(1, Pairs)]) end,
    ok = py:state_store([{Map(32)}], 1),
    Large = Map(33),
    [{'EXIT', {badarg, _}} = (catch py:state_store(Key, 1))
     || Key <- [Large, [Large], {x, #{Large => 1}}, #{1 => Large}, fun() -> Large end]],
    {error, {'ValueError', _}} = py:eval(<<"__import__('erlang').state_set(key, 1)">>, #{key => {Large}}),
    {ok, [[{#{1 := 1, 32 := 32}}]]} = py:eval(<<"__import__('erlang').state_keys()">>).

%% New keys are made by way of Erlang, under names of its own.
registered_functions_hide_nothing(_Config) ->
    ok = py:register_function(state_set, fun(_) -> none end),
    {ok, none} = py:eval(<<"__import__('erlang').state_set('k', 1)">>),
    {ok, 1} = py:state_fetch(<<"k">>),
    ok = py_state:register_callbacks().

the_module_has_the_same_functions(_Config) ->
    ok = py_state:store(<<"shelf">>, #{books => [1, 2]}),
    {ok, #{books := [1, 2]}} = py_state:fetch(<<"shelf">>),
    {ok, #{books := [1, 2]}} = py:state_fetch(<<"shelf">>),
    3 = py_state:incr(<<"visits">>, 3),
    4 = py_state:incr(<<"visits">>),
    3 = py_state:decr(<<"visits">>),
    1 = py_state:decr(<<"visits">>, 2),
    [<<"shelf">>, <<"visits">>] = lists:sort(py_state:keys()),
    ok = py_state:remove(<<"shelf">>),
    {error, not_found} = py_state:fetch(<<"shelf">>),
    {error, reserved_key} = py_state:store('$shelf', 1),
    %% What is there is not touched.
    ok = py_state:init_tab(),
    ok = py_state:register_callbacks(),
    {ok, 1} = py_state:fetch(<<"visits">>),
    ok = py_state:clear(),
    [] = py_state:keys().

%% Whichever side comes first computes what the other one finds.
results_are_kept_for_later(_Config) ->
    ok = py:exec(<<"
import hashlib
from erlang import state_get, state_set, state_incr

def vector(text):
    state_incr('computed')
    return [ord(letter) / 2 for letter in text]

def kept_vector(text):
    key = 'vector:' + hashlib.sha256(text.encode()).hexdigest()
    kept = state_get(key)
    if kept is None:
        kept = vector(text)
        state_set(key, kept)
    return kept
">>),
    Kept = fun(Text) ->
        Key = <<"vector:", (hash(Text))/binary>>,
        case py:state_fetch(Key) of
            {ok, Vector} ->
                Vector;
            {error, not_found} ->
                {ok, Vector} = py:call('__main__', vector, [Text]),
                ok = py:state_store(Key, Vector),
                Vector
        end
    end,
    {ok, [48.5, 49.0]} = py:call('__main__', kept_vector, [<<"ab">>]),
    [48.5, 49.0] = Kept(<<"ab">>),
    [49.5] = Kept(<<"c">>),
    {ok, [49.5]} = py:call('__main__', kept_vector, [<<"c">>]),
    {ok, 2} = py:state_fetch(<<"computed">>).

hash(Text) ->
    {ok, Digits} = py:eval(<<"hashlib.sha256(text.encode()).hexdigest()">>, #{text => Text}),
    Digits.

with_most(Most, Fun) ->
    ok = application:set_env(erlang_python, max_state_entries, Most),
    try
        Fun()
    after
        application:unset_env(erlang_python, max_state_entries)
    end.
