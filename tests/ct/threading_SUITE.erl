%%% @doc erlang.call from threads of Python: plain ones, pools of them, many at once, and what they see of failures.
-module(threading_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_thread_calls_erlang/1, an_executor_calls_erlang/1, one_thread_calls_many_times/1,
    every_thread_gets_its_own_result/1, threads_call_at_the_same_time/1, the_gil_is_free_while_a_thread_waits/1,
    a_thread_outlives_the_request_that_started_it/1, a_thread_calls_by_attribute_and_import/1,
    a_thread_sends_messages/1, many_short_threads_leave_nothing/1
]).
-export([
    a_callback_of_a_thread_runs_in_a_process_of_its_own/1, a_callback_of_a_thread_calls_another_context/1,
    a_callback_of_a_thread_calls_the_context_that_started_it/1
]).
-export([
    a_failing_function_is_a_runtime_error/1, an_unknown_function_is_refused/1,
    the_death_of_the_callback_is_an_exception/1, a_failing_thread_leaves_others_alone/1,
    an_error_in_the_callers_thread_is_the_result_of_the_call/1, an_executor_left_open_is_harmless/1,
    a_context_is_not_pythons_main_thread/1, uvloop_runs_in_a_context/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_thread_calls_erlang, an_executor_calls_erlang, one_thread_calls_many_times,
        every_thread_gets_its_own_result, threads_call_at_the_same_time, the_gil_is_free_while_a_thread_waits,
        a_thread_outlives_the_request_that_started_it, a_thread_calls_by_attribute_and_import,
        a_thread_sends_messages, many_short_threads_leave_nothing,
        a_callback_of_a_thread_runs_in_a_process_of_its_own, a_callback_of_a_thread_calls_another_context,
        a_callback_of_a_thread_calls_the_context_that_started_it,
        a_failing_function_is_a_runtime_error, an_unknown_function_is_refused,
        the_death_of_the_callback_is_an_exception, a_failing_thread_leaves_others_alone,
        an_error_in_the_callers_thread_is_the_result_of_the_call, an_executor_left_open_is_harmless,
        a_context_is_not_pythons_main_thread, uvloop_runs_in_a_context, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

%% `in_thread(f, *args)' runs f in a thread and returns its result, or its exception as (name, text).
init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    [ok = py:register_function(Name, Function) || {Name, Function} <- functions()],
    ok = py:exec(<<"
import threading
from concurrent.futures import ThreadPoolExecutor
import erlang

def in_thread(f, *args):
    results = []
    def run():
        try:
            results.append(f(*args))
        except BaseException as e:
            results.append((type(e).__name__, str(e)))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]

def twice(x):
    return erlang.call('ep_twice', x)

def twice_in_thread(x):
    return in_thread(twice, x)
">>),
    Config.

end_per_testcase(nothing_is_left_behind, _Config) ->
    ep_ct:end_case();
end_per_testcase(_Case, _Config) ->
    [ok = py:unregister_function(Name) || {Name, _} <- functions()],
    ep_ct:end_case().

functions() ->
    [
        {ep_twice, fun([X]) -> X * 2 end},
        {ep_next, fun([X]) -> X + 1 end},
        {ep_who, fun([]) -> self() end},
        {ep_fail, fun([Reason]) -> error(Reason) end},
        {ep_throw, fun([Reason]) -> throw(Reason) end},
        {ep_exit, fun([Reason]) -> exit(Reason) end},
        {ep_die, fun([]) -> exit(self(), kill), receive never -> ok end end}
    ].

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Which thread is which

%% Code that takes itself for the main thread sets signal handlers.
a_context_is_not_pythons_main_thread(_Config) ->
    Is = <<"(threading.main_thread().ident == threading.get_ident(),
 threading.current_thread() is threading.main_thread())">>,
    {ok, {false, false}} = py:eval(Is),
    {ok, {false, false}} = py:eval(<<"in_thread(lambda: ", Is/binary, ")">>).

%% Where it is installed for the Python under test.
uvloop_runs_in_a_context(_Config) ->
    case py:eval(<<"__import__('importlib.util').util.find_spec('uvloop') is not None">>) of
        {ok, true} ->
            ok = py:exec(<<"
import asyncio
import uvloop

async def slept(value):
    await asyncio.sleep(0.001)
    return await asyncio.to_thread(twice, value)

def in_uvloop(value):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return [runner.run(slept(value)), type(runner.get_loop()).__module__]
">>),
            {ok, [42, <<"uvloop">>]} = py:call('__main__', in_uvloop, [21]),
            {ok, [42, <<"uvloop">>]} = py:eval(<<"in_thread(in_uvloop, 21)">>),
            ok;
        {ok, false} ->
            {skip, no_uvloop}
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Calls

a_thread_calls_erlang(_Config) ->
    {ok, 42} = py:call('__main__', twice_in_thread, [21]).

an_executor_calls_erlang(_Config) ->
    ok = py:exec(<<"
def run():
    with ThreadPoolExecutor(max_workers=4) as executor:
        return list(executor.map(twice, range(10)))
">>),
    {ok, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]} = py:call('__main__', run, []).

one_thread_calls_many_times(_Config) ->
    ok = py:exec(<<"
def chain(n):
    x = 0
    for _ in range(n):
        x = erlang.call('ep_next', x)
    return x
">>),
    {ok, 3} = py:eval(<<"in_thread(chain, 3)">>),
    {ok, 1000} = py:eval(<<"in_thread(chain, 1000)">>).

every_thread_gets_its_own_result(_Config) ->
    ok = py:exec(<<"
def fan_out(threads, calls):
    results = {}
    def worker(n):
        results[n] = [twice(n * 1000 + i) for i in range(calls)]
    workers = [threading.Thread(target=worker, args=(n,)) for n in range(threads)]
    for t in workers:
        t.start()
    for t in workers:
        t.join()
    return all(results[n] == [2 * (n * 1000 + i) for i in range(calls)] for n in range(threads))
">>),
    {ok, true} = py:call('__main__', fan_out, [10, 1]),
    {ok, true} = py:call('__main__', fan_out, [8, 100]).

%% Nobody gets an answer before all of them have asked.
threads_call_at_the_same_time(_Config) ->
    Threads = 8,
    Meeting = spawn_link(fun() ->
        Guests = [receive {here, Guest} -> Guest end || _ <- lists:seq(1, Threads)],
        [Guest ! together || Guest <- Guests]
    end),
    Meet = fun([N]) -> Meeting ! {here, self()}, receive together -> N end end,
    ep_ct:with_function(ep_meet, Meet, fun() ->
        {ok, [0, 1, 2, 3, 4, 5, 6, 7]} = py:eval(<<
            "list(ThreadPoolExecutor(8).map(lambda n: erlang.call('ep_meet', n), range(8)))"
        >>)
    end).

%% The function answers only after other Python code has run in the same interpreter.
the_gil_is_free_while_a_thread_waits(_Config) ->
    Context = py:context(1),
    Owner = self(),
    Wait = fun([]) -> Owner ! {asked, self()}, receive go_on -> done end end,
    ep_ct:with_function(ep_wait, Wait, fun() ->
        ok = py:exec(Context, <<"
import threading
answers = []
thread = threading.Thread(target=lambda: answers.append(erlang.call('ep_wait')))
thread.start()
">>),
        {asked, Callback} = ep_ct:message(),
        {ok, []} = py:eval(Context, <<"answers">>),
        Callback ! go_on,
        {ok, none} = py:eval(Context, <<"thread.join()">>),
        {ok, [<<"done">>]} = py:eval(Context, <<"answers">>)
    end).

a_thread_outlives_the_request_that_started_it(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
import threading
released = threading.Event()
late = []
def later():
    released.wait()
    late.append(erlang.call('ep_twice', 4))
thread = threading.Thread(target=later)
thread.start()
">>),
    {ok, []} = py:eval(Context, <<"late">>),
    {ok, none} = py:eval(Context, <<"released.set()">>),
    {ok, none} = py:eval(Context, <<"thread.join()">>),
    {ok, [8]} = py:eval(Context, <<"late">>).

a_thread_calls_by_attribute_and_import(_Config) ->
    ok = py:exec(<<"
def by_import(x):
    from erlang import ep_twice
    return ep_twice(x)
">>),
    {ok, 6} = py:eval(<<"in_thread(by_import, 3)">>),
    {ok, 8} = py:eval(<<"in_thread(erlang.ep_twice, 4)">>).

a_thread_sends_messages(_Config) ->
    {ok, none} = py:eval(<<"in_thread(erlang.send, p, ('from', 'thread'))">>, #{p => self()}),
    {<<"from">>, <<"thread">>} = ep_ct:message().

many_short_threads_leave_nothing(_Config) ->
    Processes = length(processes()),
    {ok, true} = py:eval(<<"all(twice_in_thread(i) == 2 * i for i in r)">>, #{r => lists:seq(1, 200)}, 30000),
    ep_ct:wait_until(fun() -> ep_ct:alive(callbacks) =:= 0 end),
    ep_ct:wait_until(fun() -> length(processes()) =< Processes + 5 end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Where the function runs

a_callback_of_a_thread_runs_in_a_process_of_its_own(_Config) ->
    {ok, Pid} = py:eval(<<"in_thread(erlang.call, 'ep_who')">>),
    true = is_pid(Pid) andalso Pid =/= self().

a_callback_of_a_thread_calls_another_context(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        Ask = fun([X]) -> {ok, Y} = py:eval(Two, <<"x + 1">>, #{x => X}), Y end,
        ep_ct:with_function(ep_ask, Ask, fun() ->
            ok = py:exec(One, <<"
import threading
def ask(x):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(erlang.call('ep_ask', x)))
    thread.start()
    thread.join()
    return answers
">>),
            {ok, [8]} = py:call(One, '__main__', ask, [7])
        end)
    end).

%% The context's own thread is free again when the function asks it.
a_callback_of_a_thread_calls_the_context_that_started_it(_Config) ->
    Context = py:context(1),
    Owner = self(),
    Ask = fun([X]) -> {ok, Y} = py:eval(Context, <<"x + 1">>, #{x => X}), Owner ! {asked, Y}, Y end,
    ep_ct:with_function(ep_ask, Ask, fun() ->
        ok = py:exec(Context, <<"
import threading
threading.Thread(target=lambda: erlang.call('ep_ask', 7)).start()
">>),
        {asked, 8} = ep_ct:message()
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Failures

a_failing_function_is_a_runtime_error(_Config) ->
    [begin
        Code = <<"in_thread(erlang.call, '", Name/binary, "', 'bad luck')">>,
        {Name, {ok, {<<"RuntimeError">>, Text}}} = {Name, py:eval(Code)},
        true = binary:match(Text, <<"bad luck">>) =/= nomatch
    end || Name <- [<<"ep_fail">>, <<"ep_throw">>, <<"ep_exit">>]],
    ok = py:exec(<<"
def guarded():
    try:
        return erlang.call('ep_fail', 42)
    except RuntimeError as e:
        return 'caught'
">>),
    {ok, <<"caught">>} = py:eval(<<"in_thread(guarded)">>).

an_unknown_function_is_refused(_Config) ->
    {ok, {Name, Text}} = py:eval(<<"in_thread(erlang.call, 'ep_no_such_function')">>),
    true = Name =/= <<>>,
    true = binary:match(Text, <<"ep_no_such_function">>) =/= nomatch,
    {ok, {<<"AttributeError">>, _}} = py:eval(<<"in_thread(getattr, erlang, 'ep_no_such_function')">>).

the_death_of_the_callback_is_an_exception(_Config) ->
    {ok, {<<"RuntimeError">>, _}} = py:eval(<<"in_thread(erlang.call, 'ep_die')">>),
    {ok, 42} = py:call('__main__', twice_in_thread, [21]).

a_failing_thread_leaves_others_alone(_Config) ->
    ok = py:exec(<<"
def mixed(n):
    if n % 2:
        try:
            erlang.call('ep_fail', n)
        except RuntimeError:
            return 'failed'
    return twice(n)

def run_mixed():
    with ThreadPoolExecutor(4) as executor:
        return list(executor.map(mixed, range(6)))
">>),
    {ok, [0, <<"failed">>, 4, <<"failed">>, 8, <<"failed">>]} = py:call('__main__', run_mixed, []).

an_error_in_the_callers_thread_is_the_result_of_the_call(_Config) ->
    [begin
        {error, {'RuntimeError', Text}} = py:eval(<<"erlang.call('", Name/binary, "', 'bad luck')">>),
        true = string:find(Text, "bad luck") =/= nomatch
    end || Name <- [<<"ep_fail">>, <<"ep_throw">>, <<"ep_exit">>]].

an_executor_left_open_is_harmless(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py:exec(Context, <<"
from concurrent.futures import ThreadPoolExecutor
executor = ThreadPoolExecutor(2)
results = list(executor.map(lambda x: erlang.call('ep_twice', x), range(4)))
">>),
        {ok, [0, 2, 4, 6]} = py:eval(Context, <<"results">>)
    end).
