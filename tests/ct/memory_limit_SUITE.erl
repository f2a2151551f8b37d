%%% @doc Contexts that may take so much memory and no more. What counts memory is there from the start of Python on, or
%%% not at all, so that cases with limits run on a second VM; each ends with an audit there.
-module(memory_limit_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    other_modes_have_no_limits/1, limits_have_to_be_enabled/1, values_that_are_no_limit/1, a_context_without_a_limit/1
]).
-export([
    one_large_allocation/1, many_small_objects/1, large_allocations_that_grow/1, others_are_not_concerned/1,
    usage_goes_up_and_down/1, memory_freed_by_another_thread/1, contexts_without_a_limit_beside_them/1,
    fifty_in_turn/1, nothing_is_left_behind/1
]).

-define(MB, 1048576).
-define(LIMIT, 64 * ?MB).

suite() -> [{timetrap, {seconds, 180}}].

all() ->
    [
        other_modes_have_no_limits, limits_have_to_be_enabled, values_that_are_no_limit, a_context_without_a_limit,
        one_large_allocation, many_small_objects, large_allocations_that_grow, others_are_not_concerned,
        usage_goes_up_and_down, memory_freed_by_another_thread, contexts_without_a_limit_beside_them,
        fifty_in_turn, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Who can have one

other_modes_have_no_limits(_Config) ->
    Requires = {error, memory_limit_requires_owngil},
    ?assertEqual(Requires, py_context:new(#{mode => worker, memory_limit => ?LIMIT})),
    ?assertEqual(Requires, py_context:new(#{memory_limit => ?LIMIT})),
    case py_nif:runtime() of
        #{free_threading := true} ->
            ?assertEqual(Requires, py_context:new(#{mode => freethreaded, memory_limit => ?LIMIT}));
        _ ->
            ok
    end,
    %% Also where limits are enabled.
    ep_ct:with_peer([{enable_memory_limits, true}], fun(Call) ->
        ?assertEqual(Requires, Call(py_context, new, [#{mode => worker, memory_limit => ?LIMIT}])),
        ?assertEqual({ok, 4.0}, Call(py, call, [math, sqrt, [16]]))
    end).

limits_have_to_be_enabled(_Config) ->
    Tried = py_context:new(#{mode => owngil, memory_limit => ?LIMIT}),
    case py_nif:owngil_problem() of
        ok -> ?assertEqual({error, memory_limits_not_enabled}, Tried);
        Problem -> ?assertEqual(Problem, Tried)
    end,
    %% Too late once Python runs.
    ok = application:set_env(erlang_python, enable_memory_limits, true),
    ep_ct:restart(),
    ?assertEqual(Tried, py_context:new(#{mode => owngil, memory_limit => ?LIMIT})),
    ok = application:unset_env(erlang_python, enable_memory_limits),
    ep_ct:restart().

values_that_are_no_limit(_Config) ->
    [?assertEqual({error, {invalid_memory_limit, Value}}, py_context:new(#{mode => Mode, memory_limit => Value}))
     || Value <- [0, -1, 1.5, <<"1">>, infinity, 1 bsl 60, 1 bsl 64, 1 bsl 100, [1]],
        Mode <- [worker | [owngil || py_nif:owngil_supported()]]],
    ?assertEqual({error, {invalid_option, memory_limits}}, py_context:new(#{memory_limits => 1})),
    [begin
         ok = application:set_env(erlang_python, enable_memory_limits, Value),
         ok = application:stop(erlang_python),
         ?assertMatch({error, {{bad_config, enable_memory_limits, Value}, _}}, application:start(erlang_python)),
         ok = application:unset_env(erlang_python, enable_memory_limits),
         ok = application:start(erlang_python)
     end || Value <- [1, <<"true">>, yes]],
    ok.

a_context_without_a_limit(_Config) ->
    [begin
         {ok, Context} = py_context:new(#{mode => Mode}),
         ?assertEqual({error, no_memory_limit}, py_context:memory_usage(Context)),
         ok = py_context:stop(Context),
         ?assertEqual({error, context_stopped}, py_context:memory_usage(Context))
     end || Mode <- [ep_ct:context_mode() | ep_cell:other_modes()]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% What counts

one_large_allocation(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        [begin
             ep_limited:too_much(py:eval(Context, Code, #{n => 2 * ?LIMIT})),
             ep_expect:still_works(Context),
             {ok, 1000} = py:eval(Context, Code, #{n => 1000})
         end || Code <- [<<"len(bytes(n))">>, <<"len(bytearray(n))">>, <<"len('x' * n)">>, <<"len([0] * n)">>,
                         <<"len(b'abc'.ljust(n))">>]],
        %% Half of the limit can be had.
        {ok, Half} = py:eval(Context, <<"len(bytes(n))">>, #{n => ?LIMIT div 2}),
        ?assertEqual(?LIMIT div 2, Half)
    end).

many_small_objects(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        [begin
             ep_limited:too_much(py:eval(Context, Code, #{n => 10_000_000})),
             ep_expect:still_works(Context)
         end || Code <- [<<"len([object() for _ in range(n)])">>, <<"len({i: i for i in range(n)})">>,
                         <<"len([str(i) for i in range(n)])">>, <<"len(list(range(n)))">>]],
        %% Without catching it, in a function that then goes on.
        ok = py:exec(Context, <<"
def fill():
    kept = []
    try:
        while True:
            kept.append(bytes(100))
    except MemoryError:
        count = len(kept)
        kept.clear()
        return count
">>),
        {ok, Count} = py:call(Context, '__main__', fill, []),
        ct:pal("~b objects of 133 bytes fit into ~b bytes", [Count, ?LIMIT]),
        ?assert(Count * 133 =< ?LIMIT),
        ?assert(Count * 133 > ?LIMIT div 2)
    end).

large_allocations_that_grow(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        ok = py:exec(Context, <<"
def grow():
    buffer = bytearray()
    try:
        while True:
            buffer.extend(bytes(1 << 20))
    except MemoryError:
        return len(buffer)
">>),
        [begin
             {ok, Length} = py:call(Context, '__main__', grow, []),
             ?assert(Length =< ?LIMIT),
             ?assert(Length >= ?LIMIT div 4)
         end || _ <- [1, 2, 3]],
        ep_expect:still_works(Context)
    end).

others_are_not_concerned(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        Larger = ep_limited:new(8 * ?LIMIT),
        {ok, Free} = py_context:new(#{mode => owngil}),
        {ok, Worker} = py_context:new(#{mode => worker}),
        Take = <<"len(bytes(n))">>,
        [begin
             ep_limited:too_much(py:eval(Context, Take, #{n => 2 * ?LIMIT})),
             [?assertEqual({ok, 2 * ?LIMIT}, py:eval(Other, Take, #{n => 2 * ?LIMIT}))
              || Other <- [Larger, Free, Worker]]
         end || _ <- [1, 2, 3]],
        %% At the same time, too.
        Fillers = [ep_background:start(fun() -> {Which, py:eval(Which, Take, #{n => 2 * ?LIMIT})} end)
                   || _ <- lists:seq(1, 5), Which <- [Context, Larger, Free, Worker]],
        [case Result of
             {Context, Refused} -> ep_limited:too_much(Refused);
             {_, Taken} -> ?assertEqual({ok, 2 * ?LIMIT}, Taken)
         end || Result <- ep_background:results(Fillers)],
        [ok = py_context:stop(Other) || Other <- [Larger, Free, Worker]]
    end).

usage_goes_up_and_down(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        #{used := New, limit := ?LIMIT} = ep_limited:usage(Context),
        ?assert(New < ?LIMIT div 8),
        ok = py_context:exec(Context, <<"kept = bytes(20 << 20)">>),
        #{used := Full, peak := Peak} = ep_limited:usage(Context),
        ?assert(Full >= New + 20 * ?MB),
        ?assert(Full < New + 24 * ?MB),
        ?assert(Peak >= Full),
        ok = py_context:exec(Context, <<"kept = None">>),
        #{used := Less, peak := StillPeak} = ep_limited:usage(Context),
        ?assert(StillPeak >= Peak),
        ?assert(Less < New + 4 * ?MB),
        %% Small objects: what Python keeps for more of them counts, most of it is given back.
        ok = py_context:exec(Context, <<"kept = [bytes(100) for _ in range(200_000)]">>),
        #{used := Many} = ep_limited:usage(Context),
        ?assert(Many >= New + 200_000 * 133),
        ok = py_context:exec(Context, <<"kept = None\nimport gc\ngc.collect()">>),
        #{used := Few} = ep_limited:usage(Context),
        ?assert(Few < New + (Many - New) div 2)
    end).

memory_freed_by_another_thread(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        #{used := New} = ep_limited:usage(Context),
        ok = py_context:exec(Context, <<"
import threading
def in_thread(f):
    thread = threading.Thread(target=f)
    thread.start()
    thread.join()
kept = []
def take(): kept.extend([bytes(10 << 20), [bytes(100) for _ in range(100_000)]])
def drop(): kept.clear()
failed = []
def too_much():
    try:
        kept.append(bytes(1 << 30))
    except MemoryError:
        failed.append(True)
">>),
        [begin
             {ok, none} = py_context:eval(Context, Take),
             #{used := Full} = ep_limited:usage(Context),
             ?assert(Full >= New + 20 * ?MB),
             {ok, none} = py_context:eval(Context, Drop),
             #{used := Less} = ep_limited:usage(Context),
             ?assert(Less < New + 15 * ?MB)
         end || {Take, Drop} <- [{<<"in_thread(take)">>, <<"drop()">>}, {<<"take()">>, <<"in_thread(drop)">>},
                                 {<<"in_thread(take)">>, <<"in_thread(drop)">>}], _ <- lists:seq(1, 5)],
        %% Threads have the same limit.
        {ok, none} = py_context:eval(Context, <<"in_thread(too_much)">>),
        {ok, [true]} = py_context:eval(Context, <<"failed">>),
        ep_expect:still_works(Context)
    end).

%% Contexts without a limit are as always where limits are enabled.
contexts_without_a_limit_beside_them(_Config) ->
    ep_ct:with_peer([{enable_memory_limits, true}], fun(Call) ->
        Contexts = Call(py_context_router, contexts, []),
        [begin
             {ok, 3} = Call(py, eval, [Context, <<"1 + 2">>]),
             {ok, 268435456} = Call(py, eval, [Context, <<"len(bytes(1 << 28))">>]),
             {error, no_memory_limit} = Call(py_context, memory_usage, [Context])
         end || Context <- Contexts],
        ok
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Their ends

fifty_in_turn(_Config) ->
    ep_limited:with_vm(fun() ->
        Life = fun() ->
            Context = ep_limited:new(?LIMIT),
            ep_limited:too_much(py:eval(Context, <<"bytes(n)">>, #{n => 2 * ?LIMIT})),
            ok = py_context:exec(Context, <<"kept = [bytes(100) for _ in range(10_000)], bytes(10 << 20)">>),
            ok = py_context:stop(Context),
            ep_ct:wait_until(fun() -> ep_live:count(threads) =:= ep_live:count(contexts) end)
        end,
        [ep_ct:in_process(Life) || _ <- lists:seq(1, 15)],
        Before = ep_live:resident_bytes(),
        [ep_ct:in_process(Life) || _ <- lists:seq(1, 50)],
        case ep_live:resident_bytes() of
            undefined -> ok;
            After -> ?assert(After - Before < 32 * ?MB)
        end
    end).
