%%% @doc Asks the server of examples/asgi what a browser would, and what it should not. Ends the VM with the outcome.
-module(asgi_check).

-export([main/0]).

-define(PATIENCE, 20_000).

-spec main() -> no_return().
main() ->
    {Pid, Monitor} = spawn_monitor(fun run/0),
    receive
        {'DOWN', Monitor, process, Pid, normal} -> halt(0);
        {'DOWN', Monitor, process, Pid, Reason} -> io:format("~tp~n", [Reason]), halt(1)
    after 100_000 ->
        io:format("hangs: ~tp~n", [process_info(Pid, current_stacktrace)]),
        halt(1)
    end.

run() ->
    Port = start(),
    Checks = [
        fun says_hello/1, fun keeps_connections/1, fun answers_in_order/1, fun echoes/1, fun closes_when_told/1,
        fun serves_on_two_threads/1, fun refuses_what_it_does_not_understand/1, fun answers_what_is_not_there/1
    ],
    [begin
         {name, Name} = erlang:fun_info(Check, name),
         io:format("~s~n", [Name]),
         Check(Port)
     end || Check <- Checks].

%% As web:main/1 does, on a free port.
start() ->
    ok = application:load(erlang_python),
    Here = filename:dirname(proplists:get_value(source, web:module_info(compile))),
    ok = application:set_env(erlang_python, paths, [Here]),
    {ok, _} = application:ensure_all_started(erlang_python),
    io:format("Python ~s, owngil: ~p~n", [element(2, py:version()), py_nif:owngil_supported()]),
    {ok, Port} = web:start(0),
    Port.

says_hello(Port) ->
    <<"HTTP/1.1 200 OK\r\n", Rest/binary>> = one(Port, <<"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n">>),
    [Head, <<"hello from thread ", _/binary>>] = binary:split(Rest, <<"\r\n\r\n">>),
    has(Head, <<"content-type: text/plain">>),
    has(Head, <<"connection: close">>).

keeps_connections(Port) ->
    Socket = connect(Port),
    Bodies = [begin
        ok = gen_tcp:send(Socket, <<"GET / HTTP/1.1\r\nHost: x\r\n\r\n">>),
        response(Socket)
    end || _ <- [1, 2, 3]],
    [{200, <<"hello from thread ", _/binary>>}] = lists:usort(Bodies),
    ok = gen_tcp:close(Socket).

%% Requests that are sent without waiting.
answers_in_order(Port) ->
    Socket = connect(Port),
    ok = gen_tcp:send(Socket, <<"GET /x HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\n"
                                "GET /x HTTP/1.1\r\n\r\n">>),
    {404, _} = response(Socket),
    {200, <<"hello", _/binary>>} = response(Socket),
    {200, _} = head(Socket),
    {404, _} = response(Socket),
    ok = gen_tcp:close(Socket).

%% By chunks, and byte by byte.
echoes(Port) ->
    Socket = connect(Port),
    [begin
         Head = io_lib:format("POST /echo?a=b HTTP/1.1\r\nContent-Length: ~b\r\n\r\n", [byte_size(Body)]),
         ok = gen_tcp:send(Socket, [Head, Body]),
         {200, Headers} = head(Socket),
         has(Headers, <<"transfer-encoding: chunked">>),
         Body = chunks(Socket, <<>>)
     end || Body <- [<<"hello">>, <<>>, binary:copy(<<"long">>, 100_000)]],
    [ok = gen_tcp:send(Socket, [Byte]) || Byte <- "POST /echo HTTP/1.1\r\ncontent-length: 2\r\n\r\nok"],
    {200, _} = head(Socket),
    <<"ok">> = chunks(Socket, <<>>),
    ok = gen_tcp:close(Socket).

closes_when_told(Port) ->
    <<"HTTP/1.1 200 OK\r\n", _/binary>> = one(Port, <<"GET / HTTP/1.0\r\n\r\n">>),
    %% A body nobody reads.
    <<"HTTP/1.1 404 ", _/binary>> = one(Port, <<"POST /x HTTP/1.1\r\nContent-Length: 9\r\n\r\n">>).

%% Connections that wait at once: sooner or later each thread has had one.
serves_on_two_threads(Port) -> serves_on_two_threads(Port, []).

serves_on_two_threads(_Port, [_, _]) ->
    ok;
serves_on_two_threads(Port, Threads) ->
    Sockets = [connect(Port) || _ <- lists:seq(1, 10)],
    [ok = gen_tcp:send(Socket, <<"GET / HTTP/1.1\r\n\r\n">>) || Socket <- Sockets],
    New = [Body || Socket <- Sockets, {200, Body} <- [response(Socket)]],
    [ok = gen_tcp:close(Socket) || Socket <- Sockets],
    serves_on_two_threads(Port, lists:usort(New ++ Threads)).

refuses_what_it_does_not_understand(Port) ->
    [<<"HTTP/1.1 400 Bad Request\r\n", _/binary>> = one(Port, Request)
     || Request <- [<<"hello\r\n\r\n">>, <<"GET / HTTP/3\r\n\r\n">>, <<"GET  / HTTP/1.1\r\n\r\n">>,
                    <<"GET / HTTP/1.1\r\nno field\r\n\r\n">>,
                    <<"POST /echo HTTP/1.1\r\nContent-Length: some\r\n\r\n">>,
                    <<"POST /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n">>,
                    <<"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n">>]],
    <<"HTTP/1.1 501 Not Implemented\r\n", _/binary>> =
        one(Port, <<"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n">>),
    %% One byte too many, of which it has read all; the answer to more may be lost behind what it has not read.
    <<"HTTP/1.1 431 ", _/binary>> = one(Port, binary:copy(<<"x">>, 65_540)),
    _ = one(Port, binary:copy(<<"x">>, 100_000)),
    ok.

answers_what_is_not_there(Port) ->
    <<"HTTP/1.1 404 Not Found\r\n", _/binary>> = one(Port, <<"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n">>).

%% ---------------------------------------------------------------------------------------------------------------------

connect(Port) ->
    {ok, Socket} = gen_tcp:connect("localhost", Port, [binary, {active, false}, inet], ?PATIENCE),
    Socket.

%% All that comes until the server closes.
one(Port, Request) ->
    Socket = connect(Port),
    ok = gen_tcp:send(Socket, Request),
    Answer = all(Socket, <<>>),
    ok = gen_tcp:close(Socket),
    Answer.

all(Socket, Before) ->
    case gen_tcp:recv(Socket, 0, ?PATIENCE) of
        {ok, Data} -> all(Socket, <<Before/binary, Data/binary>>);
        {error, Closed} when Closed =:= closed; Closed =:= econnreset -> Before
    end.

response(Socket) ->
    {Status, Headers} = head(Socket),
    {match, [Length]} = re:run(Headers, "content-length: ([0-9]+)", [{capture, all_but_first, binary}]),
    {ok, Body} = gen_tcp:recv(Socket, binary_to_integer(Length), ?PATIENCE),
    {Status, Body}.

head(Socket) ->
    ok = inet:setopts(Socket, [{packet, line}]),
    <<"HTTP/1.1 ", Status:3/binary, " ", _/binary>> = line(Socket),
    Headers = headers(Socket, <<>>),
    ok = inet:setopts(Socket, [{packet, raw}]),
    {binary_to_integer(Status), Headers}.

headers(Socket, Before) ->
    case line(Socket) of
        <<"\r\n">> -> Before;
        Line -> headers(Socket, <<Before/binary, Line/binary>>)
    end.

chunks(Socket, Before) ->
    ok = inet:setopts(Socket, [{packet, line}]),
    Size = binary_to_integer(string:trim(line(Socket)), 16),
    ok = inet:setopts(Socket, [{packet, raw}]),
    {ok, Chunk} = gen_tcp:recv(Socket, Size + 2, ?PATIENCE),
    case Size of
        0 -> Before;
        _ -> chunks(Socket, <<Before/binary, Chunk:Size/binary>>)
    end.

line(Socket) ->
    {ok, Line} = gen_tcp:recv(Socket, 0, ?PATIENCE),
    Line.

has(Headers, Header) ->
    {_, _} = binary:match(Headers, Header),
    ok.
