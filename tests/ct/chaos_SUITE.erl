%%% @doc Everything at once, at random: callers, callbacks, handles, timeouts, interrupts, killed callers and killed
%%% contexts. Whoever gets an answer gets the right one, and in the end nothing is left.
-module(chaos_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([everything_at_once/1, under_stress/1, nothing_is_left_behind/1]).

-define(WORKERS, 16).
-define(STEPS, 400).
-define(CONTEXTS, 3).
%% Under stress, for as long as EP_STRESS_SECONDS says.
-define(MANY, 8).

suite() -> [{timetrap, {seconds, 300 + seconds()}}].

all() -> [everything_at_once, under_stress, nothing_is_left_behind].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = py:register_function(echo, fun([Value]) -> Value end),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

%% A seed makes each process do the same again; the order between them is the machine's.
everything_at_once(Config) ->
    chaos(Config, ?CONTEXTS, 20, fun(Shared, Seed) -> workers(Shared, Seed, 1, #{}) end).

%% The same with callers of every context that come and go until the time is over.
under_stress(Config) ->
    Until = erlang:monotonic_time(millisecond) + 1000 * seconds(),
    chaos(Config, ?MANY, 200, fun(Shared, Seed) ->
        Keepers = [ep_background:start(fun() -> seed(Seed, N), keep_calling(Shared, Until, #{}) end)
                   || N <- lists:seq(1, ?MANY * ?MANY)],
        lists:foldl(fun(Keeper, Sum) -> add(result(Keeper), Sum) end, #{}, Keepers)
    end).

seconds() -> list_to_integer(os:getenv("EP_STRESS_SECONDS", "5")).

%% Up to Pause milliseconds pass between two interrupts, and between two ends of contexts.
chaos(Config, Contexts, Pause, Work) ->
    Seed = erlang:phash2(os:timestamp()),
    ct:pal("seed ~b", [Seed]),
    Shared = ets:new(chaos, [public]),
    [ets:insert(Shared, {N, ep_fresh_context:start()}) || N <- lists:seq(1, Contexts)],
    ok = py:register_function(nested, fun([Value]) -> nested(context(Shared), Value) end),
    Destroyers = [ep_background:start(fun() -> seed(Seed, Name), destroy(Name, Shared, Pause, 0) end)
                  || Name <- [interrupts, contexts]],
    Ctx = proplists:get_value(ctx, Config),
    Threads = ep_background:start(fun() -> run_threads(Ctx, 0) end),
    Outcomes = Work(Shared, Seed),
    Destroyed = [begin
                     ep_background:pid(Destroyer) ! enough,
                     ep_background:result(Destroyer)
                 end || Destroyer <- Destroyers],
    ep_background:pid(Threads) ! enough,
    Threaded = ep_background:result(Threads),
    ct:pal("outcomes ~p~n{interrupts, contexts ended} ~p, threads ~b", [Outcomes, Destroyed, 4 * Threaded]),
    ?assert(maps:get(ok, Outcomes) > 0),
    ?assert(Threaded > 0),
    [py_context:stop(Each) || {_, Each} <- ets:tab2list(Shared)],
    ok = py:unregister_function(nested),
    ep_expect:idle(Ctx).

%% Python's threads, in a context of the same interpreter where there is one, that nobody interrupts: an exception from
%% outside in the middle of threading.Thread.start() leaves a lock of that module taken, in any Python.
run_threads(Ctx, Times) ->
    receive enough -> Times
    after 0 ->
        Token = {<<"token">>, Times},
        {ok, Token} = py:call(Ctx, busy, call_in_threads, [4, echo, Token]),
        run_threads(Ctx, Times + 1)
    end.

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

%% Callers with some steps each, one after the other; some are killed at some moment.
keep_calling(Shared, Until, Outcomes) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            Seed = rand:uniform(1 bsl 50),
            {Pid, Monitor} = spawn_monitor(fun() ->
                seed(Seed, caller),
                exit({outcomes, work(Shared, 20, #{})})
            end),
            rand:uniform(4) =:= 1 andalso kill_soon(Pid, Monitor),
            receive
                {'DOWN', Monitor, process, Pid, {outcomes, New}} -> keep_calling(Shared, Until, add(New, Outcomes));
                {'DOWN', Monitor, process, Pid, killed} -> keep_calling(Shared, Until, add(#{killed => 1}, Outcomes));
                {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
            end;
        false ->
            Outcomes
    end.

%% A message of its end stays in the mailbox.
kill_soon(Pid, Monitor) ->
    receive {'DOWN', Monitor, process, Pid, _} = Down -> self() ! Down
    after rand:uniform(50) -> exit(Pid, kill)
    end.

%% When the time is over; the timetrap is for those that hang.
result(Keeper) ->
    Monitor = monitor(process, ep_background:pid(Keeper)),
    receive {'DOWN', Monitor, process, _, _} -> ep_background:result(Keeper) end.

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

context(Shared) -> ets:lookup_element(Shared, rand:uniform(ets:info(Shared, size)), 2).

%% ---------------------------------------------------------------------------------------------------------------------

destroy(What, Shared, Pause, Times) ->
    receive enough -> {What, Times}
    after rand:uniform(Pause) ->
        destroy(What, Shared),
        destroy(What, Shared, Pause, Times + 1)
    end.

destroy(interrupts, Shared) ->
    py:interrupt(context(Shared));
destroy(contexts, Shared) ->
    N = rand:uniform(ets:info(Shared, size)),
    Old = ets:lookup_element(Shared, N, 2),
    ets:insert(Shared, {N, ep_fresh_context:start()}),
    case rand:uniform(2) of
        1 -> exit(Old, kill);
        2 -> py_context:stop(Old)
    end.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).
