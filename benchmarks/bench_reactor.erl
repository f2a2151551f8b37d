%%% @doc Protocols in Python on connections that the VM watches, beside an echo of plain Erlang: a process that receives
%%% from its socket and sends back. Clients are processes of the same VM.
-module(bench_reactor).

-export([rows/0]).

-define(KIB, 1024).
-define(MANY, 50).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "reactor: echo of 1 KiB", unit => us, reach => {at_most, 40}, setup => fun() -> prepare(1) end,
       floor => fun({Floor, _}) -> one(Floor) end,
       measure => fun({_, Sockets}) -> one(Sockets) end},
     #{name => "reactor: echo of 1 KiB, 50 connections", unit => per_second, setup => fun() -> prepare(?MANY) end,
       floor => fun({Floor, _}) -> many(Floor) end,
       measure => fun({_, Sockets}) -> many(Sockets) end}].

%% Connections whose other ends are plain Erlang's, and those whose other ends are the reactor's.
prepare(Count) ->
    Reactor = reactor(<<"
from erlang import reactor

class Echo(reactor.Protocol):
    def data_received(self, data):
        self.write_buffer.extend(data)
        return 'write_pending'

reactor.set_protocol_factory(Echo)
">>),
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {nodelay, true}]),
    {[connect(Listening, fun served_by_erlang/1) || _ <- lists:seq(1, Count)],
     [connect(Listening, fun(Socket) -> handed_to(Reactor, Socket) end) || _ <- lists:seq(1, Count)]}.

%% It ends when this process does, in peace.
reactor(Code) ->
    Row = self(),
    _ = spawn(fun() ->
        Monitor = monitor(process, Row),
        {ok, Reactor} = py_reactor_context:start_link(bench, bench_vm:context_mode(), #{setup_code => Code}),
        Row ! {reactor, Reactor},
        receive {'DOWN', Monitor, process, Row, _} -> py_reactor_context:stop(Reactor) end
    end),
    receive {reactor, Reactor} -> Reactor end.

connect(Listening, Serve) ->
    {ok, Port} = inet:port(Listening),
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}, {nodelay, true}]),
    {ok, Accepted} = gen_tcp:accept(Listening),
    ok = Serve(Accepted),
    Socket.

served_by_erlang(Socket) ->
    Echo = spawn_link(fun() -> receive begin_now -> echo(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Echo),
    Echo ! begin_now,
    ok.

echo(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Data} -> ok = gen_tcp:send(Socket, Data), echo(Socket);
        {error, closed} -> ok
    end.

handed_to(Reactor, Socket) ->
    {ok, Fd} = inet:getfd(Socket),
    ok = py_reactor_context:handoff(Reactor, Fd, #{type => tcp}),
    gen_tcp:close(Socket).

one([Socket]) ->
    Data = binary:copy(<<"x">>, ?KIB),
    bench_clock:per_call(fun() -> round_trip(Socket, Data) end).

round_trip(Socket, Data) ->
    ok = gen_tcp:send(Socket, Data),
    {ok, Data} = gen_tcp:recv(Socket, ?KIB).

%% One process has them all: it sends to each and then receives from each.
many(Sockets) ->
    Data = binary:copy(<<"x">>, ?KIB),
    Took = bench_clock:per_call(fun() ->
        [ok = gen_tcp:send(Socket, Data) || Socket <- Sockets],
        [{ok, Data} = gen_tcp:recv(Socket, ?KIB) || Socket <- Sockets]
    end),
    length(Sockets) * 1.0e6 / Took.
