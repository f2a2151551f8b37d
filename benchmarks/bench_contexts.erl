%%% @doc What contexts of the mode that is measured cost, and what they do at the same time.
-module(bench_contexts).

-export([rows/0, reference/0]).

-define(IN_TURN, 100).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "start of a context", unit => ms, reach => {at_most, 40},
       measure => fun(_) -> started() end},
     #{name => "100 started and stopped, each adds", unit => kb,
       measure => fun(_) -> added() end},
     #{name => "two busy contexts against one", unit => times, reach => {at_most, 1.05},
       setup => fun two/0, measure => fun two_against_one/1},
     #{name => "two busy plain Pythons against one", unit => times,
       measure => fun(_) -> plain_pythons() end}].

started() ->
    Start = erlang:monotonic_time(microsecond),
    {ok, Context} = new(),
    Took = erlang:monotonic_time(microsecond) - Start,
    ok = py_context:stop(Context),
    ended(),
    Took / 1000.

%% Resident memory, which need not go down at once.
added() ->
    Before = bench_proc:resident(),
    [started() || _ <- lists:seq(1, ?IN_TURN)],
    (bench_proc:resident() - Before) / ?IN_TURN / 1024.

new() ->
    py_context:new(#{mode => bench_vm:context_mode()}).

%% Threads of contexts that were stopped are gone, so that none of them shares the machine with what is measured next.
ended() ->
    #{contexts := Contexts} = py_nif:counters(),
    case Contexts > length(py_context_sup:which_contexts()) of
        true -> timer:sleep(1), ended();
        false -> ok
    end.

two() ->
    [begin
         {ok, Context} = new(),
         busy(Context),
         Context
     end || _ <- [1, 2]].

two_against_one([First, _] = Both) ->
    One = bench_clock:milliseconds(fun() -> busy(First) end),
    Two = bench_clock:milliseconds(fun() -> at_once([fun() -> busy(Context) end || Context <- Both]) end),
    Two / One.

busy(Context) ->
    {ok, _} = py_context:eval(Context, <<"sum(i * i for i in range(3_000_000))">>, #{}, infinity).

%% What the machine gives: processes that share nothing, without Erlang. They say how long they were busy, and start at
%% the same moment.
plain_pythons() ->
    [One] = plain([0]),
    lists:max(plain([0, 0])) / One.

%% @doc The milliseconds that the same takes in one plain Python: what this machine is worth at the moment.
-spec reference() -> float().
reference() ->
    lists:min([hd(plain([0])) || _ <- lists:seq(1, 3)]) * 1000.

plain(Which) ->
    Ports = [open_port({spawn_executable, bench_vm:executable()},
                       [{args, ["-c", code()]}, {line, 100}, exit_status, use_stdio]) || _ <- Which],
    [receive {Port, {data, {eol, "ready"}}} -> ok end || Port <- Ports],
    [port_command(Port, "go\n") || Port <- Ports],
    Took = [receive {Port, {data, {eol, Line}}} -> list_to_float(Line) end || Port <- Ports],
    [receive {Port, {exit_status, 0}} -> ok end || Port <- Ports],
    Took.

code() ->
    "import time; sum(i * i for i in range(300_000)); print('ready', flush=True); input(); "
    "start = time.perf_counter(); sum(i * i for i in range(3_000_000)); print(time.perf_counter() - start)".

at_once(Funs) ->
    Monitors = [spawn_monitor(Fun) || Fun <- Funs],
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Monitors].
