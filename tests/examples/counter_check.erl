%%% @doc examples/plugin_counter does what its documentation says, from both sides, in one mode.
-module(counter_check).

-export([main/1]).

-define(DEADLINE, 20000).

%% @doc Ends the VM, with status 0 if all is well.
-spec main([string()]) -> no_return().
main([Mode, Directory]) ->
    {ok, _} = application:ensure_all_started(erlang_python),
    #{mode := Runs} = py_nif:runtime(),
    Mode = atom_to_list(Runs),
    [#{status := loaded, file := File}] = [P || #{kind := plugin, name := <<"counter">>} = P <- py_nif:backends()],
    true = lists:prefix(Directory, unicode:characters_to_list(File)),
    Cases = [fun from_erlang/0, fun waits_in_erlang/0, fun a_killed_waiter_is_forgotten/0, fun from_python/0,
             fun waits_in_python/0, fun waits_that_end_early_in_python/0, fun waits_in_asyncio/0, fun many_at_once/0],
    [begin
        ok = in_process(Case),
        wait_until(fun() -> [0, 0] =:= [alive(Kind) || Kind <- [plugin_resources, wakers]] end)
    end || Case <- Cases],
    io:format("~ts by ~ts: all is well~n", [Mode, File]),
    halt(0).

from_erlang() ->
    {ok, Counter} = counter:new(),
    {ok, 0} = counter:get(Counter),
    {ok, 5} = counter:add(Counter, 5),
    {ok, 3} = counter:add(Counter, -2),
    {ok, 3} = counter:get(Counter),
    {error, overflow} = counter:add(Counter, 9223372036854775807),
    {ok, 3} = counter:get(Counter),
    [{'EXIT', {badarg, _}} = (catch Fun())
     || Fun <- [fun() -> counter:add(Counter, one) end, fun() -> counter:get(make_ref()) end,
                fun() -> counter:add(Counter, 1 bsl 64) end, fun() -> counter:wait_for(Counter, none) end]],
    {'EXIT', {{no_plugin_function, {counter, nothing, 0}}, _}} = (catch py_nif:plugin_call(counter, nothing)),
    ok.

waits_in_erlang() ->
    {ok, Counter} = counter:new(),
    {ok, 0} = counter:wait_for(Counter, 0),
    pending = py_nif:plugin_call(counter, wait_for, Counter, 1),
    {error, timeout} = counter:wait_for(Counter, 1, 0),
    {error, timeout} = counter:wait_for(Counter, 1, 10),
    Waiting = [start(fun() -> counter:wait_for(Counter, Target) end) || Target <- lists:seq(1, 10)],
    wait_until(fun() -> alive(wakers) =:= 10 end),
    {ok, 4} = counter:add(Counter, 4),
    [{ok, 4} = result(Pid) || Pid <- lists:sublist(Waiting, 4)],
    wait_until(fun() -> alive(wakers) =:= 6 end),
    {ok, 14} = counter:add(Counter, 10),
    [{ok, 14} = result(Pid) || Pid <- lists:nthtail(4, Waiting)],
    ok.

a_killed_waiter_is_forgotten() ->
    {ok, Counter} = counter:new(),
    {Pid, Monitor} = start(fun() -> counter:wait_for(Counter, 1) end),
    wait_until(fun() -> alive(wakers) =:= 1 end),
    exit(Pid, kill),
    killed = result({Pid, Monitor}),
    wait_until(fun() -> alive(wakers) =:= 0 end),
    {ok, 1} = counter:add(Counter, 1),
    ok.

from_python() ->
    {ok, Counter} = counter:new(),
    ok = py:exec(<<"
import counter
from erlang.plugins import PENDING, PluginError, function

def use(shared):
    assert type(shared) is counter.Counter and repr(shared).startswith('<Counter ')
    own = counter.new()
    assert own != shared and own.add() == 1 and own.add(2) == 3 and own.value == 3
    assert own.wait_for(3) == 3
    for raises, error, reason in [
        (lambda: own.add(2**63 - 1), PluginError, 'overflow'),
        (lambda: own.add('one'), TypeError, None),
        (lambda: own.add(2**70), TypeError, None),
        (lambda: own.wait_for(4, timeout=0), TimeoutError, None),
        (lambda: own.wait_for(4, timeout=0.01), TimeoutError, None),
        (lambda: function('counter', 'get', 0), ImportError, None),
        (lambda: function('nothing', 'get', 0), ImportError, None),
        (lambda: counter.Counter(own.value), TypeError, None),
    ]:
        try:
            raises()
        except error as raised:
            assert reason is None or raised.args == (reason,)
        else:
            raise AssertionError(error)
    assert function('counter', 'wait_for', 2)(own, 4) is PENDING
    shared.add(own.value)
    return [shared, own]
">>),
    {ok, [Counter, Own]} = py:call('__main__', use, [Counter]),
    {ok, 3} = counter:get(Counter),
    {ok, 4} = counter:add(Own, 1),
    ok.

waits_in_python() ->
    {ok, Counter} = counter:new(),
    %% A context each: of one thread's waits the last one ends first.
    Waiting = [start(fun() ->
        {ok, Context} = py_context:new(#{mode => py:execution_mode()}),
        ok = py:exec(Context, <<"def wait(counter, target): return counter.wait_for(target, timeout=20)">>),
        Result = py:call(Context, '__main__', wait, [Counter, Target]),
        ok = py_context:stop(Context),
        Result
    end) || Target <- [1, 2]],
    wait_until(fun() -> alive(wakers) =:= 2 end),
    {ok, 1} = counter:add(Counter, 1),
    {ok, 1} = result(hd(Waiting)),
    {ok, 2} = counter:add(Counter, 1),
    {ok, 2} = result(lists:last(Waiting)),
    ok.

waits_that_end_early_in_python() ->
    {ok, Counter} = counter:new(),
    {ok, Context} = py_context:new(#{mode => py:execution_mode()}),
    ok = py:exec(Context, <<"def wait(counter): return counter.wait_for(1)">>),
    {error, timeout} = py:call(Context, '__main__', wait, [Counter], #{timeout => 50}),
    wait_until(fun() -> alive(wakers) =:= 0 end),
    Waiting = start(fun() ->
        ok = py:exec(Context, <<"def wait(counter): return counter.wait_for(1)">>),
        py:call(Context, '__main__', wait, [Counter])
    end),
    wait_until(fun() -> alive(wakers) =:= 1 end),
    ok = py_context:stop(Context),
    {error, context_stopped} = result(Waiting),
    wait_until(fun() -> alive(wakers) =:= 0 end),
    {ok, 1} = counter:add(Counter, 1),
    ok.

waits_in_asyncio() ->
    {ok, Counter} = counter:new(),
    ok = py:exec(<<"
import asyncio, erlang

async def together(counter):
    late = asyncio.ensure_future(counter.wait_for_async(100))
    waiting = [asyncio.ensure_future(counter.wait_for_async(n + 1)) for n in range(10)]
    await asyncio.sleep(0)
    try:
        await counter.wait_for_async(200, timeout=0.01)
    except TimeoutError:
        counter.add(10)
    assert await asyncio.gather(*waiting) == [10] * 10
    late.cancel()
    await asyncio.wait([late])
    return late.cancelled()

def run(counter):
    return erlang.run(together(counter))
">>),
    {ok, true} = py:call('__main__', run, [Counter]),
    ok.

many_at_once() ->
    {ok, Counter} = counter:new(),
    Adding = [start(fun() ->
        ok = py:exec(<<"def add(counter): [counter.add() for _ in range(1000)]">>),
        {ok, _} = py:call('__main__', add, [Counter]),
        [counter:add(Counter, 1) || _ <- lists:seq(1, 1000)],
        ok
    end) || _ <- lists:seq(1, 4)],
    Waiting = [start(fun() -> counter:wait_for(Counter, N * 400) end) || N <- lists:seq(1, 20)],
    [ok = result(One) || One <- Adding],
    [{ok, _} = result(One) || One <- Waiting],
    {ok, 8000} = counter:get(Counter),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

in_process(Fun) ->
    result(start(Fun)).

start(Fun) ->
    spawn_monitor(fun() -> exit({result, Fun()}) end).

result({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> Reason
    after ?DEADLINE -> error({timeout, process_info(Pid, current_stacktrace)})
    end.

%% What waits, or is referred to, but by garbage.
alive(Kind) ->
    [garbage_collect(Pid) || Pid <- processes()],
    maps:get(Kind, py_nif:counters()).

wait_until(Condition) ->
    wait_until(Condition, erlang:monotonic_time(millisecond) + ?DEADLINE).

wait_until(Condition, Deadline) ->
    case Condition() of
        true ->
            ok;
        false ->
            erlang:monotonic_time(millisecond) < Deadline orelse error({timeout, py_nif:counters()}),
            receive after 2 -> ok end,
            wait_until(Condition, Deadline)
    end.
