%%% @doc What loops and connections cost while nothing happens: nothing.
-module(idle_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([a_thousand_idle_connections_use_no_cpu/1, nothing_is_left_behind/1]).
%% Called in another VM, which does nothing else.
-export([prepare/0, connect/2, poll/1, cpu_us/1]).

-define(CONNECTIONS, 1000).
-define(WINDOW_MS, 10_000).
%% What starting and connecting have left to do, and the spinning of schedulers, are over by then.
-define(SETTLE_MS, 1000).
%% Somebody who wakes up every 10 ms takes some ten times as much in ten seconds, which is looked at, too.
-define(BOUND_US, 10_000).
%% A machine that others use may disturb a window. Who polls does so in each.
-define(ROUNDS, 3).
-define(LOCALHOST, {127, 0, 0, 1}).

suite() -> [{timetrap, {seconds, 240}}].

all() -> [a_thousand_idle_connections_use_no_cpu, nothing_is_left_behind].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(_Case, Config) -> Config.
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_thousand_idle_connections_use_no_cpu(_Config) ->
    ep_ct:with_peer([], fun(Call) ->
        Contexts = Call(?MODULE, prepare, []),
        Idle = Call(?MODULE, cpu_us, [hd(Contexts)]),
        case Call(?MODULE, connect, [Contexts, ?CONNECTIONS]) of
            {error, emfile} ->
                {skip, "this many connections need more file descriptors than the VM may have: see ulimit -n"};
            ok ->
                compare(Idle, Call, Contexts)
        end
    end).

compare(Idle, Call, [Context | _] = Contexts) ->
    {Connected, Rounds} = quietest(Idle, fun() -> Call(?MODULE, cpu_us, [Context]) end, ?ROUNDS),
    ok = Call(?MODULE, poll, [Contexts]),
    Polling = Call(?MODULE, cpu_us, [Context]),
    ct:pal("microseconds of CPU in ~b ms: ~b with loops, ~b with ~b connections (~b rounds), ~b polling every 10 ms",
           [?WINDOW_MS, Idle, Connected, ?CONNECTIONS, Rounds, Polling]),
    %% The measure is one.
    true = Polling - Idle > 2 * ?BOUND_US,
    true = Connected - Idle < ?BOUND_US,
    ok.

quietest(Idle, Measure, Rounds) ->
    case Measure() of
        Cpu when Cpu - Idle < ?BOUND_US; Rounds =:= 1 -> {Cpu, ?ROUNDS - Rounds + 1};
        _ -> quietest(Idle, Measure, Rounds - 1)
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% In the other VM

%% The loops, of a process that does not end.
-spec prepare() -> [pid()].
prepare() ->
    Self = self(),
    _ = spawn(fun() ->
        Contexts = [ep_fresh_context:start() || _ <- [1, 2]],
        [ok = py_context:start_loop(Context) || Context <- Contexts],
        {ok, 4.0} = py_event_loop:run(math, sqrt, [16]),
        Self ! {contexts, Contexts},
        receive never -> ok end
    end),
    receive {contexts, Contexts} -> Contexts end.

%% Connects to servers on both, and has each connection used once.
-spec connect([pid()], pos_integer()) -> ok | {error, emfile}.
connect(Contexts, Count) ->
    Self = self(),
    _ = spawn(fun() ->
        {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 128}]),
        {ok, Fd} = inet:getfd(Listening),
        [{ok, _} = py_context:submit_await(Context, serving, start_and_wait, [Fd]) || Context <- Contexts],
        {ok, Port} = inet:port(Listening),
        Self ! {connected, connect(Port, Count, [])},
        receive never -> ok end
    end),
    receive {connected, Result} -> Result end.

connect(_Port, 0, _Sockets) ->
    ok;
connect(Port, Left, Sockets) ->
    case gen_tcp:connect(?LOCALHOST, Port, [binary, {active, Left rem 2 =:= 0}]) of
        {ok, Socket} ->
            ok = gen_tcp:send(Socket, <<"hello">>),
            ok = answered(Socket, Left rem 2 =:= 0),
            connect(Port, Left - 1, [Socket | Sockets]);
        {error, _} = Error ->
            Error
    end.

answered(Socket, true) -> receive {tcp, Socket, <<"hello">>} -> ok end;
answered(Socket, false) -> {ok, <<"hello">>} = gen_tcp:recv(Socket, 5), ok.

%% What has to be noticed.
-spec poll([pid()]) -> ok.
poll([Context | _]) ->
    Self = self(),
    _ = spawn(fun() ->
        {ok, _} = py_context:submit(Context, serving, poll, []),
        Self ! polls,
        receive never -> ok end
    end),
    receive polls -> ok end.

%% The CPU time of this VM during a window.
-spec cpu_us(pid()) -> non_neg_integer().
cpu_us(Context) ->
    receive after ?SETTLE_MS -> ok end,
    Before = used_us(Context),
    receive after ?WINDOW_MS -> ok end,
    used_us(Context) - Before.

used_us(Context) ->
    {ok, Microseconds} = py:call(Context, serving, cpu_us, []),
    Microseconds.
