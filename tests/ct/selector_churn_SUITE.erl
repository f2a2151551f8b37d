%%% @doc Files that come and go under the selectors of the event loop: the VM does not complain, and no file gets events
%%% of another.
-module(selector_churn_SUITE).

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_group/2, end_per_group/2]).
-export([init_per_testcase/2, end_per_testcase/2]).
-export([
    numbers_used_again/1, closed_before_unregistered/1, no_room_to_begin_again/1,
    in_threads/1, armed_again/1, closed_means_closed/1, connections/1, never_unregistered/1,
    refusals/1, selectors_by_name/1, a_killed_worker/1, loops_nobody_closes/1, a_context_that_is_killed/1,
    a_configuration_that_cannot_be/1, sockets_that_linger/1, a_suspended_worker/1, interrupts/1, watched_twice/1,
    new_versions/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() -> ep_selectors:all().

groups() ->
    ep_selectors:groups([
        numbers_used_again, closed_before_unregistered, no_room_to_begin_again,
        in_threads, armed_again, closed_means_closed, connections, never_unregistered, refusals,
        selectors_by_name, a_killed_worker, loops_nobody_closes, a_context_that_is_killed,
        a_configuration_that_cannot_be, sockets_that_linger, a_suspended_worker, interrupts, watched_twice,
        new_versions, nothing_is_left_behind
    ]).

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_group(Selector, Config) -> ep_selectors:init(Selector, Config).
end_per_group(_Selector, Config) -> ep_selectors:finish(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

numbers_used_again(Config) ->
    [0, true, true] = quietly(Config, numbers_used_again, [5000]).

%% Somebody else has a duplicate, and there is something to read.
closed_before_unregistered(Config) ->
    [[0, 10, true], [0, 10, true]] = quietly(Config, closed_before_unregistered, [10]).

no_room_to_begin_again(Config) ->
    Other = [<<"other">>],
    [[Other, Other, Other], false] = does(Config, no_room_to_begin_again, []).

in_threads(Config) ->
    [[0, true, _], [0, true, _], [0, true, _]] = quietly(Config, in_threads, [1000]).

armed_again(Config) ->
    2000 = quietly(Config, armed_again, [2000]).

closed_means_closed(Config) ->
    500 = quietly(Config, closed_means_closed, [500]).

connections(Config) ->
    3000 = quietly(Config, connections, [3000]).

never_unregistered(Config) ->
    1000 = quietly(Config, never_unregistered, [1000]).

refusals(Config) ->
    [[
        <<"KeyError">>, <<"ValueError">>, <<"ValueError">>, <<"EBADF">>, <<"ValueError">>, <<"EPERM">>, <<"KeyError">>,
        <<"KeyError">>, <<"OverflowError">>, <<"ValueError">>
    ], 2] = quietly(Config, refusals, []).

selectors_by_name(Config) ->
    Default = case proplists:get_value(selector, Config) of
        native -> <<"NativeSelector">>;
        beam -> <<"BeamSelector">>
    end,
    Error = <<"a selector is 'native' or 'beam', not 'other'">>,
    Kinds = [Default, <<"NativeSelector">>, <<"BeamSelector">>, <<"BeamSelector">>],
    Kinds = lists:droplast(quietly(Config, selectors_by_name, [])),
    Error = lists:last(quietly(Config, selectors_by_name, [])).

a_killed_worker(Config) ->
    Kill = fun([]) -> [exit(Pid, kill) || Pid <- workers()], none end,
    ep_ct:with_function(kill_workers, Kill, fun() ->
        10 = does(Config, without_a_worker, [<<"kill_workers">>, 10])
    end).

loops_nobody_closes(Config) ->
    20 = quietly(Config, left_open, [20]),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

a_context_that_is_killed(Config) ->
    Ctx = ep_fresh_context:start(),
    Me = self(),
    Sleeping = ep_background:start(fun() ->
        py:call(Ctx, selector_churn, sleeping, [Me], #{timeout => infinity})
    end),
    ok = ep_expect:message(<<"sleeping">>),
    Workers = length(workers()),
    Workers = case proplists:get_value(selector, Config) of native -> 0; beam -> 1 end,
    exit(Ctx, kill),
    {error, context_stopped} = ep_background:result(Sleeping),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

a_configuration_that_cannot_be(_Config) ->
    Selector = application:get_env(erlang_python, event_loop_selector),
    ok = application:stop(erlang_python),
    try
        [begin
             ok = application:set_env(erlang_python, event_loop_selector, Bad),
             {error, {{bad_config, event_loop_selector, Bad}, _}} = application:start(erlang_python)
         end || Bad <- [kqueue, <<"beam">>, "beam", undefined]]
    after
        {ok, Was} = Selector,
        ok = application:set_env(erlang_python, event_loop_selector, Was),
        ok = application:start(erlang_python)
    end.

%% The last copy of such a socket is closed when its peer has received all, or after a minute.
%% No scheduler waits for that.
sockets_that_linger(Config) ->
    none = does(Config, begin_lingering, [60]),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end),
    1 = ep_ct:alive(watched_files),
    none = does(Config, end_lingering, []),
    ok = ep_ct:wait_until(fun() -> ep_ct:alive(watched_files) =:= 0 end).

a_suspended_worker(Config) ->
    Suspend = fun([]) -> [ok = sys:suspend(Pid) || Pid <- workers()], none end,
    Resume = fun([]) -> [ok = sys:resume(Pid) || Pid <- workers()], none end,
    ep_ct:with_function(suspend_workers, Suspend, fun() ->
        ep_ct:with_function(resume_workers, Resume, fun() ->
            [100, Seconds] = does(Config, with_suspended_worker, [<<"suspend_workers">>, <<"resume_workers">>, 100]),
            true = Seconds < 10 % one wait of half a second, and not a hundred
        end)
    end).

interrupts(Config) ->
    Ctx = proplists:get_value(ctx, Config),
    Me = self(),
    0 = ep_ct:alive(watched_files),
    none = does(Config, begin_interrupted, []),
    [begin
         Churning = ep_background:start(fun() ->
             py:call(Ctx, selector_churn, interrupted, [Me], #{timeout => infinity})
         end),
         ok = ep_expect:message(<<"churning">>),
         receive after N rem 4 -> ok end,
         ok = py_context:interrupt(Ctx),
         _ = ep_background:result(Churning),
         Known = does(Config, known_after_interrupt, []),
         ok = ep_ct:wait_until(fun() -> ep_ct:alive(watched_files) =:= Known end),
         none = does(Config, no_more_known, [])
     end || N <- lists:seq(1, 200)],
    none = does(Config, end_interrupted, []).

watched_twice(Config) ->
    [<<"FileExistsError">>, 1] = does(Config, watched_twice, []).

%% What is registered for Python outlives versions of its modules.
new_versions(Config) ->
    [begin
         _ = code:purge(Module),
         {module, Module} = code:load_file(Module)
     end || Module <- [py_event_worker, py_output], _ <- [1, 2, 3]],
    3 = does(Config, new_loops, [3]).

%% ---------------------------------------------------------------------------------------------------------------------

workers() ->
    [Pid || {_, Pid, _, _} <- supervisor:which_children(py_event_worker_sup), is_pid(Pid)].

quietly(Config, Function, Args) ->
    ep_quiet:while(fun() -> does(Config, Function, Args) end).

does(Config, Function, Args) ->
    {ok, Result} = py:call(proplists:get_value(ctx, Config), selector_churn, Function, Args, #{timeout => infinity}),
    Result.
