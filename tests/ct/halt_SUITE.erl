%%% @doc The VM halts while Python works: in time, with the exit status that was asked for, and without a word.
-module(halt_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1]).
-export([idle/1, busy_loop/1, asleep/1, in_a_callback/1, queued/1, threads/1, starting/1]).
%% Run in the VM that halts.
-export([prepare/1]).

-define(PATIENCE, 60_000).
-define(PREPARED, <<"prepared\n">>).

suite() -> [{timetrap, {seconds, 300}}].

all() -> [{group, init_stop}, {group, init_stop_3}, {group, halt_3}, {group, halt_without_flush}].

groups() ->
    Cases = [idle, busy_loop, asleep, in_a_callback, queued, threads, starting],
    [{Halt, [], Cases} || Halt <- [init_stop, init_stop_3, halt_3, halt_without_flush]].

init_per_suite(Config) -> Config.
end_per_suite(_Config) -> ok.

idle(Config) -> halts(Config, idle).
busy_loop(Config) -> halts(Config, busy_loop).
asleep(Config) -> halts(Config, asleep).
in_a_callback(Config) -> halts(Config, in_a_callback).
queued(Config) -> halts(Config, queued).
threads(Config) -> halts(Config, threads).
starting(Config) -> halts(Config, starting).

%% ---------------------------------------------------------------------------------------------------------------------
%% The VM that is watched

halts(Config, Activity) ->
    Group = proplists:get_value(name, proplists:get_value(tc_group_properties, Config)),
    {Halt, Status, Outputs} = way(Group),
    Code = io_lib:format("~p:prepare(~p), ~s.", [?MODULE, Activity, Halt]),
    Args = ["-noshell", "-pa", filename:dirname(code:which(?MODULE)),
            "-pa", filename:join(code:lib_dir(erlang_python), "ebin"), "-eval", lists:flatten(Code)],
    Port = open_port({spawn_executable, filename:join([code:root_dir(), "bin", "erl"])},
                     [{args, Args}, {cd, proplists:get_value(priv_dir, Config)}, exit_status, stderr_to_stdout,
                      binary]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    {Status, Output} = outcome(Port, OsPid, <<>>),
    ?assert(lists:member(Output, Outputs), Output).

way(init_stop) -> {"init:stop()", 0, [?PREPARED]};
way(init_stop_3) -> {"init:stop(3)", 3, [?PREPARED]};
way(halt_3) -> {"halt(3)", 3, [?PREPARED]};
way(halt_without_flush) -> {"halt(3, [{flush, false}])", 3, [?PREPARED, <<>>]}.

outcome(Port, OsPid, Output) ->
    receive
        {Port, {data, More}} -> outcome(Port, OsPid, <<Output/binary, More/binary>>);
        {Port, {exit_status, Status}} -> {Status, Output}
    after ?PATIENCE ->
        _ = os:cmd("kill -9 " ++ integer_to_list(OsPid)),
        error({does_not_halt, Output})
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% The VM that halts

-spec prepare(atom()) -> ok.
prepare(Activity) ->
    ok = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value)
     || {Key, Value} <- [{backend, ep_ct:mode()}, {context_mode, ep_ct:context_mode()}]],
    Activity =:= starting orelse start(),
    prepared(Activity),
    io:put_chars(?PREPARED).

start() ->
    {ok, _} = application:ensure_all_started(erlang_python),
    ok = ep_hold:register().

prepared(idle) ->
    {ok, 3} = py:eval(<<"1 + 2">>);
prepared(busy_loop) ->
    ep_background:spinning(ep_fresh_context:start());
prepared(asleep) ->
    ep_background:sleeping(ep_fresh_context:start(), 3600);
prepared(in_a_callback) ->
    hold(ep_fresh_context:start());
prepared(queued) ->
    Ctx = ep_fresh_context:start(),
    ep_background:spinning(Ctx),
    [ep_background:start(fun() -> py:call(Ctx, math, sqrt, [16]) end) || _ <- lists:seq(1, 100)],
    ep_ct:wait_until(fun() -> maps:get(requests, py_nif:counters()) >= 101 end);
prepared(threads) ->
    Ctx = ep_fresh_context:start(),
    {ok, none} = py:call(Ctx, busy, leave_thread_running, [self()]),
    {ok, none} = py:call(Ctx, busy, spin_in_thread, [self()]),
    {ok, none} = py:call(Ctx, busy, leave_executor_running, [self()]),
    {ok, none} = py:call(Ctx, busy, call_in_thread, [self(), hold, [self()]]),
    _ = ep_hold:holder(),
    hold(Ctx);
%% Python may be in the middle of its initialisation.
prepared(starting) ->
    spawn(fun() -> application:ensure_all_started(erlang_python) end).

hold(Ctx) ->
    Me = self(),
    ep_background:start(fun() -> py:call(Ctx, busy, call, [hold, [Me]]) end),
    ep_hold:holder().
