%%% @doc Spans of Python code: py:enable_tracing/0 and its like, erlang.Span, erlang.trace, py_tracer.
-module(tracing_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_span_has_these_keys/1, evaluated_code_is_traced/1, spans_nest/1, events_are_in_their_span/1,
    exceptions_are_errors/1, functions_are_traced/1, coroutine_functions_are_traced/1, generators_are_traced/1,
    nothing_is_made_while_off/1, spans_are_there_when_exec_returns/1, times_are_those_of_the_clock/1
]).
-export([
    threads_have_parents_of_their_own/1, tasks_have_parents_of_their_own/1, what_is_sent_to_a_thread_has_its_parent/1,
    contexts_trace_at_once/1, ids_are_unique/1, attributes_of_all_kinds/1, a_span_begins_once_at_a_time/1,
    the_oldest_go_first/1, a_flood_is_bounded/1, a_killed_tracer_comes_back/1, a_context_ends_while_it_traces/1,
    all_ends_with_the_application/1, not_running/1
]).
-export([json_is_json/1, chrome_reads_it/1, rows_nest/1, opentelemetry_reads_it/1, exports_that_fail/1,
         nothing_is_left_behind/1]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_span_has_these_keys, evaluated_code_is_traced, spans_nest, events_are_in_their_span, exceptions_are_errors,
        functions_are_traced, coroutine_functions_are_traced, generators_are_traced, nothing_is_made_while_off,
        spans_are_there_when_exec_returns, times_are_those_of_the_clock, threads_have_parents_of_their_own,
        tasks_have_parents_of_their_own, what_is_sent_to_a_thread_has_its_parent, contexts_trace_at_once,
        ids_are_unique, attributes_of_all_kinds, a_span_begins_once_at_a_time, the_oldest_go_first, a_flood_is_bounded,
        a_killed_tracer_comes_back, a_context_ends_while_it_traces, all_ends_with_the_application, not_running,
        json_is_json, chrome_reads_it, rows_nest, opentelemetry_reads_it, exports_that_fail, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) ->
    ok = py:enable_tracing(),
    ok = py:clear_traces(),
    ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    _ = application:ensure_all_started(erlang_python),
    ok = py:disable_tracing(),
    ok = py:clear_traces(),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_span_has_these_keys(Config) ->
    ok = py:exec(ctx(Config), <<"
import erlang

with erlang.Span('process-request', user_id=123):
    pass
">>),
    {ok, [Span]} = py:get_traces(),
    #{name := <<"process-request">>, span_id := Id, parent_id := undefined, start_time := Start, end_time := End,
      duration_us := Duration, status := ok, attributes := #{<<"user_id">> := 123}, end_attrs := EndAttrs,
      events := []} = Span,
    10 = map_size(Span),
    0 = map_size(EndAttrs),
    true = is_integer(Id) andalso Id > 0 andalso Id < 1 bsl 64,
    true = Start =< End andalso Duration =:= End - Start,
    ok = py:clear_traces(),
    {ok, []} = py:get_traces(),
    ok = py:disable_tracing().

%% It ends with a block, and so has no value.
evaluated_code_is_traced(Config) ->
    {ok, none} = py:eval(<<"
import erlang

with erlang.Span('weigh', parcel=7) as span:
    span.event('on the scales', grams=350)
    weight = 0.35
">>),
    {ok, 0.35} = py:eval(<<"weight">>),
    {ok, [#{name := <<"weigh">>, attributes := #{<<"parcel">> := 7}, status := ok,
            events := [#{name := <<"on the scales">>, attrs := #{<<"grams">> := 350}}]}]} = py:get_traces(),
    ok = py:clear_traces(),
    {error, {'ValueError', "too heavy"}} = py:eval(ctx(Config), <<"
import erlang
with erlang.Span('weigh'):
    raise ValueError('too heavy')
">>),
    {ok, [#{status := error, end_attrs := #{<<"exception">> := <<"too heavy">>}}]} = py:get_traces().

spans_nest(Config) ->
    Spans = traced(Config, <<"
with Span('outer', key='value', count=42):
    with Span('inner'):
        with Span('innermost'):
            pass
    with Span('second'):
        pass
with Span('alone'):
    pass
">>),
    [<<"innermost">>, <<"inner">>, <<"second">>, <<"outer">>, <<"alone">>] = names(Spans),
    [Innermost, Inner, Second, Outer, Alone] = Spans,
    true = parent(Innermost) =:= id(Inner),
    true = parent(Inner) =:= id(Outer),
    true = parent(Second) =:= id(Outer),
    [undefined, undefined] = [parent(Outer), parent(Alone)],
    #{attributes := #{<<"key">> := <<"value">>, <<"count">> := 42}} = Outer.

events_are_in_their_span(Config) ->
    [#{events := [#{name := <<"checkpoint">>, attrs := #{<<"items_processed">> := 10}, time := Time} = Event,
                  #{name := <<"end">>, attrs := None}],
       start_time := Start, end_time := End}, #{events := Many}] = traced(Config, <<"
with Span('operation') as span:
    span.event('checkpoint', items_processed=10)
    span.event('end')
span.event('too late')
with Span('many') as span:
    for n in range(5000):
        span.event('again', name=n)
">>),
    3 = map_size(Event),
    0 = map_size(None),
    true = Start =< Time andalso Time =< End,
    1000 = length(Many).

exceptions_are_errors(Config) ->
    [#{name := <<"risky-operation">>, status := error, end_attrs := #{<<"exception">> := <<"something went wrong">>}},
     #{status := error, end_attrs := #{<<"exception">> := <<"<Mute object, whose __str__ raises>">>}},
     #{name := <<"next">>, parent_id := undefined, status := ok}] = traced(Config, <<"
try:
    with Span('risky-operation'):
        raise ValueError('something went wrong')
except ValueError:
    pass
class Mute(Exception):
    def __str__(self):
        return None
try:
    with Span('mute'):
        raise Mute()
except Mute:
    pass
with Span('next'):
    pass
">>).

functions_are_traced(Config) ->
    Spans = traced(Config, <<"
@erlang.trace()
def my_function():
    return 42

@erlang.trace(name='custom-name')
def another_function(value):
    '''doc'''
    return my_function() + value

@erlang.trace
def bare():
    raise KeyError('k')

class Shop:
    @erlang.trace()
    def sell(self):
        return self

assert my_function() == 42
assert another_function(1) == 43
assert (another_function.__name__, another_function.__doc__) == ('another_function', 'doc')
try:
    bare()
except KeyError:
    pass
shop = Shop()
assert shop.sell() is shop
">>),
    [<<"my_function">>, <<"my_function">>, <<"custom-name">>, <<"bare">>, <<"Shop.sell">>] = names(Spans),
    [undefined, Custom, undefined, undefined, undefined] = [parent(Span) || Span <- Spans],
    Custom = id(lists:nth(3, Spans)),
    [ok, ok, ok, error, ok] = [Status || #{status := Status} <- Spans].

coroutine_functions_are_traced(Config) ->
    Spans = traced(Config, <<"
import asyncio, inspect

@erlang.trace()
async def fetch(n):
    async with Span('inside', n=n):
        await asyncio.sleep(0.001)
    return n

@erlang.trace()
async def fails():
    raise OSError('no')

async def main():
    assert await fetch(7) == 7
    try:
        await fails()
    except OSError:
        pass

assert inspect.iscoroutinefunction(fetch)
asyncio.run(main())
">>),
    [<<"inside">>, <<"fetch">>, <<"fails">>] = names(Spans),
    [Inside, Fetch, #{status := error, end_attrs := #{<<"exception">> := <<"no">>}}] = Spans,
    true = parent(Inside) =:= id(Fetch),
    #{duration_us := Took} = Fetch,
    true = Took >= 1000.

%% A generator's span lasts from the first item to the end, and is not the parent of what its reader does meanwhile.
generators_are_traced(Config) ->
    Spans = traced(Config, <<"
@erlang.trace()
def numbers(n):
    for i in range(n):
        with Span('make'):
            pass
        got = yield i
        if got is not None:
            yield got
    return 'end'

for number in numbers(2):
    with Span('read'):
        pass
early = numbers(9)
assert next(early) == 0 and early.send('sent') == 'sent'
early.close()
def reads():
    return (yield from numbers(0))
try:
    next(reads())
except StopIteration as end:
    assert end.value == 'end'
thrown = numbers(1)
next(thrown)
try:
    thrown.throw(ValueError('thrown'))
except ValueError as error:
    assert str(error) == 'thrown'
try:
    @erlang.trace()
    async def items():
        yield
except TypeError:
    pass
else:
    raise AssertionError
">>),
    [<<"make">>, <<"read">>, <<"make">>, <<"read">>, <<"numbers">>, <<"make">>, <<"numbers">>, <<"numbers">>,
     <<"make">>, <<"numbers">>] = names(Spans),
    [Make, Read, Make2, Read2, Numbers | Others] = Spans,
    [true, true] = [parent(Span) =:= id(Numbers) || Span <- [Make, Make2]],
    [undefined, undefined] = [parent(Span) || Span <- [Read, Read2]],
    [ok, ok, ok, ok, error] = [Status || #{status := Status} <- Others].

nothing_is_made_while_off(Config) ->
    ok = py:disable_tracing(),
    [] = traced(Config, <<"
with Span('off') as span:
    span.event('nothing')
    with Span('neither'):
        pass
span = Span('on later')
">>),
    ok = py:enable_tracing(),
    ok = py:enable_tracing(),
    [#{name := <<"inner">>, parent_id := Parent}, #{name := <<"on later">>, span_id := Parent}] =
        traced(Config, <<"
with span:
    with Span('inner'):
        pass
open = Span('ends after')
open.__enter__()
">>),
    ok = py:disable_tracing(),
    {ok, [_, _]} = py:get_traces(),
    [_, _] = traced(Config, <<"open.__exit__(None, None, None)">>).

spans_are_there_when_exec_returns(Config) ->
    ok = py:exec(ctx(Config), <<"from erlang import Span">>),
    [begin
         ok = py:exec(ctx(Config), <<"with Span('one'): pass">>),
         {ok, [_]} = py:get_traces(),
         ok = py:clear_traces()
     end || _ <- lists:seq(1, 2000)],
    ok = py:exec(ctx(Config), <<"
for n in range(5000):
    with Span(str(n)):
        pass
">>),
    {ok, Spans} = py:get_traces(),
    true = [integer_to_binary(N) || N <- lists:seq(0, 4999)] =:= names(Spans).

times_are_those_of_the_clock(Config) ->
    Before = clock(),
    [#{start_time := Start, end_time := End}] = traced(Config, <<"
import time
with Span('slow'):
    time.sleep(0.02)
">>),
    true = Before =< Start andalso Start + 20000 =< End andalso End =< clock().

clock() ->
    {time, Now} = lists:keyfind(time, 1, erlang:system_info(os_monotonic_time_source)),
    erlang:convert_time_unit(Now, native, microsecond).

%% ---------------------------------------------------------------------------------------------------------------------

threads_have_parents_of_their_own(Config) ->
    Spans = traced(Config, <<"
import threading
barrier = threading.Barrier(4)
def work(n):
    with Span(f'outer {n}'):
        barrier.wait()
        with Span(f'inner {n}'):
            barrier.wait()
        barrier.wait()
with Span('main'):
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
">>),
    9 = length(Spans),
    ByName = maps:from_list([{Name, Span} || #{name := Name} = Span <- Spans]),
    [begin
         Outer = maps:get(<<"outer ", N>>, ByName),
         undefined = parent(Outer),
         true = parent(maps:get(<<"inner ", N>>, ByName)) =:= id(Outer)
     end || N <- "0123"].

tasks_have_parents_of_their_own(Config) ->
    Spans = traced(Config, <<"
import asyncio
async def work(n):
    async with Span(f'outer {n}'):
        await asyncio.sleep(0)
        with Span(f'inner {n}'):
            await asyncio.sleep(0.001 * (5 - n))
        await asyncio.sleep(0)
async def main():
    with Span('main'):
        await asyncio.gather(*(work(n) for n in range(5)))
asyncio.run(main())
">>),
    11 = length(Spans),
    ByName = maps:from_list([{Name, Span} || #{name := Name} = Span <- Spans]),
    Main = id(maps:get(<<"main">>, ByName)),
    [begin
         Outer = maps:get(<<"outer ", N>>, ByName),
         Main = parent(Outer),
         true = parent(maps:get(<<"inner ", N>>, ByName)) =:= id(Outer)
     end || N <- "01234"].

what_is_sent_to_a_thread_has_its_parent(Config) ->
    Spans = traced(Config, <<"
import asyncio
def blocking():
    with Span('blocking'):
        pass
async def main():
    with Span('main'):
        await asyncio.to_thread(blocking)
asyncio.run(main())
">>),
    [Blocking, Main] = Spans,
    true = parent(Blocking) =:= id(Main).

contexts_trace_at_once(_Config) ->
    ep_ct:with_contexts(4, fun(Contexts) ->
        Workers = [spawn_monitor(fun() ->
                       exit({result, py:exec(Context, <<"
from erlang import Span
for n in range(300):
    with Span('outer'):
        with Span('inner'):
            pass
">>)})
                   end) || Context <- Contexts],
        [ok = ep_ct:result(Worker) || Worker <- Workers]
    end),
    {ok, Spans} = py:get_traces(),
    2400 = length(Spans),
    Outer = maps:from_list([{id(Span), Span} || #{name := <<"outer">>} = Span <- Spans]),
    [#{} = maps:get(parent(Span), Outer) || #{name := <<"inner">>} = Span <- Spans],
    ok.

ids_are_unique(Config) ->
    Spans = traced(Config, <<"
import threading
def work():
    for n in range(1000):
        with Span('s'):
            pass
threads = [threading.Thread(target=work) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
">>),
    4000 = length(lists:usort([id(Span) || Span <- Spans])).

attributes_of_all_kinds(Config) ->
    [#{attributes := #{<<"name">> := <<"n">>, <<"self">> := none, <<"l">> := [1, {2, 3.5}], <<"d">> := #{1 := true},
                       <<"o">> := <<"1/3">>}},
     #{name := <<"5">>, attributes := #{<<"cyclic">> := <<"[[...]]">>, <<"text">> := <<"\\udc80">>},
       events := [#{name := <<"e">>, attrs := #{<<"x">> := <<"1">>}}]},
     #{name := <<"\\udc80">>},
     #{attributes := #{<<"b">> := <<"<Broken object, whose __str__ raises>">>}}] = traced(Config, <<"
import fractions
with Span('s', name='n', self=None, l=[1, (2, 3.5)], d={1: True}, o=fractions.Fraction(1, 3)):
    pass
cyclic = []
cyclic.append(cyclic)
with Span(5, cyclic=cyclic, text='\\udc80') as span:
    span.event('e', x=1)
with Span('\\udc80'):
    pass
class Broken:
    def __str__(self):
        raise ValueError
with Span('broken', b=Broken()):
    pass
">>).

a_span_begins_once_at_a_time(Config) ->
    [_, _] = traced(Config, <<"
span = Span('twice')
with span:
    pass
with span:
    try:
        span.__enter__()
    except RuntimeError:
        pass
    else:
        raise AssertionError
">>).

the_oldest_go_first(Config) ->
    ok = application:set_env(erlang_python, max_spans, 10),
    try
        Spans = traced(Config, <<"
for n in range(25):
    with Span(str(n)):
        pass
">>),
        true = [integer_to_binary(N) || N <- lists:seq(15, 24)] =:= names(Spans),
        #{kept := 10, forgotten := 15, dropped := 0} = py_tracer:stats(),
        ok = py:clear_traces(),
        #{kept := 0, forgotten := 0, dropped := 0} = py_tracer:stats()
    after
        application:unset_env(erlang_python, max_spans)
    end.

%% The reader is held up, so that the bound is reached whatever the machine does.
a_flood_is_bounded(Config) ->
    Tracer = whereis(py_tracer),
    ok = sys:suspend(Tracer),
    ok = py:exec(ctx(Config), <<"
from erlang import Span
import time
start = time.perf_counter()
for n in range(100_000):
    with Span('s'):
        pass
took = time.perf_counter() - start
">>),
    {message_queue_len, Length} = process_info(Tracer, message_queue_len),
    true = Length =< 20001,
    {ok, Took} = py:eval(ctx(Config), <<"took">>),
    ct:pal("a span in a flood: ~.2f us", [Took * 10]),
    ok = sys:resume(Tracer),
    {ok, Spans} = py:get_traces(),
    20000 = length(Spans),
    #{kept := 20000, dropped := 80000, forgotten := 0} = py_tracer:stats(),
    1 = length(traced_after_clear(Config)).

traced_after_clear(Config) ->
    ok = py:clear_traces(),
    traced(Config, <<"with Span('after'): pass">>).

a_killed_tracer_comes_back(Config) ->
    [_] = traced(Config, <<"with Span('kept'): pass">>),
    [begin
         Pid = whereis(py_tracer),
         Before(Pid),
         exit(Pid, kill),
         ep_ct:wait_until(fun() -> not lists:member(whereis(py_tracer), [Pid, undefined]) end),
         {ok, Kept} = py:get_traces(),
         Spans = traced(Config, <<"with Span('more'): pass">>),
         true = length(Spans) =:= length(Kept) + 1
     end || Before <- [fun(_) -> ok end, fun(Pid) -> has_much_to_do(Pid, Config) end, fun(_) -> ok end]],
    {ok, [#{name := <<"kept">>} | _]} = py:get_traces().

%% As much as it may have, so that more is being dropped.
has_much_to_do(Pid, Config) ->
    ok = sys:suspend(Pid),
    ok = py:exec(ctx(Config), <<"
for n in range(21000):
    with Span('never seen'):
        pass
">>).

a_context_ends_while_it_traces(_Config) ->
    [begin
         ep_ct:with_context(fun(Context) ->
             Busy = spawn_monitor(fun() ->
                 exit(py:exec(Context, <<"
from erlang import Span
while True:
    with Span('endless'):
        pass
">>))
             end),
             ep_ct:wait_until(fun() -> maps:get(kept, py_tracer:stats()) > 0 end),
             ok = py_context:stop(Context),
             {error, context_stopped} = ep_ct:result(Busy)
         end),
         ok = py:clear_traces()
     end || _ <- [1, 2, 3]].

all_ends_with_the_application(Config) ->
    [_] = traced(Config, <<"with Span('before'): pass">>),
    ep_ct:restart(),
    {ok, []} = py:get_traces(),
    ok = py:exec(<<"
import erlang
with erlang.Span('off'):
    pass
">>),
    {ok, []} = py:get_traces(),
    ok = py:enable_tracing(),
    ok = py:exec(<<"
with erlang.Span('on'):
    pass
">>),
    {ok, [#{name := <<"on">>}]} = py:get_traces().

not_running(_Config) ->
    ok = application:stop(erlang_python),
    [{'EXIT', {{not_running, erlang_python}, _}} = (catch Fun())
     || Fun <- [fun py:enable_tracing/0, fun py:disable_tracing/0, fun py:get_traces/0, fun py:clear_traces/0]],
    {error, {bad_config, max_spans, none}} = begin
        ok = application:set_env(erlang_python, max_spans, none),
        Started = application:start(erlang_python),
        application:unset_env(erlang_python, max_spans),
        {error, {{bad_config, _, _} = Reason, _}} = {element(1, Started), unwrapped(element(2, Started))},
        {error, Reason}
    end,
    ok = application:start(erlang_python).

%% The application controller wraps what start/2 returned.
unwrapped({{bad_config, _, _} = Reason, Mfa}) -> {Reason, Mfa};
unwrapped({bad_return, {Mfa, {error, Reason}}}) -> {Reason, Mfa};
unwrapped({{Reason, _}, Mfa}) -> {Reason, Mfa};
unwrapped(Reason) -> {Reason, none}.

%% ---------------------------------------------------------------------------------------------------------------------

json_is_json(Config) ->
    Text = <<"\"\\/\b\f\n\r\t", 0, 31, 127, "ä€😀"/utf8>>,
    Value = #{<<"text">> => Text, Text => <<>>, <<"list">> => [1, -2, 1 bsl 80, 1.5, -0.1, 1.0e300, 5.0e-324, null, true,
                                                            false, [], #{}]},
    Json = iolist_to_binary(py_json:encode(Value)),
    {ok, true} = py:eval(ctx(Config), <<"__import__('json').loads(j) == {'text': t, t: '', 'list': [1, -2, 2 ** 80, "
                                        "1.5, -0.1, 1e300, 5e-324, None, True, False, [], {}]}">>,
                         #{j => Json, t => Text}),
    [{'EXIT', {{not_json, _}, _}} = (catch iolist_to_binary(py_json:encode(Bad)))
     || Bad <- [an_atom, {1}, <<255>>, self(), #{a => 1}, #{1 => 1}, [1 | 2], [a]]].

chrome_reads_it(Config) ->
    Spans = traced(Config, example()),
    {ok, [[Outer, Event, Inner, Inner2], ["X", "i", "X", "X"]]} = exported(Config, chrome, <<"
[document, [event['ph'] for event in document]]
">>, fun(Ok) -> chars(Ok) end),
    [#{start_time := InnerStart}, _, #{start_time := Start, duration_us := Duration, span_id := Id}] = Spans,
    IdHex = string:lowercase(integer_to_binary(Id, 16)),
    #{<<"name">> := <<"outer">>, <<"ts">> := Start, <<"dur">> := Duration, <<"pid">> := 1, <<"tid">> := 1,
      <<"cat">> := <<"python">>,
      <<"args">> := #{<<"span_id">> := IdHex, <<"parent_id">> := none, <<"status">> := <<"ok">>, <<"a">> := [1, [2.5]],
                      <<"b">> := <<"/w==">>, <<"n">> := none, <<"f">> := <<"infinity">>}} = Outer,
    #{<<"name">> := <<"half">>, <<"s">> := <<"t">>, <<"tid">> := 1, <<"args">> := #{<<"done">> := 5}} = Event,
    #{<<"name">> := <<"inner">>, <<"ts">> := InnerStart, <<"args">> := #{<<"parent_id">> := IdHex}} = Inner,
    #{<<"args">> := #{<<"status">> := <<"error">>, <<"exception">> := <<"no \"way\"">>}} = Inner2.

chars([Document, Phases]) -> [Document, [binary_to_list(Phase) || Phase <- Phases]].

%% What shares a row is nested, and inside its parent.
rows_nest(Config) ->
    _ = traced(Config, <<"
import asyncio
async def work(n):
    with Span(f'outer {n}'):
        with Span(f'inner {n}'):
            await asyncio.sleep(0.001 * (5 - n))
        await asyncio.sleep(0.001)
async def main():
    with Span('main'):
        await asyncio.gather(*(work(n) for n in range(5)))
asyncio.run(main())
with Span('after'):
    pass
">>),
    {ok, true} = exported(Config, chrome, <<"
all(
    a is b or a['tid'] != b['tid']
    or a['ts'] + a['dur'] <= b['ts'] or b['ts'] + b['dur'] <= a['ts']
    or (a['ts'] <= b['ts'] and b['ts'] + b['dur'] <= a['ts'] + a['dur'])
    or (b['ts'] <= a['ts'] and a['ts'] + a['dur'] <= b['ts'] + b['dur'])
    for a in document for b in document
) and {event['tid'] for event in document} == {1, 2, 3, 4, 5}
">>, fun(Result) -> Result end).

opentelemetry_reads_it(Config) ->
    [#{span_id := InnerId}, _, #{span_id := Id, duration_us := Duration}] = traced(Config, example()),
    {ok, [Spans, <<"erlang_python">>]} = exported(Config, otlp_json, <<"
[document['resourceSpans'][0]['scopeSpans'][0]['spans'],
 document['resourceSpans'][0]['resource']['attributes'][0]['value']['stringValue']]
">>, fun(Result) -> Result end),
    [Inner, Inner2, Outer] = Spans,
    OuterHex = hex(Id, 16),
    Trace = hex(Id, 32),
    #{<<"traceId">> := Trace, <<"spanId">> := OuterHex, <<"name">> := <<"outer">>, <<"kind">> := 1,
      <<"startTimeUnixNano">> := Start, <<"endTimeUnixNano">> := End, <<"status">> := #{<<"code">> := 1},
      <<"attributes">> := Attributes,
      <<"events">> := [#{<<"name">> := <<"half">>, <<"timeUnixNano">> := _,
                         <<"attributes">> := [#{<<"key">> := <<"done">>, <<"value">> := #{<<"intValue">> := <<"5">>}}]}]} =
        Outer,
    false = is_map_key(<<"parentSpanId">>, Outer),
    true = binary_to_integer(End) - binary_to_integer(Start) =:= Duration * 1000,
    true = abs(erlang:system_time(nanosecond) - binary_to_integer(Start)) < 30_000_000_000,
    [#{<<"key">> := <<"a">>, <<"value">> := #{<<"arrayValue">> := #{<<"values">> := [
         #{<<"intValue">> := <<"1">>}, #{<<"arrayValue">> := #{<<"values">> := [#{<<"doubleValue">> := 2.5}]}}]}}},
     #{<<"key">> := <<"b">>, <<"value">> := #{<<"stringValue">> := <<"/w==">>}},
     #{<<"key">> := <<"f">>, <<"value">> := #{<<"stringValue">> := <<"infinity">>}},
     #{<<"key">> := <<"m">>, <<"value">> := #{<<"kvlistValue">> := #{<<"values">> := [
         #{<<"key">> := <<"1">>, <<"value">> := #{<<"boolValue">> := true}}]}}},
     #{<<"key">> := <<"n">>, <<"value">> := Null}] = Attributes,
    0 = map_size(Null),
    InnerHex = hex(InnerId, 16),
    #{<<"traceId">> := Trace, <<"spanId">> := InnerHex, <<"parentSpanId">> := OuterHex} = Inner,
    #{<<"traceId">> := Trace, <<"status">> := #{<<"code">> := 2, <<"message">> := <<"no \"way\"">>}} = Inner2.

exports_that_fail(_Config) ->
    {error, {bad_format, xml}} = py_tracer:export(xml, "/dev/null"),
    {error, enoent} = py_tracer:export(chrome, "/no/such/directory/file").

%% ---------------------------------------------------------------------------------------------------------------------

example() ->
    <<"
with Span('outer', a=(1, [2.5]), b=b'\\xff', n=None, f=float('inf'), m={1: True}) as span:
    span.event('half', done=5)
    with Span('inner'):
        time.sleep(0.001)
    try:
        with Span('second'):
            raise ValueError('no \"way\"')
    except ValueError:
        pass
">>.

exported(Config, Format, Code, Then) ->
    File = filename:join(proplists:get_value(priv_dir, Config), atom_to_list(Format) ++ ".json"),
    ok = py_tracer:export(Format, File),
    ok = py:exec(ctx(Config), <<"import json">>),
    Load = <<"json.load(open(file, encoding='utf-8'))">>,
    {ok, Document} = py:eval(ctx(Config), Load, #{file => list_to_binary(File)}),
    Look = <<"(lambda document: ", (string:trim(Code))/binary, ")(document)">>,
    {ok, Result} = py:eval(ctx(Config), Look, #{document => Document}),
    {ok, Then(Result)}.

hex(Number, Digits) -> iolist_to_binary(io_lib:format("~*.16.0b", [Digits, Number])).

%% All spans there are after this code.
traced(Config, Code) ->
    ok = py:exec(ctx(Config), <<"import erlang, time\nfrom erlang import Span\n", Code/binary>>),
    {ok, Spans} = py:get_traces(),
    Spans.

names(Spans) -> [Name || #{name := Name} <- Spans].
id(#{span_id := Id}) -> Id.
parent(#{parent_id := Parent}) -> Parent.
ctx(Config) -> proplists:get_value(ctx, Config).
