%%% @doc Functions that run in a process of their own while a test does something to them.
%%%
%%% Every one of them proves, when its result is taken, that nothing was left in its mailbox.
-module(ep_background).

-export([start/1, spinning/1, sleeping/2, pid/1, result/1, results/1, kill/1, kill_all/0]).

-export_type([running/0]).

%% Far beyond what a loaded machine needs, and short enough that a hang ends a suite with a stack trace.
-define(PATIENCE, 30_000).

%% What the calling process has started and not seen the end of.
-define(STARTED, {?MODULE, started}).

-opaque running() :: {pid(), reference()}.

-spec start(fun(() -> term())) -> running().
start(Fun) ->
    Running = spawn_monitor(fun() ->
        Result = Fun(),
        {messages, Left} = process_info(self(), messages),
        exit({result, Result, Left})
    end),
    put(?STARTED, [Running | started()]),
    Running.

%% A call whose Python code runs when this returns, and never ends by itself.
-spec spinning(pid()) -> running().
spinning(Ctx) -> calling(Ctx, spin, []).

%% A call whose Python code is in a C function for so many seconds.
-spec sleeping(pid(), number()) -> running().
sleeping(Ctx, Seconds) -> calling(Ctx, sleep, [Seconds]).

calling(Ctx, Function, Args) ->
    Tester = self(),
    Running = start(fun() -> py:call(Ctx, busy, Function, [Tester | Args]) end),
    ep_expect:message(<<"running">>),
    Running.

-spec pid(running()) -> pid().
pid({Pid, _Monitor}) -> Pid.

%% What the function returned; an error when it died, hangs or left something in its mailbox.
-spec result(running()) -> term().
result({Pid, Monitor} = Running) ->
    put(?STARTED, lists:delete(Running, started())),
    receive
        {'DOWN', Monitor, process, Pid, {result, Result, []}} -> Result;
        {'DOWN', Monitor, process, Pid, {result, Result, Left}} -> error({left_in_mailbox, Left, Result});
        {'DOWN', Monitor, process, Pid, Reason} -> error({died, Reason})
    after ?PATIENCE ->
        error({hangs, process_info(Pid, [current_stacktrace, messages])})
    end.

-spec results([running()]) -> [term()].
results(Running) -> [result(One) || One <- Running].

%% Kills the process and returns when it is dead.
-spec kill(running()) -> ok.
kill({Pid, Monitor} = Running) ->
    put(?STARTED, lists:delete(Running, started())),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _Reason} -> ok end.

%% For the end of a case that failed: what it started has not been waited for.
-spec kill_all() -> ok.
kill_all() -> lists:foreach(fun kill/1, started()).

started() ->
    case get(?STARTED) of
        undefined -> [];
        Started -> Started
    end.
