%%% @doc Generators and other iterables, item by item: py:stream*.
-module(streams_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    items_are_collected/1, lines_of_a_file_are_collected/1, expressions_are_collected/1,
    generators_of_the_process_are_collected/1, items_are_sent_as_they_come/1, an_empty_iterable_is_only_done/1,
    another_process_gets_the_items/1, keyword_arguments/1, async_generators_work/1, items_of_all_kinds/1,
    a_long_stream_keeps_its_order/1
]).
-export([
    a_cancelled_stream_is_silent/1, a_cancelled_generator_cleans_up/1, a_stream_that_waits_is_cancelled/1,
    a_dead_owner_ends_the_stream/1, a_generator_that_raises/1, what_cannot_be_iterated_is_an_error/1,
    a_function_that_fails/1, a_generator_of_generators/1, names_are_checked/1, others_are_served_meanwhile/1
]).
-export([
    a_killed_caller_ends_its_list/1, a_list_that_never_ends_is_interrupted/1, what_a_generator_returns_is_no_item/1,
    a_window_bounds_what_is_sent/1, a_stream_ends_with_its_context/1, many_streams_at_once/1,
    an_interrupt_ends_the_item/1, wrong_options_are_refused/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        items_are_collected, lines_of_a_file_are_collected, expressions_are_collected,
        generators_of_the_process_are_collected, items_are_sent_as_they_come, an_empty_iterable_is_only_done,
        another_process_gets_the_items, keyword_arguments, async_generators_work, items_of_all_kinds,
        a_long_stream_keeps_its_order, a_cancelled_stream_is_silent, a_cancelled_generator_cleans_up,
        a_stream_that_waits_is_cancelled, a_dead_owner_ends_the_stream, a_generator_that_raises,
        what_cannot_be_iterated_is_an_error, a_function_that_fails, a_generator_of_generators, names_are_checked,
        others_are_served_meanwhile, a_killed_caller_ends_its_list, a_list_that_never_ends_is_interrupted,
        what_a_generator_returns_is_no_item, a_window_bounds_what_is_sent, a_stream_ends_with_its_context,
        many_streams_at_once, an_interrupt_ends_the_item, wrong_options_are_refused, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    ok = py:exec(<<"
import time, asyncio, itertools, erlang

def numbers(n):
    yield from range(n)

def endless(pause=0.0):
    for i in itertools.count():
        time.sleep(pause)
        yield i

def careful(pid):
    try:
        yield from itertools.count()
    finally:
        erlang.send(pid, 'cleaned up')

def failing(n):
    yield from range(n)
    raise ValueError('enough')

async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0.001)
        yield i
">>),
    Config.

end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Collecting

items_are_collected(_Config) ->
    {ok, [0, 1, 2, 3]} = py:stream(builtins, range, [4]),
    {ok, [3, 1, 2]} = py:stream(builtins, iter, [[3, 1, 2]]),
    {ok, [{0, <<"a">>}, {1, <<"b">>}]} = py:stream(builtins, enumerate, [[a, b]]),
    {ok, [{5, <<"a">>}]} = py:stream(builtins, enumerate, [[a]], #{start => 5}),
    {ok, []} = py:stream("builtins", <<"list">>, []),
    {ok, [1, 3, 6]} = py:stream(itertools, accumulate, [[1, 2, 3]]).

%% From a module of the user's, to be worked on in Erlang.
lines_of_a_file_are_collected(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"
def lines(path):
    with open(path, encoding='utf-8') as file:
        for line in file:
            yield line.rstrip()
">>),
    ok = py_import:add_path(Directory),
    File = filename:join(Directory, <<"lines.txt">>),
    ok = file:write_file(File, <<"one\ntwo words\n\ngrün\n"/utf8>>),
    {ok, [<<"one">>, <<"two words">>, <<>>, <<"grün"/utf8>>]} = py:stream(Module, lines, [File]),
    {error, {'FileNotFoundError', _}} = py:stream(Module, lines, [<<"/no/such/file">>]),
    ok = py_import:clear_paths().

expressions_are_collected(_Config) ->
    {ok, [0, 3, 6, 9]} = py:stream_eval(<<"(n for n in range(12) if n % 3 == 0)">>),
    {ok, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]} = py:stream_eval(<<"(x**2 for x in range(10))">>),
    {ok, [<<"H">>, <<"E">>, <<"L">>, <<"L">>, <<"O">>]} = py:stream_eval(<<"(c.upper() for c in 'hello')">>),
    {ok, [0, 1, 2, 3, 4]} = py:stream_eval("iter(range(5))"),
    {ok, [{<<"a">>, 1}, {<<"b">>, 2}]} = py:stream_eval(<<"iter({'a': 1, 'b': 2}.items())">>),
    {ok, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]} = py:stream_eval(
        <<"(lambda: ((fib := [0, 1]), [fib.append(fib[-1] + fib[-2]) for _ in range(8)], iter(fib))[-1])()">>),
    {ok, [10, 20]} = py:stream_eval(<<"[x * 10 for x in xs]">>, #{xs => [1, 2]}),
    {error, {'NameError', _}} = py:stream_eval(<<"(undefined_name)">>),
    {error, {'SyntaxError', _}} = py:stream_eval(<<"(x for">>).

generators_of_the_process_are_collected(_Config) ->
    ok = py:exec(<<"
def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        yield a
        a, b = b, a + b

def batches(data, size):
    for i in range(0, len(data), size):
        yield data[i:i+size]
">>),
    {ok, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]} = py:stream('__main__', fibonacci, [10]),
    {ok, [[1, 2], [3, 4], [5]]} = py:stream('__main__', batches, [[1, 2, 3, 4, 5], 2]),
    {error, {'AttributeError', _}} = ep_ct:in_process(fun() -> py:stream('__main__', fibonacci, [10]) end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Sending

items_are_sent_as_they_come(_Config) ->
    {ok, Ref} = py:stream_start(builtins, iter, [[1, 2, 3, 4, 5]]),
    true = is_reference(Ref),
    {[1, 2, 3, 4, 5], done} = events(Ref),
    {ok, Gate} = py:stream_start('__main__', endless, [0.01]),
    {data, 0} = event(Gate), % long before it ends
    ok = py:stream_cancel(Gate),
    {_, {error, <<"cancelled">>}} = events(Gate).

an_empty_iterable_is_only_done(_Config) ->
    {ok, Ref} = py:stream_start('__main__', numbers, [0]),
    {[], done} = events(Ref).

another_process_gets_the_items(_Config) ->
    Tester = self(),
    Owner = spawn_link(fun() -> receive Ref when is_reference(Ref) -> Tester ! {got, events(Ref)} end end),
    {ok, Ref} = py:stream_start('__main__', numbers, [3], #{owner => Owner}),
    Owner ! Ref,
    receive {got, Events} -> {[0, 1, 2], done} = Events after 5000 -> ct:fail(nothing) end.

keyword_arguments(_Config) ->
    {ok, Ref} = py:stream_start(builtins, enumerate, [[a]], #{kwargs => #{start => 7}}),
    {[{7, <<"a">>}], done} = events(Ref).

async_generators_work(_Config) ->
    {ok, [0, 1, 2]} = py:stream('__main__', ticks, [3]),
    {ok, Ref} = py:stream_start('__main__', ticks, [5]),
    {[0, 1, 2, 3, 4], done} = events(Ref),
    {ok, Long} = py:stream_start('__main__', ticks, [1_000_000]),
    {data, 0} = event(Long),
    ok = py:stream_cancel(Long),
    {_, {error, <<"cancelled">>}} = events(Long).

items_of_all_kinds(_Config) ->
    Items = [1, 1.5, <<"text">>, <<255, 0>>, none, true, [1, [2]], {1, <<"a">>}, #{<<"k">> => [1]}, self()],
    {ok, Ref} = py:stream_start(builtins, iter, [Items]),
    {Items, done} = events(Ref).

a_long_stream_keeps_its_order(_Config) ->
    Count = 100_000,
    {ok, Ref} = py:stream_start('__main__', numbers, [Count]),
    {Items, done} = events(Ref),
    true = Items =:= lists:seq(0, Count - 1).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ending

a_cancelled_stream_is_silent(_Config) ->
    {ok, Ref} = py:stream_start('__main__', endless, []),
    {data, 0} = event(Ref),
    ok = py:stream_cancel(Ref),
    ok = py:stream_cancel(Ref),
    {_, {error, <<"cancelled">>}} = events(Ref),
    timer:sleep(50),
    ok = ep_ct:mailbox_empty(),
    ok = py:stream_cancel(Ref),
    ok = py:stream_ack(Ref, 1),
    {ok, Over} = py:stream_start('__main__', numbers, [1]),
    {[0], done} = events(Over),
    ok = py:stream_cancel(Over),
    ok = ep_ct:mailbox_empty().

a_cancelled_generator_cleans_up(_Config) ->
    {ok, Ref} = py:stream_start('__main__', careful, [self()]),
    {data, 0} = event(Ref),
    ok = py:stream_cancel(Ref),
    receive <<"cleaned up">> -> ok after 5000 -> ct:fail(not_cleaned_up) end,
    {_, {error, <<"cancelled">>}} = events(Ref).

a_stream_that_waits_is_cancelled(_Config) ->
    {ok, Ref} = py:stream_start('__main__', endless, [], #{window => 2}),
    [{data, 0}, {data, 1}] = [event(Ref), event(Ref)],
    ok = py:stream_cancel(Ref),
    {error, <<"cancelled">>} = event(Ref).

a_dead_owner_ends_the_stream(_Config) ->
    Tester = self(),
    [begin
         Owner = spawn(fun() -> receive stop -> ok end end),
         {ok, _} = py:stream_start('__main__', careful, [Tester], Options#{owner => Owner}),
         exit(Owner, kill),
         receive <<"cleaned up">> -> ok after 5000 -> ct:fail({goes_on, Options}) end
     end || Options <- [#{}, #{window => 3}]],
    ok.

a_generator_that_raises(_Config) ->
    {ok, Ref} = py:stream_start('__main__', failing, [3]),
    {[0, 1, 2], {error, {'ValueError', "enough"}}} = events(Ref),
    {error, {'ValueError', "enough"}} = py:stream('__main__', failing, [3]),
    ok = py:exec(<<"
async def failing_ticks():
    yield 'tick'
    raise KeyError('no more')
">>),
    {ok, Async} = py:stream_start('__main__', failing_ticks, []),
    {[<<"tick">>], {error, {'KeyError', "'no more'"}}} = events(Async),
    %% The event loop around it is closed, and not when somebody collects it.
    ok = py:exec(<<"import gc, os; gc.disable()">>),
    {ok, Open} = py:eval(<<"len(os.listdir('/dev/fd'))">>),
    [{error, {'KeyError', _}} = py:stream('__main__', failing_ticks, []) || _ <- lists:seq(1, 10)],
    {ok, Still} = py:eval(<<"gc.enable() or len(os.listdir('/dev/fd'))">>),
    true = Still < Open + 10.

what_cannot_be_iterated_is_an_error(_Config) ->
    {ok, Ref} = py:stream_start(math, sqrt, [16]),
    {[], {error, {'TypeError', _}}} = events(Ref),
    {error, {'TypeError', _}} = py:stream(math, sqrt, [16]).

a_function_that_fails(_Config) ->
    {ok, Ref} = py:stream_start(math, sqrt, [-1]),
    {[], {error, {'ValueError', _}}} = events(Ref),
    {ok, Unknown} = py:stream_start(no_such_module, f, []),
    {[], {error, {'ModuleNotFoundError', _}}} = events(Unknown),
    {error, {'AttributeError', _}} = py:stream(math, no_such_function, []).

%% That is for whoever delegates to it.
what_a_generator_returns_is_no_item(_Config) ->
    ok = py:exec(<<"
def returning():
    yield 1
    return (n for n in (2, 3))

def delegating():
    yield from (yield from returning())

def making():
    return returning()
">>),
    {ok, [1]} = py:stream('__main__', returning, []),
    {ok, [1, 2, 3]} = py:stream('__main__', delegating, []),
    {ok, [1]} = py:stream('__main__', making, []),
    {ok, Ref} = py:stream_start('__main__', returning, []),
    {[1], done} = events(Ref).

%% Only the outer one is iterated over; what it gives has no Erlang form, and so is its str().
a_generator_of_generators(_Config) ->
    {ok, [<<"<generator object", _/binary>>, <<"<generator object", _/binary>>]} =
        py:stream_eval(<<"((x for x in 'ab') for _ in range(2))">>).

names_are_checked(_Config) ->
    [{'EXIT', {{invalid_python_identifier, <<"a b">>}, _}} = (catch Fun()) || Fun <- [
        fun() -> py:stream('a b', f, [], #{}) end, fun() -> py:stream(math, <<"a b">>, [], #{}) end,
        fun() -> py:stream_start("a b", f, []) end]],
    [{'EXIT', {{invalid_python_identifier, Bad}, _}} = (catch py:stream(math, Bad, []))
     || Bad <- [<<"">>, <<"1a">>, <<"a;b">>, <<"a\n">>, <<"a.">>, <<"a()">>, <<"a", 0>>]],
    {ok, [<<"/">>]} = py:stream('os.path', commonpath, [[<<"/">>]]).

%% A stream that never ends shares its context with calls.
others_are_served_meanwhile(_Config) ->
    Owner = spawn(fun() -> receive stop -> ok end end),
    {ok, Ref} = py:stream_start('__main__', endless, [], #{owner => Owner}),
    Took = [element(1, timer:tc(fun() -> {ok, 4.0} = py:call(math, sqrt, [16]) end)) || _ <- lists:seq(1, 20)],
    ok = py:stream_cancel(Ref),
    exit(Owner, kill),
    true = lists:nth(10, lists:sort(Took)) < 100_000.

%% One that waits for a list of what never ends.
a_killed_caller_ends_its_list(_Config) ->
    with_endless(fun(Context, Module) ->
        Caller = ep_background:start(fun() -> collect(Context, Module) end),
        ep_expect:message(<<"begun">>),
        ok = ep_background:kill(Caller),
        ep_expect:message(<<"cleaned up">>),
        ep_expect:idle(Context)
    end).

a_list_that_never_ends_is_interrupted(_Config) ->
    with_endless(fun(Context, Module) ->
        Caller = ep_background:start(fun() -> collect(Context, Module) end),
        ep_expect:message(<<"begun">>),
        ok = py:interrupt(Context),
        {error, interrupted} = ep_background:result(Caller),
        ep_expect:message(<<"cleaned up">>),
        ep_expect:idle(Context)
    end).

collect(Context, Module) ->
    ok = py_context_router:bind_context(Context),
    py:stream(Module, endless, []).

%% A generator that tells when it begins, and when it is closed.
with_endless(Fun) ->
    Module = ep_module:name(),
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, ["
import erlang, itertools, sys, time, types

def endless():
    erlang.send(tester, 'begun')
    try:
        for n in itertools.count():
            time.sleep(0.001)
            yield n
    finally:
        erlang.send(tester, 'cleaned up')

sys.modules['", Module, "'] = types.ModuleType('", Module, "')
sys.modules['", Module, "'].endless = endless
"]),
        {ok, none} = py_context:eval(Context, <<"globals().update(tester=pid)">>, #{pid => self()}),
        Fun(Context, Module)
    end).

a_window_bounds_what_is_sent(_Config) ->
    {ok, Ref} = py:stream_start('__main__', endless, [], #{window => 5}),
    [0, 1, 2, 3, 4] = [data(Ref) || _ <- lists:seq(1, 5)],
    timer:sleep(50),
    ok = ep_ct:mailbox_empty(),
    ok = py:stream_ack(Ref, 1),
    5 = data(Ref),
    timer:sleep(20),
    ok = ep_ct:mailbox_empty(),
    [begin
         ok = py:stream_ack(Ref, 3),
         [A, B, C] = [data(Ref) || _ <- [1, 2, 3]],
         {A, B, C} = {3 * N + 3, 3 * N + 4, 3 * N + 5}
     end || N <- lists:seq(1, 300)],
    ok = py:stream_cancel(Ref),
    {error, <<"cancelled">>} = event(Ref),
    {ok, Short} = py:stream_start('__main__', numbers, [3], #{window => 3}),
    [0, 1, 2] = [data(Short) || _ <- [1, 2, 3]],
    ok = py:stream_ack(Short, 3),
    done = event(Short).

a_stream_ends_with_its_context(_Config) ->
    {ok, [Context]} = py_context_router:start_pool(streamed, 1, ep_ct:context_mode()),
    ok = py:register_pool(streamed, itertools),
    {ok, Ref} = py:stream_start(itertools, count, [], #{window => 3}),
    [0, 1, 2] = [data(Ref) || _ <- [1, 2, 3]],
    ok = py_context:stop(Context),
    ok = py:stream_ack(Ref, 1),
    %% Its thread may have been about to find out that there is no credit, and finds some. The end comes last.
    case event(Ref) of
        {error, context_stopped} -> ok;
        {data, 3} -> {error, context_stopped} = event(Ref)
    end,
    ok = py:unregister_pool(itertools),
    ok = py_context_router:stop_pool(streamed).

many_streams_at_once(_Config) ->
    Count = 500,
    Readers = [spawn_monitor(fun() ->
                   {ok, Ref} = py:stream_start(builtins, range, [Count], Options),
                   exit({result, read(Ref, Options, [])})
               end) || N <- lists:seq(1, 40), Options <- [case N rem 2 of 0 -> #{}; 1 -> #{window => N} end]],
    Expected = {lists:seq(0, Count - 1), done},
    [Expected = ep_ct:result(Reader) || Reader <- Readers],
    ok.

an_interrupt_ends_the_item(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, _} = py_context:eval(Context, <<"__import__('sys').modules.setdefault('streamed_m', "
                                             "__import__('types').ModuleType('streamed_m'))">>),
        ok = py_context:exec(Context, <<"
import sys, time
def slow():
    yield 1
    while True:
        time.sleep(0.001)
sys.modules['streamed_m'].slow = slow
">>),
        ok = py_context_router:bind_context(Context),
        {ok, Ref} = py:stream_start(streamed_m, slow, []),
        {data, 1} = event(Ref),
        ep_ct:wait_until(fun() -> py:interrupt(Context) =:= ok end),
        {error, interrupted} = event(Ref),
        ok = py_context_router:unbind_context()
    end).

wrong_options_are_refused(_Config) ->
    [{'EXIT', {badarg, _}} = (catch py:stream_start(builtins, range, [3], Options))
     || Options <- [#{window => 0}, #{window => many}, #{owner => nobody}]],
    [{'EXIT', {function_clause, _}} = (catch Fun()) || Fun <- [
        fun() -> py:stream(builtins, range, no_list) end, fun() -> py:stream_cancel(no_ref) end,
        fun() -> py:stream_ack(make_ref(), 0) end]],
    ok = py:stream_cancel(make_ref()),
    ok = py:stream_ack(make_ref(), 1).

%% ---------------------------------------------------------------------------------------------------------------------

read(Ref, Options, Items) ->
    case event(Ref) of
        {data, Item} ->
            is_map_key(window, Options) andalso py:stream_ack(Ref, 1),
            read(Ref, Options, [Item | Items]);
        End ->
            {lists:reverse(Items), End}
    end.

%% All items and what came after them.
events(Ref) -> read(Ref, #{}, []).

data(Ref) ->
    {data, Item} = event(Ref),
    Item.

event(Ref) ->
    receive {py_stream, Ref, Event} -> Event after 10_000 -> ct:fail({no_event, process_info(self(), messages)}) end.
