%%% @doc A context with connections: file descriptors that its thread watches, and protocols in Python
%%% (`erlang.reactor') that are told what was read and when there is room to write. It needs the plugin `reactor';
%%% without it everything answers `{error, {plugin_not_loaded, reactor}}'. See docs/reactor.md.
%%%
%%% The process is a context like those of {@link py_context}: its pid is good for {@link py} and {@link py_context},
%%% too. In it runs a loop, as of {@link py_context:start_loop/1}, which watches the connections; this process knows
%%% which there are, and none of what they do passes through it.
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

-record(state, {
    id :: term(),
    mode :: py_context:context_mode(),
    context :: map(), % of py_context
    max :: pos_integer(),
    app :: [binary()],
    number :: undefined | integer(), % in the table
    loop :: undefined | reference(), % the monitor of its process
    files = #{} :: #{non_neg_integer() => reference()}, % of the connections, by their ids
    requests = #{} :: #{reference() => {connect | drop, non_neg_integer()}}, % what Python was asked
    total = 0 :: non_neg_integer(),
    read = 0 :: non_neg_integer(), % by connections that have ended
    %% When it may be looked again for what somebody else has closed.
    sweep :: integer()
}).

-define(TABLE, ?MODULE).
-define(PYTHON, <<"erlang._reactor_context">>).
-define(MAX_CONNECTIONS, 100).
%% Milliseconds that protocols have at the end to hear of it.
-define(PATIENCE, 5000).
%% The same between two sweeps, and how many times as long as one takes they are apart.
-define(SWEEPS, 100).
-define(SWEEPING, 20).

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
        [] when is_map_key(app_callable, Options), not is_map_key(app_module, Options) ->
            {error, {invalid_option, app_callable}}; % of what?
        [] -> ok;
        [Key | _] -> {error, {invalid_option, Key}}
    end.

is_option(max_connections, Max) -> is_integer(Max) andalso Max > 0;
is_option(setup_code, Code) -> is_binary(Code) orelse is_list(Code);
is_option(app_module, Name) -> is_name(Name);
is_option(app_callable, Name) -> is_name(Name);
is_option(_, _) -> false.

is_name(Name) when is_atom(Name) -> true;
is_name(Name) when is_binary(Name) -> is_binary(unicode:characters_to_binary(Name));
is_name(Name) -> io_lib:printable_unicode_list(Name).

%% In the caller, so that the process can be stopped meanwhile.
set_up(Pid, Options) ->
    case py_context:ready(Pid) of
        ok ->
            Native = py_context:get_nif_ref(Pid),
            Timeout = py_config:setup_timeout(),
            Code = fun() -> py_request:setup_exec(Native, maps:get(setup_code, Options, <<>>), Timeout) end,
            Import = fun() -> import(Native, app(Options), Timeout) end,
            case first_error([Code, Import]) of
                ok -> begin_to_work(Pid, Native, Timeout);
                {error, Reason} -> {error, {setup_failed, Reason}}
            end;
        {error, _} = Error ->
            Error
    end.

import(Native, App, Timeout) ->
    ask_python(Native, <<"prepare">>, [App], Timeout).

begin_to_work(Pid, Native, Timeout) ->
    case first_error([fun() -> py_loop:start(Pid, Pid, Timeout) end,
                      fun() -> ask_python(Native, <<"begin">>, [Pid], Timeout) end]) of
        ok -> gen_server:call(Pid, opened, infinity);
        {error, _} = Error -> Error
    end.

ask_python(Native, Function, Args, Timeout) ->
    case py_request:setup_call(Native, ?PYTHON, Function, Args, Timeout) of
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
        {ok, File} -> handed(File, ask(Context, {connect, File, ClientInfo}));
        {error, noproc} -> {error, context_stopped};
        {error, _} = Error -> Error
    end;
handoff(Context, Fd, ClientInfo) when is_pid(Context), is_integer(Fd), is_map(ClientInfo) ->
    {error, remote_context}.

handed(_File, ok) ->
    ok;
handed({File, _, _}, Refused) ->
    %% By whoever refused it, or by nobody, if that was no reactor context.
    ok = py_nif:plugin_call(reactor, close, File),
    Refused.

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
    %% Those that were killed.
    _ = [leave(Dead) || {Dead, Pid} <- ets:tab2list(?TABLE), not is_process_alive(Pid)],
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
                max = maps:get(max_connections, Options, ?MAX_CONNECTIONS),
                sweep = erlang:monotonic_time(millisecond)}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, term(), #state{}} | {noreply, #state{}}.
handle_call({connect, File, Info}, _From, State) ->
    {Result, New} = connect(File, Info, State),
    {reply, Result, New};
handle_call(stats, _From, State) ->
    {reply, stats_of(State), State};
handle_call(opened, _From, State) ->
    case py_loop:find(self()) of
        {ok, Loop} -> {reply, ok, State#state{number = enter(), loop = py_loop:monitor(Loop)}};
        {error, _} = Error -> {reply, Error, State}
    end;
handle_call(Request, From, State) ->
    context(py_context:handle_call(Request, From, State#state.context), State).

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, term(), #state{}}.
handle_info({py_reactor_ended, Id, Text}, State) ->
    _ = is_binary(Text) andalso log("~ts", [Text]),
    {noreply, forget(Id, State)};
handle_info({Ref, Answer}, #state{requests = Requests} = State) when is_map_key(Ref, Requests) ->
    {noreply, answered(Ref, Answer, State)};
handle_info({Ref, flat, Flat}, #state{requests = Requests} = State) when is_map_key(Ref, Requests) ->
    {noreply, answered(Ref, py_nif:build(Flat), State)};
handle_info({'DOWN', Monitor, process, _, _}, #state{loop = Monitor} = State) ->
    %% Somebody has stopped it. Without it nothing is watched.
    {stop, {shutdown, loop_stopped}, State};
handle_info({py_loop_exit, Context, _Result}, State) when Context =:= self() ->
    {noreply, State};
handle_info({fd_handoff, Fd, Info}, State) when is_integer(Fd), is_map(Info) ->
    {noreply, handed_over(Fd, Info, State)};
handle_info(Message, State) ->
    context(py_context:handle_info(Message, State#state.context), State).

-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{files = Files, number = Number, context = Context}) ->
    _ = is_integer(Number) andalso leave(Number),
    _ = map_size(Files) > 0 andalso tell_all(Context),
    _ = [close(File) || {_, File} <- maps:to_list(Files)],
    py_context:terminate(Reason, Context).

tell_all(#{native := Native}) ->
    case py_request:setup_call(Native, ?PYTHON, <<"end">>, [self()], ?PATIENCE) of
        {ok, <<>>} -> ok;
        {ok, Text} -> log("protocols failed in connection_lost()~n~ts", [Text]);
        {error, Reason} -> log("protocols were not told that their reactor ends: ~0tp", [Reason])
    end.

context({reply, Reply, Context}, State) -> {reply, Reply, State#state{context = Context}};
context({noreply, Context}, State) -> {noreply, State#state{context = Context}};
context({stop, Reason, Context}, State) -> {stop, Reason, State#state{context = Context}}.

stats_of(#state{id = Id, mode = Mode, files = Files, max = Max, total = Total, read = Read}) ->
    #{id => Id, mode => Mode, active_connections => map_size(Files), max_connections => Max,
      total_connections => Total,
      total_requests => lists:foldl(fun(File, Sum) -> Sum + reads(File) end, Read, maps:values(Files))}.

%% ---------------------------------------------------------------------------------------------------------------------
%% A new connection

handed_over(Fd, Info, State) ->
    {Result, New} = case py_nif:plugin_call(reactor, open, Fd, self()) of
        {ok, File} -> connect(File, Info, State);
        {error, _} = Error -> {Error, State}
    end,
    _ = Result =:= ok orelse log("the file descriptor ~b was not taken: ~0tp", [Fd, Result]),
    New.

connect({File, _Fd, Id} = Opened, Info, State) ->
    case swept(State) of
        #state{files = Files, max = Max} = Full when map_size(Files) >= Max ->
            close(File),
            {{error, max_connections}, Full};
        #state{app = App, files = Files, total = Total} = Swept ->
            case ask_for({connect, Id}, [self(), Opened, info(Info), App], Swept) of
                {ok, Asked} ->
                    {ok, Asked#state{files = Files#{Id => File}, total = Total + 1}};
                {error, _} = Error ->
                    close(File),
                    {Error, Swept}
            end
    end.

%% Nobody says when a descriptor was closed by somebody else; so it is looked for when there is no room. Not each time:
%% whoever knocks at a full house must not take its time from those who are in it.
swept(#state{files = Files, max = Max, sweep = Next} = State) when map_size(Files) >= Max ->
    case erlang:monotonic_time(millisecond) of
        Now when Now < Next -> State;
        Now -> later(Now, sweep(State))
    end;
swept(State) ->
    State.

sweep(#state{files = Files} = State) ->
    Gone = [Id || {Id, File} <- maps:to_list(Files), py_nif:plugin_call(reactor, is_open, File) =:= {ok, false}],
    lists:foldl(fun drop/2, State, Gone).

later(Began, State) ->
    Now = erlang:monotonic_time(millisecond),
    State#state{sweep = Now + max(?SWEEPS, ?SWEEPING * (Now - Began))}.

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
%% What Python is asked, and answers

ask_for({Function, _} = Request, Args, #state{context = #{native := Native}, requests = Requests} = State) ->
    Ref = make_ref(),
    case py_request:setup_start(Native, Ref, ?PYTHON, atom_to_binary(Function), Args) of
        {ok, _Handle} -> {ok, State#state{requests = Requests#{Ref => Request}}};
        context_stopped -> {error, context_stopped};
        {error, _} = Error -> Error
    end.

answered(Ref, Answer, #state{requests = Requests} = State) ->
    {Request, Others} = maps:take(Ref, Requests),
    answered_to(Request, Answer, State#state{requests = Others}).

answered_to({connect, _Id}, {ok, none}, State) ->
    State; % when it has ended there will be a message
answered_to({drop, Id}, {ok, none}, State) ->
    forget(Id, State);
answered_to({_, Id}, {error, Reason}, #state{files = Files} = State) when is_map_key(Id, Files) ->
    log("a protocol failed, and its connection is closed: ~0tp", [Reason]),
    drop(Id, State);
answered_to(_, {error, _}, State) ->
    State.

%% Has Python end a connection.
drop(Id, State) ->
    case ask_for({drop, Id}, [self(), Id], State) of
        {ok, New} -> New;
        {error, _} -> forget(Id, State) % the context stops, and this process with it
    end.

forget(Id, #state{files = Files, read = Read} = State) ->
    case maps:take(Id, Files) of
        {File, Others} ->
            close(File),
            State#state{files = Others, read = Read + reads(File)};
        error ->
            State
    end.

reads(File) ->
    {ok, Reads} = py_nif:plugin_call(reactor, reads, File),
    Reads.

close(File) ->
    ok = py_nif:plugin_call(reactor, close, File).

log(Format, Args) ->
    %% Without a domain, because OTP's default handler leaves out those it does not know.
    logger:error(Format, Args).
