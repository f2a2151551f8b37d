%%% @doc py_reactor_context and erlang.reactor: protocols in Python on file descriptors that the VM watches.
-module(reactor_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    tcp/1, udp_to_whoever_sent/1, connected_udp/1, unix_sockets/1, unix_datagrams/1, packets_in_sequence/1, pipes/1,
    sockets_of_the_socket_module/1, sockets_that_block/1, a_protocol_that_calls_no_base_class/1
]).
-export([
    datagrams_from_nowhere/1, a_receiver_who_has_no_room/1, datagrams_the_protocol_reads/1, datagrams_that_are_over/1,
    errors_that_are_queued/1,
    a_pipe_that_is_made_to_wait/1, a_pipe_nobody_reads/1
]).
-export([
    what_the_protocol_knows/1, it_may_speak_first/1, it_may_close/1, its_peer_may_close/1, a_peer_that_has_said_all/1,
    a_burst_larger_than_the_socket_takes/1, a_thousand_slow_readers/1, while_it_works_nothing_is_read/1
]).
-export([
    an_answer_from_a_thread/1, an_answer_from_asyncio/1, news_for_a_connection_that_reads/1,
    signals_do_not_pile_up/1, closed_by_a_thread/1, coroutines_of_a_protocol/1, tasks_for_its_loop/1,
    threads_that_add_while_it_writes/1, signals_that_come_too_late/1, many_that_ask_erlang/1
]).
-export([
    failures_end_one_connection/1, an_exit_ends_one_connection/1, an_interrupt_ends_one_connection/1,
    factories_that_fail/1, no_factory/1, a_peer_that_resets_is_no_failure/1
]).
-export([
    the_callers_descriptor_stays_his/1, what_cannot_be_handed_over/1, to_what_is_no_reactor/1, as_many_as_allowed/1,
    knocking_at_a_full_house/1, by_a_message/1,
    to_the_one_started_last/1, to_one_that_is_gone/1, from_a_caller_who_dies/1
]).
-export([
    closed_by_its_own_protocol/1, closed_while_a_duplicate_is_open/1, closed_by_somebody_else/1,
    ended_before_it_begins/1, taken_by_a_transport/1, a_slow_end/1, an_interrupted_end/1,
    a_slow_protocol_holds_nobody_up/1,
    stopping_tells_the_protocols/1, an_exit_at_the_end/1, stopping_one_that_is_busy_for_ever/1, killed/1,
    killed_ones_are_forgotten/1, its_loop_is_stopped/1, its_loop_is_killed/1, the_pid_is_a_contexts/1,
    factories_belong_to_an_interpreter/1, under_a_supervisor/1, an_app/1, what_cannot_be_started/1,
    without_the_plugin/1
]).
-export([
    by_hand/1, buffers_are_like_bytes/1, buffers_are_not_copied/1, an_all_python_server/1,
    a_server_without_room/1, nothing_is_left_behind/1
]).
%% For a supervisor, and another VM.
-export([init/1, without/0]).

-define(PATIENCE, 20_000).
-define(LOCALHOST, {127, 0, 0, 1}).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        tcp, udp_to_whoever_sent, connected_udp, unix_sockets, unix_datagrams, packets_in_sequence, pipes,
        sockets_of_the_socket_module, sockets_that_block, a_protocol_that_calls_no_base_class,
        datagrams_from_nowhere, a_receiver_who_has_no_room, datagrams_the_protocol_reads, datagrams_that_are_over,
        errors_that_are_queued, a_pipe_that_is_made_to_wait, a_pipe_nobody_reads,
        what_the_protocol_knows, it_may_speak_first, it_may_close, its_peer_may_close, a_peer_that_has_said_all,
        a_burst_larger_than_the_socket_takes, a_thousand_slow_readers, while_it_works_nothing_is_read,
        an_answer_from_a_thread, an_answer_from_asyncio, news_for_a_connection_that_reads, signals_do_not_pile_up,
        closed_by_a_thread, threads_that_add_while_it_writes, signals_that_come_too_late, many_that_ask_erlang,
        coroutines_of_a_protocol, tasks_for_its_loop,
        failures_end_one_connection, an_exit_ends_one_connection, an_interrupt_ends_one_connection,
        factories_that_fail, no_factory, a_peer_that_resets_is_no_failure,
        the_callers_descriptor_stays_his, what_cannot_be_handed_over, to_what_is_no_reactor, as_many_as_allowed,
        knocking_at_a_full_house, by_a_message,
        to_the_one_started_last, to_one_that_is_gone, from_a_caller_who_dies,
        closed_by_its_own_protocol, closed_while_a_duplicate_is_open, closed_by_somebody_else,
        ended_before_it_begins, taken_by_a_transport, a_slow_end, an_interrupted_end, a_slow_protocol_holds_nobody_up,
        stopping_tells_the_protocols, an_exit_at_the_end, stopping_one_that_is_busy_for_ever, killed,
        killed_ones_are_forgotten, its_loop_is_stopped, its_loop_is_killed,
        the_pid_is_a_contexts,
        factories_belong_to_an_interpreter, under_a_supervisor, an_app, what_cannot_be_started, without_the_plugin,
        by_hand, buffers_are_like_bytes, buffers_are_not_copied, an_all_python_server, a_server_without_room,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) -> Config;
init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).

end_per_testcase(nothing_is_left_behind, _Config) -> ok;
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Descriptors of every kind

tcp(_Config) ->
    with_reactor('Echo', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        echoes(Socket, <<"hello">>),
        echoes(Socket, binary:copy(<<"long">>, 20_000)),
        [echoes(Socket, integer_to_binary(N)) || N <- lists:seq(1, 200)],
        #{active_connections := 1, total_connections := 1, total_requests := Requests} =
            py_reactor_context:stats(Reactor),
        ?assert(Requests >= 202),
        gen_tcp:close(Socket),
        idle(Reactor)
    end).

udp_to_whoever_sent(_Config) ->
    with_reactor('Echo', fun(Reactor) ->
        {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
        {ok, Port} = inet:port(Bound),
        hand_over(Reactor, Bound),
        Clients = [begin
            {ok, Client} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}, {buffer, 70_000}]),
            Client
        end || _ <- [1, 2]],
        [begin
             ok = gen_udp:send(Client, ?LOCALHOST, Port, Data),
             {ok, {_, Port, Answer}} = gen_udp:recv(Client, 0, ?PATIENCE),
             true = Answer =:= Data
         end || Data <- [<<"one">>, <<"two">>, binary:copy(<<"x">>, 60_000)], Client <- Clients],
        [ok = gen_udp:close(Client) || Client <- Clients]
    end).

connected_udp(_Config) ->
    with_reactor('Reading', fun(Reactor) ->
        {ok, Peer} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
        {ok, PeerPort} = inet:port(Peer),
        {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
        ok = gen_udp:connect(Bound, ?LOCALHOST, PeerPort),
        {ok, Port} = inet:port(Bound),
        hand_over(Reactor, Bound),
        Fd = made(),
        [begin
             ok = gen_udp:send(Peer, ?LOCALHOST, Port, Data),
             told(Data)
         end || Data <- [<<"one">>, <<>>, <<"three">>]], % an empty one is no end
        {ok, true} = call(Reactor, push, [Fd, {bytes, <<"unasked">>}]),
        {ok, {_, Port, <<"unasked">>}} = gen_udp:recv(Peer, 0, ?PATIENCE),
        %% Nobody there any more: a datagram gets lost, and that is all.
        ok = gen_udp:close(Peer),
        {ok, true} = call(Reactor, push, [Fd, {bytes, <<"lost">>}]),
        ep_ct:wait_until(fun() -> left_to_write(Reactor, Fd) =:= 0 end),
        %% Nor is it an error that the socket tells of it when the next one is sent.
        {ok, [4, 4, 4, 4, 4]} = py_context:eval(Reactor,
            <<"(lambda p: [p.write(b'lost') for _ in range(5)])(__import__('erlang').reactor.get_protocol(fd))">>,
            #{fd => Fd}),
        #{active_connections := 1} = py_reactor_context:stats(Reactor),
        stopped(Reactor, [Fd])
    end).

unix_sockets(_Config) ->
    with_reactor('Echo', fun(Reactor) ->
        Path = path("stream"),
        {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ifaddr, {local, Path}}]),
        {ok, Socket} = gen_tcp:connect({local, Path}, 0, [binary, {active, false}], ?PATIENCE),
        {ok, Accepted} = gen_tcp:accept(Listening),
        hand_over(Reactor, Accepted),
        echoes(Socket, <<"hello">>),
        [ok = gen_tcp:close(Each) || Each <- [Socket, Listening]],
        ok = file:delete(Path)
    end).

unix_datagrams(_Config) ->
    with_reactor('Echo', fun(Reactor) ->
        [Path, Own] = [path("datagrams"), path("client")],
        {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ifaddr, {local, Path}}]),
        {ok, Socket} = gen_udp:open(0, [binary, {active, true}, {ifaddr, {local, Own}}]),
        hand_over(Reactor, Bound),
        ok = gen_udp:send(Socket, {local, Path}, 0, <<"hello">>),
        receive {udp, Socket, _, _, Data} -> <<"hello">> = Data after ?PATIENCE -> ct:fail(no_answer) end,
        ok = gen_udp:close(Socket),
        [ok = file:delete(Each) || Each <- [Path, Own]]
    end).

packets_in_sequence(Config) ->
    case os:type() of
        {unix, linux} ->
            with_reactor('Telling', fun(Reactor) ->
                {ok, {Ours, Theirs}} = py_call(Config, seqpacket_pair, []),
                ok = py_reactor_context:handoff(Reactor, Ours, #{pid => self()}),
                Fd = made(),
                {ok, <<"packet">>} = py_call(Config, exchange, [Theirs, {bytes, <<"packet">>}, 100]),
                {ok, none} = py_call(Config, close_fds, [Ours, Theirs]),
                lost(Fd)
            end);
        _ ->
            {skip, "unix sockets with packets in sequence are Linux's"}
    end.

pipes(Config) ->
    with_reactor('Pushed', fun(Reactor) ->
        {ok, {Read, Write}} = py_call(Config, make_pipe, []),
        ok = py_reactor_context:handoff(Reactor, Read, #{pid => self()}),
        Reader = made(),
        ok = py_reactor_context:handoff(Reactor, Write, #{pid => self()}),
        Writer = made(),
        {ok, 5} = py_call(Config, write_pipe, [Write, {bytes, <<"first">>}]),
        told(<<"first">>),
        {ok, true} = call(Reactor, push, [Writer, {bytes, <<"second">>}]),
        told(<<"second">>),
        %% More than a pipe holds.
        Much = binary:copy(<<"m">>, 1_000_000),
        {ok, true} = call(Reactor, push, [Writer, {bytes, Much}]),
        ?assertEqual(Much, data(byte_size(Much), [])),
        {ok, none} = py_call(Config, close_fds, [Read, Write]),
        stopped(Reactor, [Reader, Writer])
    end).

sockets_of_the_socket_module(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        {Listening, Port} = listening(),
        {ok, Socket} = socket:open(inet, stream, tcp),
        ok = socket:connect(Socket, #{family => inet, addr => ?LOCALHOST, port => Port}),
        {ok, Accepted} = gen_tcp:accept(Listening),
        {ok, Fd} = socket:getopt(Socket, {otp, fd}),
        ok = py_reactor_context:handoff(Reactor, Fd, #{pid => self()}),
        ok = socket:close(Socket),
        Own = made(),
        echoes(Accepted, <<"hello">>),
        [ok = gen_tcp:close(Each) || Each <- [Accepted, Listening]],
        lost(Own)
    end).

%% Whoever is handed one that blocks is not held up by it.
sockets_that_block(Config) ->
    with_reactor('Burst', fun(Reactor) ->
        {ok, {Ours, Theirs}} = pair(Config),
        ok = py_reactor_context:handoff(Reactor, Ours, #{pid => self()}),
        Fd = made(),
        {ok, _} = py_call(Config, write_pipe, [Theirs, {bytes, <<"3000000">>}]),
        ep_ct:wait_until(fun() -> maps:get(total_requests, py_reactor_context:stats(Reactor)) =:= 1 end),
        {ok, 4} = py_context:eval(Reactor, <<"2 + 2">>), % its thread is free
        drain(Config, Theirs, 3000000),
        {ok, none} = py_call(Config, close_fds, [Ours, Theirs]),
        lost(Fd)
    end).

a_protocol_that_calls_no_base_class(_Config) ->
    with_reactor('Plain', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        [begin
             ok = gen_tcp:send(Socket, <<"PING">>),
             {ok, <<"PONG">>} = gen_tcp:recv(Socket, 4, ?PATIENCE)
         end || _ <- [1, 2, 3]],
        ok = gen_tcp:send(Socket, <<"other">>),
        closed(Socket),
        idle(Reactor)
    end).

%% Anybody may send those; they must not end what others use.
datagrams_from_nowhere(Config) ->
    with_datagrams('Telling', Config, fun(_Reactor, Fd, Path, Client) ->
        not_logged(fun() ->
            {ok, none} = py_call(Config, send_unanswerably, [Path, <<Path/binary, "_gone">>, {bytes, <<"hello">>}]),
            {ok, <<"still there">>} = py_call(Config, ask, [Client, Path, {bytes, <<"still there">>}])
        end),
        receive {lost, Fd} -> ct:fail(lost) after 0 -> ok end
    end).

%% What he is sent is lost. Otherwise everybody would wait for him; and in vain, because to the system there is room.
a_receiver_who_has_no_room(Config) ->
    with_datagrams('Telling', Config, fun(Reactor, _Fd, Path, Client) ->
        Slow = <<Path/binary, "_slow">>,
        {ok, SlowFd} = py_call(Config, bound_datagrams, [Slow]),
        ep_ct:wait_until(fun() ->
            {ok, _} = py_call(Config, send_until_full, [SlowFd, Path, {bytes, <<"hello">>}, 1000]),
            maps:get(total_requests, py_reactor_context:stats(Reactor)) > 700
        end),
        {ok, <<"others">>} = py_call(Config, ask, [Client, Path, {bytes, <<"others">>}]),
        {ok, none} = py_call(Config, close_fds, [SlowFd]),
        ok = file:delete(Slow)
    end).

datagrams_the_protocol_reads(Config) ->
    with_datagrams('Draining', Config, fun(Reactor, _Fd, Path, Client) ->
        %% On its own thread, which reads none before.
        {ok, 3} = call(Reactor, send_until_full, [Client, Path, {bytes, <<"x">>}, 3]),
        {ok, <<"3 x">>} = py_context:eval(ctx(Config),
            <<"(lambda s: s.settimeout(20) or (s.recv(9), s.detach())[0])(__import__('socket').socket(fileno=fd))">>,
            #{fd => Client})
    end).

%% The system says for ever that such a socket can be read.
datagrams_that_are_over(Config) ->
    case os:type() of
        {unix, linux} ->
            with_reactor('Telling', fun(Reactor) ->
                {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
                {ok, Peer} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
                {ok, PeerPort} = inet:port(Peer),
                {ok, Port} = inet:port(Bound),
                ok = gen_udp:connect(Bound, ?LOCALHOST, PeerPort),
                ok = py_reactor_context:handoff(Reactor, fd(Bound), #{pid => self()}),
                Fd = made(),
                {ok, none} = py_call(Config, shut_reading, [fd(Bound)]),
                %% Shutting it down need not wake whoever waits; this does.
                ok = gen_udp:send(Peer, ?LOCALHOST, Port, <<"the last one">>),
                lost(Fd),
                [ok = gen_udp:close(Each) || Each <- [Bound, Peer]]
            end);
        _ ->
            {skip, "how it is told is Linux's"}
    end.

%% A socket that is asked to keep them is ready until somebody has looked at them.
errors_that_are_queued(Config) ->
    case os:type() of
        {unix, linux} ->
            with_reactor('Telling', fun(Reactor) ->
                RecvErr = {raw, 0, 11, <<1:32/native>>}, % IPPROTO_IP, IP_RECVERR
                {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}, RecvErr]),
                {ok, Peer} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
                {ok, PeerPort} = inet:port(Peer),
                ok = gen_udp:close(Peer),
                ok = py_reactor_context:handoff(Reactor, fd(Bound), #{pid => self()}),
                Fd = made(),
                _ = gen_udp:send(Bound, ?LOCALHOST, PeerPort, <<"nobody is there">>),
                ep_ct:wait_until(fun() -> {ok, []} =:= py_call(Config, has_errors, [fd(Bound)]) end),
                #{active_connections := 1} = py_reactor_context:stats(Reactor),
                stopped(Reactor, [Fd]),
                ok = gen_udp:close(Bound)
            end);
        _ ->
            {skip, "the queue is Linux's"}
    end.

%% The flag that it does not is everybody's who has the pipe.
a_pipe_that_is_made_to_wait(Config) ->
    with_reactor('Pushed', fun(Reactor) ->
        {ok, {Read, Write}} = py_call(Config, make_pipe, []),
        ok = py_reactor_context:handoff(Reactor, Write, #{pid => self()}),
        Writer = made(),
        {ok, none} = py_context:eval(ctx(Config), <<"__import__('os').set_blocking(fd, True)">>, #{fd => Write}),
        {ok, true} = call(Reactor, push, [Writer, {bytes, binary:copy(<<"m">>, 1_000_000)}]),
        ep_ct:wait_until(fun() -> left_to_write(Reactor, Writer) < 1_000_000 end),
        ?assert(left_to_write(Reactor, Writer) > 0),
        {ok, none} = py_call(Config, close_fds, [Read, Write]),
        lost(Writer)
    end).

a_pipe_nobody_reads(Config) ->
    with_reactor('Telling', fun(Reactor) ->
        not_logged(fun() ->
            {ok, {Read, Write}} = py_call(Config, make_pipe, []),
            ok = py_reactor_context:handoff(Reactor, Write, #{pid => self()}),
            Writer = made(),
            {ok, none} = py_call(Config, close_fds, [Read, Write]),
            lost(Writer),
            idle(Reactor)
        end)
    end).

with_datagrams(Protocol, Config, Fun) ->
    with_reactor(Protocol, fun(Reactor) ->
        [Path, Own] = [list_to_binary(path(Name)) || Name <- ["datagrams", "client"]],
        {ok, Bound} = py_call(Config, bound_datagrams, [Path]),
        {ok, Client} = py_call(Config, bound_datagrams, [Own]),
        ok = py_reactor_context:handoff(Reactor, Bound, #{pid => self()}),
        Fd = made(),
        Fun(Reactor, Fd, Path, Client),
        {ok, none} = py_call(Config, close_fds, [Bound, Client]),
        [ok = file:delete(Each) || Each <- [Path, Own]],
        stopped(Reactor, [Fd])
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% The life of a connection

what_the_protocol_knows(_Config) ->
    with_reactor('Greeting', fun(Reactor) ->
        [begin
             Socket = tcp_to(Reactor, #{addr => Address, port => 80, type => tcp}),
             Fd = made(),
             Text = <<"['addr', 'port', 'type']127.0.0.1">>,
             {ok, Text} = gen_tcp:recv(Socket, byte_size(Text), ?PATIENCE),
             {ok, true} = py_context:eval(Reactor, <<"
[(p.fd, p.client_info['port'], p.client_info['type'], p.closed)
 for p in [__import__('erlang').reactor.get_protocol(fd)]] == [(number, 80, 'tcp', False)]
">>, #{fd => Fd, number => Fd}),
             gen_tcp:close(Socket),
             lost(Fd)
         end || Address <- [{127, 0, 0, 1}, "127.0.0.1", <<"127.0.0.1">>]]
    end).

it_may_speak_first(_Config) ->
    with_reactor('Greeting', fun(Reactor) ->
        Socket = tcp_to(Reactor, #{}),
        Fd = made(),
        {ok, <<"[]None">>} = gen_tcp:recv(Socket, 6, ?PATIENCE),
        echoes(Socket, <<"then it echoes">>),
        gen_tcp:close(Socket),
        lost(Fd)
    end).

it_may_close(_Config) ->
    with_reactor('Closing', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Socket, <<"now">>),
        {ok, <<"bye now">>} = gen_tcp:recv(Socket, 7, ?PATIENCE),
        closed(Socket),
        lost(Fd),
        idle(Reactor)
    end).

its_peer_may_close(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        [begin
             Socket = tcp_to(Reactor),
             Fd = made(),
             Talk andalso echoes(Socket, <<"something">>),
             ok = gen_tcp:close(Socket),
             lost(Fd)
         end || Talk <- [true, false, true]],
        idle(Reactor)
    end).

a_peer_that_has_said_all(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Socket, <<"a question">>),
        ok = gen_tcp:shutdown(Socket, write),
        {ok, <<"a question">>} = gen_tcp:recv(Socket, 10, ?PATIENCE),
        lost(Fd),
        closed(Socket)
    end).

a_burst_larger_than_the_socket_takes(_Config) ->
    with_reactor('Burst', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        Size = 30_000_000,
        ok = gen_tcp:send(Socket, integer_to_binary(Size)),
        ep_ct:wait_until(fun() -> left_to_write(Reactor, Fd) > 0 end),
        %% Nobody reads, and so nobody writes; the others are served.
        Other = tcp_to(Reactor),
        Fd2 = made(),
        ok = gen_tcp:send(Other, <<"10">>),
        {ok, <<"xxxxxxxxxx">>} = gen_tcp:recv(Other, 10, ?PATIENCE),
        ?assert(left_to_write(Reactor, Fd) > 0),
        drained(Socket, Size),
        0 = left_to_write(Reactor, Fd),
        [ok = gen_tcp:close(Each) || Each <- [Socket, Other]],
        lost([Fd, Fd2])
    end).

a_thousand_slow_readers(_Config) ->
    with_reactor('Burst', #{max_connections => 1000}, fun(Reactor) ->
        {Listening, Port} = listening(),
        Size = 300_000,
        Sockets = [begin
            {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}, {recbuf, 4096}], ?PATIENCE),
            {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
            ok = inet:setopts(Accepted, [{sndbuf, 4096}]),
            hand_over(Reactor, Accepted),
            ok = gen_tcp:send(Socket, integer_to_binary(Size)),
            Socket
        end || _ <- lists:seq(1, 1000)],
        Fds = [made() || _ <- Sockets],
        ep_ct:wait_until(fun() -> maps:get(total_requests, py_reactor_context:stats(Reactor)) =:= 1000 end),
        %% All of them wait for their readers, who now come one after the other.
        [drained(Socket, Size) || Socket <- Sockets],
        [ok = gen_tcp:close(Socket) || Socket <- [Listening | Sockets]],
        lost(Fds),
        #{total_connections := 1000} = py_reactor_context:stats(Reactor),
        idle(Reactor)
    end).

while_it_works_nothing_is_read(Config) ->
    with_reactor('Held', fun(Reactor) ->
        {Gate, Opener, Socket, Fd} = behind_a_gate(Config, Reactor),
        [ok = gen_tcp:send(Socket, <<"2">>) || _ <- lists:seq(1, 100)],
        #{total_requests := 1} = py_reactor_context:stats(Reactor),
        {ok, 2} = py_call(Config, write_pipe, [Opener, {bytes, <<"go">>}]),
        %% The rest is read at once, not piece by piece.
        {ok, <<"1", _:100/binary>>} = gen_tcp:recv(Socket, 101, ?PATIENCE),
        held(),
        #{total_requests := 2} = py_reactor_context:stats(Reactor),
        gen_tcp:close(Socket),
        lost(Fd),
        {ok, none} = py_call(Config, close_fds, [Gate, Opener])
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Other threads

an_answer_from_a_thread(_Config) -> answered_later('FromThread').
an_answer_from_asyncio(_Config) -> answered_later('FromAsyncio').

answered_later(Protocol) ->
    with_reactor(Protocol, fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        [begin
             ok = gen_tcp:send(Socket, <<"question">>),
             {ok, <<"QUESTION">>} = gen_tcp:recv(Socket, 8, ?PATIENCE)
         end || _ <- lists:seq(1, 20)],
        gen_tcp:close(Socket),
        lost(Fd)
    end).

news_for_a_connection_that_reads(_Config) ->
    with_reactor('Pushed', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        [begin
             {ok, true} = call(Reactor, push, [Fd, {bytes, <<"news">>}]),
             {ok, <<"news">>} = gen_tcp:recv(Socket, 4, ?PATIENCE),
             ok = gen_tcp:send(Socket, <<"thanks">>),
             told(<<"thanks">>)
         end || _ <- lists:seq(1, 20)],
        gen_tcp:close(Socket),
        lost(Fd),
        {ok, false} = py_context:eval(Reactor, <<"__import__('erlang').reactor.signal_write_ready(fd)">>, #{fd => Fd})
    end).

signals_do_not_pile_up(_Config) ->
    with_reactor('Counted', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        {ok, true} = call(Reactor, push_many, [Fd, 100]),
        {ok, _} = gen_tcp:recv(Socket, 100, ?PATIENCE),
        {ok, 1} = call(Reactor, writes, [Fd]),
        {ok, true} = call(Reactor, push, [Fd, {bytes, <<"again">>}]),
        {ok, <<"again">>} = gen_tcp:recv(Socket, 5, ?PATIENCE),
        gen_tcp:close(Socket),
        lost(Fd)
    end).

closed_by_a_thread(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        echoes(Socket, <<"hello">>),
        {ok, none} = call(Reactor, close_by_thread, [Fd]),
        lost(Fd),
        closed(Socket),
        idle(Reactor)
    end).

threads_that_add_while_it_writes(_Config) ->
    with_reactor('Growing', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Socket, <<"10000">>),
        drained(Socket, 9_000_000),
        receive {grown, Pieces} -> ?assertEqual(10_000, Pieces) after ?PATIENCE -> ct:fail(not_grown) end,
        gen_tcp:close(Socket),
        lost(Fd)
    end).

%% The number is another's by then, who waits for something else.
signals_that_come_too_late(_Config) ->
    with_reactor('Later', fun(Reactor) ->
        First = tcp_to(Reactor),
        Fd = made(),
        gen_tcp:close(First),
        lost(Fd),
        idle(Reactor),
        Second = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Second, <<"question">>),
        receive {data, <<"question">>} -> ok after ?PATIENCE -> ct:fail(no_data) end,
        {ok, false} = call(Reactor, signal_late, []),
        {ok, true} = py_context:eval(Reactor, <<"__import__('erlang').reactor.close_connection(fd) is None">>,
                                     #{fd => Fd}),
        lost(Fd),
        receive {writable, _} = Late -> ct:fail(Late) after 0 -> ok end,
        gen_tcp:close(Second)
    end).

many_that_ask_erlang(_Config) ->
    ok = py:register_function(reactor_slow, fun([N]) -> receive after 20 -> N end end),
    with_reactor('Calling', #{max_connections => 200}, fun(Reactor) ->
        Sockets = [tcp_to(Reactor) || _ <- lists:seq(1, 200)],
        Fds = [made() || _ <- Sockets],
        [ok = gen_tcp:send(Socket, <<"question">>) || Socket <- Sockets],
        Answers = [gen_tcp:recv(Socket, 1, ?PATIENCE) || Socket <- Sockets],
        ?assertEqual(200, length([ok || {ok, <<"a">>} <- Answers])),
        [gen_tcp:close(Socket) || Socket <- Sockets],
        lost(Fds)
    end),
    ok = py:unregister_function(reactor_slow).

coroutines_of_a_protocol(_Config) -> answered_later('FromCoroutine').

tasks_for_its_loop(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        {error, already_started} = py_context:start_loop(Reactor),
        Tasks = [begin {ok, Task} = py_context:submit(Reactor, asyncio, sleep, [0.01, N]), Task end
                 || N <- lists:seq(1, 10)],
        echoes(Socket, <<"meanwhile">>),
        [{ok, N} = py_event_loop:await(Task, ?PATIENCE) || {N, Task} <- lists:zip(lists:seq(1, 10), Tasks)],
        gen_tcp:close(Socket),
        lost(Fd)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Failures

failures_end_one_connection(_Config) ->
    with_reactor('Failing', fun(Reactor) ->
        Good = tcp_to(Reactor),
        GoodFd = made(),
        [logged([atom_to_binary(Where), <<"RuntimeError: on purpose in ">>, <<"reactors.py">>], fun() ->
             Socket = tcp_to(Reactor, #{fails => Where}),
             Fd = made(),
             %% It may be closed already.
             _ = gen_tcp:send(Socket, <<"hello">>),
             Where =:= connection_lost andalso begin
                 {ok, <<"hello">>} = gen_tcp:recv(Socket, 5, ?PATIENCE),
                 gen_tcp:close(Socket)
             end,
             lost(Fd),
             closed(Socket),
             echoes(Good, <<"unharmed">>)
         end) || Where <- [connection_made, data_received, write_ready, connection_lost]],
        logged([<<"ValueError">>, <<"'no such action'">>], fun() ->
            ends(Reactor, #{fails => action})
        end),
        echoes(Good, <<"unharmed">>),
        gen_tcp:close(Good),
        lost(GoodFd),
        idle(Reactor)
    end).

an_exit_ends_one_connection(_Config) ->
    with_reactor('Failing', fun(Reactor) ->
        Good = tcp_to(Reactor),
        GoodFd = made(),
        logged([<<"SystemExit">>], fun() ->
            ends(Reactor, #{fails => exit})
        end),
        echoes(Good, <<"unharmed">>),
        gen_tcp:close(Good),
        lost(GoodFd)
    end).

an_interrupt_ends_one_connection(_Config) ->
    with_reactor('Endless', fun(Reactor) ->
        Good = tcp_to(Reactor),
        GoodFd = made(),
        logged([<<"interrupted">>], fun() ->
            Socket = tcp_to(Reactor),
            Fd = made(),
            ok = gen_tcp:send(Socket, <<"hello">>),
            held(),
            ok = py_context:interrupt(Reactor),
            lost(Fd),
            closed(Socket)
        end),
        #{active_connections := 1} = py_reactor_context:stats(Reactor),
        gen_tcp:close(Good),
        lost(GoodFd)
    end).

factories_that_fail(_Config) ->
    [with_reactor(Factory, fun(Reactor) ->
         logged(Words, fun() ->
             closed(tcp_to(Reactor)),
             idle(Reactor)
         end)
     end) || {Factory, Words} <- [{failing_factory, [<<"on purpose in the factory">>]},
                                  {wrong_factory, [<<"TypeError">>, <<"erlang.reactor.Protocol">>]}]],
    ok.

no_factory(_Config) ->
    {ok, Reactor} = py_reactor_context:start_link(bare, mode()),
    ok = py_context:exec(Reactor, <<"from erlang import reactor; reactor._factory = None">>),
    logged([<<"set_protocol_factory()">>], fun() ->
        closed(tcp_to(Reactor)),
        idle(Reactor)
    end),
    ok = py_reactor_context:stop(Reactor),
    unlinked(Reactor).

a_peer_that_resets_is_no_failure(_Config) ->
    with_reactor('Burst', fun(Reactor) ->
        not_logged(fun() ->
            Socket = tcp_to(Reactor),
            Fd = made(),
            ok = gen_tcp:send(Socket, <<"30000000">>),
            ep_ct:wait_until(fun() -> left_to_write(Reactor, Fd) > 0 end),
            ok = inet:setopts(Socket, [{linger, {true, 0}}]),
            ok = gen_tcp:close(Socket),
            lost(Fd),
            idle(Reactor)
        end)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Handing over

the_callers_descriptor_stays_his(Config) ->
    with_reactor('Telling', fun(Reactor) ->
        {ok, {Ours, Theirs}} = pair(Config),
        ok = py_reactor_context:handoff(Reactor, Ours, #{pid => self()}),
        Fd = made(),
        ?assert(Fd =/= Ours),
        {ok, none} = call(Reactor, close_by_thread, [Fd]),
        lost(Fd),
        idle(Reactor),
        %% The socket is as it was.
        {ok, 5} = py_call(Config, write_pipe, [Ours, {bytes, <<"still">>}]),
        {ok, <<"still">>} = py_call(Config, exchange, [Theirs, {bytes, <<"x">>}, 10]),
        {ok, none} = py_call(Config, close_fds, [Ours, Theirs])
    end).

what_cannot_be_handed_over(Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Refused = fun(Fd) -> {error, Reason} = py_reactor_context:handoff(Reactor, Fd, #{pid => self()}), Reason end,
        [ebadf = Refused(Fd) || Fd <- [-1, 1_000_000, 1 bsl 31, 1 bsl 70, -(1 bsl 70)]],
        {ok, {Ours, Theirs}} = pair(Config),
        {ok, none} = py_call(Config, close_fds, [Ours, Theirs]),
        ebadf = Refused(Ours),
        {ok, File} = py_call(Config, a_file, [list_to_binary(code:which(?MODULE))]),
        {ok, Directory} = py_call(Config, a_file, [list_to_binary(code:lib_dir(stdlib))]),
        {ok, Listener} = py_call(Config, a_listener, []),
        eperm = Refused(File),
        eperm = Refused(Directory),
        einval = Refused(Listener),
        {ok, none} = py_call(Config, close_fds, [File, Directory, Listener]),
        {ok, Bound} = gen_udp:open(0),
        {error, {'ValueError', _}} = py_reactor_context:handoff(Reactor, fd(Bound), #{has_no_form => [1 | 2]}),
        ok = gen_udp:close(Bound),
        [?assertError(function_clause, py_reactor_context:handoff(Reactor, Fd, Info))
         || {Fd, Info} <- [{a, #{}}, {1.0, #{}}, {0, []}]],
        ?assertError(function_clause, py_reactor_context:handoff(not_a_pid, 0, #{})),
        #{active_connections := 0, total_connections := 0} = py_reactor_context:stats(Reactor)
    end).

to_what_is_no_reactor(Config) ->
    {ok, Bound} = gen_udp:open(0),
    Open = ep_files:open(),
    {error, unknown_request} = py_reactor_context:handoff(ctx(Config), fd(Bound), #{}),
    {error, context_stopped} = py_reactor_context:handoff(self(), fd(Bound), #{}),
    %% At once, and not when this process is next collected.
    ?assertEqual([], ep_files:open() -- Open),
    ok = gen_udp:close(Bound).

%% Whether somebody else has closed one of those that are there is not looked up for everyone who comes.
knocking_at_a_full_house(_Config) ->
    with_reactor('Telling', #{max_connections => 500}, fun(Reactor) ->
        Fds = [begin
            {ok, Bound} = gen_udp:open(0),
            hand_over(Reactor, Bound),
            made()
        end || _ <- lists:seq(1, 500)],
        {ok, Late} = gen_udp:open(0),
        Knock = fun() -> {error, max_connections} = py_reactor_context:handoff(Reactor, fd(Late), #{}) end,
        Knock(),
        {reductions, Before} = process_info(Reactor, reductions),
        [Knock() || _ <- lists:seq(1, 500)],
        {reductions, After} = process_info(Reactor, reductions),
        %% 500 times 500 looks are more.
        ?assert(After - Before < 200_000),
        ok = gen_udp:close(Late),
        stopped(Reactor, Fds)
    end).

as_many_as_allowed(_Config) ->
    with_reactor('Telling', #{max_connections => 2}, fun(Reactor) ->
        #{max_connections := 2} = py_reactor_context:stats(Reactor),
        [A, B] = [tcp_to(Reactor) || _ <- [1, 2]],
        Fds = [made(), made()],
        {Listening, Port} = listening(),
        {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
        {ok, Accepted} = gen_tcp:accept(Listening),
        {error, max_connections} = py_reactor_context:handoff(Reactor, fd(Accepted), #{pid => self()}),
        gen_tcp:close(A),
        ep_ct:wait_until(fun() -> maps:get(active_connections, py_reactor_context:stats(Reactor)) =:= 1 end),
        hand_over(Reactor, Accepted),
        echoes(Socket, <<"after all">>),
        Fd = made(),
        [gen_tcp:close(Each) || Each <- [B, Socket, Listening]],
        lost([Fd | Fds])
    end).

by_a_message(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        {Listening, Port} = listening(),
        {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
        {ok, Accepted} = gen_tcp:accept(Listening),
        Reactor ! {fd_handoff, fd(Accepted), #{pid => self(), addr => "127.0.0.1"}},
        Fd = made(),
        ok = gen_tcp:close(Accepted),
        echoes(Socket, <<"hello">>),
        logged([<<"ebadf">>], fun() -> Reactor ! {fd_handoff, -1, #{}}, #{} = py_reactor_context:stats(Reactor) end),
        Reactor ! anything,
        [gen_tcp:close(Each) || Each <- [Socket, Listening]],
        lost(Fd)
    end).

to_the_one_started_last(_Config) ->
    {error, no_reactor_context} = py_reactor_context:handoff(0, #{}),
    with_reactor('Telling', fun(First) ->
        with_reactor('Telling', fun(Second) ->
            Socket = handed_to_any(),
            Fd = made(),
            #{total_connections := 0} = py_reactor_context:stats(First),
            #{total_connections := 1} = py_reactor_context:stats(Second),
            gen_tcp:close(Socket),
            lost(Fd),
            kill(Second)
        end),
        Socket = handed_to_any(),
        Fd = made(),
        #{total_connections := 1} = py_reactor_context:stats(First),
        gen_tcp:close(Socket),
        lost(Fd)
    end),
    {error, no_reactor_context} = py_reactor_context:handoff(0, #{}),
    ok.

to_one_that_is_gone(_Config) ->
    {ok, Reactor} = py_reactor_context:start_link(1, mode()),
    ok = py_reactor_context:stop(Reactor),
    unlinked(Reactor),
    {Listening, Port} = listening(),
    {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
    {error, context_stopped} = py_reactor_context:handoff(Reactor, fd(Socket), #{}),
    {error, context_stopped} = py_reactor_context:stats(Reactor),
    ok = py_reactor_context:stop(Reactor),
    [ok = gen_tcp:close(Each) || Each <- [Socket, Listening]],
    ok.

from_a_caller_who_dies(Config) ->
    with_reactor('Telling', fun(Reactor) ->
        {ok, {Ours, Theirs}} = pair(Config),
        ok = sys:suspend(Reactor),
        Self = self(),
        {Pid, Monitor} = spawn_monitor(fun() -> py_reactor_context:handoff(Reactor, Ours, #{pid => Self}) end),
        ep_ct:wait_until(fun() -> process_info(Reactor, message_queue_len) >= {message_queue_len, 1} end),
        exit(Pid, kill),
        killed = ep_ct:result({Pid, Monitor}),
        {ok, none} = py_call(Config, close_fds, [Ours]),
        ok = sys:resume(Reactor),
        %% What it handed over is the right one, whatever its number stands for by now.
        Fd = made(),
        {ok, <<"hello">>} = py_call(Config, exchange, [Theirs, {bytes, <<"hello">>}, 10]),
        {ok, none} = py_call(Config, close_fds, [Theirs]),
        lost(Fd)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Under its feet

closed_by_its_own_protocol(_Config) ->
    with_reactor('Pulled', #{max_connections => 1}, fun(Reactor) ->
        logged([<<"ebadf">>], fun() ->
            [begin
                 Socket = tcp_to(Reactor),
                 Fd = made(),
                 ok = gen_tcp:send(Socket, <<"hello">>),
                 lost(Fd),
                 closed(Socket),
                 idle(Reactor)
             end || _ <- lists:seq(1, 5)]
        end)
    end).

%% To the kernel the file is still there, and there is always something to be read of it.
closed_while_a_duplicate_is_open(_Config) ->
    with_reactor('Pulled', fun(Reactor) ->
        logged([<<"ebadf">>], fun() ->
            {Listening, Port} = listening(),
            [{Socket, Accepted}, {Next, NextAccepted}] = [begin
                {ok, Client} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
                {ok, Server} = gen_tcp:accept(Listening, ?PATIENCE),
                {Client, Server}
            end || _ <- [1, 2]],
            ok = py_reactor_context:handoff(Reactor, fd(Accepted), #{pid => self()}),
            Fd = made(),
            ok = gen_tcp:send(Socket, <<"hello">>),
            lost(Fd),
            idle(Reactor),
            ok = gen_tcp:send(Socket, <<"is anybody there?">>),
            sleeps(Reactor),
            %% Who may have its number.
            ok = py_reactor_context:handoff(Reactor, fd(NextAccepted), #{pid => self()}),
            NextFd = made(),
            sleeps(Reactor),
            #{active_connections := 1, total_requests := 1} = py_reactor_context:stats(Reactor),
            [ok = gen_tcp:close(Each) || Each <- [Next, NextAccepted]],
            lost(NextFd),
            [ok = gen_tcp:close(Each) || Each <- [Socket, Accepted, Listening]]
        end)
    end).

sleeps(Reactor) ->
    {ok, Task} = py_context:submit(Reactor, reactors, worked, [0.3]),
    {ok, false} = py_event_loop:await(Task, ?PATIENCE).

%% Python has closed it, and it has another life in asyncio.
taken_by_a_transport(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        {ok, Task} = py_context:submit(Reactor, reactors, taken_by_a_transport, [Fd]),
        {ok, none} = py_event_loop:await(Task, ?PATIENCE),
        lost(Fd),
        closed(Socket),
        idle(Reactor)
    end).

%% What comes meanwhile is nobody's, and its loop does not look for it again and again.
a_slow_end(Config) ->
    with_reactor('Lingering', fun(Reactor) ->
        {ok, {Gate, Opener}} = py_call(Config, make_pipe, []),
        Socket = tcp_to(Reactor, #{gate => Gate}),
        Fd = made(),
        {ok, none} = call(Reactor, close_in_thread, [Fd]),
        held(),
        ok = gen_tcp:send(Socket, <<"is anybody there?">>),
        sleeps(Reactor),
        {ok, 1} = py_call(Config, write_pipe, [Opener, {bytes, <<"1">>}]),
        lost(Fd),
        closed(Socket),
        idle(Reactor),
        {ok, none} = py_call(Config, close_fds, [Gate, Opener])
    end).

an_interrupted_end(_Config) ->
    with_reactor('Interrupting', fun(Reactor) ->
        [begin
             Socket = tcp_to(Reactor),
             Fd = made(),
             echoes(Socket, <<"hello">>),
             ok = gen_tcp:shutdown(Socket, write),
             lost(Fd),
             closed(Socket),
             idle(Reactor)
         end || _ <- [1, 2, 3]]
    end).

%% Handed over while Python was busy, and then it is over.
ended_before_it_begins(Config) ->
    with_reactor('Held', fun(Reactor) ->
        {Gate, Opener, Socket, Fd} = behind_a_gate(Config, Reactor),
        not_logged(fun() ->
            Others = [tcp_to(Reactor) || _ <- [1, 2, 3]],
            #{active_connections := 4} = py_reactor_context:stats(Reactor),
            unlink(Reactor),
            Stopping = ep_background:start(fun() -> py_reactor_context:stop(Reactor) end),
            %% It has asked Python to end them all when it waits.
            ep_ct:wait_until(fun() ->
                [] =:= ets:tab2list(py_reactor_context) andalso {status, waiting} =:= process_info(Reactor, status)
            end),
            {ok, 1} = py_call(Config, write_pipe, [Opener, {bytes, <<"1">>}]),
            ok = ep_background:result(Stopping),
            lost(Fd),
            {ok, <<"1">>} = gen_tcp:recv(Socket, 1, ?PATIENCE),
            [closed(Each) || Each <- [Socket | Others]],
            receive {made, _} = Late -> ct:fail(Late) after 0 -> ok end
        end),
        {ok, none} = py_call(Config, close_fds, [Gate, Opener])
    end).

%% The VM does not say so; the number is the next one's, and whoever watched it must not be confused.
closed_by_somebody_else(Config) ->
    with_reactor('Telling', #{max_connections => 2}, fun(Reactor) ->
        Sockets = [tcp_to(Reactor), tcp_to(Reactor)],
        Fds = [made(), made()],
        [echoes(Socket, <<"hello">>) || Socket <- Sockets],
        {ok, none} = py_call(Config, close_fds, Fds),
        %% Two more take their places, and the numbers that are free.
        Others = [another(Reactor) || _ <- Fds],
        lost(Fds),
        OtherFds = [made(), made()],
        [echoes(Socket, <<"unharmed">>) || Socket <- Others],
        [gen_tcp:close(Socket) || Socket <- Sockets ++ Others],
        lost(OtherFds),
        idle(Reactor)
    end).

a_slow_protocol_holds_nobody_up(Config) ->
    with_reactor('Held', fun(Reactor) ->
        {Gate, Opener, Socket, Fd} = behind_a_gate(Config, Reactor),
        Other = tcp_to(Reactor), % handed over at once
        #{active_connections := 2} = py_reactor_context:stats(Reactor),
        {ok, 1} = py_call(Config, write_pipe, [Opener, {bytes, <<"1">>}]),
        {ok, <<"1">>} = gen_tcp:recv(Socket, 1, ?PATIENCE),
        Fd2 = made(),
        [gen_tcp:close(Each) || Each <- [Socket, Other]],
        lost([Fd, Fd2]),
        {ok, none} = py_call(Config, close_fds, [Gate, Opener])
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Reactor contexts

stopping_tells_the_protocols(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Sockets = [tcp_to(Reactor) || _ <- lists:seq(1, 20)],
        Fds = [made() || _ <- Sockets],
        ok = py_reactor_context:stop(Reactor),
        lost(Fds),
        [closed(Socket) || Socket <- Sockets]
    end).

an_exit_at_the_end(_Config) ->
    with_reactor('Leaving', fun(Reactor) ->
        Sockets = [tcp_to(Reactor) || _ <- lists:seq(1, 5)],
        Fds = [made() || _ <- Sockets],
        logged([<<"SystemExit: on purpose">>], fun() -> ok = py_reactor_context:stop(Reactor) end),
        lost(Fds),
        [closed(Socket) || Socket <- Sockets]
    end).

stopping_one_that_is_busy_for_ever(_Config) ->
    with_reactor('Endless', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Socket, <<"hello">>),
        held(),
        logged([<<"not told">>], fun() -> ok = py_reactor_context:stop(Reactor) end),
        closed(Socket),
        forgotten([Fd])
    end).

killed(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        Sockets = [tcp_to(Reactor) || _ <- lists:seq(1, 80)],
        Fds = [made() || _ <- Sockets],
        kill(Reactor),
        [closed(Socket) || Socket <- Sockets],
        forgotten(Fds)
    end).

killed_ones_are_forgotten(_Config) ->
    [with_reactor('Telling', fun kill/1) || _ <- [1, 2, 3]],
    with_reactor('Telling', fun(Reactor) ->
        [{_, Reactor}] = ets:tab2list(py_reactor_context)
    end).

its_loop_is_stopped(_Config) ->
    without_loop(fun py_context:stop_loop/1).

its_loop_is_killed(_Config) ->
    without_loop(fun(Reactor) ->
        [Process] = [Pid || {_, Pid, _, _} <- supervisor:which_children(py_loop_sup),
                            {monitors, Those} <- [process_info(Pid, monitors)],
                            lists:member({process, Reactor}, Those)],
        exit(Process, kill),
        ok
    end).

%% There is nothing that it could do, so its supervisor is to have another one.
without_loop(End) ->
    with_reactor('Telling', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        unlink(Reactor),
        Monitor = monitor(process, Reactor),
        ok = End(Reactor),
        receive {'DOWN', Monitor, process, _, Reason} -> {shutdown, loop_stopped} = Reason
        after ?PATIENCE -> ct:fail(it_goes_on)
        end,
        lost(Fd),
        closed(Socket)
    end).

the_pid_is_a_contexts(_Config) ->
    with_reactor('Telling', fun(Reactor) ->
        {ok, 3} = py:eval(Reactor, <<"1 + 2">>),
        ok = py:exec(Reactor, <<"
import erlang.reactor as reactor

class Shouting(reactor.Protocol):
    def data_received(self, data):
        self.write_buffer.extend(data.upper())
        return 'write_pending'

reactor.set_protocol_factory(Shouting)
">>),
        Socket = tcp_to(Reactor),
        ok = gen_tcp:send(Socket, <<"hello">>),
        {ok, <<"HELLO">>} = gen_tcp:recv(Socket, 5, ?PATIENCE),
        ?assertEqual(ep_ct:mode() =:= owngil, py_context:is_subinterp(Reactor)),
        {ok, 4.0} = py_context:call(Reactor, math, sqrt, [16]),
        gen_tcp:close(Socket),
        idle(Reactor)
    end).

factories_belong_to_an_interpreter(_Config) ->
    with_reactor('Telling', fun(First) ->
        with_reactor('Closing', fun(Second) ->
            Socket = tcp_to(First),
            Fd = made(),
            Expected = case ep_ct:mode() of
                owngil -> <<"hello">>;
                _ -> <<"bye hello">> % they share one, and the last word counts
            end,
            ok = gen_tcp:send(Socket, <<"hello">>),
            {ok, Expected} = gen_tcp:recv(Socket, byte_size(Expected), ?PATIENCE),
            gen_tcp:close(Socket),
            lost(Fd),
            Other = tcp_to(Second),
            Fd2 = made(),
            ok = gen_tcp:send(Other, <<"hello">>),
            {ok, <<"bye hello">>} = gen_tcp:recv(Other, 9, ?PATIENCE),
            lost(Fd2),
            gen_tcp:close(Other)
        end)
    end).

init(Children) -> {ok, {#{intensity => 10, period => 10}, Children}}.

under_a_supervisor(_Config) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE,
        [py_reactor_context:child_spec(N, mode(), #{setup_code => setup_code('Telling')}) || N <- [1, 2]]),
    Started = [Pid || {_, Pid, _, _} <- supervisor:which_children(Supervisor)],
    [kill(Pid) || Pid <- Started],
    ep_ct:wait_until(fun() ->
        [] =:= [Pid || {_, Pid, _, _} <- supervisor:which_children(Supervisor), not is_pid(Pid) orelse
                       lists:member(Pid, Started)]
    end),
    [begin
         Socket = tcp_to(Pid),
         Fd = made(),
         echoes(Socket, <<"hello">>),
         gen_tcp:close(Socket),
         lost(Fd)
     end || {_, Pid, _, _} <- supervisor:which_children(Supervisor)],
    ok = gen_server:stop(Supervisor),
    unlinked(Supervisor).

an_app(_Config) ->
    with_reactor('App', #{app_module => "reactors", app_callable => an_app}, fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        ok = gen_tcp:send(Socket, <<"abc">>),
        {ok, <<"cba">>} = gen_tcp:recv(Socket, 3, ?PATIENCE),
        gen_tcp:close(Socket),
        lost(Fd)
    end).

what_cannot_be_started(_Config) ->
    Refused = fun(Mode, Options) -> {error, Reason} = py_reactor_context:start_link(1, Mode, Options), Reason end,
    {invalid_mode, none_such} = Refused(none_such, #{}),
    [{invalid_option, Key} = Refused(mode(), #{Key => Value})
     || {Key, Value} <- [{max_connections, 0}, {max_connections, many}, {setup_code, 7}, {app_module, 7},
                         {app_module, <<255>>}, {app_callable, loads}, {unknown, 1}]],
    {setup_failed, {'ValueError', _}} = Refused(mode(), #{setup_code => <<"raise ValueError('on purpose')">>}),
    {setup_failed, {'ModuleNotFoundError', _}} = Refused(mode(), #{app_module => none_such}),
    {setup_failed, {'AttributeError', _}} = Refused(mode(), #{app_module => math, app_callable => none_such}),
    {error, no_reactor_context} = py_reactor_context:handoff(0, #{}),
    ok.

without_the_plugin(_Config) ->
    ep_ct:with_peer([{plugins, []}], fun(Call) -> ok = Call(?MODULE, without, []) end).

without() ->
    Missing = {error, {plugin_not_loaded, reactor}},
    Missing = py_reactor_context:start_link(1, mode()),
    Missing = py_reactor_context:handoff(self(), 0, #{}),
    {error, {'ImportError', Text}} = py:exec(<<"import erlang.reactor">>),
    {_, _} = binary:match(iolist_to_binary(Text), <<"the plugin reactor is not loaded">>),
    {error, {'ImportError', _}} = py:exec(<<"from erlang import reactor">>),
    ok = py:exec(<<"import erlang; erlang.ReactorBuffer; from erlang import *">>),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Python's side

by_hand(Config) ->
    {ok, {0, 0}} = py_call(Config, by_hand, []),
    ok.

buffers_are_like_bytes(Config) ->
    {ok, <<"alike">>} = py_call(Config, buffers, []),
    ok.

buffers_are_not_copied(_Config) ->
    with_reactor('Buffers', fun(Reactor) ->
        Socket = tcp_to(Reactor),
        Fd = made(),
        Data = binary:copy(<<"0123456789">>, 100),
        ok = gen_tcp:send(Socket, Data),
        %% The memory is that of Erlang's binary.
        receive {view, <<"Binary">>, true, 1000} -> ok after ?PATIENCE -> ct:fail(no_view) end,
        gen_tcp:close(Socket),
        lost(Fd),
        idle(Reactor),
        erlang:garbage_collect(Reactor),
        %% A view outlives its connection.
        {ok, Data} = py_context:eval(Reactor, <<"bytes(__import__('reactors').Buffers.kept[0])">>),
        {ok, none} = py_context:eval(Reactor, <<"__import__('reactors').Buffers.kept.clear()">>)
    end).

an_all_python_server(Config) ->
    served(Config, <<"reactor.serve(listener, reactors.Echo)">>).

%% It is not over because there was no room for a while.
a_server_without_room(Config) ->
    served(Config, <<"reactors.serve_without_room(listener, 3)">>).

served(Config, Serving) ->
    ok = py_context:exec(ctx(Config), <<"
import socket, reactors
from erlang import reactor
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen()
">>),
    {ok, Port} = py_context:eval(ctx(Config), <<"listener.getsockname()[1]">>),
    {Pid, Monitor} = spawn_monitor(fun() ->
        exit({result, py_context:exec(ctx(Config), Serving)})
    end),
    Sockets = [begin {ok, S} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}]), S end || _ <- [1, 2, 3]],
    [echoes(Socket, Data) || Data <- [<<"hello">>, binary:copy(<<"long">>, 1_000)], Socket <- Sockets],
    [gen_tcp:close(Socket) || Socket <- tl(Sockets)],
    ok = py_context:interrupt(ctx(Config)),
    {error, interrupted} = ep_ct:result({Pid, Monitor}),
    closed(hd(Sockets)),
    {ok, none} = py_context:eval(ctx(Config), <<"listener.close()">>),
    {ok, {0, 0}} = py_call(Config, protocols, []),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

ctx(Config) -> proplists:get_value(ctx, Config).

mode() -> ep_ct:context_mode().

py_call(Config, Function, Args) -> py_context:call(ctx(Config), reactors, Function, Args).

call(Reactor, Function, Args) -> py_context:call(Reactor, reactors, Function, Args).

setup_code(Factory) ->
    iolist_to_binary([<<"
import sys
folder = '">>, ep_fresh_context:source_dir(), <<"'
folder in sys.path or sys.path.insert(0, folder)
import reactors
from erlang import reactor
reactor.set_protocol_factory(reactors.">>, atom_to_binary(Factory), <<")
">>]).

with_reactor(Factory, Fun) ->
    with_reactor(Factory, #{}, Fun).

with_reactor(Factory, Options, Fun) ->
    {ok, Reactor} = py_reactor_context:start_link(a_test, mode(), Options#{setup_code => setup_code(Factory)}),
    try
        Fun(Reactor)
    after
        py_reactor_context:stop(Reactor),
        unlinked(Reactor)
    end,
    ok.

%% What ends is linked to this process, which Common Test may have trap exits.
unlinked(Pid) ->
    unlink(Pid),
    receive {'EXIT', Pid, _} -> ok after 0 -> ok end.

kill(Pid) ->
    Monitor = monitor(process, Pid),
    unlink(Pid),
    exit(Pid, kill),
    killed = ep_ct:result({Pid, Monitor}),
    ok.

listening() ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 128}]),
    {ok, Port} = inet:port(Listening),
    {Listening, Port}.

fd(Socket) ->
    {ok, Fd} = inet:getfd(Socket),
    Fd.

%% The other end of a connection that a reactor has.
tcp_to(Reactor) ->
    tcp_to(Reactor, #{}).

tcp_to(Reactor, Info) ->
    connection(fun(Accepted) -> py_reactor_context:handoff(Reactor, fd(Accepted), Info#{pid => self()}) end).

handed_to_any() ->
    connection(fun(Accepted) -> py_reactor_context:handoff(fd(Accepted), #{pid => self()}) end).

%% When there may be no room yet.
another(Reactor) ->
    connection(fun(Accepted) ->
        ep_ct:wait_until(fun() ->
            case py_reactor_context:handoff(Reactor, fd(Accepted), #{pid => self()}) of
                ok -> true;
                {error, max_connections} -> false
            end
        end)
    end).

connection(HandOver) ->
    {Listening, Port} = listening(),
    {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
    {ok, Accepted} = gen_tcp:accept(Listening),
    ok = HandOver(Accepted),
    [ok = gen_tcp:close(Each) || Each <- [Accepted, Listening]],
    Socket.

hand_over(Reactor, Socket) ->
    ok = py_reactor_context:handoff(Reactor, fd(Socket), #{pid => self()}),
    ok = inet:close(Socket).

pair(Config) ->
    py_context:eval(ctx(Config), <<"tuple(s.detach() for s in __import__('socket').socketpair())">>).

echoes(Socket, Data) ->
    ok = gen_tcp:send(Socket, Data),
    {ok, Data} = gen_tcp:recv(Socket, byte_size(Data), ?PATIENCE),
    ok.

closed(Socket) ->
    case gen_tcp:recv(Socket, 0, ?PATIENCE) of
        {error, Reason} when Reason =:= closed; Reason =:= econnreset -> gen_tcp:close(Socket)
    end.

drained(_Socket, 0) ->
    ok;
drained(Socket, Left) ->
    {ok, Data} = gen_tcp:recv(Socket, 0, ?PATIENCE),
    drained(Socket, Left - byte_size(Data)).

drain(_Config, _Fd, 0) ->
    ok;
drain(Config, Fd, Left) ->
    {ok, Size} = py_context:eval(ctx(Config), <<"len(__import__('os').read(fd, 65536))">>, #{fd => Fd}),
    drain(Config, Fd, Left - Size).

told(Data) ->
    receive {data, Data} -> ok after ?PATIENCE -> ct:fail(no_data) end.

data(0, Parts) ->
    iolist_to_binary(lists:reverse(Parts));
data(Left, Parts) ->
    receive {data, Part} -> data(Left - byte_size(Part), [Part | Parts]) after ?PATIENCE -> ct:fail(no_data) end.

left_to_write(Reactor, Fd) ->
    {ok, Left} = py_context:eval(Reactor,
        <<"(lambda p: len(p.write_buffer) if p else -1)(__import__('erlang').reactor.get_protocol(fd))">>,
        #{fd => Fd}),
    Left.

made() ->
    receive {made, Fd} -> Fd after ?PATIENCE -> ct:fail(not_made) end.

lost([]) ->
    ok;
lost([_ | _] = Fds) ->
    receive
        {lost, Fd} ->
            ?assert(lists:member(Fd, Fds)),
            lost(lists:delete(Fd, Fds))
    after ?PATIENCE ->
        ct:fail({not_lost, Fds})
    end;
lost(Fd) ->
    lost([Fd]).

stopped(Reactor, Fds) ->
    ok = py_reactor_context:stop(Reactor),
    lost(Fds).

idle(Reactor) ->
    ep_ct:wait_until(fun() -> maps:get(active_connections, py_reactor_context:stats(Reactor)) =:= 0 end).

%% A connection that its protocol ends.
ends(Reactor, Info) ->
    Socket = tcp_to(Reactor, Info),
    Fd = made(),
    ok = gen_tcp:send(Socket, <<"hello">>),
    lost(Fd),
    closed(Socket).

%% A connection whose protocol has been told "1", and works until something is written into the pipe.
behind_a_gate(Config, Reactor) ->
    {ok, {Gate, Opener}} = py_call(Config, make_pipe, []),
    Socket = tcp_to(Reactor, #{gate => Gate}),
    Fd = made(),
    ok = gen_tcp:send(Socket, <<"1">>),
    held(),
    {Gate, Opener, Socket, Fd}.

held() ->
    receive {held} -> ok after ?PATIENCE -> ct:fail(not_held) end.

%% Protocols whose reactor could not tell them hear of it when its loop ends.
forgotten(Fds) ->
    lost(Fds),
    ok = with_reactor('Telling', fun(Next) ->
        ep_ct:wait_until(fun() -> {ok, {0, 0}} =:= call(Next, protocols, []) end)
    end).

%% Maybe a moment after what can be seen of it.
logged(Words, Fun) ->
    with_log(fun(LogSoFar) ->
        _ = Fun(),
        ep_ct:wait_until(fun() ->
            Log = LogSoFar(),
            lists:all(fun(Word) -> binary:match(Log, iolist_to_binary(Word)) =/= nomatch end, Words)
        end)
    end).

not_logged(Fun) ->
    with_log(fun(LogSoFar) ->
        _ = Fun(),
        ?assertEqual(<<>>, LogSoFar())
    end).

with_log(Fun) ->
    Self = self(),
    Collector = spawn_link(fun() -> collect(Self, []) end),
    %% It sees what OTP's default handler shows.
    Filters = [{domain, {fun logger_filters:domain/2, {log, super, [otp, sasl]}}},
               {no_domain, {fun logger_filters:domain/2, {log, undefined, []}}}],
    ok = logger:add_handler(?MODULE, ep_log_to,
                            #{config => #{pid => Collector}, filters => Filters, filter_default => stop, level => error}),
    try
        Fun(fun() -> Collector ! {all, Self}, receive {Collector, Logged} -> Logged end end)
    after
        ok = logger:remove_handler(?MODULE),
        unlink(Collector),
        exit(Collector, kill)
    end.

collect(For, Texts) ->
    receive
        {logged, _, Text} -> collect(For, [Text | Texts]);
        {all, For} -> For ! {self(), iolist_to_binary(lists:reverse(Texts))}, collect(For, Texts)
    end.

path(Name) ->
    Path = filename:join(os:getenv("TMPDIR", "/tmp"), "ep_reactor_" ++ Name ++ "_" ++ os:getpid()),
    _ = file:delete(Path),
    Path.
