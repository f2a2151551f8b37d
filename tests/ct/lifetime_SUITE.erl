%%% @doc Whatever is done a few thousand times, nothing of it stays: not in the counters, not in memory.
-module(lifetime_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    calls/1, evaluations/1, large_values/1, errors/1, casts/1, spawned_calls/1, callbacks/1, callbacks_in_threads/1,
    timeouts/1, interrupts/1, killed_callers/1, restarted_contexts/1, objects/1, environments/1,
    environments_of_processes/1, nothing_is_left_behind/1
]).

%% What a round of bursts may add to the resident memory of the VM once it is warm: fragmentation, not a leak of each
%% element. Most bursts have so many elements that a hundred bytes of each would show. A leak adds it in every round;
%% what an allocator takes in one round it has in the next.
-define(GROWTH, 8 bsl 20).
-define(BURSTS, 4).
-define(ROUNDS, 3).

suite() -> [{timetrap, {seconds, 300}}].

all() ->
    [
        calls, evaluations, large_values, errors, casts, spawned_calls, callbacks, callbacks_in_threads, timeouts,
        interrupts, killed_callers, restarted_contexts, objects, environments, environments_of_processes,
        nothing_is_left_behind
    ].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    ok = py:register_function(echo, fun([Value]) -> Value end),
    Suite.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

calls(Config) ->
    stays_flat(Config, 20_000, fun(Ctx, N) -> {ok, N} = py:call(Ctx, busy, work, [0, N]) end).

evaluations(Config) ->
    stays_flat(Config, 20_000, fun(Ctx, N) ->
        {ok, N} = py:eval(Ctx, <<"n">>, #{n => N}),
        %% Sources that never come again are not kept for ever.
        {ok, N} = py:eval(Ctx, integer_to_binary(N)),
        ok = py:exec(Ctx, <<"x = ", (integer_to_binary(N))/binary>>)
    end).

large_values(Config) ->
    Text = binary:copy(<<"0123456789">>, 100_000),
    Value = #{<<"list">> => lists:seq(1, 10_000), <<"text">> => Text, <<"map">> => #{1 => 2}},
    stays_flat(Config, 300, fun(Ctx, _N) ->
        {ok, Back} = py:call(Ctx, hostile, identity, [Value]),
        true = Back =:= Value,
        {ok, Size} = py:call(Ctx, builtins, len, [{bytes, Text}]),
        true = Size =:= byte_size(Text)
    end).

errors(Config) ->
    Deep = lists:foldl(fun(_, In) -> [In] end, [], lists:seq(1, 10_000)),
    stays_flat(Config, 2000, fun(Ctx, _N) ->
        {error, {'AttributeError', _}} = py:call(Ctx, math, no_such_function, []),
        {error, {'ZeroDivisionError', _}} = py:eval(Ctx, <<"1 / 0">>),
        {error, {'SyntaxError', _}} = py:exec(Ctx, <<"1 +">>),
        {error, {_, _}} = py:call(Ctx, hostile, identity, [[1, [<<"a">> | 2]]]),
        {error, {_, _}} = py:call(Ctx, hostile, identity, [#{[1] => <<"unhashable">>}]),
        {error, {_, _}} = py:call(Ctx, hostile, identity, [Deep]),
        {error, {_, _}} = py:call(Ctx, hostile, cyclic_list, []),
        {error, {_, _}} = py:call(Ctx, hostile, raise_long_message, [1000])
    end).

casts(Config) ->
    stays_flat(Config, 20_000, fun(Ctx, N) ->
        ok = py:cast(Ctx, busy, tell, [self(), N]),
        receive N -> ok end
    end).

spawned_calls(Config) ->
    stays_flat(Config, 10_000, fun(Ctx, N) ->
        Call = py:spawn_call(Ctx, busy, work, [0, N]),
        {ok, N} = py:await(Call),
        %% One that nobody ever asks for.
        in_a_process(fun() -> py:spawn_call(Ctx, busy, work, [0, N]) end)
    end).

callbacks(Config) ->
    stays_flat(Config, 10_000, fun(Ctx, N) ->
        {ok, N} = py:call(Ctx, busy, call, [echo, [N]]),
        {error, {'RuntimeError', _}} = py:call(Ctx, busy, call, [no_such_function, [N]])
    end).

callbacks_in_threads(Config) ->
    stays_flat(Config, 1000, fun(Ctx, N) ->
        {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), echo, [N]]),
        receive {<<"returned">>, N} -> ok end
    end).

timeouts(Config) ->
    stays_flat(Config, 2000, fun(Ctx, N) ->
        case py:call(Ctx, busy, work, [100_000, N], #{timeout => N rem 2}) of
            {error, timeout} -> ok;
            {ok, N} -> ok
        end,
        case py:call(Ctx, busy, call, [echo, [N]], #{timeout => 0}) of
            {error, timeout} -> ok;
            {ok, N} -> ok
        end
    end).

interrupts(Config) ->
    stays_flat(Config, 200, fun(Ctx, _N) ->
        Running = ep_background:spinning(Ctx),
        ok = py:interrupt(Ctx),
        {error, interrupted} = ep_background:result(Running)
    end).

killed_callers(Config) ->
    stays_flat(Config, 2000, fun(Ctx, N) ->
        Callers = [spawn_monitor(fun() ->
            py:call(Ctx, busy, call, [echo, [N]]),
            py:call(Ctx, busy, work, [1000, N])
        end) || _ <- [1, 2, 3]],
        [exit(Pid, kill) || {Pid, _} <- Callers],
        [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Callers]
    end).

restarted_contexts(Config) ->
    stays_flat(Config, 100, fun(_Ctx, N) ->
        Next = ep_fresh_context:start(),
        ok = py:exec(Next, <<"x = [0] * 10000">>),
        {ok, _Ref} = py:call(Next, builtins, list, [[N]], #{return => ref}),
        Caller = ep_background:spinning(Next),
        ok = py_context:stop(Next),
        {error, context_stopped} = ep_background:result(Caller)
    end).

objects(Config) ->
    stays_flat(Config, 20_000, fun(Ctx, N) ->
        {ok, Ref} = py:call(Ctx, builtins, list, [[N]], #{return => ref}),
        {ok, [N]} = py:to_term(Ref),
        {ok, none} = py:call_method(Ref, append, [Ref]),
        {ok, none} = py:call_method(Ref, clear, [])
    end).

environments(Config) ->
    stays_flat(Config, 10_000, fun(Ctx, N) ->
        {ok, Env} = py_context:create_local_env(Ctx),
        ok = py_context:exec(Ctx, <<"x = [0] * 1000">>, Env),
        %% One that is never used.
        {ok, _Unused} = py_context:create_local_env(Ctx),
        {ok, N} = py_context:eval(Ctx, <<"n">>, #{n => N}, 5000, Env)
    end).

environments_of_processes(Config) ->
    stays_flat(Config, 5000, fun(Ctx, N) ->
        in_a_process(fun() ->
            ok = py:exec(Ctx, <<"x = [0] * 1000">>),
            {ok, N} = py:eval(Ctx, <<"n">>, #{n => N})
        end)
    end).

%% Runs bursts of Element, each in a process of its own, so that what it holds is gone with it. The first ones warm up.
stays_flat(Config, Times, Element) ->
    Ctx = ctx(Config),
    Burst = fun() -> burst(Ctx, Times, Element) end,
    Burst(),
    Burst(),
    Counters = ep_live:snapshot(),
    Round = fun() ->
        Before = ep_live:resident_bytes(),
        [begin Burst(), ep_live:back_to(Counters) end || _ <- lists:seq(1, ?BURSTS)],
        grew(Before, ep_live:resident_bytes(), Times * ?BURSTS)
    end,
    ?assert(lists:any(fun(_) -> not Round() end, lists:seq(1, ?ROUNDS)), grew_in_every_round),
    ep_expect:idle(Ctx).

burst(Ctx, Times, Element) ->
    ep_background:result(ep_background:start(fun() -> repeat(Ctx, Times, Element) end)),
    %% Nothing is freed before its release was served.
    {ok, _} = py:call(Ctx, gc, collect, []),
    ok.

repeat(_Ctx, 0, _Element) -> ok;
repeat(Ctx, N, Element) -> Element(Ctx, N), repeat(Ctx, N - 1, Element).

grew(undefined, _After, _Times) ->
    ct:comment("how much memory is resident is not known here"),
    false;
grew(Before, After, Times) ->
    ct:pal("~b KiB more after ~b times (~b KiB before)", [(After - Before) div 1024, Times, Before div 1024]),
    After - Before >= ?GROWTH.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

in_a_process(Fun) ->
    {Pid, Monitor} = spawn_monitor(Fun),
    receive
        {'DOWN', Monitor, process, Pid, normal} -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.
