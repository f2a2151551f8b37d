%%% @doc Ten thousand connections, opened and closed in every way, on a socket that two contexts serve.
-module(many_connections_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([accepted_by_two_contexts/1, adopted_by_two_contexts/1, nothing_is_left_behind/1]).

-define(CONNECTIONS, 10_000).
-define(CLIENTS, 20).
-define(PATIENCE, 30_000).
-define(LOCALHOST, {127, 0, 0, 1}).

suite() -> [{timetrap, {seconds, 180}}].

all() -> [accepted_by_two_contexts, adopted_by_two_contexts, nothing_is_left_behind].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, ep_files:note(Config)).
end_per_testcase(Case, Config) -> ep_files:finish(ep_fresh_context:finish(Case, Config), Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

accepted_by_two_contexts(Config) ->
    with_loops(Config, fun(Contexts) ->
        {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 128}]),
        {ok, Fd} = inet:getfd(Listening),
        Open = ep_files:open(),
        Servers = [begin
            {ok, Name} = py_context:submit_await(Context, serving, start_and_wait, [Fd, <<"Counted">>]),
            {Context, Name}
        end || Context <- Contexts],
        %% What is made once has been made.
        _ = connect_often(Listening, 100),
        _ = counted(Contexts),
        Objects = objects(Contexts),
        Milliseconds = connect_often(Listening, ?CONNECTIONS),
        %% The others were gone when they could have been accepted.
        Counts = counted(Contexts),
        ct:pal("~b connections in ~b ms: ~p", [?CONNECTIONS, Milliseconds, Counts]),
        ?assert(lists:sum(Counts) >= ?CONNECTIONS * 2 div 3),
        ?assert(lists:min(Counts) > 0),
        %% None is kept for a connection that is over.
        ep_ct:wait_until(fun() -> objects(Contexts) < Objects + ?CONNECTIONS div 10 end),
        [{ok, _} = py_context:submit_await(Context, serving, stop, [Name, 10]) || {Context, Name} <- Servers],
        ep_files:back_to(Open),
        ok = gen_tcp:close(Listening)
    end).

%% Erlang accepts, and each context gets every other connection.
adopted_by_two_contexts(Config) ->
    with_loops(Config, fun(Contexts) ->
        {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, ?LOCALHOST}, {backlog, 128}]),
        Open = ep_files:open(),
        Acceptor = ep_background:start(fun() -> accept(Listening, Contexts) end),
        Milliseconds = connect_often(Listening, ?CONNECTIONS div 5),
        Counts = counted(Contexts),
        ct:pal("~b connections in ~b ms: ~p", [?CONNECTIONS div 5, Milliseconds, Counts]),
        ?assert(lists:min(Counts) >= ?CONNECTIONS div 5 div 3),
        ok = gen_tcp:close(Listening),
        ok = ep_background:result(Acceptor),
        ep_files:back_to(Open)
    end).

accept(Listening, [Next | Others]) ->
    case gen_tcp:accept(Listening) of
        {ok, Socket} ->
            {ok, Fd} = inet:getfd(Socket),
            case py:call(Next, serving, adopt, [Fd, <<"Counted">>]) of
                {ok, none} -> ok;
                %% Its peer is gone already.
                {error, {'OSError', _}} -> ok
            end,
            ok = gen_tcp:close(Socket),
            accept(Listening, Others ++ [Next]);
        {error, closed} ->
            ok
    end.

counted(Contexts) ->
    [begin {ok, Count} = py:call(Context, serving, counted, []), Count end || Context <- Contexts].

objects(Contexts) ->
    lists:sum([begin {ok, Count} = py:call(Context, serving, objects, []), Count end || Context <- Contexts]).

%% With every log that there is coming here, where nothing may come.
with_loops(Config, Fun) ->
    First = proplists:get_value(ctx, Config),
    ok = logger:add_handler(?MODULE, ep_log_to, #{level => warning, config => #{pid => self()}}),
    ep_ct:with_context(fun(Second) ->
        ok = ep_fresh_context:add_sources(Second),
        Contexts = [First, Second],
        [begin
             ok = py_context:start_loop(Context),
             {ok, none} = py:call(Context, serving, log_to, [self()])
         end || Context <- Contexts],
        Fun(Contexts),
        [begin
             {ok, _} = py:call(Context, gc, collect, []),
             {ok, none} = py:call(Context, serving, log_to, [none]),
             ok = py_context:stop_loop(Context),
             ep_expect:message({py_loop_exit, Context, ok})
         end || Context <- Contexts]
    end),
    ok = logger:remove_handler(?MODULE),
    ok = ep_ct:mailbox_empty().

%% A client makes one connection after the other.
connect_often(Listening, Count) ->
    {ok, Port} = inet:port(Listening),
    Begin = erlang:monotonic_time(millisecond),
    Clients = [ep_background:start(fun() -> client(Port, Count div ?CLIENTS) end) || _ <- lists:seq(1, ?CLIENTS)],
    [ok] = lists:usort(ep_background:results(Clients)),
    erlang:monotonic_time(millisecond) - Begin.

client(_Port, 0) ->
    ok;
client(Port, Left) ->
    {ok, Socket} = gen_tcp:connect(?LOCALHOST, Port, [binary, {active, false}], ?PATIENCE),
    ok = use(Left rem 6, Socket),
    client(Port, Left - 1).

%% Closes first, is hung up on, resets, is done early, resets while it is answered, says nothing.
use(0, Socket) ->
    echoes(Socket, <<"hello">>),
    gen_tcp:close(Socket);
use(1, Socket) ->
    echoes(Socket, <<"hang up">>),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    gen_tcp:close(Socket);
use(2, Socket) ->
    echoes(Socket, <<"hello">>),
    reset(Socket);
use(3, Socket) ->
    ok = gen_tcp:send(Socket, <<"hello">>),
    ok = gen_tcp:shutdown(Socket, write),
    {ok, <<"hello">>} = gen_tcp:recv(Socket, 5, ?PATIENCE),
    {error, closed} = gen_tcp:recv(Socket, 1, ?PATIENCE),
    gen_tcp:close(Socket);
use(4, Socket) ->
    ok = gen_tcp:send(Socket, <<"hello">>),
    reset(Socket);
use(5, Socket) ->
    gen_tcp:close(Socket).

echoes(Socket, Data) ->
    ok = gen_tcp:send(Socket, Data),
    {ok, Data} = gen_tcp:recv(Socket, byte_size(Data), ?PATIENCE),
    ok.

reset(Socket) ->
    ok = inet:setopts(Socket, [{linger, {true, 0}}]),
    gen_tcp:close(Socket).
