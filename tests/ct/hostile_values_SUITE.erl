%%% @doc Values that make trouble on their way between Erlang and Python: too deep, circular, lying, changing, too
%%% large.
-module(hostile_values_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    deep_arguments_are_refused/1, deep_results_are_refused/1, deep_messages_and_callbacks_are_refused/1,
    reasonable_depth_is_fine/1, circular_results_are_refused/1, text_that_raises/1, objects_that_lie/1,
    text_made_by_a_callback/1, text_that_never_ends_times_out/1, containers_that_change_while_converted/1,
    containers_that_grow_for_ever/1, generators_and_iterators_are_text/1, subclasses_convert_as_what_they_are/1,
    sets/1, surrogates/1, keys_that_become_equal/1, integers_beyond_64_bits/1, integers_beyond_all_limits/1,
    binaries_of_100_megabytes/1, a_million_elements/1, tuples_wider_than_erlang_has/1, terms_python_has_no_word_for/1,
    nothing_is_left_behind/1
]).

-define(MANY, 1_000_000).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        deep_arguments_are_refused, deep_results_are_refused, deep_messages_and_callbacks_are_refused,
        reasonable_depth_is_fine, circular_results_are_refused, text_that_raises, objects_that_lie,
        text_made_by_a_callback, text_that_never_ends_times_out, containers_that_change_while_converted,
        containers_that_grow_for_ever, generators_and_iterators_are_text, subclasses_convert_as_what_they_are,
        sets, surrogates, keys_that_become_equal, integers_beyond_64_bits, integers_beyond_all_limits,
        binaries_of_100_megabytes, a_million_elements, tuples_wider_than_erlang_has, terms_python_has_no_word_for,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Depth

deep_arguments_are_refused(Config) ->
    Ctx = ctx(Config),
    [begin
         Deep = nested(Wrap, ?MANY),
         too_deep(py:call(Ctx, hostile, identity, [Deep])),
         too_deep(py:eval(Ctx, <<"1">>, #{x => Deep})),
         too_deep(py:call(Ctx, builtins, dict, [], #{kwargs => #{x => Deep}})),
         ep_expect:still_works(Ctx)
     end || Wrap <- [fun(In) -> [In] end, fun(In) -> {In} end, fun(In) -> #{in => In} end,
                     fun(In) -> #{In => in} end, fun(In) -> [1, In, 2] end]].

deep_results_are_refused(Config) ->
    Ctx = ctx(Config),
    [begin
         too_deep(py:call(Ctx, hostile, Function, [?MANY])),
         ep_expect:still_works(Ctx)
     end || Function <- [nested_list, nested_tuple, nested_dict]].

deep_messages_and_callbacks_are_refused(Config) ->
    Ctx = ctx(Config),
    too_deep(py:call(Ctx, hostile, send_nested, [self(), ?MANY])),
    ok = py:register_function(deep_in_out, fun([Depth]) when is_integer(Depth) -> nested(fun(In) -> [In] end, Depth);
                                              ([_]) -> arrived end),
    too_deep(py:call(Ctx, hostile, call_nested, [deep_in_out, ?MANY])),
    {error, {_, _}} = py:call(Ctx, busy, call, [deep_in_out, [?MANY]]),
    {ok, [[[]]]} = py:call(Ctx, busy, call, [deep_in_out, [2]]),
    ok = py:unregister_function(deep_in_out),
    ep_expect:still_works(Ctx).

reasonable_depth_is_fine(Config) ->
    Ctx = ctx(Config),
    [begin
         Deep = nested(Wrap, 100),
         ?assertEqual({ok, Deep}, py:call(Ctx, hostile, identity, [Deep]))
     end || Wrap <- [fun(In) -> [In] end, fun(In) -> {In} end, fun(In) -> #{<<"in">> => In} end]].

circular_results_are_refused(Config) ->
    Ctx = ctx(Config),
    [begin
         too_deep(py:call(Ctx, hostile, Function, [])),
         ep_expect:still_works(Ctx)
     end || Function <- [cyclic_list, cyclic_dict, cyclic_tuple]].

nested(Wrap, Depth) -> nested(Wrap, Depth, []).

nested(_Wrap, 0, In) -> In;
nested(Wrap, Depth, In) -> nested(Wrap, Depth - 1, Wrap(In)).

too_deep(Result) ->
    Message = ep_expect:python_error(['ValueError', 'RecursionError', 'OverflowError'], Result),
    nomatch =/= re:run(Message, "deep|depth|nest|recursi|circular") orelse error({does_not_say_why, Message}),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Objects that are text to Erlang

text_that_raises(Config) ->
    Ctx = ctx(Config),
    [begin
         Result = py:call(Ctx, hostile, instance, [Class]),
         %% Either the exception is the error, or a text was found in another way.
         case Result of
             {ok, Text} -> true = is_binary(Text);
             {error, {Name, _}} -> true = lists:member(Name, ['ZeroDivisionError', 'TypeError', 'RecursionError'])
         end,
         ?assertMatch({_, _}, py:eval(Ctx, <<"[1, __import__('hostile').instance(c), 2]">>, #{c => Class})),
         ?assertMatch({_, _}, py:eval(Ctx, <<"{__import__('hostile').instance(c): 1}">>, #{c => Class})),
         ep_expect:still_works(Ctx)
     end || Class <- ['StrRaises', 'ReprRaises', 'StrIsNoText', 'StrRecurses', 'AttributesRaise']].

objects_that_lie(Config) ->
    Ctx = ctx(Config),
    [begin
         {Tag, _} = py:call(Ctx, hostile, instance, [Class | Args]),
         true = lists:member(Tag, [ok, error]),
         ep_expect:still_works(Ctx)
     end || {Class, Args} <- [{'ClassLies', []}, {'ClassRaises', []}, {'LyingList', [[1, 2]]},
                              {'LyingDict', [#{a => 1}]}]].

text_made_by_a_callback(Config) ->
    Ctx = ctx(Config),
    ok = py:register_function(text_for_str, fun([]) ->
        {ok, Three} = py:eval(Ctx, <<"1 + 2">>),
        integer_to_binary(Three)
    end),
    {ok, <<"3">>} = py:call(Ctx, hostile, instance, ['StrCalls', text_for_str]),
    {ok, [<<"3">>, <<"3">>]} = py:eval(Ctx, <<"[__import__('hostile').StrCalls('text_for_str')] * 2">>),
    ok = py:unregister_function(text_for_str),
    ep_expect:still_works(Ctx).

text_that_never_ends_times_out(Config) ->
    Ctx = ctx(Config),
    {error, timeout} = py:call(Ctx, hostile, instance, ['StrSpins', self()], #{timeout => 300}),
    ep_expect:message(<<"running">>),
    ep_expect:still_works(Ctx).

generators_and_iterators_are_text(Config) ->
    Ctx = ctx(Config),
    [begin
         {ok, Text} = py:call(Ctx, hostile, Function, []),
         {match, _} = re:run(Text, Expected)
     end || {Function, Expected} <- [{generator, "^<generator object"}, {iterator, "^count\\("},
                                     {coroutine, "^<coroutine object"}]],
    ep_expect:still_works(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Containers that change while they are converted

containers_that_change_while_converted(Config) ->
    Ctx = ctx(Config),
    Changing = [list_cleared, list_shrinking, list_growing, outer_cleared_by_inner, dict_cleared, dict_growing,
                dict_key_clears, set_cleared],
    [begin
         {Tag, _} = py:call(Ctx, hostile, Function, []),
         true = lists:member(Tag, [ok, error])
     end || Function <- Changing, _ <- lists:seq(1, 20)],
    ep_expect:still_works(Ctx).

containers_that_grow_for_ever(Config) ->
    Ctx = ctx(Config),
    [begin
         Result = py:call(Ctx, hostile, Function, [], #{timeout => 2000}),
         ?assertNotEqual({error, timeout}, Result),
         ep_expect:still_works(Ctx)
     end || Function <- [list_without_end, dict_without_end]].

%% ---------------------------------------------------------------------------------------------------------------------
%% Subclasses, sets, strange text and keys

subclasses_convert_as_what_they_are(Config) ->
    Ctx = ctx(Config),
    [?assertEqual({Source, {ok, Expected}}, {Source, py:eval(Ctx, <<"__import__('hostile').", Source/binary>>)})
     || {Source, Expected} <- [
        {<<"Int(7)">>, 7},
        {<<"Text('abc')">>, <<"abc">>},
        {<<"Bytes(b'abc')">>, <<"abc">>},
        {<<"Float(1.5)">>, 1.5},
        {<<"List([1, 2])">>, [1, 2]},
        {<<"Dict(a=1)">>, #{<<"a">> => 1}},
        {<<"Colour.RED">>, 1},
        {<<"Point(1, 2)">>, {1, 2}},
        {<<"counter()">>, #{<<"a">> => 2, <<"b">> => 1}},
        {<<"ordered()">>, #{<<"a">> => 1, <<"b">> => 2}},
        {<<"defaulting()">>, #{<<"a">> => [1]}}
     ]],
    ep_expect:still_works(Ctx).

%% A list of the elements, or the text of the set.
sets(Config) ->
    Ctx = ctx(Config),
    [case py:eval(Ctx, Source) of
         {ok, Elements} when is_list(Elements) -> [1, 2, 3] = lists:sort(Elements);
         {ok, Text} -> {match, _} = re:run(Text, "1, 2, 3")
     end || Source <- [<<"{1, 2, 3}">>, <<"frozenset((1, 2, 3))">>]],
    {ok, _} = py:eval(Ctx, <<"set()">>),
    {ok, _} = py:eval(Ctx, <<"{'a': {1}, 'b': [frozenset()]}">>),
    ep_expect:still_works(Ctx).

%% Lone surrogates have no UTF-8: they are refused by name or cross in some binary form, alone and inside others.
surrogates(Config) ->
    Ctx = ctx(Config),
    [case py:eval(Ctx, Source) of
         {ok, _} -> ok;
         Result -> ep_expect:python_error(['UnicodeEncodeError', 'ValueError'], Result)
     end || Source <- [<<"'\\ud800'">>, <<"'abc\\udfff'">>, <<"['\\ud800']">>, <<"{'\\ud800': 1}">>,
                       <<"__import__('os').fsdecode(b'\\xff')">>]],
    {error, {'ValueError', _}} = py:exec(Ctx, <<"raise ValueError('\\ud800')">>),
    ep_expect:still_works(Ctx).

%% Two keys of a dict that are one key of a map: one of them wins, or the dict is refused by name.
keys_that_become_equal(Config) ->
    Ctx = ctx(Config),
    [begin
         case py:eval(Ctx, Source) of
             {ok, Map} ->
                 ?assertEqual({Source, [Key]}, {Source, maps:keys(Map)}),
                 true = lists:member(maps:get(Key, Map), [1, 2]);
             Result ->
                 ep_expect:python_error('ValueError', "key", Result)
         end
     end || {Source, Key} <- [
        {<<"{'a': 1, b'a': 2}">>, <<"a">>},
        {<<"{None: 1, __import__('erlang').atom('none'): 2}">>, none},
        {<<"{'7' * 30: 1, __import__('hostile').StrIs('7' * 30): 2}">>, binary:copy(<<"7">>, 30)}
     ]],
    Large = <<"{**{str(n): 1 for n in range(100)}, **{str(n).encode(): 2 for n in range(100)}}">>,
    case py:eval(Ctx, Large) of
        {ok, Hundred} -> 100 = map_size(Hundred);
        Refused -> ep_expect:python_error('ValueError', "key", Refused)
    end,
    {ok, 1} = py:call(Ctx, builtins, len, [#{a => 1, <<"a">> => 2}]),
    {ok, 1} = py:call(Ctx, builtins, len, [#{1 => 1, 1.0 => 2}]),
    {ok, 1} = py:call(Ctx, builtins, len, [#{none => 1, undefined => 2, nil => 3}]),
    ep_expect:still_works(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------
%% Sizes

integers_beyond_64_bits(Config) ->
    Ctx = ctx(Config),
    Limit = 1 bsl 63,
    [?assertEqual({ok, N}, py:call(Ctx, hostile, identity, [N]))
     || N <- [Limit - 1, -Limit, 0, -1, 1 bsl 59, -(1 bsl 59), (1 bsl 59) - 1, 1 bsl 32, -(1 bsl 32)]],
    [begin
         {ok, Digits} = py:call(Ctx, hostile, identity, [N]),
         ?assertEqual(integer_to_list(N), Digits),
         ?assertEqual({ok, true}, py:eval(Ctx, <<"str(n) == digits">>, #{n => N, digits => integer_to_binary(N)}))
     end || Base <- [1 bsl 64, 1 bsl 65, 1 bsl 127, 1 bsl 128, 3 bsl 700], N <- [Base, Base + 1, -Base - 1]],
    ?assertEqual({ok, integer_to_list(-Limit - 1)}, py:call(Ctx, hostile, identity, [-Limit - 1])),
    {ok, [_, 1]} = py:call(Ctx, hostile, identity, [[1 bsl 100, 1]]),
    ep_expect:still_works(Ctx).

%% Python itself refuses to print more than 4,300 digits unless it is asked otherwise; the user of a result never asked.
integers_beyond_all_limits(Config) ->
    Ctx = ctx(Config),
    N = 1 bsl 20_000,
    ?assertEqual({ok, integer_to_list(N)}, py:eval(Ctx, <<"1 << 20000">>)),
    ?assertEqual({ok, integer_to_list(-N)}, py:call(Ctx, hostile, identity, [-N])),
    {ok, 8_000_001} = py:eval(Ctx, <<"n.bit_length()">>, #{n => 1 bsl 8_000_000}),
    ep_expect:still_works(Ctx).

binaries_of_100_megabytes(Config) ->
    Ctx = ctx(Config),
    Size = 100 bsl 20,
    Text = binary:copy(<<"0123456789abcdef">>, Size div 16),
    {ok, Size} = py:call(Ctx, builtins, len, [Text]),
    {ok, Size} = py:call(Ctx, builtins, len, [{bytes, Text}]),
    Digest = string:lowercase(binary:encode_hex(erlang:md5(Text))),
    ?assertEqual({ok, Digest}, py:eval(Ctx, <<"__import__('hashlib').md5(x).hexdigest()">>, #{x => {bytes, Text}})),
    [begin
         {ok, Back} = py:eval(Ctx, Source, #{n => Size div 16}),
         true = Back =:= Text
     end || Source <- [<<"b'0123456789abcdef' * n">>, <<"'0123456789abcdef' * n">>]],
    {ok, [Echo]} = py:call(Ctx, hostile, identity, [[{bytes, Text}]]),
    true = Echo =:= Text,
    ep_expect:still_works(Ctx).

a_million_elements(Config) ->
    Ctx = ctx(Config),
    [begin
         {ok, Back} = py:call(Ctx, hostile, identity, [Value], #{timeout => 30_000}),
         true = Back =:= Value
     end || Value <- [
        lists:seq(1, ?MANY),
        [N / 2 || N <- lists:seq(1, ?MANY)],
        [<<N:32>> || N <- lists:seq(16#20202020, 16#20202020 + 100_000)],
        maps:from_list([{N, N} || N <- lists:seq(1, ?MANY div 10)]),
        list_to_tuple(lists:seq(1, ?MANY)),
        [1.0 | lists:seq(1, ?MANY)]
    ]],
    ep_expect:still_works(Ctx).

tuples_wider_than_erlang_has(Config) ->
    Ctx = ctx(Config),
    Widest = (1 bsl 24) - 1,
    {ok, Tuple} = py:eval(Ctx, <<"(None,) * n">>, #{n => Widest}),
    Widest = tuple_size(Tuple),
    ep_expect:python_error(['ValueError', 'OverflowError'], py:eval(Ctx, <<"(None,) * (n + 1)">>, #{n => Widest})),
    ep_expect:still_works(Ctx).

%% They cross as themselves, or are refused by name.
terms_python_has_no_word_for(Config) ->
    Ctx = ctx(Config),
    Port = hd(erlang:ports()),
    [case py:call(Ctx, hostile, identity, [Term]) of
         {ok, Back} -> ?assertEqual(Term, Back);
         Result -> ep_expect:python_error(['TypeError', 'ValueError'], Result)
     end || Term <- [make_ref(), fun() -> ok end, fun lists:map/2, Port, <<1:3>>, <<1, 2, 3:7>>, self(),
                     [make_ref(), <<1:1>>], #{make_ref() => 1}]],
    ep_expect:still_works(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).
