%%% @doc Many contexts: all at once, and one after the other.
-module(many_contexts_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    sixty_four_at_once/1, sixty_four_started_and_stopped_by_many/1, a_hundred_one_after_the_other/1,
    killed_while_they_start/1, nothing_is_left_behind/1
]).

-define(ALIVE, 64).
-define(IN_TURN, 100).
-define(WARM, 30).
%% What these may add to the resident memory of a VM that is warm: fragmentation. An interpreter has some megabytes.
-define(GROWTH, 16 bsl 20).

suite() -> [{timetrap, {seconds, 300}}].

all() ->
    [
        sixty_four_at_once, sixty_four_started_and_stopped_by_many, a_hundred_one_after_the_other,
        killed_while_they_start, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

sixty_four_at_once(_Config) ->
    Before = ep_live:snapshot(),
    Contexts = [new() || _ <- lists:seq(1, ?ALIVE)],
    ?assertEqual(?ALIVE, length(lists:usort([Id || Context <- Contexts,
                                                   {ok, Id} <- [py_context:get_interp_id(Context)]]))),
    Numbered = lists:zip(lists:seq(1, ?ALIVE), Contexts),
    in_all(Numbered, fun(N, Context) ->
        ok = py_context:exec(Context, <<"number = ", (integer_to_binary(N))/binary>>)
    end),
    in_all(Numbered, fun(N, Context) -> {ok, N} = py_context:eval(Context, <<"number">>) end),
    ?assertEqual(?ALIVE, length(lists:usort([py_context:eval(Context, <<"__import__('threading').get_native_id()">>)
                                             || Context <- Contexts]))),
    %% A chain of callbacks through all of them.
    Next = fun([N]) when N > ?ALIVE -> 0;
              ([N]) -> {ok, Sum} = py:eval(lists:nth(N, Contexts), <<"n + erlang.ep_next(n + 1)">>, #{n => N}), Sum
           end,
    ep_ct:with_function(ep_next, Next, fun() -> ?assertEqual(?ALIVE * (?ALIVE + 1) div 2, Next([1])) end),
    lists:foreach(fun py_context:stop/1, Contexts),
    forget(),
    ep_live:back_to(Before).

%% All at the same time.
in_all(Numbered, Fun) ->
    Callers = [ep_background:start(fun() -> Fun(N, Context), ok end) || {N, Context} <- Numbered],
    [ok = Result || Result <- ep_background:results(Callers)].

sixty_four_started_and_stopped_by_many(_Config) ->
    Before = ep_live:snapshot(),
    Starters = [ep_background:start(fun() ->
        [begin
             Context = new(),
             {ok, N} = py:eval(Context, <<"n">>, #{n => N}),
             ok = py_context:stop(Context)
         end || _ <- lists:seq(1, ?ALIVE div 8)]
    end) || N <- lists:seq(1, 8)],
    _ = ep_background:results(Starters),
    ep_live:back_to(Before).

a_hundred_one_after_the_other(_Config) ->
    lists:foreach(fun life/1, lists:seq(1, ?WARM)),
    Before = ep_live:snapshot(),
    forget(),
    Resident = ep_live:resident_bytes(),
    lists:foreach(fun life/1, lists:seq(1, ?IN_TURN)),
    ep_live:back_to(Before),
    case {Resident, ep_live:resident_bytes()} of
        {undefined, _} ->
            ct:comment("how much memory is resident is not known here");
        {Was, Is} ->
            ct:pal("~b KiB more after ~b contexts (~b KiB before)", [(Is - Was) div 1024, ?IN_TURN, Was div 1024]),
            ?assert(Is - Was < ?GROWTH)
    end.

%% One that was used for what there is, in a process that ends with it.
life(N) ->
    ep_background:result(ep_background:start(fun() ->
        Context = new(),
        ok = py:exec(Context, <<"import json, threading\nx = [0] * 10000\ndef f(n): return n">>),
        {ok, N} = py:call(Context, '__main__', f, [N]),
        {ok, _Ref} = py:call(Context, builtins, list, [[N]], #{return => ref}),
        {ok, _Env} = py_context:create_local_env(Context),
        {error, {'ZeroDivisionError', _}} = py:eval(Context, <<"1 / 0">>),
        ok = py:exec(Context, <<"thread = threading.Thread(target=f, args=(1,))\nthread.start()\nthread.join()">>),
        ok = py_context:stop(Context)
    end)),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= ep_live:count(contexts) end).

%% At any moment of their start.
killed_while_they_start(_Config) ->
    Before = ep_live:snapshot(),
    [begin
         Starter = ep_background:start(fun() ->
             {ok, Context} = py_context:start_link(N, ep_ct:context_mode()),
             py:eval(Context, <<"1">>)
         end),
         spin(N * 1000),
         ep_background:kill(Starter)
     end || N <- lists:seq(1, 50)],
    %% Their states are in reports that the logger has not thrown away yet.
    ep_ct:wait_until(fun() -> ep_ct:alive(contexts) =< ep_live:count(contexts, Before) end),
    ep_live:back_to(Before),
    Context = new(),
    ep_expect:still_works(Context),
    ok = py_context:stop(Context).

spin(0) -> ok;
spin(N) -> spin(N - 1).

new() ->
    {ok, Context} = py_context:new(#{mode => ep_ct:context_mode()}),
    Context.

%% This process has an environment in each context that it has used.
forget() -> ep_fresh_context:forget_environments().
