%%% @doc Names, code and argument shapes that are wrong: each gets an answer that says so, and the context serves on.
-module(bad_input_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    unknown_modules_are_named/1, unknown_functions_are_named/1, unknown_attributes_are_named/1,
    what_is_not_callable_is_refused/1, syntax_errors_say_what_is_wrong/1, statements_are_no_expressions/1,
    nul_bytes_in_code_are_refused/1, nul_bytes_in_names_are_refused/1, code_that_is_not_utf8_is_refused/1,
    names_that_are_not_utf8_are_refused/1, text_that_is_not_utf8_arrives_as_bytes/1,
    strings_of_characters_are_code/1, keyword_arguments_with_bad_names_are_refused/1,
    locals_with_bad_names_do_no_harm/1, improper_lists_are_refused/1, unhashable_keys_are_refused/1,
    bad_tags_are_tuples/1, dead_contexts_are_reported/1, names_and_code_may_be_long/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        unknown_modules_are_named, unknown_functions_are_named, unknown_attributes_are_named,
        what_is_not_callable_is_refused, syntax_errors_say_what_is_wrong, statements_are_no_expressions,
        nul_bytes_in_code_are_refused, nul_bytes_in_names_are_refused, code_that_is_not_utf8_is_refused,
        names_that_are_not_utf8_are_refused, text_that_is_not_utf8_arrives_as_bytes,
        strings_of_characters_are_code, keyword_arguments_with_bad_names_are_refused,
        locals_with_bad_names_do_no_harm, improper_lists_are_refused, unhashable_keys_are_refused,
        bad_tags_are_tuples, dead_contexts_are_reported, names_and_code_may_be_long, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

unknown_modules_are_named(Config) ->
    Ctx = ctx(Config),
    [ep_expect:python_error('ModuleNotFoundError', "no_such_module", py:call(Ctx, Module, f, []))
     || Module <- [no_such_module, <<"no_such_module">>, "no_such_module", 'json.no_such_module']],
    ep_expect:python_error('ModuleNotFoundError', "no_such_module", py:exec(Ctx, <<"import no_such_module">>)),
    ep_expect:python_error(['ModuleNotFoundError', 'ValueError'], py:call(Ctx, <<>>, f, [])),
    ep_expect:still_works(Ctx).

unknown_functions_are_named(Config) ->
    Ctx = ctx(Config),
    ep_expect:python_error('AttributeError', "no_such_function", py:call(Ctx, math, no_such_function, [1])),
    ep_expect:python_error(['AttributeError', 'NameError'], "no_such_function",
                           py:call(Ctx, '__main__', no_such_function, [])),
    ep_expect:python_error('NameError', "no_such_function", py:eval(Ctx, <<"no_such_function()">>)),
    {error, _} = py:call(Ctx, math, <<>>, [1]),
    ep_expect:still_works(Ctx).

unknown_attributes_are_named(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[1, 2, 3]], #{return => ref}),
    ep_expect:python_error('AttributeError', "no_such_attribute", py:getattr(Ref, no_such_attribute)),
    ep_expect:python_error('AttributeError', "no_such_method", py:call_method(Ref, no_such_method, [])),
    {ok, 3} = py:call_method(Ref, '__len__', []),
    ep_expect:still_works(Ctx).

what_is_not_callable_is_refused(Config) ->
    Ctx = ctx(Config),
    ep_expect:python_error('TypeError', "callable", py:call(Ctx, math, pi, [])),
    ep_expect:python_error('TypeError', py:call(Ctx, math, sqrt, [])),
    ep_expect:python_error('TypeError', py:call(Ctx, math, sqrt, [1, 2, 3])),
    ep_expect:still_works(Ctx).

syntax_errors_say_what_is_wrong(Config) ->
    Ctx = ctx(Config),
    ep_expect:python_error('SyntaxError', "never closed", py:exec(Ctx, <<"x = (1,\ny = 2">>)),
    ep_expect:python_error('SyntaxError', "expected ':'", py:exec(Ctx, <<"if True\n    pass">>)),
    ep_expect:python_error('SyntaxError', "line 3", py:exec(Ctx, <<"a = 1\nb = 2\nc = = 3\n">>)),
    ep_expect:python_error('IndentationError', py:exec(Ctx, <<"def f():\nreturn 1">>)),
    ep_expect:python_error('SyntaxError', py:eval(Ctx, <<"1 +">>)),
    ep_expect:python_error('SyntaxError', py:eval(Ctx, <<>>)),
    ok = py:exec(Ctx, <<>>),
    ok = py:exec(Ctx, <<"# nothing but a comment">>),
    ep_expect:still_works(Ctx).

statements_are_no_expressions(Config) ->
    Ctx = ctx(Config),
    ep_expect:python_error('SyntaxError', py:eval(Ctx, <<"x = 1">>)),
    ep_expect:python_error('SyntaxError', py:eval(Ctx, <<"import os">>)),
    ep_expect:python_error('SyntaxError', py:eval(Ctx, <<"if True: pass">>)),
    [ep_expect:python_error('SyntaxError', py:eval(Ctx, ["a = 1\n", Last]))
     || Last <- [<<"b = 2">>, <<"import os">>, <<"pass">>, <<"del a">>, <<"return a">>, <<"with a">>]],
    ep_expect:python_error('NameError', py:eval(Ctx, <<"a">>)),
    ep_expect:python_error('SyntaxError', py:exec(Ctx, <<"return 1">>)),
    ep_expect:still_works(Ctx).

nul_bytes_in_code_are_refused(Config) ->
    Ctx = ctx(Config),
    [begin
         {error, {_, _}} = py:eval(Ctx, Code),
         {error, {_, _}} = py:exec(Ctx, Code),
         {error, {_, _}} = py_context:eval(Ctx, Code),
         {error, {_, _}} = py_context:exec(Ctx, Code)
     end || Code <- [<<0>>, <<"1 + 2", 0>>, <<0, "1 + 2">>, <<"1 +", 0, " 2">>, "1" ++ [0]]],
    ep_expect:still_works(Ctx).

nul_bytes_in_names_are_refused(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    [begin
         {error, _} = py:call(Ctx, Name, sqrt, [16]),
         {error, _} = py:call(Ctx, math, Name, [16]),
         {error, _} = py:getattr(Ref, Name),
         {error, _} = py:call_method(Ref, Name, [])
     end || Name <- [<<"sqrt", 0>>, <<0>>, 'sqrt\0', 'math\0x', <<"math", 0, "sqrt">>]],
    %% As data a NUL is a character as any other.
    {ok, <<"a", 0, "b">>} = py:call(Ctx, builtins, str, [<<"a", 0, "b">>]),
    ep_expect:still_works(Ctx).

code_that_is_not_utf8_is_refused(Config) ->
    Ctx = ctx(Config),
    [begin
         refused(fun() -> py:eval(Ctx, Code) end),
         refused(fun() -> py:exec(Ctx, Code) end)
     end || Code <- [<<255>>, <<"'", 16#C3, "'">>, <<"'", 16#ED, 16#A0, 16#80, "'">>, [16#D800], [16#110000], [-1]]],
    ep_expect:still_works(Ctx).

names_that_are_not_utf8_are_refused(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    [begin
         refused(fun() -> py:call(Ctx, Name, sqrt, [16]) end),
         refused(fun() -> py:call(Ctx, math, Name, [16]) end),
         refused(fun() -> py:getattr(Ref, Name) end),
         refused(fun() -> py:call_method(Ref, Name, []) end)
     end || Name <- [<<255, 254>>, <<"sqrt", 16#C3>>, <<16#F4, 16#90, 16#80, 16#80>>]],
    ep_expect:still_works(Ctx).

text_that_is_not_utf8_arrives_as_bytes(Config) ->
    Ctx = ctx(Config),
    [begin
         {ok, <<"bytes">>} = py:eval(Ctx, <<"type(x).__name__">>, #{x => Bin}),
         {ok, Size} = py:call(Ctx, builtins, len, [Bin]),
         ?assertEqual(byte_size(Bin), Size),
         {ok, Bin} = py:call(Ctx, hostile, identity, [Bin]),
         {ok, [#{<<"k">> := Bin}]} = py:call(Ctx, hostile, identity, [[#{k => Bin}]])
     end || Bin <- [<<255>>, <<"abc", 16#C3>>, <<16#ED, 16#A0, 16#80>>, <<16#C0, 16#80>>,
                    binary:copy(<<254>>, 100_000)]],
    ep_expect:still_works(Ctx).

strings_of_characters_are_code(Config) ->
    Ctx = ctx(Config),
    {ok, <<"é€😀"/utf8>>} = py:eval(Ctx, "'é€😀'"),
    {ok, <<"é€😀"/utf8>>} = py:eval(Ctx, <<"'é€😀'"/utf8>>),
    ep_expect:still_works(Ctx).

keyword_arguments_with_bad_names_are_refused(Config) ->
    Ctx = ctx(Config),
    [refused(fun() -> py:call(Ctx, builtins, dict, [], #{kwargs => Kwargs}) end)
     || Kwargs <- [#{1 => a}, #{1.5 => a}, #{{a, b} => c}, #{[] => a}, #{"text" => a}, #{#{} => a}, #{self() => a},
                   #{<<255>> => a}, #{a => 1, 2 => 3}]],
    [ep_expect:python_error('TypeError', py:call(Ctx, json, dumps, [1], #{kwargs => #{Name => 1}}))
     || Name <- [no_such_argument, <<"a", 0, "b">>, <<"not a name">>, <<>>]],
    {ok, #{<<"not a name">> := 1}} = py:call(Ctx, builtins, dict, [], #{kwargs => #{<<"not a name">> => 1}}),
    ep_expect:still_works(Ctx).

%% What cannot be a name is refused, or is simply no local.
locals_with_bad_names_do_no_harm(Config) ->
    Ctx = ctx(Config),
    [case py:eval(Ctx, <<"1">>, Locals) of
         {ok, 1} -> ok;
         Result -> ep_expect:python_error(['TypeError', 'ValueError'], Result)
     end || Locals <- [#{1 => a}, #{{a} => b}, #{[1] => b}, #{<<255>> => a}, #{none => a}, #{true => a}]],
    {ok, 7} = py:eval(Ctx, <<"x">>, #{1 => a, x => 7}),
    {ok, 1} = py:eval(Ctx, <<"locals()['not a name']">>, #{<<"not a name">> => 1}),
    ep_expect:still_works(Ctx).

improper_lists_are_refused(Config) ->
    Ctx = ctx(Config),
    [ep_expect:python_error(['TypeError', 'ValueError'], py:call(Ctx, hostile, identity, [Bad]))
     || Bad <- [[1 | 2], [[1, 2 | 3]], #{a => [1 | 2]}, {[a | b]}, [1.0 | 2.0], [<<"a">> | <<"b">>],
                lists:seq(1, 100_000) ++ tail]],
    ep_expect:python_error(['TypeError', 'ValueError'], py:eval(Ctx, <<"x">>, #{x => [1 | 2]})),
    refused(fun() -> py:call(Ctx, math, sqrt, [16 | 17]) end),
    ep_expect:still_works(Ctx).

unhashable_keys_are_refused(Config) ->
    Ctx = ctx(Config),
    [ep_expect:python_error('TypeError', "unhashable", py:call(Ctx, hostile, identity, [Map]))
     || Map <- [#{[1] => 1}, #{#{a => b} => 1}, #{{1, [2]} => 1}, #{a => 1, [b] => 2}]],
    {ok, #{{1, 2} := 3}} = py:call(Ctx, hostile, identity, [#{{1, 2} => 3}]),
    ep_expect:still_works(Ctx).

%% {bytes, Bin} and {memoryview, Bin} mean something; what only looks alike is a tuple.
bad_tags_are_tuples(Config) ->
    Ctx = ctx(Config),
    [?assertEqual({ok, {atom_to_binary(Tag), 1}}, py:call(Ctx, hostile, identity, [{Tag, 1}]))
     || Tag <- [bytes, memoryview]],
    {ok, {<<"bytes">>, <<"a">>, <<"b">>}} = py:call(Ctx, hostile, identity, [{bytes, <<"a">>, <<"b">>}]),
    {ok, {<<"bytes">>}} = py:call(Ctx, hostile, identity, [{bytes}]),
    ep_expect:still_works(Ctx).

dead_contexts_are_reported(Config) ->
    Ctx = ctx(Config),
    {ok, Ref} = py:call(Ctx, builtins, list, [[]], #{return => ref}),
    Env = py:get_local_env(Ctx),
    CtxRef = py_context:get_nif_ref(Ctx),
    ok = py_context:stop(Ctx),
    [?assertEqual({error, context_stopped}, Result) || Result <- [
        py:call(Ctx, math, sqrt, [16]),
        py:eval(Ctx, <<"1">>),
        py:exec(Ctx, <<"x = 1">>),
        py_context:call(Ctx, math, sqrt, [16]),
        py_context:eval(Ctx, <<"1">>, #{}, 1000, Env),
        py_context:exec(Ctx, <<"x = 1">>, Env),
        py_nif:context_call(CtxRef, math, sqrt, [16], #{}, undefined),
        py_nif:context_eval(CtxRef, <<"1">>, #{}, Env),
        py:call_method(Ref, append, [1]),
        py:getattr(Ref, append),
        py:to_term(Ref),
        py:await(py:spawn_call(Ctx, math, sqrt, [16]))
    ]],
    {messages, []} = process_info(self(), messages),
    ok.

names_and_code_may_be_long(Config) ->
    Ctx = ctx(Config),
    Name = binary:copy(<<"a">>, 1_000_000),
    ep_expect:python_error(['ModuleNotFoundError', 'OSError'], py:call(Ctx, Name, f, [])),
    ep_expect:python_error('AttributeError', py:call(Ctx, math, Name, [])),
    Sum = lists:join(<<" + ">>, lists:duplicate(1000, <<"1">>)),
    {ok, 1000} = py:eval(Ctx, iolist_to_binary(Sum)),
    Lines = [[<<"x">>, integer_to_binary(N), <<" = ">>, integer_to_binary(N), $\n] || N <- lists:seq(1, 20_000)],
    ok = py:exec(Ctx, iolist_to_binary(Lines)),
    {ok, 20_000} = py:eval(Ctx, <<"x20000">>),
    ep_expect:still_works(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

%% What cannot be told apart from a programming mistake may be a badarg of Erlang; everything else is an error tuple.
refused(Fun) ->
    try Fun() of
        {error, _} -> ok;
        Other -> error({not_refused, Other})
    catch
        error:badarg -> ok;
        error:function_clause -> ok
    end.
