%%% @doc Contexts with hardly a byte left to take: whatever they are asked for is done or is a MemoryError, and they end
%%% as others do.
-module(memory_at_the_limit_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    the_smallest_and_the_largest_limit/1, callbacks_at_the_limit/1, results_and_arguments_at_the_limit/1,
    timeouts_at_the_limit/1, stopped_at_the_limit/1, nothing_is_left_behind/1
]).

-define(MB, 1048576).
-define(LIMIT, 64 * ?MB).

suite() -> [{timetrap, {seconds, 180}}].

all() ->
    [
        the_smallest_and_the_largest_limit, callbacks_at_the_limit, results_and_arguments_at_the_limit,
        timeouts_at_the_limit, stopped_at_the_limit, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

%% A context of which nothing is left to take answers with MemoryError, and does not come down.
the_smallest_and_the_largest_limit(_Config) ->
    ep_limited:with_vm(fun() ->
        [begin
             Context = ep_limited:new(Limit),
             [case py:eval(Context, <<"len([bytes(1000) for _ in range(n)])">>, #{n => N}) of
                  {ok, N} -> ok;
                  {error, {'MemoryError', _}} -> ok
              end || N <- [1, 10, 1000, 100_000]],
             [case py:exec(Context, Code) of
                  ok -> ok;
                  {error, {'MemoryError', _}} -> ok
              end || Code <- [<<"x = 1">>, <<"def f(): pass">>, <<"import json">>, <<"1 / 1">>, <<"class A: pass">>]],
             #{limit := Limit} = ep_limited:usage(Context),
             ok = py_context:stop(Context)
         end || Limit <- [1, 100, 10_000, 100_000, ?MB, 4 * ?MB]],
        [begin
             Context = ep_limited:new(Limit),
             {ok, _} = py:eval(Context, <<"len(bytes(1 << 27))">>),
             ep_limited:too_much(py:eval(Context, <<"bytes(1 << 62)">>)),
             ok = py_context:stop(Context)
         end || Limit <- [1 bsl 32, 1 bsl 40, 1 bsl 59, (1 bsl 60) - 1]]
    end).

callbacks_at_the_limit(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        ep_ct:with_function(ep_echo, fun([Value]) -> Value end, fun() ->
            ep_ct:with_function(ep_large, fun([N]) -> binary:copy(<<"x">>, N) end, fun() ->
                ep_limited:too_much(py:eval(Context, <<"erlang.ep_large(1 << 27)">>)),
                ep_expect:still_works(Context),
                {ok, <<"caught">>} = py:eval(Context, <<"
def attempt():
    try:
        return erlang.ep_large(1 << 27)
    except MemoryError:
        return 'caught'
attempt()">>),
                Ballast = filled(Context),
                [either({ok, N}, py:eval(Context, <<"erlang.ep_echo(n)">>, #{n => N})) || N <- lists:seq(1, 200)],
                ok = emptied(Context, Ballast),
                {ok, 1} = py:eval(Context, <<"erlang.ep_echo(1)">>)
            end)
        end)
    end).

results_and_arguments_at_the_limit(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        Large = binary:copy(<<"x">>, 2 * ?LIMIT),
        ep_limited:too_much(py:call(Context, builtins, len, [Large])),
        ep_limited:too_much(py:call(Context, builtins, len, [{bytes, Large}])),
        ep_limited:too_much(py:call(Context, builtins, len, [lists:seq(1, 10_000_000)])),
        ep_expect:still_works(Context),
        Ballast = filled(Context),
        Value = [#{<<"n">> => N, <<"text">> => <<"0123456789">>} || N <- lists:seq(1, 100)],
        [begin
             either({ok, Value}, py:eval(Context, <<"v">>, #{v => Value})),
             either({ok, 3}, py:eval(Context, <<"1 + 2">>)),
             either({ok, 4.0}, py:call(Context, math, sqrt, [16])),
             case py:call(Context, builtins, list, [[1]], #{return => ref}) of
                 {ok, Ref} -> either({ok, [1]}, py:to_term(Ref));
                 Refused -> ep_limited:too_much(Refused)
             end
         end || _ <- lists:seq(1, 100)],
        ok = emptied(Context, Ballast),
        {ok, Value} = py:eval(Context, <<"v">>, #{v => Value}),
        ep_expect:still_works(Context)
    end).

timeouts_at_the_limit(_Config) ->
    ep_limited:with_context(?LIMIT, fun(Context) ->
        Ballast = filled(Context),
        [begin
             Result = py_context:eval(Context, <<"[None for _ in iter(int, 1)]">>, #{}, 20),
             ?assert(Result =:= {error, timeout} orelse element(1, element(2, Result)) =:= 'MemoryError')
         end || _ <- lists:seq(1, 20)],
        ok = emptied(Context, Ballast),
        ep_expect:still_works(Context)
    end).

%% Ending takes memory, too.
stopped_at_the_limit(_Config) ->
    ep_limited:with_vm(fun() ->
        [begin
             Context = ep_limited:new(?LIMIT div 4),
             Ballast = filled(Context),
             _ = py_context:exec(Context, <<"
import atexit, threading
atexit.register(lambda: [bytes(100) for _ in range(1000)])
threading.Thread(target=lambda: [bytes(100) for _ in range(1000)]).start()
">>),
             case N rem 2 of
                 0 -> ok = py_context:stop(Context);
                 1 -> exit(Context, kill)
             end,
             Ballast ! drop
         end || N <- lists:seq(1, 10)],
        ok
    end).

%% ---------------------------------------------------------------------------------------------------------------------

either(_Value, {error, {'MemoryError', _}}) -> ok;
either(Value, Result) -> ?assertEqual(Value, Result).

%% Leaves the context with hardly a byte to take. What is returned makes it possible to run code there again: when
%% nothing is left not even a line that frees something can be compiled.
filled(Context) ->
    Me = self(),
    Ballast = spawn(fun() ->
        {ok, Ref} = py:call(Context, builtins, bytes, [?MB], #{return => ref}),
        Me ! {loaded, self()},
        receive drop -> {dropped, Ref} end
    end),
    receive {loaded, Ballast} -> ok end,
    case py_context:exec(Context, <<"
kept = []
def fill():
    size = 1 << 20
    while size:
        try:
            kept.append(bytes(size))
        except MemoryError:
            size >>= 1
fill()
">>) of
        ok -> Ballast;
        {error, {'MemoryError', _}} -> Ballast
    end.

emptied(Context, Ballast) ->
    Ballast ! drop,
    ep_ct:wait_until(fun() -> py_context:exec(Context, <<"kept.clear()">>) =:= ok end).
