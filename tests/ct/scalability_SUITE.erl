%%% @doc Modes, the size of the pool, and what contexts share and do not share.
-module(scalability_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    support_for_subinterpreters_is_a_boolean/1, a_context_says_what_it_is/1,
    owngil_contexts_need_support/1, the_router_starts_with_the_number_asked_for/1,
    starting_a_running_pool_changes_nothing/1, stopping_ends_every_context/1, contexts_share_no_state/1,
    many_processes_share_a_context/1, busy_contexts_do_not_block_each_other/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        support_for_subinterpreters_is_a_boolean, a_context_says_what_it_is,
        owngil_contexts_need_support, the_router_starts_with_the_number_asked_for,
        starting_a_running_pool_changes_nothing, stopping_ends_every_context, contexts_share_no_state,
        many_processes_share_a_context, busy_contexts_do_not_block_each_other, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_semaphore:set_max_concurrent(erlang:system_info(schedulers) * 2 + 1),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

support_for_subinterpreters_is_a_boolean(_Config) ->
    true = is_boolean(py:subinterp_supported()),
    true = py:subinterp_supported() =:= py_nif:subinterp_supported().

a_context_says_what_it_is(_Config) ->
    ep_ct:with_context(fun(Context) ->
        true = py_context:is_subinterp(Context) =:= (ep_ct:context_mode() =:= owngil)
    end).

owngil_contexts_need_support(_Config) ->
    case py_nif:owngil_supported() of
        true ->
            {ok, Context} = py_context:new(#{mode => owngil}),
            true = py_context:is_subinterp(Context),
            ok = py_context:stop(Context);
        false ->
            {error, Reason} = py_nif:owngil_problem(),
            {error, Reason} = py_context:new(#{mode => owngil}),
            {error, Reason} = py_context:start_link(1, owngil)
    end.

the_router_starts_with_the_number_asked_for(_Config) ->
    ok = py_context_router:stop(),
    {ok, Contexts} = py_context_router:start(#{contexts => 3, mode => ep_ct:context_mode()}),
    3 = length(lists:usort(Contexts)),
    3 = py_context_router:num_contexts(),
    Contexts = py_context_router:contexts(),
    [{ok, 4.0} = py:call(Context, math, sqrt, [16]) || Context <- Contexts],
    ok = py_context_router:stop(),
    {ok, ByDefault} = py_context_router:start(),
    true = length(ByDefault) =:= erlang:system_info(schedulers),
    ep_ct:restart_contexts().

starting_a_running_pool_changes_nothing(_Config) ->
    Contexts = py_context_router:contexts(),
    {ok, Contexts} = py:start_contexts(),
    {ok, Contexts} = py:start_contexts(#{contexts => length(Contexts) + 2}),
    {ok, Contexts} = py_context_router:start(),
    {ok, Contexts} = py_context_router:start(#{contexts => 1}),
    Contexts = [py:context(N) || N <- lists:seq(1, length(Contexts))].

stopping_ends_every_context(_Config) ->
    Contexts = py_context_router:contexts(),
    ok = py:stop_contexts(),
    [_ = ep_ct:down(Context) || Context <- Contexts],
    0 = py_context_router:num_contexts(),
    [] = py_context_router:contexts(),
    ok = py:stop_contexts(),
    {ok, [One]} = py:start_contexts(#{contexts => 1, mode => ep_ct:context_mode()}),
    1 = py_context_router:num_contexts(),
    One = py:context(1),
    ep_ct:restart_contexts().

contexts_share_no_state(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py:exec(One, <<"my_var = 'hello'">>),
        {ok, <<"hello">>} = py:eval(One, <<"my_var">>),
        {ok, 4.0} = py:call(One, math, sqrt, [16]),
        {error, {'NameError', _}} = py:eval(Two, <<"my_var">>),
        ok = py_context:exec(One, <<"in_context = 1">>),
        {error, {'NameError', _}} = py_context:eval(Two, <<"in_context">>)
    end).

many_processes_share_a_context(_Config) ->
    Context = py:context(1),
    ok = py_semaphore:set_max_concurrent(500),
    Callers = [{N, spawn_monitor(fun() ->
        exit({result, [py:eval(Context, <<"n * 2">>, #{n => N + I}) || I <- lists:seq(1, 20)]})
    end)} || N <- lists:seq(1, 100)],
    [true = ep_ct:result(Caller) =:= [{ok, 2 * (N + I)} || I <- lists:seq(1, 20)] || {N, Caller} <- Callers].

busy_contexts_do_not_block_each_other(_Config) ->
    ep_ct:with_contexts(2, fun([Busy, Free]) ->
        Caller = ep_ct:busy(Busy),
        {ok, 2} = py:eval(Free, <<"1 + 1">>),
        ok = py:interrupt(Busy),
        {error, interrupted} = ep_ct:result(Caller),
        {ok, 2} = py:eval(Busy, <<"1 + 1">>)
    end).
