%%% @doc Sockets on Erlang's event loop: TCP, UDP, Unix sockets, TLS, files; peers in Python and in Erlang, polite and
%%% not.
-module(event_loop_network_SUITE).

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_group/2, end_per_group/2]).
-export([init_per_testcase/2, end_per_testcase/2]).
-export([
    protocols/1, streams/1, a_server_that_is_cancelled/1, many_connections/1, nobody_listens/1,
    a_reader_slower_than_the_writer/1, sendfile/1, plain_sockets/1, udp/1, udp_to_nobody/1, udp_broadcast/1,
    unix_sockets/1, tls/1
]).
-export([
    a_peer_that_sends_one_byte_at_a_time/1, a_peer_that_resets/1, a_peer_that_is_done_early/1,
    many_peers_of_every_kind/1, two_contexts_talk/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() -> ep_selectors:all().

groups() ->
    ep_selectors:groups([
        protocols, streams, a_server_that_is_cancelled, many_connections, nobody_listens,
        a_reader_slower_than_the_writer, sendfile, plain_sockets, udp, udp_to_nobody, udp_broadcast, unix_sockets, tls,
        a_peer_that_sends_one_byte_at_a_time, a_peer_that_resets, a_peer_that_is_done_early,
        many_peers_of_every_kind, two_contexts_talk, nothing_is_left_behind
    ]).

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_group(Selector, Config) -> ep_selectors:init(Selector, Config).
end_per_group(_Selector, Config) -> ep_selectors:finish(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

protocols(Config) ->
    [<<"Hello, World!">>, none, true] = does(Config, protocols, []).

streams(Config) ->
    Lines = [<<"one">>, <<"two">>, binary:copy(<<"three">>, 1000)],
    Lines = does(Config, streams, [Lines]).

a_server_that_is_cancelled(Config) ->
    false = does(Config, serving_until_cancelled, []).

many_connections(Config) ->
    200 = does(Config, many_connections, [200]).

nobody_listens(Config) ->
    <<"ConnectionRefusedError">> = does(Config, nobody_listens, []).

a_reader_slower_than_the_writer(Config) ->
    [true, <<"paused">>] = does(Config, large, [32_000_000]).

sendfile(Config) ->
    true = does(Config, with_a_file, [5_000_000]).

plain_sockets(Config) ->
    <<"gnip">> = does(Config, plain_sockets, []).

udp(Config) ->
    [[<<"one">>, <<"two">>] = does(Config, udp, [Connected]) || Connected <- [true, false]].

udp_to_nobody(Config) ->
    <<"ConnectionRefusedError">> = does(Config, udp_to_nobody, []).

udp_broadcast(Config) ->
    [[true, false], <<"everybody">>] = does(Config, udp_broadcast, []).

unix_sockets(Config) ->
    [<<"here\n">>, true, <<"precious">>] = does(Config, unix_sockets, []).

tls(Config) ->
    case os:find_executable("openssl") of
        false ->
            {skip, "there is no openssl to make a certificate with"};
        _ ->
            {Certificate, Key} = certificate(proplists:get_value(priv_dir, Config)),
            [true, <<"TLSv1.", _>>] = does(Config, tls, [Certificate, Key, 1_000_000]),
            <<"SSLCertVerificationError">> = does(Config, tls_with_somebody_else, [Certificate, Key])
    end.

certificate(Dir) ->
    [Certificate, Key] = [filename:join(Dir, Name) || Name <- ["certificate.pem", "key.pem"]],
    _ = os:cmd(lists:join(" ", [
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost",
        "-keyout", Key, "-out", Certificate
    ])),
    true = filelib:is_regular(Certificate),
    {unicode:characters_to_binary(Certificate), unicode:characters_to_binary(Key)}.

%% ---------------------------------------------------------------------------------------------------------------------
%% Peers in Erlang

a_peer_that_sends_one_byte_at_a_time(Config) ->
    {Echo, Socket} = connected(Config, echo_at),
    [begin
         ok = gen_tcp:send(Socket, <<Byte>>),
         {ok, <<Byte>>} = gen_tcp:recv(Socket, 1, 20_000)
     end || Byte <- lists:seq(0, 255)],
    ok = gen_tcp:shutdown(Socket, write),
    {error, closed} = gen_tcp:recv(Socket, 1, 20_000),
    ok = gen_tcp:close(Socket),
    {ok, [256, <<"eof">>]} = ep_background:result(Echo).

a_peer_that_resets(Config) ->
    {Echo, Socket} = connected(Config, echo_at),
    ok = gen_tcp:send(Socket, <<"x">>),
    {ok, <<"x">>} = gen_tcp:recv(Socket, 1, 20_000),
    reset(Socket),
    {ok, [1, <<"ConnectionResetError">>]} = ep_background:result(Echo).

a_peer_that_is_done_early(Config) ->
    {Python, Socket} = connected(Config, half_close),
    {ok, <<"that is all">>} = gen_tcp:recv(Socket, 11, 20_000),
    {error, closed} = gen_tcp:recv(Socket, 1, 20_000),
    ok = gen_tcp:send(Socket, <<"heard">>),
    ok = gen_tcp:close(Socket),
    {ok, <<"heard">>} = ep_background:result(Python).

many_peers_of_every_kind(Config) ->
    Me = self(),
    Kinds = [Kind || _ <- lists:seq(1, 10), Kind <- [polite, silent, resetting]],
    Server = ep_background:start(fun() ->
        py:call(ctx(Config), loop_network, serve_connections, [Me, length(Kinds)])
    end),
    Port = receive {port, P} -> P after 20_000 -> ct:fail(no_server) end,
    Peers = [ep_background:start(fun() -> peer(Kind, Port) end) || Kind <- Kinds],
    _ = ep_background:results(Peers),
    {ok, Seen} = ep_background:result(Server),
    30 = length(Seen),
    10 = length([polite || {5, <<"eof">>} <- Seen]),
    10 = length([silent || {0, <<"eof">>} <- Seen]),
    10 = length([resetting || {_, <<"Connection", _/binary>>} <- Seen]).

peer(Kind, Port) ->
    {ok, Socket} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    case Kind of
        polite ->
            ok = gen_tcp:send(Socket, <<"hello">>),
            {ok, <<"hello">>} = gen_tcp:recv(Socket, 5, 20_000),
            ok = gen_tcp:close(Socket);
        silent ->
            ok = gen_tcp:close(Socket);
        resetting ->
            ok = gen_tcp:send(Socket, <<"hello">>),
            {ok, <<"hello">>} = gen_tcp:recv(Socket, 5, 20_000),
            reset(Socket)
    end.

two_contexts_talk(Config) ->
    Me = self(),
    ep_ct:with_context(fun(Other) ->
        ok = ep_fresh_context:add_sources(Other),
        Server = ep_background:start(fun() -> py:call(Other, loop_network, serve_connections, [Me, 1]) end),
        Port = receive {port, P} -> P after 20_000 -> ct:fail(no_server) end,
        <<"that is all">> = does(Config, half_close, [Port]),
        {ok, [{11, <<"eof">>}]} = ep_background:result(Server)
    end).

%% A function of Python's that runs, and the connection it has made.
connected(Config, Function) ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {exit_on_close, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listening),
    Running = ep_background:start(fun() -> py:call(ctx(Config), loop_network, Function, [Port]) end),
    {ok, Socket} = gen_tcp:accept(Listening, 20_000),
    ok = gen_tcp:close(Listening),
    {Running, Socket}.

reset(Socket) ->
    ok = inet:setopts(Socket, [{linger, {true, 0}}]),
    ok = gen_tcp:close(Socket).

%% ---------------------------------------------------------------------------------------------------------------------

does(Config, Function, Args) ->
    {ok, Result} = py:call(ctx(Config), loop_network, Function, Args),
    Result.

ctx(Config) -> proplists:get_value(ctx, Config).
