%%% @doc Contexts of other nodes.
%%%
%%% A process that uses one gets a proxy on its node: what the process asks for runs in the proxy, one request after the
%%% other, so that its Python environments persist there as they do at home. The proxy ends with the process it stands
%%% for. Functions called back from Python are those registered on the other node.
-module(py_remote).

-export([request/3, cast/2, start/2, await/3, cancel/2, once/2]).
%% Called on the other node.
-export([start_proxy/1]).

-type work() :: {module(), atom(), [term()]}.
-type failure() :: {error, timeout | {nodedown, node()} | {remote, node(), term()}}.

-define(PROXY(Node), {'$py_remote', Node}).
-define(CONNECT_TIMEOUT, 10000).

%% @doc Runs work in the proxy and waits for what it returns.
-spec request(node(), work(), timeout()) -> term() | failure().
request(Node, Work, Timeout) ->
    request(Node, Work, Timeout, 1).

request(Node, Work, Timeout, Retries) ->
    case start(Node, Work) of
        {ok, Ref} ->
            case await(Node, Ref, Timeout) of
                %% It ended before it saw the work, for example with an earlier life of its node.
                {error, no_proxy} when Retries > 0 -> request(Node, Work, Timeout, Retries - 1);
                {error, no_proxy} -> {error, {nodedown, Node}};
                Result -> Result
            end;
        {error, _} = Error ->
            Error
    end.

%% @doc Runs work in the proxy; nobody learns what came of it.
-spec cast(node(), work()) -> ok.
cast(Node, Work) ->
    case proxy(Node) of
        {ok, Proxy} -> Proxy ! {cast, Work}, ok;
        {error, _} -> ok
    end.

%% @doc Starts work in the proxy; {@link await/3} takes the result.
-spec start(node(), work()) -> {ok, reference()} | failure().
start(Node, Work) ->
    case proxy(Node) of
        {ok, Proxy} ->
            %% The alias goes with the monitor: an answer that comes too late is dropped on its way.
            Ref = monitor(process, Proxy, [{alias, reply_demonitor}]),
            Proxy ! {request, Ref, Work},
            {ok, Ref};
        {error, _} = Error ->
            Error
    end.

-spec await(node(), reference(), timeout()) -> term() | failure() | {error, no_proxy}.
await(Node, Ref, Timeout) ->
    receive
        {Ref, Result} ->
            Result;
        {'DOWN', Ref, process, _Proxy, Reason} ->
            erase(?PROXY(Node)),
            lost(Node, Reason)
    after Timeout ->
        cancel(Node, Ref),
        {error, timeout}
    end.

%% @doc Gives work up: if it has not begun it never will, and no message about it comes any more.
-spec cancel(node(), reference()) -> ok.
cancel(Node, Ref) ->
    demonitor(Ref, [flush]),
    receive {Ref, _Result} -> ok after 0 -> ok end,
    case get(?PROXY(Node)) of
        undefined -> ok;
        Proxy -> Proxy ! {cancel, Ref}, ok
    end.

%% @doc Runs work on the other node without the proxy: for what must not wait behind a request.
-spec once(node(), work()) -> term() | failure().
once(Node, {Module, Function, Args}) ->
    try
        erpc:call(Node, Module, Function, Args, ?CONNECT_TIMEOUT)
    catch
        error:{erpc, noconnection} -> {error, {nodedown, Node}};
        error:{erpc, timeout} -> {error, timeout};
        _:Reason -> {error, {remote, Node, Reason}}
    end.

lost(Node, noconnection) -> {error, {nodedown, Node}};
lost(_Node, noproc) -> {error, no_proxy};
lost(Node, Reason) -> {error, {remote, Node, Reason}}.

proxy(Node) ->
    case get(?PROXY(Node)) of
        undefined -> new_proxy(Node);
        Proxy -> {ok, Proxy}
    end.

new_proxy(Node) ->
    case once(Node, {?MODULE, start_proxy, [self()]}) of
        Proxy when is_pid(Proxy) ->
            put(?PROXY(Node), Proxy),
            {ok, Proxy};
        {error, _} = Error ->
            Error
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% On the other node

%% @doc Starts the proxy of a process.
-spec start_proxy(pid()) -> pid().
start_proxy(Client) ->
    Proxy = spawn(fun serve/0),
    %% A process of its own watches the client, because the proxy may be waiting for Python when the client ends.
    spawn(fun() -> guard(monitor(process, Client), monitor(process, Proxy), Proxy) end),
    Proxy.

guard(ClientMonitor, ProxyMonitor, Proxy) ->
    receive
        {'DOWN', ClientMonitor, process, _, _} -> exit(Proxy, kill);
        {'DOWN', ProxyMonitor, process, _, _} -> ok
    end.

serve() ->
    receive
        {request, Ref, Work} ->
            case cancelled(Ref) of
                true -> ok;
                false -> Ref ! {Ref, run(Work)}
            end;
        {cast, Work} ->
            run(Work);
        {cancel, _Ref} ->
            ok
    end,
    serve().

cancelled(Ref) ->
    receive {cancel, Ref} -> true after 0 -> false end.

run({Module, Function, Args}) ->
    try
        apply(Module, Function, Args)
    catch
        Class:Reason -> {error, {remote, node(), {Class, Reason}}}
    end.
