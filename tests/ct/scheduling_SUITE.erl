%%% @doc Requests that go on in steps: erlang.schedule*, consume_time_slice, sleep.
-module(scheduling_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_request_goes_on_in_erlang/1, a_request_goes_on_in_python/1, a_request_goes_on_inline/1, chains_have_any_length/1,
    markers_pass_through_functions/1, a_marker_that_is_not_returned_does_nothing/1, errors_of_later_steps/1,
    results_are_handed_on/1, one_without_a_name_ends_the_request/1, every_kind_of_request_goes_on/1,
    a_chain_can_be_interrupted/1, a_chain_times_out/1, other_contexts_get_their_turn/1, time_slices_are_used_up/1,
    sleeping_waits/1, others_run_while_one_sleeps/1, sleeping_in_a_coroutine/1, markers_are_types_of_the_package/1,
    nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_request_goes_on_in_erlang, a_request_goes_on_in_python, a_request_goes_on_inline, chains_have_any_length,
        markers_pass_through_functions, a_marker_that_is_not_returned_does_nothing, errors_of_later_steps,
        results_are_handed_on, one_without_a_name_ends_the_request, every_kind_of_request_goes_on,
        a_chain_can_be_interrupted, a_chain_times_out, other_contexts_get_their_turn, time_slices_are_used_up,
        sleeping_waits, others_run_while_one_sleeps, sleeping_in_a_coroutine, markers_are_types_of_the_package,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    ok = py:register_function(twice, fun([X]) -> X * 2 end),
    ok = py:exec(<<"
import erlang

def in_erlang(x):
    return erlang.schedule('twice', x)

def compute(x, multiplier=2):
    return x * multiplier

def in_python(x):
    return erlang.schedule_py('__main__', 'compute', [x], {'multiplier': 3})

def process_batch(items, batch_size=2, offset=0, done=()):
    done = done + tuple(item * 10 for item in items[offset:offset + batch_size])
    offset += batch_size
    if offset < len(items):
        return erlang.schedule_py('__main__', 'process_batch', [items],
                                  {'batch_size': batch_size, 'offset': offset, 'done': done})
    return done

def count_down(n):
    return erlang.schedule_inline('__main__', 'count_down', args=[n - 1]) if n else 'done'

def forever():
    return erlang.schedule_py('__main__', 'forever')
">>),
    Config.

end_per_testcase(_Case, _Config) ->
    ok = py:unregister_function(twice),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_request_goes_on_in_erlang(_Config) ->
    {ok, 10} = py:call('__main__', in_erlang, [5]),
    {ok, 14} = py:eval(<<"erlang.schedule('twice', 7)">>),
    ok = py:register_function(whoami, fun([]) -> self() end),
    Self = self(),
    {ok, Self} = py:eval(<<"erlang.schedule('whoami')">>),
    ok = py:unregister_function(whoami),
    ok = py_callback:register(<<"halve">>, fun([X]) -> X / 2 end),
    ok = py:exec(<<"def halved(x): return erlang.schedule('halve', x)">>),
    {ok, 2.5} = py:call('__main__', 'halved', [5]),
    {ok, 2.5} = ep_ct:in_process(fun() ->
        ok = py:exec(<<"import erlang\ndef handler(x): return erlang.schedule('halve', x)">>),
        py:call(<<"__main__">>, "handler", [5])
    end),
    ok = py_callback:unregister(<<"halve">>).

a_request_goes_on_in_python(_Config) ->
    {ok, 15} = py:call('__main__', in_python, [5]),
    {ok, {10, 20, 30, 40, 50}} = py:call('__main__', process_batch, [[1, 2, 3, 4, 5]]),
    {ok, 4.0} = py:eval(<<"erlang.schedule_py('math', 'sqrt', [16])">>),
    {ok, [{0, 1}]} = py:eval(<<"erlang.schedule_py('builtins', 'list', [enumerate([1])])">>).

a_request_goes_on_inline(_Config) ->
    {ok, <<"done">>} = py:call('__main__', count_down, [3]),
    %% In the module whose code asks for it, wherever the request runs.
    ep_ct:in_process(fun() ->
        ok = py:exec(<<"
import erlang
name = 'that of this process'
def who(): return name
def ask(): return erlang.schedule_inline('__main__', 'who')
">>),
        {ok, <<"that of this process">>} = py:call('__main__', ask, []),
        ok
    end).

chains_have_any_length(_Config) ->
    {ok, <<"done">>} = py:call('__main__', count_down, [20_000]).

markers_pass_through_functions(_Config) ->
    ok = py:exec(<<"
def outer():
    def inner():
        return erlang.schedule('twice', 21)
    return inner()
">>),
    {ok, 42} = py:call('__main__', outer, []).

a_marker_that_is_not_returned_does_nothing(_Config) ->
    Before = self(),
    ok = py:register_function(tell, fun([]) -> Before ! told, none end),
    ok = py:exec(<<"
def wrong():
    erlang.schedule('tell')
    return 'oops'
">>),
    {ok, <<"oops">>} = py:call('__main__', wrong, []),
    ok = ep_ct:mailbox_empty(),
    ok = py:unregister_function(tell).

errors_of_later_steps(_Config) ->
    {error, {'RuntimeError', _}} = py:eval(<<"erlang.schedule('no_such_function')">>),
    {error, {'ModuleNotFoundError', _}} = py:eval(<<"erlang.schedule_py('no_such_module', 'f')">>),
    {error, {'AttributeError', _}} = py:eval(<<"erlang.schedule_py('math', 'no_such_function')">>),
    {error, {'AttributeError', _}} = py:eval(<<"erlang.schedule_py('__main__', 'no_such_function')">>),
    {error, {'ValueError', _}} = py:eval(<<"erlang.schedule_py('math', 'sqrt', [-1])">>),
    {error, {'TypeError', _}} = py:eval(<<"erlang.schedule_py('math', 'sqrt', [1, 2])">>).

%% The very object goes on to the next step.
results_are_handed_on(_Config) ->
    ok = py:exec(<<"
def shout(words, start=0, shouted=None):
    shouted = [] if shouted is None else shouted
    shouted += [word.upper() for word in words[start:start + 3]]
    if start + 3 < len(words):
        return erlang.schedule_inline('__main__', 'shout', args=[words, start + 3, shouted])
    return shouted
">>),
    Words = [<<"w", (integer_to_binary(N))/binary>> || N <- lists:seq(1, 100)],
    Shouted = [<<"W", (integer_to_binary(N))/binary>> || N <- lists:seq(1, 100)],
    {ok, Shouted} = py:call('__main__', shout, [Words]).

one_without_a_name_ends_the_request(_Config) ->
    ok = py:exec(<<"
def pauses(result):
    erlang.schedule()
    return result
">>),
    {ok, <<"done">>} = py:call('__main__', pauses, [<<"done">>]),
    {ok, none} = py:eval(<<"erlang.schedule()">>).

every_kind_of_request_goes_on(_Config) ->
    Self = self(),
    ok = py:register_function(tell, fun([What]) -> Self ! {told, What}, none end),
    {ok, 10} = py:await(py:spawn_call('__main__', in_erlang, [5])),
    ok = py:exec(<<"def told(what): return erlang.schedule('tell', what)">>),
    ok = py:cast('__main__', told, [1]),
    receive {told, 1} -> ok after 5000 -> ct:fail(not_told) end,
    {ok, Ref} = py:call(py:context(), '__main__', in_erlang, [5], #{return => ref}),
    true = py:is_ref(Ref),
    ok = py:unregister_function(tell).

a_chain_can_be_interrupted(_Config) ->
    Context = py:context(),
    Caller = ep_background:start(fun() ->
        ok = py:exec(Context, <<"import erlang\ndef forever(): return erlang.schedule_py('__main__', 'forever')">>),
        py:call(Context, '__main__', forever, [])
    end),
    ep_ct:wait_until(fun() -> py:interrupt(Context) =:= ok end),
    case ep_background:result(Caller) of
        {error, interrupted} -> ok;
        {badmatch, {error, interrupted}} -> ok % it was still defining
    end,
    {ok, 2} = py:eval(<<"1 + 1">>).

a_chain_times_out(_Config) ->
    {error, timeout} = py:call('__main__', forever, [], #{}, 100),
    {ok, 2} = py:eval(<<"1 + 1">>).

%% With one GIL for all of them, which a chain of short steps lets go of.
other_contexts_get_their_turn(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        Caller = ep_background:start(fun() ->
            ok = py:exec(One, <<"import erlang\ndef forever(): return erlang.schedule_py('__main__', 'forever')">>),
            py:call(One, '__main__', forever, [])
        end),
        Took = [element(1, timer:tc(fun() -> {ok, 4.0} = py:call(Two, math, sqrt, [16]) end)) || _ <- lists:seq(1, 20)],
        true = lists:nth(10, lists:sort(Took)) < 100_000,
        ep_background:kill(Caller)
    end).

time_slices_are_used_up(_Config) ->
    ok = py:exec(<<"
def long_computation(items, start=0, total=0, turns=1):
    for i in range(start, len(items)):
        total += items[i]
        if erlang.consume_time_slice(10):
            return erlang.schedule_py('__main__', 'long_computation', [items],
                                      {'start': i + 1, 'total': total, 'turns': turns + 1})
    return (total, turns)
">>),
    {ok, {1275, 6}} = py:call('__main__', long_computation, [lists:seq(1, 50)]),
    {ok, [false, true, true, false]} = py:eval(<<"[erlang.consume_time_slice(p) for p in (99, 1, 100, 5)]">>),
    {ok, true} = py:eval(<<"erlang.consume_time_slice(95)">>),
    [{error, {'ValueError', _}} = py:eval(<<"erlang.consume_time_slice(p)">>, #{p => Bad}) || Bad <- [0, 101, -1]].

sleeping_waits(_Config) ->
    {Took, {ok, none}} = timer:tc(fun() -> py:eval(<<"erlang.sleep(0.05)">>) end),
    true = Took >= 50_000,
    {Quick, {ok, none}} = timer:tc(fun() -> py:eval(<<"erlang.sleep(0)">>) end),
    true = Quick < 200_000,
    {error, {'ValueError', _}} = py:eval(<<"erlang.sleep(-1)">>),
    {error, timeout} = py:eval(<<"erlang.sleep(60)">>, #{}, 50).

%% Other contexts and Erlang; also where all contexts share a GIL.
others_run_while_one_sleeps(_Config) ->
    Tester = self(),
    ep_ct:with_contexts(2, fun([Sleeping, Other]) ->
        [begin
             Sleeper = ep_background:start(fun() -> Sleep(Sleeping) end),
             ep_expect:message(<<"sleeps">>),
             [{ok, 4.0} = py:call(Other, math, sqrt, [16]) || _ <- lists:seq(1, 100)],
             true = is_process_alive(ep_background:pid(Sleeper)),
             ok = py:interrupt(Sleeping),
             {error, interrupted} = ep_background:result(Sleeper)
         end || Sleep <- [
             fun(Context) -> py_context:exec(Context, said_to(Tester, <<"erlang.sleep(600)">>)) end,
             fun(Context) -> py_context:eval(Context, said_to(Tester, <<"erlang.sleep(600)">>)) end,
             fun(Context) ->
                 ok = py:exec(Context, <<"def nap(pid): erlang.send(pid, 'sleeps'); erlang.sleep(600)">>),
                 py:call(Context, '__main__', nap, [Tester], #{timeout => infinity})
             end
         ]]
    end).

said_to(Pid, Code) ->
    true = Pid =:= whereis(scheduling_tester) orelse register(scheduling_tester, Pid),
    [<<"import erlang\nerlang.send(erlang.whereis('scheduling_tester'), 'sleeps')\n">>, Code].

sleeping_in_a_coroutine(_Config) ->
    ok = py:exec(<<"
import asyncio

async def three():
    await asyncio.gather(*(erlang.sleep(0.05) for _ in range(3)))
    return 'awake'
">>),
    {Took, {ok, <<"awake">>}} = timer:tc(fun() -> py:eval(<<"asyncio.run(three())">>) end),
    true = Took >= 50_000 andalso Took < 5_000_000.

markers_are_types_of_the_package(_Config) ->
    {ok, [<<"ScheduleMarker">>, <<"ScheduleMarker">>, <<"InlineScheduleMarker">>]} =
        py:eval(<<"[type(m).__name__ for m in (erlang.schedule('x'), erlang.schedule_py('m', 'f'), "
                  "erlang.schedule_inline('m', 'f'))]">>),
    {ok, true} = py:eval(<<"issubclass(erlang.InlineScheduleMarker, erlang.ScheduleMarker)">>).
