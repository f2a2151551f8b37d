%%% @doc The process the native core talks to when there is no caller to talk to: it has callbacks of casts and of
%%% Python's own threads run, forwards messages the core cannot send itself, and writes the core's log.
-module(py_host).

-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type state() :: [].

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec init([]) -> {ok, state()}.
init([]) ->
    process_flag(trap_exit, true),
    ok = py_nif:set_host(self()),
    {ok, []}.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, {error, unknown_request}, state()}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({py_native, {callback, Callback, _, _, _} = Call}, State) ->
    _ = try
        py_runner:start(Call)
    catch
        error:system_limit -> py_nif:answer(Callback, error, <<"there is no process left to run it in (+P)">>)
    end,
    {noreply, State};
handle_info({py_native, {forward, Destination, Message}}, State) ->
    _ = forward(Destination, Message),
    {noreply, State};
handle_info({py_native, {log, Level, Text}}, State) ->
    logger:log(Level, "erlang_python: ~ts", [Text]),
    {noreply, State};
handle_info(_Other, State) ->
    {noreply, State}.

-spec terminate(term(), state()) -> ok.
terminate(_Reason, _State) ->
    py_nif:host_stopped().

%% Connecting to a node may take long, and so may a busy connection: others must not wait for that here.
forward(Destination, Message) ->
    try erlang:send(Destination, Message, [nosuspend, noconnect]) of
        ok -> ok;
        _ -> spawn(fun() -> Destination ! Message end)
    catch
        error:badarg -> logger:debug("erlang_python: a message from Python to ~0tp had nowhere to go", [Destination])
    end.
