%%% @doc Calls that are started now and collected later: py:spawn_call and py:await.
%%%
%%% The result comes to the mailbox of the process that started the call, and only that process can collect it, once.
%%% What it has started is remembered in its process dictionary.
-module(py_async).

-export([start/5, fail/1, start_remote/2, await/2, interrupt/1]).

-define(STARTED(Ref), {'$py_async', Ref}).

%% @doc Starts a call. `context_stopped': the context refused, nothing has been started.
-spec start(py_local_env:entry(), py_request:name(), py_request:name(), [term()], map()) ->
    reference() | context_stopped.
start({_Pid, Context, Env}, Module, Function, Args, Kwargs) ->
    Ref = py_nif:async_new(),
    case py_request:start(Context, Ref, Module, Function, Args, Kwargs, Env) of
        {ok, Handle} ->
            ok = py_nif:async_set(Ref, Handle),
            put(?STARTED(Ref), local),
            Ref;
        {error, _} = Error ->
            finished(Ref, Error);
        context_stopped ->
            context_stopped
    end.

%% @doc A call that could not be started: awaiting it gives the error.
-spec fail({error, term()}) -> reference().
fail(Error) ->
    finished(make_ref(), Error).

%% @doc Starts work on another node.
-spec start_remote(node(), {module(), atom(), [term()]}) -> reference().
start_remote(Node, Work) ->
    case py_remote:start(Node, Work) of
        {ok, Ref} ->
            put(?STARTED(Ref), {remote, Node}),
            Ref;
        {error, _} = Error ->
            fail(Error)
    end.

%% @doc Waits for the result. `{error, timeout}': the call has been given up. `{error, not_owner}': the caller did not
%% start it, or has collected it already.
-spec await(reference(), timeout()) -> py_request:result().
await(Ref, Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout >= 0, Timeout =< 16#FFFFFFFF ->
    case erase(?STARTED(Ref)) of
        undefined -> {error, not_owner};
        {finished, Result} -> Result;
        {remote, Node} -> await_remote(Node, Ref, Timeout);
        local -> await_local(Ref, Timeout)
    end.

%% @doc Interrupts a call this process has started; awaiting it gives `{error, interrupted}' then.
-spec interrupt(reference()) -> ok | not_running.
interrupt(Ref) ->
    case get(?STARTED(Ref)) of
        local ->
            interrupt_local(Ref);
        {remote, Node} ->
            py_remote:cancel(Node, Ref),
            interrupted(Ref);
        _ ->
            not_running
    end.

await_local(Ref, Timeout) ->
    receive
        {Ref, Result} -> Result;
        {Ref, flat, Flat} -> py_nif:build(Flat)
    after Timeout ->
        case cancel(Ref) of
            cancelled -> {error, timeout};
            replied -> receive {Ref, Result} -> Result; {Ref, flat, Flat} -> py_nif:build(Flat) end;
            Overloaded -> {error, Overloaded}
        end
    end.

await_remote(Node, Ref, Timeout) ->
    case py_remote:await(Node, Ref, Timeout) of
        {error, no_proxy} -> {error, {nodedown, Node}};
        Result -> Result
    end.

interrupt_local(Ref) ->
    case cancel(Ref) of
        replied -> not_running;
        _ -> interrupted(Ref)
    end.

interrupted(Ref) ->
    put(?STARTED(Ref), {finished, {error, interrupted}}),
    ok.

cancel(Ref) ->
    {ok, Handle} = py_nif:async_handle(Ref),
    py_request:cancel(Handle).

finished(Ref, Error) ->
    put(?STARTED(Ref), {finished, Error}),
    Ref.
