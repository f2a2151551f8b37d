%%% @doc How values convert, in tables: Erlang to Python, Python to Erlang, both ways, and what is refused.
-module(type_conversion_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    terms_reach_python_as_their_counterparts/1, big_integers_reach_python_exactly/1,
    a_binary_that_is_no_text_arrives_as_bytes/1, a_memoryview_shares_the_binary/1,
    a_memoryview_outlives_its_caller/1
]).
-export([
    values_reach_erlang_as_their_counterparts/1, big_integers_come_back_as_decimal_strings/1,
    big_integers_come_back_exactly_when_configured/1, objects_without_a_form_come_back_as_text/1,
    documented_workarounds_give_their_results/1, sets_come_back_as_lists/1, arrays_come_back_as_lists/1
]).
-export([
    terms_survive_a_round_trip/1, random_terms_survive_a_round_trip/1, opaque_terms_survive_a_round_trip/1,
    large_binaries_survive_a_round_trip/1, atoms_become_strings_for_good/1
]).
-export([
    map_keys_become_dict_keys/1, a_key_python_cannot_hash_is_refused/1, keyword_arguments_come_from_maps/1,
    bad_keyword_arguments_are_refused/1, locals_take_atom_and_binary_keys/1, an_improper_list_is_refused/1,
    nesting_is_bounded_both_ways/1, a_cyclic_value_is_refused/1, a_nul_byte_is_data_but_not_code/1,
    conversion_of_results_makes_no_atoms/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        terms_reach_python_as_their_counterparts, big_integers_reach_python_exactly,
        a_binary_that_is_no_text_arrives_as_bytes, a_memoryview_shares_the_binary,
        a_memoryview_outlives_its_caller, values_reach_erlang_as_their_counterparts,
        big_integers_come_back_as_decimal_strings, big_integers_come_back_exactly_when_configured,
        objects_without_a_form_come_back_as_text, documented_workarounds_give_their_results, sets_come_back_as_lists,
        arrays_come_back_as_lists, terms_survive_a_round_trip, random_terms_survive_a_round_trip,
        opaque_terms_survive_a_round_trip, large_binaries_survive_a_round_trip, atoms_become_strings_for_good,
        map_keys_become_dict_keys, a_key_python_cannot_hash_is_refused, keyword_arguments_come_from_maps,
        bad_keyword_arguments_are_refused, locals_take_atom_and_binary_keys, an_improper_list_is_refused,
        nesting_is_bounded_both_ways, a_cyclic_value_is_refused, a_nul_byte_is_data_but_not_code,
        conversion_of_results_makes_no_atoms, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Erlang to Python

terms_reach_python_as_their_counterparts(_Config) ->
    [{Term, {ok, {Type, Text}}} = {Term, seen(Term)} || {Term, Type, Text} <- [
        {0, <<"int">>, <<"0">>}, {42, <<"int">>, <<"42">>}, {-1, <<"int">>, <<"-1">>},
        {3.14159, <<"float">>, <<"3.14159">>}, {0.0, <<"float">>, <<"0.0">>}, {1.0e308, <<"float">>, <<"1e+308">>},
        {<<"hello">>, <<"str">>, <<"'hello'">>}, {<<>>, <<"str">>, <<"''">>},
        {<<"é€𝄞"/utf8>>, <<"str">>, <<"'\\xe9\\u20ac\\U0001d11e'">>},
        {{bytes, <<"hello">>}, <<"bytes">>, <<"b'hello'">>}, {{bytes, <<>>}, <<"bytes">>, <<"b''">>},
        {{bytes, <<255, 0>>}, <<"bytes">>, <<"b'\\xff\\x00'">>},
        {[{bytes, <<"a">>}], <<"list">>, <<"[b'a']">>},
        {foo, <<"str">>, <<"'foo'">>}, {'not an identifier', <<"str">>, <<"'not an identifier'">>},
        {'é', <<"str">>, <<"'\\xe9'">>}, {'', <<"str">>, <<"''">>},
        {true, <<"bool">>, <<"True">>}, {false, <<"bool">>, <<"False">>},
        {none, <<"NoneType">>, <<"None">>}, {nil, <<"NoneType">>, <<"None">>}, {undefined, <<"NoneType">>, <<"None">>},
        {[], <<"list">>, <<"[]">>}, {[1, 2, 3], <<"list">>, <<"[1, 2, 3]">>}, {"ab", <<"list">>, <<"[97, 98]">>},
        {[1, 2.0, three, <<"4">>], <<"list">>, <<"[1, 2.0, 'three', '4']">>},
        {[1.0, 2.0], <<"list">>, <<"[1.0, 2.0]">>}, {[1, 2.0], <<"list">>, <<"[1, 2.0]">>},
        {{}, <<"tuple">>, <<"()">>}, {{1}, <<"tuple">>, <<"(1,)">>}, {{1, 2, 3}, <<"tuple">>, <<"(1, 2, 3)">>},
        {#{}, <<"dict">>, <<"{}">>}, {#{a => 1}, <<"dict">>, <<"{'a': 1}">>},
        {#{<<"a">> => [#{b => {c, none}}]}, <<"dict">>, <<"{'a': [{'b': ('c', None)}]}">>},
        {[true, false, none, nil, undefined], <<"list">>, <<"[True, False, None, None, None]">>}
    ]].

big_integers_reach_python_exactly(_Config) ->
    Edges = [Sign * ((1 bsl Bits) + Delta) || Bits <- [30, 31, 32, 59, 60, 62, 63, 64, 127, 128, 4000],
        Delta <- [-1, 0, 1], Sign <- [1, -1]],
    [begin
        Expected = {<<"int">>, integer_to_binary(N)},
        {N, {ok, Expected}} = {N, seen(N)}
    end || N <- [123456789012345678901234567890 | Edges]],
    {ok, true} = py:eval(<<"v == [1, 2**70, -2**70]">>, #{v => [1, 1 bsl 70, -(1 bsl 70)]}).

a_binary_that_is_no_text_arrives_as_bytes(_Config) ->
    [begin
        Size = byte_size(Binary),
        {Binary, {ok, {<<"bytes">>, Size}}} =
            {Binary, py:eval(<<"(type(v).__name__, len(v))">>, #{v => Binary})}
    end || Binary <- [<<255>>, <<255, 254>>, <<"caf", 16#E9>>, <<16#C3>>, <<16#ED, 16#A0, 16#80>>, <<16#C0, 16#80>>,
        <<16#F4, 16#90, 16#80, 16#80>>, <<0, 255>>, binary:copy(<<200>>, 100000)]].

a_memoryview_shares_the_binary(_Config) ->
    Binary = binary:copy(<<"abc">>, 50000),
    {ok, {<<"memoryview">>, true, 150000, <<"abc">>}} =
        py:eval(<<"(type(v).__name__, v.readonly, len(v), bytes(v[:3]))">>, #{v => {memoryview, Binary}}),
    {error, {'TypeError', _}} = py:eval(<<"v.__setitem__(0, 1)">>, #{v => {memoryview, Binary}}),
    {ok, Binary} = py:eval(<<"v">>, #{v => {memoryview, Binary}}).

%% What it reads is there as long as the view, whatever becomes of the process that had the binary.
a_memoryview_outlives_its_caller(_Config) ->
    ep_ct:with_context(fun(Context) ->
        [begin
             ok = ep_ct:in_process(fun() ->
                 Binary = binary:copy(<<"0123456789">>, Size div 10),
                 <<_:3/binary, Part/binary>> = Binary, % one that is part of another
                 {ok, none} = py_context:eval(Context, <<"globals().update(view=v[2:], part=p)">>,
                                              #{v => {memoryview, Binary}, p => {memoryview, Part}}),
                 ok
             end),
             [garbage_collect(Pid) || Pid <- processes()],
             {ok, true} = py_context:eval(Context, <<"(view == (b'0123456789' * (n // 10))[2:], part[:2] == b'34', "
                                                     "len(part) == n - 3) == (True, True, True)">>, #{n => Size})
         end || Size <- [100, 10_000, 10_000_000]],
        {ok, <<>>} = py_context:eval(Context, <<"v">>, #{v => {memoryview, <<>>}}),
        {ok, <<"8642">>} = py_context:eval(Context, <<"v[8:1:-2]">>, #{v => {memoryview, <<"0123456789">>}})
    end).

seen(Term) ->
    py:eval(<<"(type(v).__name__, ascii(v))">>, #{v => Term}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Python to Erlang

values_reach_erlang_as_their_counterparts(_Config) ->
    [{Code, {ok, Expected}} = {Code, py:eval(Code)} || {Code, Expected} <- [
        {<<"42">>, 42}, {<<"-1">>, -1}, {<<"2**31">>, 1 bsl 31}, {<<"2**60">>, 1 bsl 60},
        {<<"2**63 - 1">>, (1 bsl 63) - 1}, {<<"-2**63">>, -(1 bsl 63)},
        {<<"3.14">>, 3.14}, {<<"1e308">>, 1.0e308}, {<<"2.0">>, 2.0},
        {<<"float('nan')">>, nan}, {<<"float('inf')">>, infinity}, {<<"float('-inf')">>, neg_infinity},
        {<<"[float('inf'), 1.0]">>, [infinity, 1.0]},
        {<<"'hello'">>, <<"hello">>}, {<<"''">>, <<>>}, {<<"'\\u20ac'">>, <<"€"/utf8>>},
        {<<"b'hello'">>, <<"hello">>}, {<<"b'Hello'">>, <<72, 101, 108, 108, 111>>},
        {<<"b'\\xff\\xfe'">>, <<255, 254>>}, {<<"b''">>, <<>>}, {<<"memoryview(b'abc')">>, <<"abc">>},
        {<<"True">>, true}, {<<"False">>, false}, {<<"None">>, none},
        {<<"[1, 2, 3]">>, [1, 2, 3]}, {<<"[]">>, []}, {<<"[1.0, 2.0]">>, [1.0, 2.0]}, {<<"[1, True]">>, [1, true]},
        {<<"(1, 2, 3)">>, {1, 2, 3}}, {<<"()">>, {}},
        {<<"{'a': 1, 'b': 2}">>, #{<<"a">> => 1, <<"b">> => 2}}, {<<"{}">>, #{}},
        {<<"{1: 'x', (1, 2): [], None: True, 1.5: b'y'}">>,
            #{1 => <<"x">>, {1, 2} => [], none => true, 1.5 => <<"y">>}},
        {<<"{'town': {'name': 'Lund', 'people': 94}}">>,
            #{<<"town">> => #{<<"name">> => <<"Lund">>, <<"people">> => 94}}},
        {<<"[(1, 'a'), (2, 'b')]">>, [{1, <<"a">>}, {2, <<"b">>}]},
        {<<"{'rows': [1, 2], 'state': ('done', 7)}">>, #{<<"rows">> => [1, 2], <<"state">> => {<<"done">>, 7}}}
    ]].

big_integers_come_back_as_decimal_strings(_Config) ->
    {ok, "123456789012345678901234567890"} = py:eval(<<"123456789012345678901234567890">>),
    [begin
        Expected = integer_to_list(N),
        {ok, Expected} = py:eval(<<"v">>, #{v => N}),
        {ok, [Expected, 1]} = py:eval(<<"[v, 1]">>, #{v => N})
    end || N <- [1 bsl 64, -(1 bsl 64), (1 bsl 64) + 1, 1 bsl 200, -(1 bsl 200)]].

%% In a VM of its own: the setting is read when Python starts.
big_integers_come_back_exactly_when_configured(_Config) ->
    ep_ct:with_peer([{big_integers, integer}], fun(Call) ->
        [{ok, N} = Call(py, eval, [<<"v">>, #{v => N}])
            || Bits <- [63, 64, 65, 127, 128, 200, 4000], Delta <- [-1, 0, 1], Sign <- [1, -1],
            N <- [Sign * ((1 bsl Bits) + Delta)]],
        {ok, [123456789012345678901234567890]} = Call(py, eval, [<<"[123456789012345678901234567890]">>])
    end).

objects_without_a_form_come_back_as_text(_Config) ->
    ok = py:exec(<<"
import uuid, fractions, datetime, decimal, itertools, collections

class Custom:
    def __str__(self):
        return 'custom \\u20ac'
">>),
    [{Code, {ok, Expected}} = {Code, py:eval(Code)} || {Code, Expected} <- [
        {<<"uuid.UUID(int=0)">>, <<"00000000-0000-0000-0000-000000000000">>},
        {<<"fractions.Fraction(1, 3)">>, <<"1/3">>},
        {<<"datetime.datetime(2024, 1, 15, 10, 30)">>, <<"2024-01-15 10:30:00">>},
        {<<"datetime.date(2024, 1, 15)">>, <<"2024-01-15">>},
        {<<"decimal.Decimal('3.14159265358979323846')">>, <<"3.14159265358979323846">>},
        {<<"itertools.count(5)">>, <<"count(5)">>},
        {<<"complex(1, 2)">>, <<"(1+2j)">>},
        {<<"int">>, <<"<class 'int'>">>},
        {<<"Custom()">>, <<"custom €"/utf8>>},
        {<<"[Custom(), 1]">>, [<<"custom €"/utf8>>, 1]},
        {<<"{'k': Custom()}">>, #{<<"k">> => <<"custom €"/utf8>>}},
        {<<"collections.OrderedDict(a=1)">>, #{<<"a">> => 1}},
        {<<"collections.Counter('aab')">>, #{<<"a">> => 2, <<"b">> => 1}},
        {<<"collections.defaultdict(int, x=1)">>, #{<<"x">> => 1}}
    ]],
    {ok, <<"<generator object", _/binary>>} = py:eval(<<"(x for x in range(3))">>),
    {ok, <<"<module 'math'", _/binary>>} = py:eval(<<"__import__('math')">>).

documented_workarounds_give_their_results(_Config) ->
    [{Code, {ok, Expected}} = {Code, py:eval(Code)} || {Code, Expected} <- [
        {<<"sorted(list({3, 1, 2}))">>, [1, 2, 3]},
        {<<"from datetime import datetime; datetime(1986, 12, 8, 9, 5).isoformat()">>, <<"1986-12-08T09:05:00">>},
        {<<"from decimal import Decimal as D; str(D('2.7182818284590452353'))">>, <<"2.7182818284590452353">>}
    ]].

%% By the buffer protocol, without a Python object for each element.
arrays_come_back_as_lists(_Config) ->
    ok = py:exec(<<"import array">>),
    Ints = [{Code, [0, 1, 100]} || Code <- "bBhHiIlLqQ"],
    [{ok, Expected} = py:eval(<<"array.array(code, values)">>, #{code => <<Code>>, values => Expected})
     || {Code, Expected} <- Ints ++ [{$d, [0.5, -1.0e300]}, {$f, [0.5, -2.0]}]],
    {ok, [-1, 127]} = py:eval(<<"array.array('b', [-1, 127])">>),
    {ok, [18446744073709551615]} = py:eval(<<"array.array('Q', [2**64 - 1])">>),
    {ok, []} = py:eval(<<"array.array('d')">>),
    {ok, #{<<"a">> := {[1.0], [2]}}} = py:eval(<<"{'a': (array.array('d', [1]), array.array('i', [2]))}">>),
    {ok, <<"array('", _/binary>>} = py:eval(<<"array.array('u', 'text')">>),
    {ok, Million} = py:eval(<<"array.array('d', range(1_000_000))">>),
    true = Million =:= [float(N) || N <- lists:seq(0, 999_999)].

sets_come_back_as_lists(_Config) ->
    [begin
        {ok, Items} = py:eval(Code),
        {Code, Expected} = {Code, lists:sort(Items)}
    end || {Code, Expected} <- [
        {<<"{3, 1, 2}">>, [1, 2, 3]}, {<<"set()">>, []}, {<<"frozenset(['a', 'b'])">>, [<<"a">>, <<"b">>]}
    ]].

%% ---------------------------------------------------------------------------------------------------------------------
%% Both ways

terms_survive_a_round_trip(_Config) ->
    Terms = [
        0, 1, -1, 255, 256, -5, -6, (1 bsl 63) - 1, -(1 bsl 63), 1.5, -0.0, 5.0e-324, 1.7976931348623157e308,
        true, false, none, <<>>, <<"text">>, <<"日本語"/utf8>>, <<0>>, <<"a", 0, "b">>, <<255, 0, 254>>,
        [], [[]], [1, 2, 3], lists:seq(1, 1000), [N / 4 || N <- lists:seq(1, 1000)], {}, {{}}, {1, <<"two">>, [3.0]},
        #{}, #{<<"k">> => #{<<"k">> => []}}, maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 2000)]),
        [#{<<"id">> => N, <<"tags">> => [<<"a">>, <<"b">>], <<"at">> => {N, N / 2}} || N <- lists:seq(1, 200)],
        lists:foldl(fun(_, Inner) -> [Inner] end, [], lists:seq(1, 100)),
        self(), [self()], #{self() => 1}
    ],
    [{Term, {ok, Term}} = {Term, round_trip(Term)} || Term <- Terms],
    {ok, Terms} = round_trip(Terms).

random_terms_survive_a_round_trip(_Config) ->
    lists:foldl(fun(_, Random) ->
        {Term, Next} = term(4, Random),
        {Term, {ok, Term}} = {Term, round_trip(Term)},
        Next
    end, rand:seed_s(exsss, {2, 7, 1828}), lists:seq(1, 500)),
    ok.

%% What has no counterpart in Python passes through as it was.
opaque_terms_survive_a_round_trip(_Config) ->
    Port = hd(erlang:ports()),
    [{Term, {ok, Term}} = {Term, round_trip(Term)} || Term <- [
        make_ref(), [make_ref()], fun lists:sum/1, Port, <<1:3>>, {make_ref(), [fun erlang:node/0]}
    ]].

large_binaries_survive_a_round_trip(_Config) ->
    [begin
        {ok, Size} = py:call(builtins, len, [Binary]),
        {ok, Back} = round_trip(Binary),
        true = Back =:= Binary
    end || {Binary, Size} <- [{binary:copy(<<"x">>, 5000000), 5000000}, {binary:copy(<<255>>, 5000000), 5000000},
        {binary:copy(<<"é"/utf8>>, 100000), 100000}]].

atoms_become_strings_for_good(_Config) ->
    [{Term, {ok, Expected}} = {Term, round_trip(Term)} || {Term, Expected} <- [
        {foo, <<"foo">>}, {nil, none}, {undefined, none}, {#{a => b}, #{<<"a">> => <<"b">>}},
        {{ok, [error]}, {<<"ok">>, [<<"error">>]}}, {{bytes, <<"b">>}, <<"b">>}
    ]].

round_trip(Term) ->
    py:eval(<<"v">>, #{v => Term}).

%% Only terms that come back as they were: no atom but the four, no integer beyond 64 bits, text keys.
term(0, Random) ->
    leaf(Random);
term(Depth, Random) ->
    case rand:uniform_s(6, Random) of
        {1, Next} -> items(Depth - 1, Next);
        {2, Next} -> {Items, Last} = items(Depth - 1, Next), {list_to_tuple(Items), Last};
        {3, Next} ->
            {Items, Last} = items(Depth - 1, Next),
            {maps:from_list([{term_to_binary(N), Item} || {N, Item} <- lists:enumerate(Items)]), Last};
        {_, Next} -> leaf(Next)
    end.

items(Depth, Random) ->
    {Size, Next} = rand:uniform_s(6, Random),
    lists:mapfoldl(fun(_, R) -> term(Depth, R) end, Next, lists:seq(2, Size)).

leaf(Random) ->
    {Kind, Next} = rand:uniform_s(7, Random),
    {Bits, Next1} = rand:uniform_s(64, Next),
    {Number, Next2} = rand:uniform_s(1 bsl Bits, Next1),
    {leaf(Kind, Number, Bits), Next2}.

leaf(1, Number, _) -> Number - (1 bsl 63) - 1;
leaf(2, Number, Bits) -> Number rem (1 bsl min(Bits, 63));
leaf(3, Number, Bits) -> Number / (1 bsl (64 - Bits));
leaf(4, Number, _) -> integer_to_binary(Number);
leaf(5, Number, _) -> <<Number:64>>;
leaf(6, Number, _) -> unicode:characters_to_binary([Number rem 16#D800, Number rem 16#1000]);
leaf(7, Number, _) -> lists:nth(1 + Number rem 3, [true, false, none]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Keys, keywords, locals

map_keys_become_dict_keys(_Config) ->
    {ok, <<"{\"foo\": 1}">>} = py:call(json, dumps, [#{foo => 1}]),
    {ok, <<"{\"foo\": 1}">>} = py:call(json, dumps, [#{<<"foo">> => 1}]),
    {ok, <<"{\"bar\": 2, \"foo\": 1}">>} = py:call(json, dumps, [#{foo => 1, bar => 2}], #{sort_keys => true}),
    {ok, #{<<"foo">> := 1}} = py:eval(<<"{'foo': 1}">>),
    {ok, [1, 2, 3, 4]} = py:eval(<<"[v[1], v[(1, 2)], v[None], v[1.5]]">>,
                                 #{v => #{1 => 1, {1, 2} => 2, none => 3, 1.5 => 4}}).

a_key_python_cannot_hash_is_refused(_Config) ->
    [{error, {'TypeError', _}} = round_trip(#{Key => 1}) || Key <- [[1], #{}, {[1]}]],
    {ok, 2} = py:eval(<<"1 + 1">>).

keyword_arguments_come_from_maps(_Config) ->
    Data = #{b => 1, a => 2},
    Expected = <<"{\n  \"a\": 2,\n  \"b\": 1\n}">>,
    {ok, Expected} = py:call(json, dumps, [Data], #{indent => 2, sort_keys => true}),
    {ok, Expected} = py:call(json, dumps, [Data], #{<<"indent">> => 2, <<"sort_keys">> => true}),
    {ok, #{<<"é"/utf8>> := 1}} = py:call(builtins, dict, [], #{<<"é"/utf8>> => 1}).

bad_keyword_arguments_are_refused(_Config) ->
    [{Kwargs, {error, {'TypeError', _}}} = {Kwargs, py:call(json, dumps, [1], Kwargs)} || Kwargs <- [
        #{no_such_keyword => 1}, #{1 => 2}, #{{a} => 1}, #{<<255>> => 1}
    ]],
    {ok, <<"1">>} = py:call(json, dumps, [1], #{}).

locals_take_atom_and_binary_keys(_Config) ->
    {ok, [1, 2]} = py:eval(<<"[atom_key, binary_key]">>, #{atom_key => 1, <<"binary_key">> => 2}).

an_improper_list_is_refused(_Config) ->
    [{error, {_, _}} = round_trip(Term) || Term <- [[1 | 2], [a, b | c], {[1 | 2]}, #{a => [<<"x">> | <<"y">>]}]],
    {error, {_, _}} = py:call(builtins, len, [[1 | 2]]),
    {ok, 2} = py:eval(<<"1 + 1">>).

nesting_is_bounded_both_ways(_Config) ->
    Depth = 1000000,
    Nested = fun(Wrap) -> lists:foldl(fun(_, Inner) -> Wrap(Inner) end, [], lists:seq(1, Depth)) end,
    [begin
        {error, {_, _}} = round_trip(Nested(Wrap)),
        {ok, 2} = py:eval(<<"1 + 1">>)
    end || Wrap <- [fun(I) -> [I] end, fun(I) -> {I} end, fun(I) -> #{a => I} end, fun(I) -> [1, {I}] end]],
    ok = py:exec(<<"
def nested(n, wrap):
    value = []
    for _ in range(n):
        value = wrap(value)
    return value
">>),
    [begin
        {error, {_, _}} = py:eval(iolist_to_binary(["nested(1000000, ", Wrap, ")"])),
        {ok, 2} = py:eval(<<"1 + 1">>)
    end || Wrap <- ["lambda v: [v]", "lambda v: (v,)", "lambda v: {'a': v}"]].

a_cyclic_value_is_refused(_Config) ->
    ok = py:exec(<<"
loop = []
loop.append(loop)
cycle = {}
cycle['self'] = [cycle]
">>),
    [{error, {_, _}} = py:eval(Name) || Name <- [<<"loop">>, <<"cycle">>, <<"(loop, 1)">>]],
    {ok, 1} = py:eval(<<"len(loop)">>).

a_nul_byte_is_data_but_not_code(_Config) ->
    {ok, <<"a", 0, "b">>} = round_trip(<<"a", 0, "b">>),
    {ok, 3} = py:call(builtins, len, [<<"a", 0, "b">>]),
    [{error, _} = Refused || Refused <- [
        py:eval(<<"1", 0>>), py:eval(<<0>>), py:exec(<<"x = 1", 0, "\ny = 2">>), py:eval([$1, 0]),
        py:call(<<"ma", 0, "th">>, sqrt, [16]), py:call(<<"math", 0>>, sqrt, [16]), py:call(math, <<"sqrt", 0>>, [16])
    ]],
    {ok, 4.0} = py:call(math, sqrt, [16]).

conversion_of_results_makes_no_atoms(_Config) ->
    {ok, _} = py:eval(<<"1">>),
    Before = erlang:system_info(atom_count),
    {ok, _} = py:eval(<<"{'ep_fresh_key_%d' % i: 'ep_fresh_value_%d' % i for i in range(1000)}">>),
    true = erlang:system_info(atom_count) - Before < 100.
