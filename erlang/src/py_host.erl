%%% @doc The process the native core talks to when there is no caller to talk to: it runs callbacks of casts and of
%%% Python's own threads, forwards messages the core cannot send itself, and writes the core's log.
-module(py_host).

-behaviour(gen_server).

-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type state() :: #{reference() => reference()}.
%% Which callback each monitored process is running.

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    case gen_server:start_link({local, ?MODULE}, ?MODULE, [], []) of
        {ok, Pid} -> {ok, Pid};
        {error, _} = Error -> Error;
        ignore -> {error, ignore}
    end.

-spec init([]) -> {ok, state()}.
init([]) ->
    process_flag(trap_exit, true),
    ok = py_nif:set_host(self()),
    {ok, #{}}.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, {error, unknown_request}, state()}.
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({py_native, {callback, Callback, Name, Args, ForWhom}}, State) ->
    {_Pid, Monitor} = spawn_monitor(fun() -> run(Callback, Name, Args, ForWhom) end),
    {noreply, State#{Monitor => Callback}};
handle_info({py_native, {forward, Destination, Message}}, State) ->
    _ = forward(Destination, Message),
    {noreply, State};
handle_info({py_native, {log, Level, Text}}, State) ->
    logger:log(Level, "~ts", [Text], #{domain => [erlang_python]}),
    {noreply, State};
handle_info({'DOWN', Monitor, process, _Pid, Reason}, State) ->
    {noreply, ended(maps:take(Monitor, State), Reason, State)};
handle_info(_Other, State) ->
    {noreply, State}.

-spec terminate(term(), state()) -> ok.
terminate(_Reason, _State) ->
    py_nif:host_stopped().

run(Callback, Name, Args, ForWhom) ->
    %% What the function asks of the context that waits for it is served at once for this.
    _ = put('$callers', [ForWhom]),
    {Status, Value} = py_callback:execute(Name, Args),
    py_nif:answer(Callback, Status, Value).

ended({_Callback, State}, normal, _) ->
    State;
ended({Callback, State}, Reason, _) ->
    %% Killed before it could answer; Python must not wait for ever.
    _ = py_nif:answer(Callback, error, py_callback:describe(exit, Reason)),
    State;
ended(error, _Reason, State) ->
    State.

%% Connecting to a node may take long, and so may a busy connection: others must not wait for that here.
forward(Destination, Message) ->
    try erlang:send(Destination, Message, [nosuspend, noconnect]) of
        ok -> ok;
        _ -> spawn(fun() -> Destination ! Message end)
    catch
        error:badarg -> logger:debug("erlang_python: a message from Python to ~0tp had nowhere to go", [Destination],
                                     #{domain => [erlang_python]})
    end.
