%%% @doc Python code that ends in unusual ways, or does not end: the context, and the VM, outlive it.
-module(hostile_code_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    exits_are_errors/1, base_exceptions_are_errors/1, the_packages_own_exceptions_may_be_raised/1,
    exceptions_without_a_usable_message/1, strange_class_names/1, long_messages/1, recursion_without_end/1,
    recursion_in_c_code/1, a_replaced_compiler/1, a_cleared_namespace/1, a_thread_left_running/1,
    a_thread_that_outlives_its_context/1, finalisers_that_raise/1, exception_classes_make_few_atoms/1,
    atoms_made_by_python_are_bounded/1, nothing_is_left_behind/1
]).

%% The two that spend the VM's budget of atoms come last.
suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        exits_are_errors, base_exceptions_are_errors, the_packages_own_exceptions_may_be_raised,
        exceptions_without_a_usable_message, strange_class_names, long_messages, recursion_without_end,
        recursion_in_c_code, a_replaced_compiler, a_cleared_namespace, a_thread_left_running,
        a_thread_that_outlives_its_context, finalisers_that_raise, exception_classes_make_few_atoms,
        atoms_made_by_python_are_bounded, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

exits_are_errors(Config) ->
    Ctx = ctx(Config),
    ep_expect:python_error('SystemExit', "3", py:call(Ctx, hostile, leave, [])),
    [begin
         ep_expect:python_error('SystemExit', py:exec(Ctx, Code)),
         ep_expect:still_works(Ctx)
     end || Code <- [<<"import sys; sys.exit()">>, <<"import sys; sys.exit('with a text')">>, <<"exit(1)">>,
                     <<"quit()">>, <<"raise SystemExit">>, <<"raise SystemExit(None)">>]].

base_exceptions_are_errors(Config) ->
    Ctx = ctx(Config),
    [begin
         ep_expect:python_error(Name, py:call(Ctx, hostile, end_with, [Name])),
         ep_expect:python_error(Name, "why", py:call(Ctx, hostile, end_with, [Name, <<"why">>])),
         ep_expect:still_works(Ctx)
     end || Name <- ['KeyboardInterrupt', 'GeneratorExit', 'StopIteration', 'MemoryError', 'CancelledError', 'Custom']].

the_packages_own_exceptions_may_be_raised(Config) ->
    Ctx = ctx(Config),
    [begin
         {error, _} = py:exec(Ctx, <<"import erlang\nraise erlang.", Name/binary>>),
         ep_expect:still_works(Ctx)
     end || Name <- [<<"SuspensionRequired">>, <<"ProcessError">>, <<"Interrupted">>]],
    ok = py:exec(Ctx, <<"try:\n    raise erlang.SuspensionRequired\nexcept erlang.SuspensionRequired:\n    pass">>),
    ok = py:exec(Ctx, <<"assert not issubclass(erlang.SuspensionRequired, Exception)">>).

exceptions_without_a_usable_message(Config) ->
    Ctx = ctx(Config),
    [begin
         ep_expect:python_error(Name, py:call(Ctx, hostile, end_with, [Name])),
         ep_expect:still_works(Ctx)
     end || Name <- ['MessageRaises', 'MessageIsNoText']],
    "" = ep_expect:python_error('ValueError', py:exec(Ctx, <<"raise ValueError">>)),
    [ep_expect:python_error('ValueError', py:exec(Ctx, <<"raise ValueError(", Args/binary, ")">>))
     || Args <- [<<"'a\\0b'">>, <<"b'\\xff'">>, <<"'\\ud800'">>, <<"1, 2">>, <<"[]">>, <<"'\\U0001f600'">>]],
    ep_expect:still_works(Ctx).

%% An atom holds 255 characters; a class name may be longer, empty, or no identifier at all.
strange_class_names(Config) ->
    Ctx = ctx(Config),
    [begin
         _ = new_class(Ctx, Name),
         ep_expect:still_works(Ctx)
     end || Name <- [binary:copy(<<"N">>, 255), binary:copy(<<"N">>, 256), binary:copy(<<"N">>, 100_000),
                     binary:copy(<<"é"/utf8>>, 255), binary:copy(<<"😀"/utf8>>, 256), <<>>, <<"two words">>,
                     <<"line\nbreak">>, <<"true">>, <<"error">>]].

long_messages(Config) ->
    Ctx = ctx(Config),
    Message = ep_expect:python_error('ValueError', "xxxx", py:call(Ctx, hostile, raise_long_message, [5_000_000])),
    %% It may be cut, but never grows.
    true = length(Message) =< 5_000_000,
    ep_expect:still_works(Ctx).

recursion_without_end(Config) ->
    Ctx = ctx(Config),
    [ep_expect:python_error('RecursionError', py:call(Ctx, hostile, recurse, [])) || _ <- lists:seq(1, 10)],
    ep_expect:python_error('RecursionError', py:exec(Ctx, <<"def f():\n    f()\nf()">>)),
    ep_expect:still_works(Ctx).

%% Where Python counts on the size of the C stack, it is there.
recursion_in_c_code(Config) ->
    Ctx = ctx(Config),
    [ep_expect:python_error('RecursionError', py:call(Ctx, hostile, Function, [1_000_000]))
     || Function <- [repr_of_nested, json_of_nested]],
    ep_expect:python_error(['RecursionError', 'MemoryError'], py:call(Ctx, hostile, compile_nested, [100_000])),
    Nested = binary:copy(<<"-">>, 100_000),
    ep_expect:python_error(['RecursionError', 'MemoryError'], py:eval(Ctx, <<Nested/binary, "1">>)),
    Open = binary:copy(<<"(">>, 100_000),
    ep_expect:python_error(['SyntaxError', 'RecursionError', 'MemoryError'], py:eval(Ctx, Open)),
    ep_expect:still_works(Ctx).

%% Statements before an expression are taken apart in Python, whose functions code can replace.
a_replaced_compiler(Config) ->
    Ctx = ctx(Config),
    {ok, 1} = py:eval(Ctx, <<"first = 1\nfirst">>),
    [begin
         {ok, none} = py:call(Ctx, hostile, replace_compiler, [What]),
         Result = py:eval(Ctx, <<"again = 1\nagain">>),
         {ok, none} = py:call(Ctx, hostile, restore_compiler, []),
         ep_expect:python_error('TypeError', "compile() gave", Result),
         ep_expect:still_works(Ctx)
     end || What <- [numbers, closures]],
    {ok, 1} = py:eval(Ctx, <<"again = 1\nagain">>).

a_cleared_namespace(Config) ->
    Ctx = ctx(Config),
    ok = py:exec(Ctx, <<"globals().clear()">>),
    {ok, 3} = py:eval(Ctx, <<"1 + 2">>),
    ok = py:exec(Ctx, <<"x = len('abc')">>),
    {ok, 3} = py:eval(Ctx, <<"x">>),
    ep_expect:still_works(Ctx).

a_thread_left_running(Config) ->
    Ctx = ctx(Config),
    {ok, none} = py:call(Ctx, busy, leave_thread_running, [self()]),
    ep_expect:message(<<"thread running">>),
    ep_expect:still_works(Ctx),
    {ok, none} = py:call(Ctx, busy, stop_threads, []),
    ep_expect:message(<<"thread ended">>),
    ep_expect:still_works(Ctx).

%% In a mode where every context has an interpreter of its own, the thread ends with it.
a_thread_that_outlives_its_context(Config) ->
    Ctx = ctx(Config),
    {ok, none} = py:call(Ctx, busy, leave_thread_running, [self()]),
    ep_expect:message(<<"thread running">>),
    ok = py_context:stop(Ctx),
    Next = ep_fresh_context:start(),
    {ok, none} = py:call(Next, busy, stop_threads, []),
    ep_ct:context_mode() =:= owngil orelse ep_expect:message(<<"thread ended">>),
    ep_expect:still_works(Next),
    ok = py_context:stop(Next).

finalisers_that_raise(Config) ->
    Ctx = ctx(Config),
    ok = py:exec(Ctx, <<"
class Dies:
    def __del__(self):
        raise ValueError('in a finaliser')
Dies()
kept = Dies()
">>),
    {ok, _} = py:eval(Ctx, <<"Dies()">>),
    {ok, _Ref} = py:call(Ctx, '__main__', 'Dies', [], #{return => ref}),
    ok = py:exec(Ctx, <<"del kept">>),
    ep_expect:still_works(Ctx).

%% ---------------------------------------------------------------------------------------------------------------------

exception_classes_make_few_atoms(Config) ->
    Ctx = ctx(Config),
    Budget = maps:get(atoms_left, py_nif:counters()),
    Before = erlang:system_info(atom_count),
    Names = [new_class(Ctx, iolist_to_binary(["ManyClasses", integer_to_list(N)])) || N <- lists:seq(1, 20_000)],
    Grown = erlang:system_info(atom_count) - Before,
    ct:pal("20,000 classes: ~b names came, ~b atoms made, budget was ~b", [length(lists:usort(Names)), Grown, Budget]),
    ?assert(Budget < 20_000),
    ?assert(Grown =< Budget + 100),
    %% What is known keeps its name when the budget is spent.
    ep_expect:python_error('ZeroDivisionError', py:eval(Ctx, <<"1 / 0">>)),
    ep_expect:still_works(Ctx).

atoms_made_by_python_are_bounded(Config) ->
    Ctx = ctx(Config),
    Budget = maps:get(atoms_left, py_nif:counters()),
    Before = erlang:system_info(atom_count),
    {ok, Made} = py:call(Ctx, hostile, atoms, [<<"bounded_atom_">>, Budget + 1000]),
    ?assert(Made =< Budget),
    ?assert(erlang:system_info(atom_count) - Before =< Made + 100),
    %% Atoms that exist cost nothing.
    {ok, true} = py:eval(Ctx, <<"__import__('erlang').atom('ok') is __import__('erlang').atom('ok')">>),
    {ok, ok} = py:eval(Ctx, <<"__import__('erlang').atom('ok')">>),
    ep_expect:still_works(Ctx).

%% The name an exception of a new class reaches Erlang with. One that cannot be an atom may be part of the message.
new_class(Ctx, Name) ->
    {error, {Atom, Message}} = py:call(Ctx, hostile, raise_new_class, [Name]),
    true = is_atom(Atom),
    true = lists:suffix("one of many", Message) orelse byte_size(Name) > 1000,
    Atom.

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).
