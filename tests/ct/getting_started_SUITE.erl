%%% @doc The first hour with the application: call, evaluate, execute, wait, give up, convert, register.
-module(getting_started_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    functions_are_called/1, keyword_arguments_are_passed/1, expressions_are_evaluated/1,
    what_ends_with_a_block_has_no_value/1, statements_are_executed/1, exec_returns_ok_and_not_a_value/1,
    strings_are_code_as_well_as_binaries/1, a_spawned_call_is_awaited/1, spawned_calls_are_awaited_in_any_order/1,
    a_cast_returns_before_its_effect/1, values_convert_both_ways/1, state_persists_in_an_explicit_context/1,
    a_bound_context_is_used_for_everything/1
]).
-export([
    exceptions_are_error_tuples/1, documented_messages_are_exact/1, an_exception_of_the_user_has_its_name/1,
    a_timeout_ends_an_endless_loop/1, a_timeout_ends_a_loop_that_swallows_exceptions/1,
    code_stuck_in_c_ends_when_the_c_call_returns/1, the_documented_timeout_example/1,
    a_timeout_never_hits_a_later_request/1, a_timeout_leaves_no_late_reply/1
]).
-export([
    the_mode_mirrors_the_environment/1, the_semaphore_is_visible/1, modules_route_to_their_pool/1,
    registered_functions_are_called_in_three_ways/1, a_registered_function_gets_one_list/1,
    hasattr_follows_registration/1, callbacks_call_python_again/1, a_parallel_map_runs_in_erlang/1,
    calls_run_in_parallel/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        functions_are_called, keyword_arguments_are_passed, expressions_are_evaluated, statements_are_executed,
        what_ends_with_a_block_has_no_value,
        exec_returns_ok_and_not_a_value, strings_are_code_as_well_as_binaries, a_spawned_call_is_awaited,
        spawned_calls_are_awaited_in_any_order, a_cast_returns_before_its_effect, values_convert_both_ways,
        state_persists_in_an_explicit_context, a_bound_context_is_used_for_everything, exceptions_are_error_tuples,
        documented_messages_are_exact, an_exception_of_the_user_has_its_name, a_timeout_ends_an_endless_loop,
        a_timeout_ends_a_loop_that_swallows_exceptions, code_stuck_in_c_ends_when_the_c_call_returns,
        the_documented_timeout_example, a_timeout_never_hits_a_later_request, a_timeout_leaves_no_late_reply,
        the_mode_mirrors_the_environment, the_semaphore_is_visible, modules_route_to_their_pool,
        registered_functions_are_called_in_three_ways, a_registered_function_gets_one_list,
        hasattr_follows_registration, callbacks_call_python_again, a_parallel_map_runs_in_erlang,
        calls_run_in_parallel, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Usage

functions_are_called(_Config) ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, <<"{\"foo\": \"bar\"}">>} = py:call(json, dumps, [#{foo => bar}]),
    {ok, <<"a/b">>} = py:call('os.path', join, [<<"a">>, <<"b">>]).

keyword_arguments_are_passed(_Config) ->
    {ok, <<"{\n  \"name\": \"Alice\"\n}">>} = py:call(json, dumps, [#{name => <<"Alice">>}], #{indent => 2}).

expressions_are_evaluated(_Config) ->
    {ok, 42} = py:eval(<<"21 * 2">>),
    {ok, 45} = py:eval(<<"sum(range(10))">>),
    {ok, 100} = py:eval(<<"x * y">>, #{x => 10, y => 10}),
    {ok, 25} = py:eval(<<"x * y">>, #{<<"x">> => 5, <<"y">> => 5}),
    %% A lambda does not see locals, unless they are its defaults.
    {ok, [5, 10]} = py:eval(<<"[*map(lambda n, by=factor: by * n, numbers)]">>, #{numbers => [1, 2], factor => 5}).

statements_are_executed(_Config) ->
    ok = py:exec(<<"
import string

def alphabet(size=26):
    return string.ascii_lowercase[:size]
">>),
    {ok, <<"abcdefghijklmnopqrstuvwxyz">>} = py:call('__main__', alphabet, []),
    {ok, <<"ab">>} = py:call('__main__', alphabet, [2]),
    {ok, <<"abc">>} = py:call('__main__', alphabet, [], #{size => 3}).

what_ends_with_a_block_has_no_value(_Config) ->
    [{Code, {ok, none}} = {Code, py:eval(Code)} || Code <- [
        <<"total = 0\nfor n in range(4):\n    total += n">>,
        <<"import io\nwith io.StringIO('text') as file:\n    text = file.read()\n\n">>,
        <<"import math\ndef area(r):\n    return math.pi * r * r\n">>,
        <<"class Box: pass\nclass Small(Box): pass">>,
        <<"kind = None\nmatch total:\n    case 6: kind = 'six'">>,
        <<"ok = False\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    ok = True\n# the end">>
    ]],
    {ok, {6, <<"text">>, true, <<"six">>, true}} = py:eval(<<"(total, text, ok, kind, issubclass(Small, Box))">>),
    {ok, none} = py:eval(<<"n = 2\nif locals_are_there:\n    kind = n">>, #{locals_are_there => true}),
    {error, {'ZeroDivisionError', _}} = py:eval(<<"n = 0\nwhile True:\n    1 / n">>).

exec_returns_ok_and_not_a_value(_Config) ->
    ok = py:exec(<<"1 + 1">>),
    ok = py:exec(<<"">>).

strings_are_code_as_well_as_binaries(_Config) ->
    {ok, 3} = py:eval("1 + 2"),
    {ok, 3} = py:eval("x", #{x => 3}),
    ok = py:exec("from_string = 1"),
    {ok, 1} = py:eval("from_string").

a_spawned_call_is_awaited(_Config) ->
    Ref = py:spawn_call(math, factorial, [20]),
    true = is_reference(Ref),
    {ok, 2432902008176640000} = py:await(Ref),
    {ok, Huge} = py:await(py:spawn_call(math, factorial, [1000])),
    true = list_to_integer(Huge) =:= factorial(1000),
    Failing = py:spawn_call(math, sqrt, [-1]),
    {error, {'ValueError', [_ | _]}} = py:await(Failing, 5000).

spawned_calls_are_awaited_in_any_order(_Config) ->
    Refs = [{N, py:spawn_call(math, factorial, [N])} || N <- lists:seq(0, 15)],
    [true = {ok, factorial(N)} =:= py:await(Ref) || {N, Ref} <- lists:reverse(Refs)].

factorial(0) -> 1;
factorial(N) -> N * factorial(N - 1).

a_cast_returns_before_its_effect(_Config) ->
    ok = py:cast(erlang, send, [self(), {finished, <<"job">>}]),
    {<<"finished">>, <<"job">>} = ep_ct:message(),
    ok = py:cast(math, no_such_function, []),
    ok = py:cast(no_such_module, f, [1]).

values_convert_both_ways(_Config) ->
    [{ok, Expected} = py:eval(Code) || {Code, Expected} <- [
        {<<"42">>, 42}, {<<"3.14">>, 3.14}, {<<"'hello'">>, <<"hello">>}, {<<"[1,2,3]">>, [1, 2, 3]},
        {<<"(1,2,3)">>, {1, 2, 3}}, {<<"{'a': 1}">>, #{<<"a">> => 1}}, {<<"True">>, true}, {<<"False">>, false},
        {<<"None">>, none}
    ]].

state_persists_in_an_explicit_context(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"counter = 0">>),
    [begin
        ok = py:exec(Context, <<"counter += 1">>),
        {ok, N} = py:eval(Context, <<"counter">>)
    end || N <- [1, 2]].

a_bound_context_is_used_for_everything(_Config) ->
    Context = py_context_router:get_context(),
    ok = py_context_router:bind_context(Context),
    try
        ok = py:exec(<<"x = 10">>),
        {ok, 20} = py:eval(<<"x * 2">>)
    after
        ok = py_context_router:unbind_context()
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Failures

exceptions_are_error_tuples(_Config) ->
    [begin
        {Code, {error, {Name, Message}}} = {Code, Run(Code)},
        true = io_lib:latin1_char_list(Message) orelse io_lib:char_list(Message)
    end || {Run, Code, Name} <- [
        {fun py:eval/1, <<"undefined_name">>, 'NameError'},
        {fun py:eval/1, <<"1/0">>, 'ZeroDivisionError'},
        {fun py:eval/1, <<"int('x')">>, 'ValueError'},
        {fun py:eval/1, <<"1 + 'x'">>, 'TypeError'},
        {fun py:eval/1, <<"{}['x']">>, 'KeyError'},
        {fun py:eval/1, <<"[][0]">>, 'IndexError'},
        {fun py:eval/1, <<"None.x">>, 'AttributeError'},
        {fun py:eval/1, <<"open('/no/such/file')">>, 'FileNotFoundError'},
        {fun py:eval/1, <<"1 +">>, 'SyntaxError'},
        {fun py:eval/1, <<"x = 1">>, 'SyntaxError'},
        {fun py:eval/1, <<"">>, 'SyntaxError'},
        {fun py:exec/1, <<"def broken(:">>, 'SyntaxError'},
        {fun py:exec/1, <<"if True:\nx = 1">>, 'IndentationError'},
        {fun py:exec/1, <<"import no_such_module">>, 'ModuleNotFoundError'},
        {fun py:exec/1, <<"from math import no_such_name">>, 'ImportError'},
        {fun py:exec/1, <<"assert False">>, 'AssertionError'},
        {fun py:exec/1, <<"raise KeyboardInterrupt">>, 'KeyboardInterrupt'},
        {fun py:exec/1, <<"raise SystemExit(3)">>, 'SystemExit'},
        {fun py:exec/1, <<"def f(): f()\nf()">>, 'RecursionError'}
    ]],
    {error, {'ModuleNotFoundError', _}} = py:call(no_such_module, f, []),
    {error, {'AttributeError', _}} = py:call(math, no_such_function, []),
    {error, {'TypeError', _}} = py:call(math, sqrt, []),
    {error, {'TypeError', _}} = py:call(math, pi, []).

documented_messages_are_exact(_Config) ->
    {error, {'NameError', "name 'x' is not defined"}} = py:eval(<<"x">>),
    {error, {'ZeroDivisionError', "division by zero"}} = py:eval(<<"1/0">>).

an_exception_of_the_user_has_its_name(_Config) ->
    ok = py:exec(<<"class OutOfCheese(Exception): pass">>),
    {error, {'OutOfCheese', "redo from start"}} = py:exec(<<"raise OutOfCheese('redo from start')">>),
    {error, {'OutOfCheese', ""}} = py:exec(<<"raise OutOfCheese">>).

a_timeout_ends_an_endless_loop(_Config) ->
    ok = py:exec(<<"
def forever():
    while True:
        pass
">>),
    {error, timeout} = py:call('__main__', forever, [], #{}, 50),
    {error, timeout} = py:eval(<<"forever()">>, #{}, 50),
    {error, timeout} = py:await(py:spawn_call('__main__', forever, []), 50),
    {ok, 2} = py:eval(<<"1 + 1">>).

a_timeout_ends_a_loop_that_swallows_exceptions(_Config) ->
    ok = py:exec(<<"
def stubborn():
    while True:
        try:
            while True:
                pass
        except Exception:
            pass
">>),
    {error, timeout} = py:call('__main__', stubborn, [], #{}, 50),
    {ok, 2} = py:eval(<<"1 + 1">>).

%% The later request waits for the C call; what follows the C call in the earlier one has not run.
code_stuck_in_c_ends_when_the_c_call_returns(_Config) ->
    ok = py:exec(<<"
import time
after_sleep = []

def sleeper():
    time.sleep(0.3)
    after_sleep.append(1)
">>),
    {error, timeout} = py:call('__main__', sleeper, [], #{}, 20),
    {ok, []} = py:eval(<<"after_sleep">>).

%% In a VM of its own: the sum is one C call that keeps the GIL for many seconds, and nobody waits for it here.
the_documented_timeout_example(_Config) ->
    ep_ct:with_peer(fun(Call) ->
        {error, timeout} = Call(py, eval, [<<"sum(range(10**9))">>, #{}, 100])
    end).

a_timeout_never_hits_a_later_request(_Config) ->
    ok = py:exec(<<"
def loop(n):
    for i in range(n):
        pass
    return n
">>),
    %% Timeouts that strike at any point of the request, its end included.
    [begin
        Result = py:call('__main__', loop, [N * 2000], #{}, 2),
        true = lists:member(Result, [{ok, N * 2000}, {error, timeout}]),
        {ok, 1000} = py:call('__main__', loop, [1000])
    end || N <- lists:seq(1, 100)].

a_timeout_leaves_no_late_reply(_Config) ->
    [begin
        {error, timeout} = py:eval(<<"[i for i in iter(int, 1)]">>, #{}, 10),
        {ok, 1} = py:eval(<<"1">>),
        ep_ct:mailbox_empty()
    end || _ <- lists:seq(1, 5)].

%% ---------------------------------------------------------------------------------------------------------------------
%% Features

the_mode_mirrors_the_environment(_Config) ->
    true = py:execution_mode() =:= ep_ct:context_mode(),
    try
        [begin
            ok = application:set_env(erlang_python, context_mode, Mode),
            Mode = py:execution_mode()
        end || Mode <- [worker, owngil]]
    after
        ok = application:set_env(erlang_python, context_mode, ep_ct:context_mode())
    end.

the_semaphore_is_visible(_Config) ->
    true = py_semaphore:max_concurrent() >= 1,
    0 = py_semaphore:current().

modules_route_to_their_pool(_Config) ->
    {ok, Contexts} = py_context_router:start_pool(io, 2, ep_ct:context_mode()),
    Threads = [begin {ok, Id} = py_context:call(C, threading, get_native_id, []), Id end || C <- Contexts],
    try
        ok = py:register_pool(io, {threading, get_native_id}),
        {ok, Thread} = py:call(threading, get_native_id, []),
        true = lists:member(Thread, Threads),
        {ok, 4.0} = py:call(math, sqrt, [16])
    after
        ok = py:unregister_pool({threading, get_native_id}),
        ok = py_context_router:stop_pool(io)
    end.

registered_functions_are_called_in_three_ways(_Config) ->
    ep_ct:with_function(ep_add, fun([X, Y]) -> X + Y end, fun() ->
        ok = py:exec(<<"
from erlang import ep_add
total = ep_add(10, 20)
">>),
        {ok, 30} = py:eval(<<"total">>),
        {ok, 30} = py:eval(<<"erlang.ep_add(10, 20)">>),
        {ok, 30} = py:eval(<<"erlang.call('ep_add', 10, 20)">>),
        {ok, 30} = py:eval(<<"__import__('erlang').call('ep_add', 10, 20)">>)
    end).

a_registered_function_gets_one_list(_Config) ->
    ok = py:register_function(ep_sum, lists, sum),
    {ok, 6} = py:eval(<<"erlang.call('ep_sum', 1, 2, 3)">>),
    {ok, 0} = py:eval(<<"erlang.call('ep_sum')">>),
    ok = py:unregister_function(ep_sum),
    ep_ct:with_function(<<"ep_args">>, fun(Args) -> {length(Args), Args} end, fun() ->
        {ok, {2, [<<"a">>, [1]]}} = py:eval(<<"erlang.ep_args('a', [1])">>)
    end).

hasattr_follows_registration(_Config) ->
    Has = fun() -> py:eval(<<"hasattr(erlang, 'ep_seen')">>) end,
    {ok, false} = Has(),
    {error, {'ImportError', _}} = py:exec(<<"from erlang import ep_seen">>),
    {error, _} = py:eval(<<"erlang.call('ep_seen')">>),
    ok = py:register_function(ep_seen, fun(_) -> 1 end),
    {ok, true} = Has(),
    ok = py:register_function(ep_seen, fun(_) -> 2 end),
    {ok, 2} = py:eval(<<"erlang.ep_seen()">>),
    ok = py:unregister_function(ep_seen),
    {ok, false} = Has(),
    {error, _} = py:eval(<<"erlang.call('ep_seen')">>),
    ok = py:unregister_function(ep_seen).

callbacks_call_python_again(_Config) ->
    ok = py:exec(<<"
def shout(text):
    return text.upper()

def greeting(name):
    return 'hello ' + erlang.call('ep_shout', name)
">>),
    Shout = fun([Text]) -> {ok, Shouted} = py:call('__main__', shout, [Text]), <<Shouted/binary, $!>> end,
    ep_ct:with_function(ep_shout, Shout, fun() ->
        {ok, <<"hello JOE!">>} = py:call('__main__', greeting, [<<"joe">>])
    end).

a_parallel_map_runs_in_erlang(_Config) ->
    Map = fun([Name, Items]) ->
        Parent = self(),
        Pids = [spawn_link(fun() -> Parent ! {self(), py:call(math, Name, [Item])} end) || Item <- Items],
        [receive {Pid, {ok, Result}} -> Result end || Pid <- Pids]
    end,
    ep_ct:with_function(ep_parallel_map, Map, fun() ->
        {ok, [1, 2, 6, 24, 120]} =
            py:eval(<<"erlang.call('ep_parallel_map', 'factorial', items)">>, #{items => lists:seq(1, 5)})
    end).

calls_run_in_parallel(_Config) ->
    Calls = [{math, sqrt, [16]}, {math, sqrt, [25]}, {math, sqrt, [-1]}],
    %% Contexts of one interpreter with a GIL cannot run side by side, whatever the test would like.
    case py:subinterp_supported() orelse ep_ct:mode() =:= freethreaded of
        true ->
            {ok, [{ok, 4.0}, {ok, 5.0}, {error, {'ValueError', _}}]} = py:parallel(Calls),
            {ok, []} = py:parallel([]);
        false ->
            {error, subinterpreters_not_supported} = py:parallel(Calls)
    end.
