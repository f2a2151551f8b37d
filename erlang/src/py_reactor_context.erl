%%% @doc A context with connections: file descriptors that the VM watches, and protocols in Python (`erlang.reactor')
%%% that are told what was read and when there is room to write. It needs the plugin `reactor'; without it everything
%%% answers `{error, {plugin_not_loaded, reactor}}'. See docs/reactor.md.
%%%
%%% The process is a context like those of {@link py_context}: its pid is good for {@link py} and {@link py_context},
%%% too. Nothing here waits for Python. An event of a connection is one request to the context's thread, whose answer
%%% says what to wait for next; until it comes the connection is not read, which is the backpressure.
-module(py_reactor_context).

-behaviour(gen_server).

-export([start_link/2, start_link/3, child_spec/3, handoff/2, handoff/3, stats/1, stop/1]).
%% For erlang_python_sup.
-export([new_table/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([options/0, stats/0]).

-type options() :: #{max_connections => pos_integer(),
                     setup_code => py_request:code(),
                     app_module => py_request:name(),
                     app_callable => py_request:name()}.
-type stats() :: #{id := term(),
                   mode := py_context:context_mode(),
                   active_connections := non_neg_integer(),
                   max_connections := pos_integer(),
                   total_connections := non_neg_integer(),
                   total_requests := non_neg_integer()}.
%% A request is something read and given to a protocol.

-record(connection, {
    file :: reference(),
    %% What comes next.
    mode = connect :: connect | read | write | wait | close,
    %% Python works on it, or is about to.
    busy = true :: boolean(),
    %% Meanwhile somebody wanted write_ready() called.
    signalled = false :: boolean(),
    %% What the VM was asked to tell, and what it has told.
    armed = [] :: [read | write],
    ready = [] :: [read | write]
}).

-record(state, {
    id :: term(),
    mode :: py_context:context_mode(),
    context :: map(), % of py_context
    max :: pos_integer(),
    app :: [binary()],
    number :: undefined | integer(), % in the table
    connections = #{} :: #{non_neg_integer() => #connection{}},
    requests = #{} :: #{reference() => non_neg_integer()},
    total = 0 :: non_neg_integer(),
    read = 0 :: non_neg_integer()
}).

-define(TABLE, ?MODULE).
-define(PYTHON, <<"erlang.reactor">>).
-define(MAX_CONNECTIONS, 100).
%% Milliseconds that protocols have at the end to hear of it.
-define(PATIENCE, 5000).

-define(READ, 1).
-define(WRITE, 2).
-define(WAIT, 3).
-define(CLOSED, 4).

%% ---------------------------------------------------------------------------------------------------------------------
%% Life

%% @doc As {@link start_link/3} without options.
-spec start_link(term(), py_context:context_mode()) -> {ok, pid()} | {error, term()}.
start_link(Id, Mode) ->
    start_link(Id, Mode, #{}).

%% @doc Starts one, linked to the caller, and waits until it can work. Id is only a label. Options: `max_connections'
%% (100); `setup_code', which is run in it, to set the protocol factory for example; `app_module' and `app_callable',
%% which are imported and become the attribute `app' of every protocol.
%%
%% Errors are those of {@link py_context:start_link/2}, `{error, {invalid_option, Key}}' and
%% `{error, {setup_failed, Reason}}'.
-spec start_link(term(), py_context:context_mode(), options()) -> {ok, pid()} | {error, term()}.
start_link(Id, Mode, Options) when is_map(Options) ->
    Checks = [fun() -> py_nif:plugin_call(reactor, check) end,
              fun() -> py_context:check_options(#{mode => Mode}) end,
              fun() -> check_options(Options) end],
    case first_error(Checks) of
        ok ->
            {ok, Pid} = gen_server:start_link(?MODULE, {Id, Mode, Options}, []),
            started(Pid, set_up(Pid, Options));
        {error, _} = Error ->
            Error
    end.

%% @doc What a supervisor needs to know to start one.
-spec child_spec(term(), py_context:context_mode(), options()) -> supervisor:child_spec().
child_spec(Id, Mode, Options) ->
    #{id => {?MODULE, Id}, start => {?MODULE, start_link, [Id, Mode, Options]}, shutdown => 2 * ?PATIENCE}.

%% @doc Ends it: every protocol is told by `connection_lost()', and every connection is closed when this returns.
-spec stop(pid()) -> ok.
stop(Context) when is_pid(Context) ->
    py_context:stop(Context).

first_error([]) -> ok;
first_error([Check | Checks]) ->
    case Check() of
        ok -> first_error(Checks);
        {error, _} = Error -> Error
    end.

check_options(Options) ->
    case [Key || {Key, Value} <- maps:to_list(Options), not is_option(Key, Value)] of
        [] -> ok;
        [Key | _] -> {error, {invalid_option, Key}}
    end.

is_option(max_connections, Max) -> is_integer(Max) andalso Max > 0;
is_option(setup_code, Code) -> is_binary(Code) orelse is_list(Code);
is_option(app_module, Name) -> is_name(Name);
is_option(app_callable, Name) -> is_name(Name);
is_option(_, _) -> false.

is_name(Name) -> is_atom(Name) orelse is_binary(Name) orelse io_lib:printable_unicode_list(Name).

%% In the caller, so that the process can be stopped meanwhile.
set_up(Pid, Options) ->
    case py_context:ready(Pid) of
        ok ->
            Native = py_context:get_nif_ref(Pid),
            Timeout = py_config:setup_timeout(),
            Code = fun() -> py_request:setup_exec(Native, maps:get(setup_code, Options, <<>>), Timeout) end,
            Import = fun() -> import(Native, app(Options), Timeout) end,
            case first_error([Code, Import]) of
                ok -> gen_server:call(Pid, opened, infinity);
                {error, Reason} -> {error, {setup_failed, Reason}}
            end;
        {error, _} = Error ->
            Error
    end.

import(Native, App, Timeout) ->
    case py_request:setup_call(Native, ?PYTHON, <<"_prepare">>, [App], Timeout) of
        {ok, none} -> ok;
        {error, _} = Error -> Error
    end.

started(Pid, ok) ->
    {ok, Pid};
started(Pid, {error, _} = Error) ->
    unlink(Pid),
    stop(Pid),
    Error.

app(#{app_module := Module} = Options) -> [text(Module), text(maps:get(app_callable, Options, <<>>))];
app(_) -> [].

text(Name) when is_atom(Name) -> atom_to_binary(Name);
text(Name) -> unicode:characters_to_binary(Name).

%% ---------------------------------------------------------------------------------------------------------------------
%% Connections

%% @doc Hands a file descriptor to the reactor context that was started last and still runs; see {@link handoff/3}.
%% `{error, no_reactor_context}'.
-spec handoff(integer(), map()) -> ok | {error, term()}.
handoff(Fd, ClientInfo) when is_integer(Fd), is_map(ClientInfo) ->
    case newest() of
        {ok, Context} -> handoff(Context, Fd, ClientInfo);
        none -> {error, no_reactor_context}
    end.

%% @doc Hands a file descriptor to a reactor context, which works on a duplicate of its own: the caller may, and should,
%% close his. `ok': the connection is the context's, which makes a protocol for it as soon as Python gets to it.
%%
%% `{error, max_connections}'; `{error, ebadf}' and others of that kind: it is none that can be watched, as a regular
%% file (`eperm') or a socket that listens (`einval'); `{error, context_stopped}'; `{error, remote_context}'.
-spec handoff(pid(), integer(), map()) -> ok | {error, term()}.
handoff(Context, Fd, ClientInfo) when node(Context) =:= node(), is_integer(Fd), is_map(ClientInfo) ->
    %% The duplicate is made here: once this process is killed the number may stand for anything.
    case py_nif:plugin_call(reactor, open, Fd, Context) of
        {ok, File} -> ask(Context, {connect, File, ClientInfo});
        {error, noproc} -> {error, context_stopped};
        {error, _} = Error -> Error
    end;
handoff(Context, Fd, ClientInfo) when is_pid(Context), is_integer(Fd), is_map(ClientInfo) ->
    {error, remote_context}.

%% @doc How many connections it has and has had.
-spec stats(pid()) -> stats() | {error, context_stopped}.
stats(Context) when is_pid(Context) ->
    ask(Context, stats).

ask(Context, Request) ->
    try
        gen_server:call(Context, Request, infinity)
    catch
        exit:_ -> {error, context_stopped}
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Those that run, in the order they were started: {Number, Pid}

%% @doc The table of reactor contexts, which belongs to the caller.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, ordered_set, {read_concurrency, true}]),
    ok.

enter() ->
    Number = erlang:unique_integer([monotonic]),
    true = ets:insert(?TABLE, {Number, self()}),
    Number.

leave(Number) ->
    try ets:delete(?TABLE, Number) of
        true -> ok
    catch
        error:badarg -> ok % the table is gone with the application
    end.

newest() ->
    try ets:last(?TABLE) of
        '$end_of_table' -> none;
        Number -> newest(Number, ets:lookup(?TABLE, Number))
    catch
        error:badarg -> none
    end.

newest(_, []) ->
    newest();
newest(Number, [{Number, Pid}]) ->
    case is_process_alive(Pid) of
        true -> {ok, Pid};
        false -> leave(Number), newest() % it was killed
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% gen_server

-spec init({term(), py_context:context_mode(), options()}) -> {ok, #state{}}.
init({Id, Mode, Options}) ->
    {ok, Context} = py_context:init({Id, #{mode => Mode}}),
    {ok, #state{id = Id, mode = Mode, context = Context, app = app(Options),
                max = maps:get(max_connections, Options, ?MAX_CONNECTIONS)}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({connect, File, Info}, _From, State) ->
    {Result, New} = connect(File, Info, State),
    {reply, Result, New};
handle_call(stats, _From, State) ->
    {reply, stats_of(State), State};
handle_call(opened, _From, State) ->
    {reply, ok, State#state{number = enter()}};
handle_call(Request, From, State) ->
    context(py_context:handle_call(Request, From, State#state.context), State).

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({py_reactor_ready, Id, Direction}, State) ->
    {noreply, change(Id, fun(Connection) -> told(Direction, Connection) end, State)};
handle_info({Ref, Answer}, #state{requests = Requests} = State) when is_map_key(Ref, Requests) ->
    answered(Ref, Answer, State);
handle_info({Ref, flat, Flat}, #state{requests = Requests} = State) when is_map_key(Ref, Requests) ->
    answered(Ref, py_nif:build(Flat), State);
handle_info({py_reactor_signal, Id}, State) ->
    {noreply, change(Id, fun signalled/1, State)};
handle_info({py_reactor_close, Id}, State) ->
    %% If Python works on it, what it answers says the same.
    {noreply, change(Id, fun(Connection) -> Connection#connection{mode = close} end, State)};
handle_info({fd_handoff, Fd, Info}, State) when is_integer(Fd), is_map(Info) ->
    {noreply, handed_over(Fd, Info, State)};
handle_info(Message, State) ->
    context(py_context:handle_info(Message, State#state.context), State).

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{connections = Connections, number = Number, context = Context}) ->
    _ = is_integer(Number) andalso leave(Number),
    _ = map_size(Connections) > 0 andalso tell_all(Context),
    _ = [close(Connection) || {_, Connection} <- maps:to_list(Connections)],
    py_context:terminate(Reason, Context).

tell_all(#{native := Native}) ->
    case py_request:setup_call(Native, ?PYTHON, <<"_ended">>, [self()], ?PATIENCE) of
        {ok, <<>>} -> ok;
        {ok, Text} -> log("protocols failed in connection_lost()~n~ts", [Text]);
        {error, Reason} -> log("protocols were not told that their reactor ends: ~0tp", [Reason])
    end.

context({reply, Reply, Context}, State) -> {reply, Reply, State#state{context = Context}};
context({noreply, Context}, State) -> {noreply, State#state{context = Context}};
context({stop, Reason, Context}, State) -> {stop, Reason, State#state{context = Context}}.

stats_of(#state{id = Id, mode = Mode, connections = Connections, max = Max, total = Total, read = Read}) ->
    #{id => Id, mode => Mode, active_connections => map_size(Connections), max_connections => Max,
      total_connections => Total, total_requests => Read}.

%% ---------------------------------------------------------------------------------------------------------------------
%% A new connection

handed_over(Fd, Info, State) ->
    {Result, New} = case py_nif:plugin_call(reactor, open, Fd, self()) of
        {ok, File} -> connect(File, Info, State);
        {error, _} = Error -> {Error, State}
    end,
    _ = Result =:= ok orelse log("the file descriptor ~b was not taken: ~0tp", [Fd, Result]),
    New.

connect({File, Fd, Id}, Info, State) ->
    case swept(State) of
        #state{connections = Connections, max = Max} = Full when map_size(Connections) >= Max ->
            ok = py_nif:plugin_call(reactor, close, File),
            {{error, max_connections}, Full};
        #state{app = App} = Swept ->
            case start(<<"_connected">>, [Fd, Id, File, self(), info(Info), App], Swept) of
                {ok, Ref} ->
                    {ok, connected(Id, File, Ref, Swept)};
                {error, _} = Error ->
                    ok = py_nif:plugin_call(reactor, close, File),
                    {Error, Swept}
            end
    end.

connected(Id, File, Ref, #state{connections = Connections, requests = Requests, total = Total} = State) ->
    State#state{connections = Connections#{Id => #connection{file = File}}, requests = Requests#{Ref => Id},
                total = Total + 1}.

%% Nobody says when a descriptor was closed by somebody else; so it is looked for when there is no room.
swept(#state{connections = Connections, max = Max} = State) when map_size(Connections) >= Max ->
    Gone = [Id || {Id, #connection{file = File, busy = false}} <- maps:to_list(Connections),
                  py_nif:plugin_call(reactor, is_open, File) =:= {ok, false}],
    lists:foldl(fun(Id, Acc) -> change(Id, fun(C) -> C#connection{mode = close} end, Acc) end, State, Gone);
swept(State) ->
    State.

info(#{addr := Address} = Info) -> Info#{addr := address(Address)};
info(Info) -> Info.

%% Python is to get text, and not what Erlang has for it.
address(Address) when is_tuple(Address) ->
    case inet:ntoa(Address) of
        {error, einval} -> Address;
        Text -> list_to_binary(Text)
    end;
address([_ | _] = Text) ->
    case io_lib:printable_unicode_list(Text) of
        true -> unicode:characters_to_binary(Text);
        false -> Text
    end;
address(Address) ->
    Address.

%% ---------------------------------------------------------------------------------------------------------------------
%% Events: of the VM, of other threads of Python, and answers

told(Direction, #connection{armed = Armed, ready = Ready} = Connection) ->
    Connection#connection{armed = lists:delete(Direction, Armed), ready = [Direction | lists:delete(Direction, Ready)]}.

%% As if there were room: write_ready() finds out.
signalled(#connection{busy = true} = Connection) ->
    Connection#connection{signalled = true};
signalled(#connection{mode = close} = Connection) ->
    Connection;
signalled(#connection{ready = Ready} = Connection) ->
    Connection#connection{mode = write, ready = [write | lists:delete(write, Ready)]}.

answered(Ref, Answer, #state{requests = Requests, connections = Connections} = State) ->
    {Id, Others} = maps:take(Ref, Requests),
    New = State#state{requests = Others},
    case {Answer, maps:get(Id, Connections)} of
        {{ok, ?CLOSED}, Connection} ->
            {noreply, forget(Id, Connection, New)};
        {{ok, Action}, Connection} when is_integer(Action) ->
            {noreply, change(Id, fun(_) -> goes_on(Action, Connection) end, New)};
        {{ok, Text}, Connection} ->
            log("a protocol failed, and its connection was closed~n~ts", [Text]),
            {noreply, forget(Id, Connection, New)};
        {{error, Reason}, #connection{mode = close} = Connection} ->
            log("a protocol was not told that its connection ended: ~0tp", [Reason]),
            {noreply, forget(Id, Connection, New)};
        {{error, Reason}, _Connection} ->
            log("a protocol failed, and its connection is closed: ~0tp", [Reason]),
            {noreply, change(Id, fun(C) -> C#connection{mode = close, busy = false} end, New)}
    end.

%% Python closed it while it worked on it.
goes_on(_Action, #connection{mode = close} = Connection) ->
    Connection#connection{busy = false};
goes_on(?WRITE, Connection) ->
    Connection#connection{busy = false, mode = write, signalled = false};
goes_on(_Action, #connection{signalled = true} = Connection) ->
    signalled(Connection#connection{busy = false, mode = wait, signalled = false});
goes_on(?READ, Connection) ->
    Connection#connection{busy = false, mode = read};
goes_on(?WAIT, Connection) ->
    Connection#connection{busy = false, mode = wait}.

%% Changes a connection and does what comes next.
change(Id, Change, #state{connections = Connections} = State) ->
    case Connections of
        #{Id := Connection} -> next(Id, Change(Connection), State);
        #{} -> State % it is gone, and this was on its way
    end.

next(Id, #connection{busy = true} = Connection, State) ->
    keep(Id, Connection, State);
next(Id, #connection{mode = wait} = Connection, State) ->
    keep(Id, Connection, State);
next(Id, #connection{mode = close} = Connection, State) ->
    ask_python(Id, <<"_lost">>, [Id], Connection, State);
next(Id, #connection{mode = Mode, ready = Ready, armed = Armed} = Connection, State) ->
    case {lists:member(Mode, Ready), lists:member(Mode, Armed)} of
        {true, _} -> act(Mode, Id, Connection#connection{ready = lists:delete(Mode, Ready)}, State);
        {false, true} -> watched(Id, Connection, State);
        {false, false} -> arm(Mode, Id, Connection, State)
    end.

%% The VM would not say that Python code has closed it.
watched(Id, #connection{file = File} = Connection, State) ->
    case py_nif:plugin_call(reactor, is_open, File) of
        {ok, true} -> keep(Id, Connection, State);
        {ok, false} -> broken(Id, ebadf, Connection, State)
    end.

arm(Mode, Id, #connection{file = File, armed = Armed} = Connection, State) ->
    case py_nif:plugin_call(reactor, select, File, Mode) of
        ok -> keep(Id, Connection#connection{armed = [Mode | Armed]}, State);
        {error, Reason} -> broken(Id, Reason, Connection, State)
    end.

armed_again(Id, #state{connections = Connections} = State) ->
    case Connections of
        #{Id := #connection{file = File, armed = [] = Armed} = Connection} ->
            case py_nif:plugin_call(reactor, select, File, read) of
                ok -> keep(Id, Connection#connection{armed = [read | Armed]}, State);
                {error, _} -> State % which will be seen again
            end;
        #{} ->
            State % some other time
    end.

act(write, Id, Connection, State) ->
    ask_python(Id, <<"_writable">>, [Id], Connection, State);
act(read, Id, #connection{file = File} = Connection, #state{read = Read} = State) ->
    case py_nif:plugin_call(reactor, read, File) of
        {ok, Data} ->
            Args = [Id, {memoryview, Data}],
            New = ask_python(Id, <<"_readable">>, Args, Connection, State#state{read = Read + 1}),
            %% While its thread wakes up, and not when the answer is here. What comes meanwhile is noted, and not read.
            armed_again(Id, New);
        {error, eagain} -> next(Id, Connection, State);
        {error, Reason} -> broken(Id, Reason, Connection, State)
    end.

%% The end of the stream, or of a connection whose peer went away, is nothing to be told about.
broken(Id, Reason, Connection, State) ->
    _ = lists:member(Reason, [closed, econnreset, epipe, etimedout, eio])
        orelse log("a connection cannot be used any more: ~0tp", [Reason]),
    next(Id, Connection#connection{mode = close}, State).

ask_python(Id, Function, Args, Connection, #state{requests = Requests} = State) ->
    case start(Function, Args, State) of
        {ok, Ref} ->
            keep(Id, Connection#connection{busy = true}, State#state{requests = Requests#{Ref => Id}});
        {error, Reason} ->
            %% The context stops, and this process with it.
            log("a protocol was not told that its connection ended: ~0tp", [Reason]),
            forget(Id, Connection, State)
    end.

start(Function, Args, #state{context = #{native := Native}}) ->
    Ref = make_ref(),
    case py_request:setup_start(Native, Ref, ?PYTHON, Function, Args) of
        {ok, _Handle} -> {ok, Ref};
        context_stopped -> {error, context_stopped};
        {error, _} = Error -> Error
    end.

keep(Id, Connection, #state{connections = Connections} = State) ->
    State#state{connections = Connections#{Id => Connection}}.

forget(Id, Connection, #state{connections = Connections} = State) ->
    close(Connection),
    State#state{connections = maps:remove(Id, Connections)}.

close(#connection{file = File}) ->
    ok = py_nif:plugin_call(reactor, close, File).

log(Format, Args) ->
    %% Without a domain, because OTP's default handler leaves out those it does not know.
    logger:error(Format, Args).
