%%% @doc erlang.server: Erlang binds and accepts, loops of contexts serve.
-module(server_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    tcp/1, udp/1, unix_sockets/1, unix_datagrams/1, sockets_of_the_socket_module/1, a_buffered_protocol/1,
    any_way_to_call_it/1, without_a_loop/1, on_a_loop_that_runs_to_serve/1, on_a_loop_of_asyncios/1,
    two_contexts_accept/1, two_contexts_receive/1, ways_to_import_it/1, several_servers/1, a_backlog_is_erlangs/1
]).
-export([
    a_connection_erlang_has_accepted/1, a_connection_erlang_has_made/1, adopted_between_callbacks/1,
    adopted_from_the_socket_module/1, an_adoption_that_is_cancelled/1, adopted_connections_end_with_the_loop/1
]).
-export([
    stopping_lets_connections_go_on/1, stopping_waits_for_connections/1, stopping_aborts_connections/1,
    stopped_twice/1, stopped_before_it_began/1, stopped_when_the_loop_has_ended/1, stopped_where_it_does_not_run/1,
    stopped_udp/1, a_stop_that_nobody_waits_for/1
]).
-export([
    a_peer_that_resets/1, a_peer_that_is_done_early/1, a_server_that_is_done_early/1,
    a_peer_that_sends_one_byte_at_a_time/1, peers_that_give_up_in_the_queue/1,
    a_factory_that_raises/1, a_factory_that_raises_at_once/1, a_connection_made_that_raises/1,
    a_data_received_that_raises/1, a_datagram_received_that_raises/1, an_interrupt_in_a_protocol/1
]).
-export([
    a_loop_stops_with_open_connections/1, a_context_stops_with_open_connections/1,
    a_context_dies_with_open_connections/1, a_protocol_that_does_not_end/1, a_listener_erlang_closes/1,
    a_listener_that_is_shut_down/1, no_file_descriptors_left/1, what_cannot_be_served/1, what_cannot_be_adopted/1,
    what_is_refused_costs_nothing/1, nothing_is_left_behind/1
]).

-define(PATIENCE, 20_000).
-define(LOCALHOST, {127, 0, 0, 1}).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        tcp, udp, unix_sockets, unix_datagrams, sockets_of_the_socket_module, a_buffered_protocol, any_way_to_call_it,
        without_a_loop, on_a_loop_that_runs_to_serve, on_a_loop_of_asyncios, two_contexts_accept, two_contexts_receive,
        ways_to_import_it, several_servers, a_backlog_is_erlangs,
        a_connection_erlang_has_accepted, a_connection_erlang_has_made, adopted_between_callbacks,
        adopted_from_the_socket_module, an_adoption_that_is_cancelled, adopted_connections_end_with_the_loop,
        stopping_lets_connections_go_on, stopping_waits_for_connections, stopping_aborts_connections, stopped_twice,
        stopped_before_it_began, stopped_when_the_loop_has_ended, stopped_where_it_does_not_run, stopped_udp,
        a_stop_that_nobody_waits_for,
        a_peer_that_resets, a_peer_that_is_done_early, a_server_that_is_done_early,
        a_peer_that_sends_one_byte_at_a_time, peers_that_give_up_in_the_queue, a_factory_that_raises,
        a_factory_that_raises_at_once, a_connection_made_that_raises, a_data_received_that_raises,
        a_datagram_received_that_raises, an_interrupt_in_a_protocol,
        a_loop_stops_with_open_connections, a_context_stops_with_open_connections,
        a_context_dies_with_open_connections, a_protocol_that_does_not_end, a_listener_erlang_closes,
        a_listener_that_is_shut_down, no_file_descriptors_left, what_cannot_be_served, what_cannot_be_adopted,
        what_is_refused_costs_nothing, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(Case, Config) ->
    With = ep_fresh_context:init(Case, ep_files:note(Config)),
    ok = py_context:start_loop(ctx(With)),
    {ok, none} = py:call(ctx(With), serving, log_to, [self()]),
    With.

end_per_testcase(nothing_is_left_behind, _Config) ->
    ok;
end_per_testcase(Case, Config) ->
    Ctx = ctx(Config),
    _ = is_process_alive(Ctx) andalso py:call(Ctx, serving, log_to, [none]),
    end_loop(Ctx),
    ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

ctx(Config) -> proplists:get_value(ctx, Config).

end_loop(Ctx) ->
    _ = py_context:stop_loop(Ctx),
    receive {py_loop_exit, Ctx, _} -> ok after 0 -> ok end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Sockets of every kind

tcp(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, []),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    echoes(Socket, binary:copy(<<"long">>, 100_000)),
    gone(Socket, Listening).

udp(Config) ->
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    {ok, Port} = inet:port(Bound),
    {ok, _} = submit_await(Config, start_udp, [fd(Bound)]),
    {ok, Socket} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    [begin
         ok = gen_udp:send(Socket, ?LOCALHOST, Port, Data),
         {ok, {_, Port, Data}} = gen_udp:recv(Socket, 0, ?PATIENCE)
     end || Data <- [<<"one">>, <<"two">>, binary:copy(<<"x">>, 4000)]],
    [ok = gen_udp:close(Each) || Each <- [Socket, Bound]],
    ok.

unix_sockets(Config) ->
    Path = path(),
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ifaddr, {local, Path}}]),
    _ = serving(Config, Listening, []),
    {ok, Socket} = gen_tcp:connect({local, Path}, 0, [binary, {active, false}], ?PATIENCE),
    echoes(Socket, <<"hello">>),
    gone(Socket, Listening),
    ok = file:delete(Path).

unix_datagrams(Config) ->
    [Path, Own] = [path(), path() ++ ".client"],
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ifaddr, {local, Path}}]),
    {ok, Socket} = gen_udp:open(0, [binary, {active, true}, {ifaddr, {local, Own}}]),
    {ok, _} = submit_await(Config, start_udp, [fd(Bound)]),
    ok = gen_udp:send(Socket, {local, Path}, 0, <<"hello">>),
    receive {udp, Socket, _, _, Data} -> <<"hello">> = Data after ?PATIENCE -> ct:fail(no_answer) end,
    [ok = gen_udp:close(Each) || Each <- [Socket, Bound]],
    [ok = file:delete(Each) || Each <- [Path, Own]],
    ok.

sockets_of_the_socket_module(Config) ->
    {ok, Listening} = socket:open(inet, stream, tcp),
    ok = socket:bind(Listening, #{family => inet, addr => ?LOCALHOST, port => 0}),
    ok = socket:listen(Listening),
    {ok, #{port := Port}} = socket:sockname(Listening),
    {ok, Fd} = socket:getopt(Listening, {otp, fd}),
    {ok, _} = submit_await(Config, start_and_wait, [Fd]),
    ok = socket:close(Listening),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    ok = gen_tcp:close(Socket).

a_buffered_protocol(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Buffered">>]),
    Socket = connected(Port),
    echoes(Socket, binary:copy(<<"long">>, 10_000)),
    gone(Socket, Listening).

%% As a task, as a coroutine, and between the callbacks of the loop.
any_way_to_call_it(Config) ->
    {Listening, Port} = listening(),
    Ways = [
        fun(Function, Args) -> submit_await(Config, Function, Args) end,
        fun(Function, Args) -> py:call(ctx(Config), serving, Function, Args) end
    ],
    [begin
         {ok, Name} = Way(start, [fd(Listening)]),
         Socket = connected(Port),
         echoes(Socket, <<"hello">>),
         {ok, _} = Stop(stop, [Name, 0]),
         {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
         ok = gen_tcp:close(Socket)
     end || Way <- Ways, Stop <- [hd(Ways), fun(stop, Args) -> Call = lists:last(Ways), Call(stop_it, Args) end]],
    {ok, Object} = py:call(ctx(Config), serving, start_object, [fd(Listening)], #{return => ref}),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {ok, none} = py:call(ctx(Config), serving, stop_it, [Object, 0]),
    gone(Socket, Listening).

without_a_loop(Config) ->
    {Listening, _} = listening(),
    ep_ct:with_context(fun(Other) ->
        ok = ep_fresh_context:add_sources(Other),
        [_ = ep_expect:python_error('RuntimeError', "py_context:start_loop/1",
                                    py:call(Other, serving, Function, [fd(Listening)]))
         || Function <- [start, adopt]],
        {ok, none} = py:call(Other, serving, log_to, [self()])
    end),
    _ = serving(Config, Listening, []),
    ok = gen_tcp:close(Listening).

on_a_loop_that_runs_to_serve(_Config) ->
    {Listening, Port} = listening(),
    Tester = self(),
    ok = py:register_function(end_of_run, fun([]) -> Tester ! {in_run, self()}, receive go_on -> ok end end),
    ep_ct:with_context(fun(Other) ->
        ok = ep_fresh_context:add_sources(Other),
        Running = ep_background:start(fun() -> py:call(Other, serving, serve_in_run, [fd(Listening), Tester]) end),
        ep_expect:message(<<"serving">>),
        Socket = connected(Port),
        echoes(Socket, <<"hello">>),
        receive {in_run, Pid} -> Pid ! go_on end,
        {ok, <<"ended">>} = ep_background:result(Running),
        {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
        ep_expect:message(<<"made">>),
        ep_expect:message({<<"lost">>, 5, none}),
        gone(Socket, Listening)
    end),
    py:unregister_function(end_of_run).

on_a_loop_of_asyncios(_Config) ->
    {Listening, _} = listening(),
    ep_ct:with_context(fun(Other) ->
        ok = ep_fresh_context:add_sources(Other),
        {ok, <<"hello">>} = py:call(Other, serving, serve_in_asyncio_run, [fd(Listening), self()]),
        ep_expect:message(<<"made">>),
        ep_expect:message({<<"lost">>, 5, none})
    end),
    ok = gen_tcp:close(Listening).

%% The context that has taken the first connection is held, and so the other one has to take the second.
two_contexts_accept(Config) ->
    {Listening, Port} = listening(),
    Tester = self(),
    ok = py:register_function(hold, fun([Thread]) -> Tester ! {held, Thread, self()}, receive go_on -> ok end end),
    with_another_loop(fun(Other) ->
        [{ok, _} = py_context:submit_await(Ctx, serving, start_and_wait, [fd(Listening), <<"Holding">>])
         || Ctx <- [ctx(Config), Other]],
        ok = gen_tcp:close(Listening),
        {Sockets, Held} = lists:unzip([begin
            Socket = connected(Port),
            receive {held, Thread, Holder} -> {Socket, {Thread, Holder}} end
        end || _ <- [1, 2]]),
        [{One, _}, {Two, _}] = Held,
        ?assertNotEqual(One, Two),
        [Holder ! go_on || {_, Holder} <- Held],
        [begin echoes(Socket, <<"hello">>), gen_tcp:close(Socket) end || Socket <- Sockets]
    end),
    py:unregister_function(hold).

%% Every datagram is one context's, whichever it is.
two_contexts_receive(Config) ->
    %% What gen_udp asks for by itself has no room for twenty.
    [Bound, Socket] = [begin
        {ok, Open} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}, {recbuf, 1 bsl 18}]),
        Open
    end || _ <- [1, 2]],
    {ok, Port} = inet:port(Bound),
    with_another_loop(fun(Other) ->
        [{ok, _} = py_context:submit_await(Ctx, serving, start_udp, [fd(Bound)]) || Ctx <- [ctx(Config), Other]],
        ok = gen_udp:close(Bound),
        [begin
             Batch = [integer_to_binary(100 * Round + N) || N <- lists:seq(1, 20)],
             [ok = gen_udp:send(Socket, ?LOCALHOST, Port, Data) || Data <- Batch],
             Received = [begin {ok, {_, Port, Data}} = gen_udp:recv(Socket, 0, ?PATIENCE), Data end || _ <- Batch],
             ?assertEqual(lists:sort(Batch), lists:sort(Received))
         end || Round <- lists:seq(1, 50)],
        {error, timeout} = gen_udp:recv(Socket, 0, 0)
    end),
    ok = gen_udp:close(Socket).

%% In a VM where nobody has yet.
ways_to_import_it(_Config) ->
    ep_ct:with_peer([], fun(Call) ->
        {ok, true} = Call(py, eval, [<<"erlang.server is __import__('sys').modules['erlang.server']">>]),
        ok = Call(py, exec, [<<"
import erlang
import erlang.server as one
from erlang import server as two
assert one is two is erlang.server
assert {'serve', 'adopt', 'stop_serving'} <= set(one.__all__) and 'server' in erlang.__all__
">>])
    end).

several_servers(Config) ->
    Servers = [listening() || _ <- lists:seq(1, 10)],
    Names = [serving(Config, Listening, []) || {Listening, _} <- Servers],
    10 = length(lists:usort(Names)),
    Sockets = [connected(Port) || {_, Port} <- Servers],
    [echoes(Socket, <<"hello">>) || Socket <- Sockets],
    [{ok, _} = submit_await(Config, stop, [Name]) || Name <- lists:nthtail(5, Names)],
    [echoes(Socket, <<"hello">>) || Socket <- Sockets],
    [gone(Socket, Listening) || {Socket, {Listening, _}} <- lists:zip(Sockets, Servers)],
    ok.

%% asyncio would call listen() with one of its own. More connections than that are made before anybody accepts.
a_backlog_is_erlangs(Config) ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 200}]),
    {ok, Port} = inet:port(Listening),
    Tester = self(),
    ok = py:register_function(hold, fun([_]) -> Tester ! {held, self()}, receive go_on -> ok end end),
    _ = serving(Config, Listening, [<<"Holding">>]),
    First = connected(Port),
    receive {held, Holder} -> ok end,
    More = [connected(Port) || _ <- lists:seq(1, 150)],
    ok = py:register_function(hold, fun([_]) -> ok end),
    Holder ! go_on,
    [begin echoes(Socket, <<"hello">>), ok = gen_tcp:close(Socket) end || Socket <- [First | More]],
    ok = gen_tcp:close(Listening),
    py:unregister_function(hold).

%% ---------------------------------------------------------------------------------------------------------------------
%% adopt

a_connection_erlang_has_accepted(Config) ->
    {Listening, Port} = listening(),
    Socket = connected(Port),
    {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
    {ok, [true, true]} = submit_await(Config, adopt_and_wait, [fd(Accepted), self()]),
    ep_expect:message(<<"made">>),
    ok = gen_tcp:close(Accepted),
    echoes(Socket, <<"hello">>),
    gone(Socket, Listening),
    ep_expect:message({<<"lost">>, 5, none}).

a_connection_erlang_has_made(Config) ->
    {Listening, Port} = listening(),
    Made = connected(Port),
    {ok, Socket} = gen_tcp:accept(Listening, ?PATIENCE),
    {ok, <<"a task">>} = submit_await(Config, adopt, [fd(Made)]),
    ok = gen_tcp:close(Made),
    echoes(Socket, <<"hello">>),
    gone(Socket, Listening).

adopted_between_callbacks(Config) ->
    {Listening, Port} = listening(),
    Sockets = [begin
        Socket = connected(Port),
        {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
        {ok, none} = py:call(ctx(Config), serving, adopt, [fd(Accepted), <<"OnLoop">>]),
        ok = gen_tcp:close(Accepted),
        Socket
    end || _ <- lists:seq(1, 20)],
    [begin echoes(Socket, <<"hello">>), ok = gen_tcp:close(Socket) end || Socket <- Sockets],
    ok = gen_tcp:close(Listening).

%% Which makes a socket block before it closes it, and so Python's duplicate, too. More is sent than any buffer takes.
adopted_from_the_socket_module(Config) ->
    {ok, Listening} = socket:open(inet, stream, tcp),
    ok = socket:bind(Listening, #{family => inet, addr => ?LOCALHOST, port => 0}),
    ok = socket:listen(Listening),
    {ok, #{port := Port}} = socket:sockname(Listening),
    Socket = connected(Port),
    {ok, Accepted} = socket:accept(Listening, ?PATIENCE),
    {ok, Fd} = socket:getopt(Accepted, {otp, fd}),
    {ok, _} = submit_await(Config, adopt, [Fd, <<"Flooding">>, 30_000_000]),
    [ok = socket:close(Each) || Each <- [Accepted, Listening]],
    ok = gen_tcp:send(Socket, <<"now">>),
    {ok, 4.0} = py_context:submit_await(ctx(Config), math, sqrt, [16]),
    {ok, Received} = gen_tcp:recv(Socket, 30_000_000, ?PATIENCE),
    30_000_000 = byte_size(Received),
    ok = gen_tcp:close(Socket).

an_adoption_that_is_cancelled(Config) ->
    {Listening, Port} = listening(),
    Socket = connected(Port),
    {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
    {ok, none} = submit_await(Config, adopt_and_cancel, [fd(Accepted)]),
    ok = gen_tcp:close(Accepted),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    gone(Socket, Listening).

adopted_connections_end_with_the_loop(Config) ->
    {Listening, Port} = listening(),
    Socket = connected(Port),
    {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
    {ok, _} = submit_await(Config, adopt, [fd(Accepted), <<"Telling">>, self()]),
    ok = gen_tcp:close(Accepted),
    echoes(Socket, <<"hello">>),
    ep_expect:message(<<"made">>),
    ok = py_context:stop_loop(ctx(Config)),
    ep_expect:message({py_loop_exit, ctx(Config), ok}),
    ep_expect:message({<<"lost">>, 5, none}),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    gone(Socket, Listening).

%% ---------------------------------------------------------------------------------------------------------------------
%% stop_serving

stopping_lets_connections_go_on(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {ok, 1} = py:call(ctx(Config), serving, connections, [Name]),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name]),
    ok = gen_tcp:close(Listening),
    {error, econnrefused} = gen_tcp:connect(?LOCALHOST, Port, [], ?PATIENCE),
    echoes(Socket, <<"still there">>),
    ok = gen_tcp:close(Socket),
    ep_ct:wait_until(fun() -> py:call(ctx(Config), serving, known, [Name]) =:= {ok, false} end).

stopping_waits_for_connections(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {ok, Task} = py_context:submit(ctx(Config), serving, stop, [Name, 30]),
    echoes(Socket, <<"still there">>),
    {error, timeout} = py_event_loop:await(Task, 0),
    {ok, Again} = py_context:submit(ctx(Config), serving, stop, [Name, 30]),
    gone(Socket, Listening),
    {ok, <<"stopped">>} = py_event_loop:await(Again),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name, 30]).

stopping_aborts_connections(Config) ->
    {Listening, Port} = listening(),
    [begin
         Name = serving(Config, Listening, [<<"Telling">>, self()]),
         Sockets = [connected(Port) || _ <- lists:seq(1, 5)],
         [echoes(Socket, <<"hello">>) || Socket <- Sockets],
         [ep_expect:message(<<"made">>) || _ <- Sockets],
         {ok, <<"stopped">>} = submit_await(Config, stop, [Name, Timeout]),
         [ep_expect:message({<<"lost">>, 5, none}) || _ <- Sockets],
         [{error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE) || Socket <- Sockets],
         [ok = gen_tcp:close(Socket) || Socket <- Sockets]
     end || Timeout <- [0, 0.05]],
    ok = gen_tcp:close(Listening).

stopped_twice(Config) ->
    {Listening, _} = listening(),
    Name = serving(Config, Listening, []),
    [{ok, <<"stopped">>} = submit_await(Config, stop, [Name | Timeout]) || Timeout <- [[], [], [0], [5], []]],
    [{ok, none} = py:call(ctx(Config), serving, stop_it, [Name | Timeout]) || Timeout <- [[], [], [0]]],
    ok = gen_tcp:close(Listening).

stopped_before_it_began(Config) ->
    {Listening, Port} = listening(),
    {ok, Name} = py:call(ctx(Config), serving, start_and_stop, [fd(Listening)]),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name, 0]),
    {ok, _} = submit_await(Config, start_and_stop, [fd(Listening)]),
    ok = gen_tcp:close(Listening),
    {error, econnrefused} = gen_tcp:connect(?LOCALHOST, Port, [], ?PATIENCE).

stopped_when_the_loop_has_ended(Config) ->
    {Listening, Port} = listening(),
    Ctx = ctx(Config),
    Name = serving(Config, Listening, []),
    {ok, Object} = py:call(Ctx, serving, start_object, [fd(Listening)], #{return => ref}),
    ok = py_context:stop_loop(Ctx),
    ep_expect:message({py_loop_exit, Ctx, ok}),
    [{ok, none} = py:call(Ctx, serving, stop_it, [Each]) || Each <- [Name, Object, Name, Object]],
    ok = py_context:start_loop(Ctx),
    [{ok, <<"stopped">>} = submit_await(Config, stop, [Each, 0]) || Each <- [Name]],
    ok = gen_tcp:close(Listening),
    {error, econnrefused} = gen_tcp:connect(?LOCALHOST, Port, [], ?PATIENCE).

stopped_where_it_does_not_run(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    with_another_loop(fun(Other) ->
        Wrong = py_context:submit_await(Other, serving, stop, [Name]),
        _ = case ep_cell:isolates() of
            true -> ep_expect:python_error('ValueError', "no server of this interpreter", Wrong);
            false -> ep_expect:python_error('RuntimeError', "loop of another thread", Wrong)
        end
    end),
    [_ = ep_expect:python_error(Error, submit_await(Config, stop, Args))
     || {Error, Args} <- [{'ValueError', [<<"server 1.1">>]}, {'ValueError', [<<>>]}, {'TypeError', [1]},
                          {'TypeError', [none]}, {'TypeError', [Name, soon]}]],
    Socket = connected(Port),
    echoes(Socket, <<"still serving">>),
    gone(Socket, Listening).

stopped_udp(Config) ->
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    {ok, Name} = submit_await(Config, start_udp, [fd(Bound)]),
    Open = ep_files:open(),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name]),
    1 = length(Open -- ep_files:open()),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name, 0]),
    {ok, Again} = py:call(ctx(Config), serving, start_udp, [fd(Bound)]),
    {ok, none} = py:call(ctx(Config), serving, stop_it, [Again]),
    ok = gen_udp:close(Bound).

a_stop_that_nobody_waits_for(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {error, timeout} = py_context:submit_await(ctx(Config), serving, stop, [Name, 60], #{}, 20),
    echoes(Socket, <<"still there">>),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name, 0]),
    gone(Socket, Listening).

%% ---------------------------------------------------------------------------------------------------------------------
%% Peers and protocols that fail

a_peer_that_resets(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Telling">>, self()]),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    ep_expect:message(<<"made">>),
    reset(Socket),
    ep_expect:message({<<"lost">>, 5, <<"ConnectionResetError">>}),
    ok = gen_tcp:close(Listening).

%% What it has sent is answered all the same.
a_peer_that_is_done_early(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Telling">>, self()]),
    Socket = connected(Port),
    ok = gen_tcp:send(Socket, <<"hello">>),
    ok = gen_tcp:shutdown(Socket, write),
    {ok, <<"hello">>} = gen_tcp:recv(Socket, 5, ?PATIENCE),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    ep_expect:message(<<"made">>),
    ep_expect:message({<<"lost">>, 5, none}),
    gone(Socket, Listening).

a_server_that_is_done_early(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Asking">>]),
    Socket = connected(Port),
    ok = gen_tcp:send(Socket, <<"half close">>),
    {ok, <<"that is all">>} = gen_tcp:recv(Socket, 11, ?PATIENCE),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    gone(Socket, Listening).

a_peer_that_sends_one_byte_at_a_time(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, []),
    Socket = connected(Port),
    [echoes(Socket, <<Byte>>) || Byte <- lists:seq(0, 255)],
    gone(Socket, Listening).

%% They are not there any more when they are accepted.
peers_that_give_up_in_the_queue(Config) ->
    {Listening, Port} = listening(),
    [reset(connected(Port)) || _ <- lists:seq(1, 20)],
    [ok = gen_tcp:close(connected(Port)) || _ <- lists:seq(1, 20)],
    {ok, _} = submit_await(Config, start, [fd(Listening)]),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    gone(Socket, Listening).

a_factory_that_raises(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"FailingOnce">>]),
    Refused = connected(Port),
    {error, closed} = gen_tcp:recv(Refused, 1, ?PATIENCE),
    logged("server", "not yet"),
    ok = gen_tcp:close(Refused),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    gone(Socket, Listening).

%% Where there is a caller who can be told.
a_factory_that_raises_at_once(Config) ->
    {Listening, Port} = listening(),
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    Socket = connected(Port),
    {ok, Accepted} = gen_tcp:accept(Listening, ?PATIENCE),
    Calls = [{serve_failing, [fd(Bound), true]}, {adopt_failing, [fd(Accepted)]}],
    Open = ep_files:open(),
    [begin
         _ = ep_expect:python_error('ValueError', "no protocol today", submit_await(Config, Function, Args)),
         _ = ep_expect:python_error('ValueError', "no protocol today", py:call(ctx(Config), serving, Function, Args))
     end || {Function, Args} <- Calls],
    [] = ep_files:open() -- Open,
    ok = gen_tcp:send(Accepted, <<"still mine">>),
    {ok, <<"still mine">>} = gen_tcp:recv(Socket, 10, ?PATIENCE),
    [ok = gen_tcp:close(Each) || Each <- [Accepted, Socket, Listening]],
    ok = gen_udp:close(Bound).

a_connection_made_that_raises(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Failing">>]),
    Socket = connected(Port),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    logged("server", "no connection, please"),
    ok = gen_tcp:close(Socket),
    Adopted = connected(Port),
    {error, closed} = gen_tcp:recv(Adopted, 1, ?PATIENCE),
    logged("server", "no connection, please"),
    gone(Adopted, Listening).

a_data_received_that_raises(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Asking">>]),
    [Unlucky, Other] = [connected(Port) || _ <- [1, 2]],
    echoes(Other, <<"hello">>),
    ok = gen_tcp:send(Unlucky, <<"raise">>),
    {error, closed} = gen_tcp:recv(Unlucky, 1, ?PATIENCE),
    logged("data_received", "told to"),
    ok = gen_tcp:close(Unlucky),
    echoes(Other, <<"hello">>),
    gone(Other, Listening).

a_datagram_received_that_raises(Config) ->
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    {ok, Port} = inet:port(Bound),
    {ok, _} = submit_await(Config, start_udp, [fd(Bound)]),
    {ok, Socket} = gen_udp:open(0, [binary, {active, false}, {ip, ?LOCALHOST}]),
    ok = gen_udp:send(Socket, ?LOCALHOST, Port, <<"raise">>),
    logged("Exception in callback", "told to"),
    ok = gen_udp:send(Socket, ?LOCALHOST, Port, <<"hello">>),
    {ok, {_, Port, <<"hello">>}} = gen_udp:recv(Socket, 0, ?PATIENCE),
    [ok = gen_udp:close(Each) || Each <- [Socket, Bound]],
    ok.

%% It ends what the protocol does, and its connection; the server goes on.
an_interrupt_in_a_protocol(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, [<<"Stubborn">>, self()]),
    [Unlucky, Other] = [connected(Port) || _ <- [1, 2]],
    [echoes(Socket, <<"hello">>) || Socket <- [Unlucky, Other]],
    ok = gen_tcp:close(Unlucky),
    ep_expect:message(<<"running">>),
    ok = py_context:interrupt(ctx(Config)),
    echoes(Other, <<"hello">>),
    ep_ct:wait_until(fun() -> py:call(ctx(Config), serving, connections, [Name]) =:= {ok, 1} end),
    ok = gen_tcp:close(Other),
    ep_expect:message(<<"running">>),
    ok = py_context:interrupt(ctx(Config)),
    ok = gen_tcp:close(Listening).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends. That all files are closed is looked at after each case.

a_loop_stops_with_open_connections(Config) ->
    {Sockets, Listening, _} = open_connections(Config),
    ok = py_context:stop_loop(ctx(Config)),
    ep_expect:message({py_loop_exit, ctx(Config), ok}),
    all_lost(Sockets, Listening).

a_context_stops_with_open_connections(Config) ->
    {Sockets, Listening, _} = open_connections(Config),
    ok = py_context:stop(ctx(Config)),
    ep_expect:message({py_loop_exit, ctx(Config), {error, context_stopped}}),
    all_lost(Sockets, Listening).

a_context_dies_with_open_connections(Config) ->
    {Sockets, Listening, _} = open_connections(Config),
    exit(ctx(Config), kill),
    ep_expect:message({py_loop_exit, ctx(Config), {error, context_stopped}}),
    all_lost(Sockets, Listening).

open_connections(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Telling">>, self()]),
    Sockets = [connected(Port) || _ <- lists:seq(1, 50)],
    [echoes(Socket, <<"hello">>) || Socket <- Sockets],
    [ep_expect:message(<<"made">>) || _ <- Sockets],
    {Sockets, Listening, Port}.

%% What ends a context may hit a protocol first, whose connection then has that as its error.
all_lost(Sockets, Listening) ->
    [receive {<<"lost">>, 5, _} -> ok after ?PATIENCE -> ct:fail(not_lost) end || _ <- Sockets],
    [{error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE) || Socket <- Sockets],
    [ok = gen_tcp:close(Socket) || Socket <- [Listening | Sockets]],
    ok.

a_protocol_that_does_not_end(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, [<<"Stubborn">>, self()]),
    Sockets = [connected(Port) || _ <- [1, 2, 3]],
    [echoes(Socket, <<"hello">>) || Socket <- Sockets],
    ok = py_context:stop_loop(ctx(Config), 50),
    [ep_expect:message(<<"running">>) || _ <- Sockets],
    ep_expect:message({py_loop_exit, ctx(Config), ok}),
    [{error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE) || Socket <- Sockets],
    [ok = gen_tcp:close(Socket) || Socket <- [Listening | Sockets]],
    ok.

%% The socket is Python's as well.
a_listener_erlang_closes(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    ok = gen_tcp:close(Listening),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {ok, _} = submit_await(Config, stop, [Name]),
    {error, econnrefused} = gen_tcp:connect(?LOCALHOST, Port, [], ?PATIENCE),
    echoes(Socket, <<"hello">>),
    ok = gen_tcp:close(Socket).

%% Which the system says whenever it is asked: the server has to stop asking.
a_listener_that_is_shut_down(Config) ->
    {Listening, Port} = listening(),
    Name = serving(Config, Listening, []),
    Socket = connected(Port),
    echoes(Socket, <<"hello">>),
    {ok, none} = py:call(ctx(Config), serving, shut_down, [fd(Listening)]),
    logged("stopped listening", "[Errno 22] Invalid argument"),
    {ok, Turns} = submit_await(Config, turns, [0.1]),
    ?assert(Turns < 10),
    echoes(Socket, <<"still there">>),
    {ok, <<"stopped">>} = submit_await(Config, stop, [Name, 0]),
    gone(Socket, Listening).

no_file_descriptors_left(Config) ->
    {Listening, Port} = listening(),
    _ = serving(Config, Listening, []),
    {ok, none} = py:call(ctx(Config), serving, out_of_files, [0.5]),
    Sockets = [connected(Port) || _ <- [1, 2, 3]],
    logged("out of system resource", "[Errno 24] Too many open files"),
    {ok, Turns} = submit_await(Config, turns, [0.1]),
    ?assert(Turns < 10),
    [echoes(Socket, <<"hello">>) || Socket <- Sockets],
    {ok, none} = py:call(ctx(Config), serving, enough_files, []),
    [ok = gen_tcp:close(Socket) || Socket <- [Listening | Sockets]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Refusals

what_cannot_be_served(Config) ->
    {ok, File} = py:call(ctx(Config), serving, file, []),
    {ok, [One, Two]} = py:call(ctx(Config), serving, pair, []),
    {ok, Sequential} = py:call(ctx(Config), serving, sequential, []),
    {ok, Unconnected} = py:call(ctx(Config), serving, unconnected, []),
    {Listening, _} = listening(),
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}]),
    refused(Config, serve_what, [
        {'OSError', "file descriptor -1 cannot be duplicated: Bad file", [-1, 0]},
        {'OSError', "cannot be duplicated", [1_000_000, 0]},
        {'OSError', "cannot be duplicated", [1 bsl 40, 0]},
        {'OSError', "is not a socket", [File, 0]},
        {'OSError', "is not a socket", [File, 0, true]},
        {'ValueError', "does not listen; see adopt()", [One, 0]},
        {'ValueError', "does not listen; see adopt()", [Unconnected, 0]},
        {'ValueError', "expects a listening stream socket", [Sequential, 0]},
        {'ValueError', "is a datagram socket; serve() expects a listening stream socket, or a datagram socket with udp",
         [fd(Bound), 0]},
        {'ValueError', "is a stream socket; with udp=True a datagram socket is expected", [fd(Listening), 0, true]},
        {'TypeError', "inet:getfd/1", [<<"5">>, 0]},
        {'TypeError', "inet:getfd/1", [5.0, 0]},
        {'TypeError', "inet:getfd/1", [true, 0]},
        {'TypeError', "inet:getfd/1", [none, 0]},
        {'TypeError', "protocol_factory is expected to be a class", [fd(Listening), 1]}
    ]),
    {ok, none} = py:call(ctx(Config), serving, close, [[File, One, Two, Sequential, Unconnected]]),
    ok = gen_tcp:close(Listening),
    ok = gen_udp:close(Bound).

what_cannot_be_adopted(Config) ->
    {ok, File} = py:call(ctx(Config), serving, file, []),
    {ok, Unconnected} = py:call(ctx(Config), serving, unconnected, []),
    {Listening, _} = listening(),
    {ok, Bound} = gen_udp:open(0, [binary, {active, false}]),
    refused(Config, adopt, [
        {'OSError', "cannot be duplicated", [-1]},
        {'OSError', "is not a socket", [File]},
        {'OSError', "is not connected", [Unconnected]},
        {'ValueError', "is a listening socket; serve()", [fd(Listening)]},
        {'ValueError', "is a datagram socket; adopt() expects a stream socket", [fd(Bound)]},
        {'TypeError', "inet:getfd/1", [none]}
    ]),
    {ok, none} = py:call(ctx(Config), serving, close, [[File, Unconnected]]),
    ok = gen_tcp:close(Listening),
    ok = gen_udp:close(Bound).

refused(Config, Function, Cases) ->
    [begin
         _ = ep_expect:python_error(Error, Text, submit_await(Config, Function, Args)),
         _ = ep_expect:python_error(Error, Text, py:call(ctx(Config), serving, Function, Args))
     end || {Error, Text, Args} <- Cases].

what_is_refused_costs_nothing(Config) ->
    {ok, File} = py:call(ctx(Config), serving, file, []),
    {Listening, _} = listening(),
    Open = all_files(),
    [{error, _} = submit_await(Config, Function, Args)
     || _ <- lists:seq(1, 50), {Function, Args} <- [{serve_what, [File, 0]}, {serve_what, [fd(Listening), 0, true]},
                                                    {serve_what, [fd(Listening), 1]}, {adopt, [fd(Listening)]}]],
    ?assert(all_files() =< Open + 2),
    {ok, true} = py:call(ctx(Config), serving, is_open, [File]),
    {ok, none} = py:call(ctx(Config), serving, close, [[File]]),
    ok = gen_tcp:close(Listening).

all_files() ->
    case file:list_dir("/proc/self/fd") of
        {ok, Files} -> length(Files);
        {error, _} -> 0
    end.

%% ---------------------------------------------------------------------------------------------------------------------

listening() ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 128}]),
    {ok, Port} = inet:port(Listening),
    {Listening, Port}.

fd(Socket) ->
    {ok, Fd} = inet:getfd(Socket),
    Fd.

%% The server's name, when it accepts.
serving(Config, Listening, Protocol) ->
    {ok, Name} = submit_await(Config, start_and_wait, [fd(Listening) | Protocol]),
    Name.

connected(Port) ->
    {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
    Socket.

echoes(Socket, Data) ->
    ok = gen_tcp:send(Socket, Data),
    {ok, Data} = gen_tcp:recv(Socket, byte_size(Data), ?PATIENCE),
    ok.

gone(Socket, Listening) ->
    ok = gen_tcp:close(Socket),
    ok = gen_tcp:close(Listening).

reset(Socket) ->
    ok = inet:setopts(Socket, [{linger, {true, 0}}]),
    ok = gen_tcp:close(Socket).

logged(Text, Error) ->
    receive
        {logged, Line, Error1} ->
            ?assertNotEqual(nomatch, string:find(Line, Text)),
            ?assertEqual(unicode:characters_to_binary(Error), Error1)
    after ?PATIENCE -> ct:fail({not_logged, Text})
    end.

with_another_loop(Fun) ->
    ep_ct:with_context(fun(Other) ->
        ok = ep_fresh_context:add_sources(Other),
        ok = py_context:start_loop(Other),
        Fun(Other),
        end_loop(Other)
    end).

submit_await(Config, Function, Args) ->
    py_context:submit_await(ctx(Config), serving, Function, Args).

%% Short: a socket's path may have a hundred characters, and that of the logs may have more.
path() ->
    Path = filename:join(os:getenv("TMPDIR", "/tmp"), "ep_server_" ++ os:getpid()),
    _ = file:delete(Path),
    Path.
