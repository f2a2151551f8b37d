%%% @doc A context that is in a C function and keeps its GIL, or without one does not stop when Python asks all threads
%%% to, while a test does something else.
-module(ep_held).

-include_lib("stdlib/include/assert.hrl").

-export([with/2]).

-define(SIZE, 1 bsl 20).
-define(PATIENCE, 30_000).

%% @doc Runs a function while the context is there, and returns what became of the request that put it there. Everything
%% goes on after some time if the function stops the VM; that it went on before its time is an error.
-spec with(pid(), fun(() -> term())) -> term().
with(Ctx, Fun) ->
    {ok, Listening} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}, {recbuf, 4096}]),
    {ok, Port} = inet:port(Listening),
    Holder = ep_background:start(fun() -> py:call(Ctx, held, hold, [Port, ?SIZE]) end),
    {ok, Connection} = gen_tcp:accept(Listening, ?PATIENCE),
    {ok, <<0>>} = gen_tcp:recv(Connection, 1, ?PATIENCE),
    try
        Fun(),
        ?assertEqual(?SIZE, rest(Connection, 1))
    after
        gen_tcp:close(Connection),
        gen_tcp:close(Listening)
    end,
    ep_background:result(Holder).

rest(Connection, Sum) ->
    case gen_tcp:recv(Connection, 0, ?PATIENCE) of
        {ok, Data} -> rest(Connection, Sum + byte_size(Data));
        {error, closed} -> Sum
    end.
