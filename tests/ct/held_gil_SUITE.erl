%%% @doc A context is in a C function that keeps the GIL, and has been told to end what it does: only those who need
%%% that GIL wait for it.
-module(held_gil_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    its_memory_usage_is_told/1, memory_usage_with_a_limit_is_told/1, owngil_contexts_time_out_beside_a_worker/1,
    other_contexts_time_out_beside_owngil/1, contexts_without_a_gil_go_on/1, what_there_is_is_told/1,
    nothing_is_left_behind/1
]).
%% Run on another VM.
-export([tell_while_the_first_owngil_context_waits/0]).

%% Milliseconds in which an interrupt is tried several times.
-define(WHILE, 200).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        its_memory_usage_is_told, memory_usage_with_a_limit_is_told, owngil_contexts_time_out_beside_a_worker,
        other_contexts_time_out_beside_owngil, contexts_without_a_gil_go_on, what_there_is_is_told,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(Case, Config) ->
    case py:exec(<<"import ctypes">>) of
        ok -> ep_fresh_context:init(Case, Config);
        {error, _} -> {skip, "this Python was built without ctypes"}
    end.

end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Memory

%% On a normal scheduler, which would wait, too.
its_memory_usage_is_told(_Config) ->
    [begin
         Held = new(Mode),
         held(Held, fun() -> ?assertEqual({error, no_memory_limit}, py_context:memory_usage(Held)) end),
         ok = py_context:stop(Held)
     end || Mode <- [ep_ct:context_mode() | ep_cell:other_modes()]],
    ok.

memory_usage_with_a_limit_is_told(_Config) ->
    Limit = 64 * 1024 * 1024,
    ep_limited:with_context(Limit, fun(Held) ->
        ok = ep_fresh_context:add_sources(Held),
        held(Held, fun() -> ?assertMatch(#{used := _, limit := Limit}, ep_limited:usage(Held)) end)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Time

owngil_contexts_time_out_beside_a_worker(_Config) ->
    ep_cell:with_owngil(fun() ->
        [Held, Other] = Contexts = [new(worker), new(owngil)],
        held(Held, fun() -> times_out(Other) end),
        lists:foreach(fun py_context:stop/1, Contexts)
    end).

other_contexts_time_out_beside_owngil(_Config) ->
    ep_cell:with_owngil(fun() ->
        [Held | Others] = Contexts = [new(owngil), new(owngil), new(worker)],
        held(Held, fun() -> lists:foreach(fun times_out/1, Others) end),
        lists:foreach(fun py_context:stop/1, Contexts)
    end).

contexts_without_a_gil_go_on(Config) ->
    ep_cell:with_free_threading(fun() ->
        [Held, Other] = Contexts = [ep_fresh_context:start(), ctx(Config)],
        %% Python's own collection of garbage does wait for the C function.
        ok = py:exec(Other, <<"import gc; gc.disable()">>),
        held(Held, fun() -> times_out(Other) end),
        ok = py:exec(Other, <<"gc.enable()">>),
        lists:foreach(fun py_context:stop/1, Contexts)
    end).

%% The first context of mode owngil starts a backend, which wants the GIL.
what_there_is_is_told(_Config) ->
    ep_cell:with_owngil(fun() ->
        ep_ct:with_peer([{backend, worker}], fun(Call) ->
            ok = Call(?MODULE, tell_while_the_first_owngil_context_waits, [])
        end)
    end).

tell_while_the_first_owngil_context_waits() ->
    {ok, Held} = py_context:new(#{mode => worker}),
    ok = ep_fresh_context:add_sources(Held),
    ok = py:exec(Held, <<"import ctypes">>),
    Tester = self(),
    {error, interrupted} = ep_held:with(Held, fun() ->
        _ = spawn_link(fun() ->
            {ok, Context} = py_context:new(#{mode => owngil}),
            Tester ! {first, py:eval(Context, <<"1 + 2">>)},
            py_context:stop(Context)
        end),
        Until = erlang:monotonic_time(millisecond) + ?WHILE,
        ep_background:result(ep_background:start(fun() ->
            again(fun() ->
                [_ | _] = py_nif:backends(),
                ok = py_nif:owngil_problem()
            end, Until)
        end)),
        receive {first, _} = Early -> error(Early) after 0 -> ok end,
        ok = py:interrupt(Held)
    end),
    receive {first, Result} -> ?assertEqual({ok, 3}, Result) end,
    ok.

%% The caller does not wait for more than its timeout in any case; the context is free again when the code has ended.
times_out(Context) ->
    ?assertEqual({error, timeout}, py_context:eval(Context, <<"all(iter(lambda: 1, 0))">>, #{}, 20)),
    ?assertEqual({ok, 3}, py:eval(Context, <<"1 + 2">>)).

%% ---------------------------------------------------------------------------------------------------------------------

%% Does the same again and again while that context is in the C function and its interrupt waits for it. Nobody says
%% when that has begun.
held(Held, Fun) ->
    ?assertEqual({error, interrupted}, ep_held:with(Held, fun() ->
        ok = py:interrupt(Held),
        Until = erlang:monotonic_time(millisecond) + ?WHILE,
        ep_background:result(ep_background:start(fun() -> again(Fun, Until) end))
    end)).

again(Fun, Until) ->
    Fun(),
    timer:sleep(1),
    erlang:monotonic_time(millisecond) >= Until orelse again(Fun, Until).

%% One that has imported what it needs: to import an extension module may take the GIL of the main interpreter.
new(Mode) ->
    {ok, Context} = py_context:new(#{mode => Mode}),
    ok = ep_fresh_context:add_sources(Context),
    ok = ep_expect:own_answer(Context),
    Context.

ctx(Config) -> proplists:get_value(ctx, Config).
