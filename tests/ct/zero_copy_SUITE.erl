%%% @doc Large values that are not copied: memory of Python that binaries look at, and binaries that Python looks at.
-module(zero_copy_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    large_bytes_are_lent/1, large_text_is_lent/1, small_values_are_copied/1, several_in_one_value/1,
    memory_that_may_change_is_copied/1, views_of_bytes/1, views_that_are_not_contiguous/1, a_released_view/1,
    a_binary_comes_back_as_itself/1, parts_of_a_binary/1, what_is_lent_can_be_an_argument/1,
    messages_and_callbacks_carry_it/1, code_of_threads_copies/1, shared_state_holds_it/1
]).
-export([
    it_outlives_its_owner_in_python/1, it_outlives_its_context/1, it_outlives_a_killed_context/1,
    it_outlives_the_application/1, it_goes_while_contexts_end/1, many_at_once/1, a_result_nobody_takes/1,
    memory_is_given_back/1, code_that_lends_in_a_loop/1, interpreters_that_have_lent_leave_no_memory/1,
    it_counts_for_the_limit/1, nothing_is_left_behind/1
]).
%% Called on another VM.
-export([fill_limit/1]).

-define(SIZE, 1_000_000).

suite() -> [{timetrap, {seconds, 180}}].

all() ->
    [
        large_bytes_are_lent, large_text_is_lent, small_values_are_copied, several_in_one_value,
        memory_that_may_change_is_copied, views_of_bytes, views_that_are_not_contiguous, a_released_view,
        a_binary_comes_back_as_itself, parts_of_a_binary, what_is_lent_can_be_an_argument,
        messages_and_callbacks_carry_it, code_of_threads_copies, shared_state_holds_it,
        it_outlives_its_owner_in_python, it_outlives_its_context, it_outlives_a_killed_context,
        it_outlives_the_application, it_goes_while_contexts_end, many_at_once, a_result_nobody_takes,
        memory_is_given_back, code_that_lends_in_a_loop, interpreters_that_have_lent_leave_no_memory,
        it_counts_for_the_limit, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% What is copied, and what is not

large_bytes_are_lent(Config) ->
    Ctx = ctx(Config),
    with_lent(1, fun() ->
        {ok, Bytes} = py:eval(Ctx, <<"bytes(range(200)) * 5000">>),
        ?assert(Bytes =:= binary:copy(list_to_binary(lists:seq(0, 199)), 5000)),
        Bytes
    end).

large_text_is_lent(Config) ->
    Ctx = ctx(Config),
    %% Text of an interpreter that ends with its context is copied; what is encoded is new bytes.
    Ascii = case ep_ct:context_mode() of owngil -> 0; _ -> 1 end,
    with_lent(Ascii, fun() ->
        {ok, Text} = py:eval(Ctx, <<"'0123456789' * 100000">>),
        ?assert(Text =:= binary:copy(<<"0123456789">>, 100000)),
        Text
    end),
    with_lent(1, fun() ->
        {ok, Umlauts} = py:eval(Ctx, <<"'äöü' * 200000"/utf8>>),
        ?assert(Umlauts =:= binary:copy(<<"äöü"/utf8>>, 200000)),
        Umlauts
    end).

small_values_are_copied(Config) ->
    Ctx = ctx(Config),
    with_lent(0, fun() ->
        {ok, Values} = py:eval(Ctx, <<"(b'', b'x', bytes(100000), 'y' * 100000, memoryview(b'abc'))">>),
        {<<>>, <<"x">>, Zeros, Text, <<"abc">>} = Values,
        ?assert(Zeros =:= <<0:800000>>),
        ?assert(Text =:= binary:copy(<<"y">>, 100000)),
        Values
    end).

several_in_one_value(Config) ->
    Ctx = ctx(Config),
    with_lent(3, fun() ->
        Code = <<"{'a': [b'a' * n, 1], 'b': (b'b' * n, {'c': b'c' * n})}">>,
        {ok, #{<<"a">> := [A, 1], <<"b">> := {B, #{<<"c">> := C}}} = Map} = py:eval(Ctx, Code, #{n => ?SIZE}),
        [?assert(Binary =:= binary:copy(Byte, ?SIZE)) || {Binary, Byte} <- [{A, <<"a">>}, {B, <<"b">>}, {C, <<"c">>}]],
        Map
    end).

memory_that_may_change_is_copied(Config) ->
    Ctx = ctx(Config),
    with_lent(0, fun() ->
        ok = py:exec(Ctx, <<"array = bytearray(b'a' * 1000000)\nview = memoryview(array)\nread_only = view.toreadonly()">>),
        All = [begin {ok, Copy} = py:eval(Ctx, Name), Copy end || Name <- [<<"array">>, <<"view">>, <<"read_only">>]],
        ok = py:exec(Ctx, <<"array[:] = b'b' * 1000000">>),
        [?assert(Copy =:= binary:copy(<<"a">>, ?SIZE)) || Copy <- All],
        All
    end).

views_of_bytes(Config) ->
    Ctx = ctx(Config),
    Data = binary:copy(list_to_binary(lists:seq(0, 249)), 4000),
    with_lent(3, fun() ->
        ok = py:exec(Ctx, <<"data = bytes(range(250)) * 4000\nview = memoryview(data)">>),
        {ok, {Whole, Part, Words}} = py:eval(Ctx, <<"(view, view[10:500010], view.cast('I'))">>),
        ?assert(Whole =:= Data),
        ?assert(Part =:= binary:part(Data, 10, 500000)),
        ?assert(Words =:= Data),
        {Whole, Part, Words}
    end).

views_that_are_not_contiguous(Config) ->
    Ctx = ctx(Config),
    ok = py:exec(Ctx, <<"view = memoryview(bytes([1, 2]) * 500000)">>),
    {ok, {Odd, Backwards, Few}} = py:eval(Ctx, <<"(view[::2], view[::-1], view[:6:2])">>),
    ?assert(Odd =:= binary:copy(<<1>>, 500000)),
    ?assert(Backwards =:= binary:copy(<<2, 1>>, 500000)),
    ?assertEqual(<<1, 1, 1>>, Few).

a_released_view(Config) ->
    Ctx = ctx(Config),
    ok = py:exec(Ctx, <<"view = memoryview(bytes(1000000))\nview.release()">>),
    {error, {'ValueError', _}} = py:eval(Ctx, <<"view">>),
    ep_expect:still_works(Ctx).

%% Not only an equal one: it takes no memory.
a_binary_comes_back_as_itself(Config) ->
    Ctx = ctx(Config),
    Binary = binary:copy(<<"0123456789">>, 10_000_000),
    Before = erlang:memory(binary),
    {ok, [Same, Same]} = py:eval(Ctx, <<"[v, v]">>, #{v => {memoryview, Binary}}),
    ?assert(Same =:= Binary),
    ?assert(erlang:memory(binary) - Before < 10_000_000),
    ok = py:exec(Ctx, <<"def keep(view):\n    global kept\n    kept = view">>),
    {ok, none} = py:call(Ctx, '__main__', keep, [{memoryview, Binary}]),
    {ok, Kept} = py:eval(Ctx, <<"kept">>),
    ?assert(Kept =:= Binary),
    ?assert(erlang:memory(binary) - Before < 10_000_000).

parts_of_a_binary(Config) ->
    Ctx = ctx(Config),
    Binary = list_to_binary([<<N:32>> || N <- lists:seq(1, 100_000)]),
    {ok, {First, Last, Tiny, Empty, Nested}} =
        py:eval(Ctx, <<"(v[:40000], v[-40000:], v[8:12], v[5:5], v[4:][4:][:1000])">>, #{v => {memoryview, Binary}}),
    ?assert(First =:= binary:part(Binary, 0, 40000)),
    ?assert(Last =:= binary:part(Binary, 400000, -40000)),
    ?assertEqual(<<3:32>>, Tiny),
    ?assertEqual(<<>>, Empty),
    ?assert(Nested =:= binary:part(Binary, 8, 1000)),
    ?assertEqual(byte_size(Binary), binary:referenced_byte_size(Nested)),
    ?assert(binary:referenced_byte_size(Tiny) < 1000).

what_is_lent_can_be_an_argument(Config) ->
    Ctx = ctx(Config),
    {ok, Lent} = py:eval(Ctx, <<"b'\\xff' * 1000000">>),
    {ok, ?SIZE} = py:call(Ctx, builtins, len, [Lent]),
    {ok, {<<"memoryview">>, 255}} = py:eval(Ctx, <<"(type(v).__name__, v[-1])">>, #{v => {memoryview, Lent}}),
    Other = ep_fresh_context:start(),
    {ok, Back} = py:call(Other, hostile, identity, [{memoryview, Lent}]),
    py_context:stop(Other),
    ?assert(Back =:= Lent).

messages_and_callbacks_carry_it(Config) ->
    Ctx = ctx(Config),
    with_lent(1, fun() ->
        {ok, none} = py:eval(Ctx, <<"erlang.send(pid, b's' * 1000000)">>, #{pid => self()}),
        receive Sent when is_binary(Sent) -> ?assert(Sent =:= binary:copy(<<"s">>, ?SIZE)), Sent end
    end),
    ok = ep_ct:with_function(zero_copy, fun([Got]) -> self() ! {got, Got}, byte_size(Got) end, fun() ->
        with_lent(1, fun() ->
            {ok, ?SIZE} = py:eval(Ctx, <<"erlang.call('zero_copy', b'c' * 1000000)">>),
            receive {got, Got} -> ?assert(Got =:= binary:copy(<<"c">>, ?SIZE)), Got end
        end),
        ok
    end).

%% They have no inbox to which the memory could be given back.
code_of_threads_copies(Config) ->
    Ctx = ctx(Config),
    with_lent(0, fun() ->
        ok = py:exec(Ctx, <<"
import threading
def tell(pid):
    thread = threading.Thread(target=lambda: erlang.send(pid, b't' * 1000000))
    thread.start()
    thread.join()
">>),
        {ok, none} = py:call(Ctx, '__main__', tell, [self()]),
        receive Sent when is_binary(Sent) -> ?assert(Sent =:= binary:copy(<<"t">>, ?SIZE)), Sent end
    end).

shared_state_holds_it(Config) ->
    Ctx = ctx(Config),
    with_lent(1, fun() ->
        ok = py:exec(Ctx, <<"erlang.state_set('zero_copy', b'k' * 1000000)">>),
        Other = ep_fresh_context:start(),
        {ok, {?SIZE, 107}} = py:eval(Other, <<"(lambda v: (len(v), ord(v[-1])))(erlang.state_get('zero_copy'))">>),
        py_context:stop(Other),
        {ok, Kept} = py:state_fetch(<<"zero_copy">>),
        ok = py:state_remove(<<"zero_copy">>),
        Kept
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Lifetimes

it_outlives_its_owner_in_python(Config) ->
    Ctx = ctx(Config),
    with_lent(1, fun() ->
        ok = py:exec(Ctx, <<"data = bytes(range(250)) * 4000">>),
        {ok, Lent} = py:eval(Ctx, <<"data">>),
        ok = py:exec(Ctx, <<"del data">>),
        {ok, _} = py:call(Ctx, gc, collect, []),
        disturb(Ctx),
        ?assert(is_pattern(Lent)),
        Lent
    end).

it_outlives_its_context(_Config) ->
    with_lent(2, fun() ->
        Ctx = ep_fresh_context:start(),
        %% One that Python has, too, when the interpreter ends, and one that it does not have.
        ok = py:exec(Ctx, <<"data = bytes(range(250)) * 4000">>),
        {ok, Kept} = py:eval(Ctx, <<"data">>),
        {ok, Own} = py:eval(Ctx, <<"bytes(range(250)) * 4000">>),
        py_context:stop(Ctx),
        [begin Other = ep_fresh_context:start(), disturb(Other), py_context:stop(Other) end || _ <- [1, 2, 3]],
        ?assert(is_pattern(Kept)),
        ?assert(is_pattern(Own)),
        {Kept, Own}
    end).

it_outlives_a_killed_context(_Config) ->
    with_lent(1, fun() ->
        Ctx = ep_fresh_context:start(),
        {ok, Lent} = py:eval(Ctx, <<"bytes(range(250)) * 4000">>),
        exit(Ctx, kill),
        Other = ep_fresh_context:start(),
        disturb(Other),
        py_context:stop(Other),
        ?assert(is_pattern(Lent)),
        Lent
    end).

it_outlives_the_application(Config) ->
    Ctx = ctx(Config),
    {ok, Lent} = py:eval(Ctx, <<"bytes(range(250)) * 4000">>),
    ok = application:stop(erlang_python),
    ?assert(is_pattern(Lent)),
    ok = application:start(erlang_python),
    Other = ep_fresh_context:start(),
    disturb(Other),
    py_context:stop(Other),
    ?assert(is_pattern(Lent)).

%% Given back before, while and after the interpreter ends.
it_goes_while_contexts_end(_Config) ->
    Round = fun(N) ->
        Ctx = ep_fresh_context:start(),
        {Holder, Monitor} = spawn_monitor(fun() ->
            Lent = [begin {ok, Bytes} = py:eval(Ctx, <<"bytes(range(250)) * 2000">>), Bytes end || _ <- [1, 2, 3]],
            hold(Lent, N rem 4)
        end),
        ep_ct:wait_until(fun() -> process_info(Holder, current_function) =:= {current_function, {?MODULE, hold, 2}} end),
        Holder ! go,
        pause((N div 4) rem 4),
        py_context:stop(Ctx),
        receive {'DOWN', Monitor, process, Holder, normal} -> ok end
    end,
    lists:foreach(Round, lists:seq(0, 31)),
    ep_ct:wait_until(fun() -> ep_live:count(lent) =:= 0 end).

many_at_once(Config) ->
    Ctx = ctx(Config),
    with_lent(200, fun() ->
        {ok, All} = py:eval(Ctx, <<"[bytes([i]) * 300000 for i in range(200)]">>),
        [?assertEqual({I, I, 300000}, {binary:first(Lent), binary:last(Lent), byte_size(Lent)})
         || {I, Lent} <- lists:zip(lists:seq(0, 199), All)],
        All
    end).

a_result_nobody_takes(Config) ->
    Ctx = ctx(Config),
    with_lent(0, fun() ->
        ok = py:cast(Ctx, builtins, bytes, [?SIZE]),
        ok = py:exec(Ctx, <<"
import time
def late():
    time.sleep(1)
    return bytes(1000000)
">>),
        {error, timeout} = py:call(Ctx, '__main__', late, [], #{timeout => 10}),
        {Caller, Monitor} = spawn_monitor(fun() -> py:call(Ctx, busy, work, [200_000, {bytes, <<0:8000000>>}]) end),
        exit(Caller, kill),
        receive {'DOWN', Monitor, process, Caller, killed} -> ok end,
        %% One whose message cannot be made is let go, too.
        {error, _} = py:eval(Ctx, <<"[bytes(1000000), type('', (), {'__str__': lambda s: 1 / 0, '__index__': lambda s: exit()})()]">>),
        {ok, 0} = py:call(Ctx, hostile, identity, [0])
    end).

memory_is_given_back(_Config) ->
    Burst = fun() ->
        Ctx = ep_fresh_context:start(),
        ep_background:result(ep_background:start(fun() ->
            [{ok, _} = py:eval(Ctx, <<"bytes(10000000)">>) || _ <- lists:seq(1, 20)],
            {ok, Last} = py:eval(Ctx, <<"bytes(10000000)">>),
            py_context:stop(Ctx),
            10_000_000 = byte_size(Last)
        end)),
        ep_ct:wait_until(fun() -> ep_live:count(lent) =:= 0 end)
    end,
    Burst(),
    case ep_live:resident_bytes() of
        undefined -> ct:comment("how much memory is resident is not known here");
        Before ->
            [Burst() || _ <- lists:seq(1, 10)],
            ok = ep_ct:wait_until(fun() -> ep_live:resident_bytes() - Before < 40_000_000 end)
    end.

%% What was let go is freed while the code that lent it runs on.
code_that_lends_in_a_loop(Config) ->
    Ctx = ctx(Config),
    Sink = ep_background:start(fun sink/0),
    Taken = fun([]) ->
        ep_background:pid(Sink) ! {let_go, self()},
        receive let_go -> ok end,
        ep_ct:wait_until(fun() -> ep_live:count(lent) =:= 0 end),
        ep_live:resident_bytes()
    end,
    %% A thread waits for the sink: its call serves nothing, which would free what was let go.
    ok = py_context:exec(Ctx, <<"
import threading
def taken():
    resident = []
    thread = threading.Thread(target=lambda: resident.append(erlang.call('zero_copy_taken')))
    thread.start()
    thread.join()
    return resident[0]

def lend(pid, rounds):
    resident = []
    for _ in range(rounds):
        for byte in range(10):
            erlang.send(pid, bytes([byte]) * 1000000)
        resident.append(taken())
    return resident
">>),
    ep_ct:with_function(zero_copy_taken, Taken, fun() ->
        {ok, [Before | More]} = py_context:call(Ctx, '__main__', lend, [ep_background:pid(Sink), 30]),
        case Before of
            none -> ct:comment("how much memory is resident is not known here");
            _ -> ?assertMatch(Grown when Grown < 100_000_000, lists:max(More) - Before)
        end
    end),
    ep_background:pid(Sink) ! stop,
    {ok, 300} = ep_background:result(Sink).

sink() -> sink(0).

sink(Count) ->
    receive
        Lent when byte_size(Lent) =:= ?SIZE ->
            sink(Count + 1);
        {let_go, Pid} ->
            true = erlang:garbage_collect(),
            Pid ! let_go,
            sink(Count);
        stop ->
            {ok, Count}
    end.

%% The arenas of one that ends go with it, whenever what it has lent is let go.
interpreters_that_have_lent_leave_no_memory(_Config) ->
    Threads = ep_live:count(threads),
    Lend = fun() ->
        Ctx = ep_fresh_context:start(),
        Lender = ep_background:start(fun() ->
            {ok, Lent} = py:eval(Ctx, <<"bytes(300000)">>),
            py_context:stop(Ctx),
            ep_ct:wait_until(fun() -> ep_live:count(threads) =< Threads end),
            byte_size(Lent)
        end),
        300_000 = ep_background:result(Lender)
    end,
    [Lend() || _ <- lists:seq(1, 5)],
    case ep_live:resident_bytes() of
        undefined ->
            ct:comment("how much memory is resident is not known here");
        Before ->
            [Lend() || _ <- lists:seq(1, 50)],
            ok = ep_ct:wait_until(fun() -> ep_live:resident_bytes() - Before < 30_000_000 end)
    end.

it_counts_for_the_limit(_Config) ->
    case py_nif:owngil_problem() of
        ok ->
            ep_ct:with_peer([{enable_memory_limits, true}], fun(Call) ->
                {ok, Ctx} = Call(py_context, new, [#{mode => owngil, memory_limit => 64 bsl 20}]),
                %% Run over there by a process that holds what it got.
                ok = Call(?MODULE, fill_limit, [Ctx])
            end);
        Problem ->
            {skip, Problem}
    end.

fill_limit(Ctx) ->
    with_lent(5, fun() ->
        Lent = [begin {ok, Bytes} = py:eval(Ctx, <<"bytes(10000000)">>), Bytes end || _ <- lists:seq(1, 5)],
        {error, {'MemoryError', _}} = py:eval(Ctx, <<"bytes(30000000)">>),
        Lent
    end),
    %% All of it can be had again.
    with_lent(1, fun() -> {ok, Bytes} = py:eval(Ctx, <<"bytes(50000000)">>), Bytes end),
    with_lent(1, fun() ->
        {ok, Bytes} = py:eval(Ctx, <<"bytes(50000000)">>),
        py_context:stop(Ctx),
        ?assert(binary:last(Bytes) =:= 0),
        Bytes
    end),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

%% What Make makes is held while the number of lent pieces of memory is looked at, and gone afterwards.
with_lent(Count, Make) ->
    Before = ep_live:count(lent),
    Held = ep_background:start(fun() ->
        Result = Make(),
        erlang:garbage_collect(),
        Seen = case Count of
            0 -> ep_ct:wait_until(fun() -> ep_live:count(lent) =:= Before end), Count;
            _ -> ep_live:count(lent) - Before
        end,
        _ = erlang:phash2(Result, 2),
        Seen
    end),
    ?assertEqual(Count, ep_background:result(Held)),
    ep_ct:wait_until(fun() -> ep_live:count(lent) =:= Before end).

is_pattern(Binary) -> Binary =:= binary:copy(list_to_binary(lists:seq(0, 249)), 4000).

%% Writes over memory that was freed.
disturb(Ctx) ->
    {ok, 40} = py:eval(Ctx, <<"len([b'\\xee' * n for n in (1000032, 1000033, 999000, 1000100) for _ in range(10)])">>).

hold(Lent, Milliseconds) ->
    receive go -> ok end,
    pause(Milliseconds),
    [500_000 = byte_size(Bytes) || Bytes <- Lent].

pause(0) -> ok;
pause(N) -> timer:sleep(N).

ctx(Config) -> proplists:get_value(ctx, Config).
