%%% @doc Everything at once, at random: callers, callbacks, handles, timeouts, interrupts, killed callers and killed
%%% contexts. Whoever gets an answer gets the right one, and in the end nothing is left.
-module(chaos_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([everything_at_once/1, nothing_is_left_behind/1]).

-define(WORKERS, 16).
-define(STEPS, 400).
-define(CONTEXTS, 3).

suite() -> [{timetrap, {seconds, 300}}].

all() -> [everything_at_once, nothing_is_left_behind].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = py:register_function(echo, fun([Value]) -> Value end),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) -> Config;
init_per_testcase(_Case, Config) -> ep_fresh_context:init(Config).

end_per_testcase(nothing_is_left_behind, _Config) -> ok;
end_per_testcase(_Case, Config) -> ep_fresh_context:finish(Config).

%% ---------------------------------------------------------------------------------------------------------------------

%% A seed makes each process do the same again; the order between them is the machine's.
everything_at_once(Config) ->
    Seed = erlang:phash2(os:timestamp()),
    ct:pal("seed ~b", [Seed]),
    Shared = ets:new(chaos, [public]),
    [ets:insert(Shared, {N, ep_fresh_context:start()}) || N <- lists:seq(1, ?CONTEXTS)],
    ok = py:register_function(nested, fun([Value]) -> nested(context(Shared), Value) end),
    Destroyers = [ep_background:start(fun() -> seed(Seed, Name), destroy(Name, Shared, 0) end)
                  || Name <- [interrupts, contexts]],
    Outcomes = workers(Shared, Seed, 1, #{}),
    Destroyed = [begin
                     ep_background:pid(Destroyer) ! enough,
                     ep_background:result(Destroyer)
                 end || Destroyer <- Destroyers],
    ct:pal("outcomes ~p~n{interrupts, contexts ended} ~p", [Outcomes, Destroyed]),
    ?assert(maps:get(ok, Outcomes) > 0),
    [py_context:stop(Ctx) || {_, Ctx} <- ets:tab2list(Shared)],
    ok = py:unregister_function(nested),
    ep_expect:idle(proplists:get_value(ctx, Config)).

%% Starts workers until all have run; every third is killed at some moment.
workers(Shared, Seed, First, Outcomes) when First =< 3 * ?WORKERS ->
    Workers = [{N, ep_background:start(fun() -> seed(Seed, N), work(Shared, ?STEPS, #{}) end)}
               || N <- lists:seq(First, First + ?WORKERS - 1)],
    Spared = [begin
                  N rem 3 =:= 0 andalso ep_background:kill(Worker),
                  {N, Worker}
              end || {N, Worker} <- Workers],
    New = [ep_background:result(Worker) || {N, Worker} <- Spared, N rem 3 =/= 0],
    workers(Shared, Seed, First + ?WORKERS, lists:foldl(fun add/2, Outcomes, New));
workers(_Shared, _Seed, _First, Outcomes) ->
    Outcomes.

add(These, Those) -> maps:fold(fun(Key, N, Sum) -> Sum#{Key => N + maps:get(Key, Sum, 0)} end, Those, These).

seed(Seed, Who) -> rand:seed(exsss, {Seed, erlang:phash2(Who), 1}).

%% ---------------------------------------------------------------------------------------------------------------------

work(_Shared, 0, Outcomes) ->
    Outcomes;
work(Shared, Steps, Outcomes) ->
    Token = {<<"token">>, erlang:unique_integer([positive]), lists:seq(1, rand:uniform(20))},
    Outcome = right(Token, step(rand:uniform(10), context(Shared), Token)),
    work(Shared, Steps - 1, maps:update_with(Outcome, fun(N) -> N + 1 end, 1, Outcomes)).

right(Token, {ok, Token}) -> ok;
right(_Token, {error, timeout}) -> timeout;
right(_Token, {error, interrupted}) -> interrupted;
right(_Token, {error, context_stopped}) -> context_stopped;
right(_Token, {error, {overloaded, _, _}}) -> overloaded;
%% An inner call was interrupted, or its context ended, and its callback said so.
right(_Token, {ok, <<"failed inside">>}) -> failed_inside;
right(_Token, {error, {'RuntimeError', _}}) -> failed_inside;
right(Token, Other) -> error({wrong_answer, Token, Other}).

step(1, Ctx, Token) -> py:call(Ctx, busy, work, [rand:uniform(2000), Token]);
step(2, Ctx, Token) -> py:call(Ctx, busy, work, [rand:uniform(50_000), Token], #{timeout => rand:uniform(4) - 1});
step(3, Ctx, Token) -> py:eval(Ctx, <<"t">>, #{t => Token});
step(4, Ctx, Token) -> py:call(Ctx, busy, call, [echo, [Token]]);
step(5, Ctx, Token) -> py:call(Ctx, busy, call, [nested, [Token]]);
step(6, Ctx, Token) -> py:call(Ctx, busy, call, [nested, [Token]], #{timeout => rand:uniform(10)});
step(7, Ctx, Token) -> py:await(py:spawn_call(Ctx, busy, work, [rand:uniform(500), Token]));
step(8, Ctx, Token) -> py:await(py:spawn_call(Ctx, busy, call, [echo, [Token]]), rand:uniform(20));
step(9, Ctx, Token) ->
    case py:call(Ctx, builtins, list, [[Token]], #{return => ref}) of
        {ok, Ref} -> py:call_method(Ref, pop, []);
        Error -> Error
    end;
step(10, Ctx, Token) ->
    case py:exec(Ctx, <<"kept = 1">>) of
        ok -> py:eval(Ctx, <<"t if kept == 1 else None">>, #{t => Token});
        Error -> Error
    end.

nested(Ctx, Value) ->
    case py:call(Ctx, busy, call, [echo, [Value]]) of
        {ok, Back} -> Back;
        {error, _} -> <<"failed inside">>
    end.

context(Shared) -> ets:lookup_element(Shared, rand:uniform(?CONTEXTS), 2).

%% ---------------------------------------------------------------------------------------------------------------------

destroy(What, Shared, Times) ->
    receive enough -> {What, Times}
    after rand:uniform(20) ->
        destroy(What, Shared),
        destroy(What, Shared, Times + 1)
    end.

destroy(interrupts, Shared) ->
    py:interrupt(context(Shared));
destroy(contexts, Shared) ->
    N = rand:uniform(?CONTEXTS),
    Old = ets:lookup_element(Shared, N, 2),
    ets:insert(Shared, {N, ep_fresh_context:start()}),
    case rand:uniform(2) of
        1 -> exit(Old, kill);
        2 -> py_context:stop(Old)
    end.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).
