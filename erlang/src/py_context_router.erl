%%% @doc Pools of contexts, and which of them a process uses.
%%%
%%% A process gets a context of a pool by the scheduler it runs on at its first call and keeps it: its Python
%%% environment lives there. A context of a pool that dies is replaced, at the same index; processes that used it
%%% move to a live one.
%%%
%%% This process starts, stops and replaces contexts. Looking one up reads a table and never waits for it.
-module(py_context_router).

-behaviour(gen_server).

%% Pools
-export([start/0, start/1, stop/0, stop_all/0, start_pool/2, start_pool/3, stop_pool/1]).
-export([is_started/0, pool_started/1, num_contexts/0, num_contexts/1, contexts/0, contexts/1]).
%% The context of a process
-export([get_context/0, get_context/1, bind_context/1, bind_context/2, unbind_context/0, unbind_context/1, select/1]).
%% Registrations
-export([init_pool_registry/0, register_pool/2, register_pool/3, unregister_pool/1, unregister_pool/2]).
-export([lookup_pool/2, list_pool_registrations/0, forget_registrations/0]).
%% For erlang_python_sup
-export([new_table/0, start_link/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([pool_name/0, start_opts/0]).

-type pool_name() :: atom().
-type start_opts() :: #{contexts => pos_integer(), mode => py_context:context_mode()}.
-type state() :: #{reference() => {pool_name(), pid()}}.
%% Which context each monitor watches.

%% Rows are {Pool, Mode, Contexts}, Contexts a tuple of pids.
-define(TABLE, py_context_router).
%% #{{Module, Function | '_'} => Pool}, absent while there is no registration: the usual case has to cost nothing.
-define(REGISTRATIONS, ?MODULE).
%% How long to wait before another try when a dead context could not be replaced.
-define(RETRY_AFTER, 1000).

%% ---------------------------------------------------------------------------------------------------------------------
%% Pools

%% @doc Starts the default pool as the application environment says; see {@link start/1}.
-spec start() -> {ok, [pid()]} | {error, term()}.
start() -> start(#{}).

%% @doc Starts the default pool. If it runs already its contexts are returned, whatever the options say.
-spec start(start_opts()) -> {ok, [pid()]} | {error, term()}.
start(Options) when is_map(Options) ->
    start_pool(default,
               maps:get(contexts, Options, py_config:num_contexts()),
               maps:get(mode, Options, py_config:context_mode())).

%% @doc Stops the default pool.
-spec stop() -> ok.
stop() -> stop_pool(default).

%% @doc Stops every pool.
-spec stop_all() -> ok.
stop_all() -> call(stop_all).

-spec start_pool(pool_name(), pos_integer()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size) -> start_pool(Pool, Size, worker).

%% @doc Starts a pool, or returns the contexts of one that runs already. Contexts come in the order of their index.
-spec start_pool(pool_name(), pos_integer(), py_context:context_mode()) -> {ok, [pid()]} | {error, term()}.
start_pool(Pool, Size, Mode) when is_atom(Pool), is_integer(Size), Size > 0 ->
    call({start, Pool, Size, Mode}).

%% @doc Kills the contexts of a pool. `ok' also when there was no such pool.
-spec stop_pool(pool_name()) -> ok.
stop_pool(Pool) when is_atom(Pool) -> call({stop, Pool}).

%% @doc Whether the default pool runs.
-spec is_started() -> boolean().
is_started() -> pool_started(default).

-spec pool_started(pool_name()) -> boolean().
pool_started(Pool) ->
    lists:any(fun is_process_alive/1, contexts(Pool)).

-spec num_contexts() -> non_neg_integer().
num_contexts() -> num_contexts(default).

%% @doc How many contexts a pool has; 0 when it does not run.
-spec num_contexts(pool_name()) -> non_neg_integer().
num_contexts(Pool) -> tuple_size(pool(Pool)).

-spec contexts() -> [pid()].
contexts() -> contexts(default).

-spec contexts(pool_name()) -> [pid()].
contexts(Pool) -> tuple_to_list(pool(Pool)).

%% ---------------------------------------------------------------------------------------------------------------------
%% The context of a process

%% @doc The context the calling process uses in the default pool; alive when looked at. Raises `contexts_not_started'.
-spec get_context() -> pid().
get_context() -> get_context(default).

%% @doc With an index, that context of the default pool; raises `{no_such_context, Index}'. With a name, the context the
%% calling process uses in that pool; raises `{pool_not_started, Pool}'.
-spec get_context(pos_integer() | pool_name()) -> pid().
get_context(Index) when is_integer(Index) ->
    case pool(default) of
        Contexts when Index >= 1, Index =< tuple_size(Contexts) -> live(Index, element(Index, Contexts));
        {} -> error(contexts_not_started, [Index]);
        _ -> error({no_such_context, Index}, [Index])
    end;
get_context(Pool) when is_atom(Pool) ->
    case py_local_env:of_pool(Pool) of
        {Pid, _, _} when node(Pid) =/= node() ->
            Pid;
        {Pid, _, _} ->
            case is_process_alive(Pid) of
                true -> Pid;
                false -> py_local_env:forget(Pool, Pid), get_context(Pool)
            end;
        {error, context_stopped} ->
            %% It stopped between being chosen and being looked at.
            get_context(Pool);
        {error, Reason} ->
            error(Reason, [Pool])
    end.

%% @doc Makes a context the one the calling process uses, until it is unbound or the context dies.
-spec bind_context(pid()) -> ok | {error, context_stopped}.
bind_context(Context) -> bind_context(default, Context).

-spec bind_context(pool_name(), pid()) -> ok | {error, context_stopped}.
bind_context(Pool, Context) when is_atom(Pool), is_pid(Context) -> py_local_env:bind(Pool, Context).

%% @doc Undoes {@link bind_context/1}; the process goes back to the context it had before.
-spec unbind_context() -> ok.
unbind_context() -> unbind_context(default).

-spec unbind_context(pool_name()) -> ok.
unbind_context(Pool) when is_atom(Pool) -> py_local_env:unbind(Pool).

%% @doc A live context of a pool for a process that has none: by its scheduler, or the next that is alive.
-spec select(pool_name()) -> {ok, pid()} | {error, contexts_not_started | {pool_not_started, pool_name()}}.
select(Pool) ->
    Contexts = pool(Pool),
    case alive_from(erlang:system_info(scheduler_id), Contexts) of
        {ok, _} = Found -> Found;
        none when Contexts =:= {} -> {error, not_started(Pool)};
        %% All have died and the router has not seen it yet.
        none -> repaired(Pool)
    end.

live(Index, Pid) ->
    case is_process_alive(Pid) of
        true -> Pid;
        false -> _ = repaired(default), element(Index, pool(default))
    end.

alive_from(Scheduler, Contexts) ->
    Size = tuple_size(Contexts),
    first_alive([element((Scheduler + I) rem Size + 1, Contexts) || I <- lists:seq(-1, Size - 2)]).

first_alive([]) -> none;
first_alive([Pid | Pids]) ->
    case is_process_alive(Pid) of
        true -> {ok, Pid};
        false -> first_alive(Pids)
    end.

repaired(Pool) ->
    try call({repair, Pool}) of
        ok ->
            case first_alive(contexts(Pool)) of
                {ok, _} = Found -> Found;
                none -> {error, not_started(Pool)}
            end
    catch
        _:_ -> {error, not_started(Pool)}
    end.

not_started(default) -> contexts_not_started;
not_started(Pool) -> {pool_not_started, Pool}.

pool(Pool) ->
    try ets:lookup(?TABLE, Pool) of
        [{_, _, Contexts}] -> Contexts;
        [] -> {}
    catch
        %% The application is not running.
        error:badarg -> {}
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Registrations

%% @doc There is nothing to prepare: registrations can be read at any time and written while the application runs.
-spec init_pool_registry() -> ok.
init_pool_registry() -> ok.

%% @doc Sends calls of every function of a Python module to a pool.
-spec register_pool(pool_name(), atom()) -> ok.
register_pool(Pool, Module) -> register_pool(Pool, Module, '_').

%% @doc Sends calls of one function to a pool; this counts more than what is registered for its module.
-spec register_pool(pool_name(), atom(), atom()) -> ok.
register_pool(Pool, Module, Function) when is_atom(Pool), is_atom(Module), is_atom(Function) ->
    call({register, {Module, Function}, Pool}).

-spec unregister_pool(atom()) -> ok.
unregister_pool(Module) -> unregister_pool(Module, '_').

-spec unregister_pool(atom(), atom()) -> ok.
unregister_pool(Module, Function) when is_atom(Module), is_atom(Function) ->
    call({unregister, {Module, Function}}).

%% @doc The pool calls of a function go to: `default' where nothing is registered.
-spec lookup_pool(py_request:name(), py_request:name()) -> pool_name().
lookup_pool(Module, Function) ->
    case persistent_term:get(?REGISTRATIONS, none) of
        none -> default;
        Registrations -> registered(as_atom(Module), as_atom(Function), Registrations)
    end.

-spec list_pool_registrations() -> [{{atom(), atom()}, pool_name()}].
list_pool_registrations() -> maps:to_list(registrations()).

%% @doc Drops every registration; works whether or not the application runs.
-spec forget_registrations() -> ok.
forget_registrations() ->
    _ = persistent_term:erase(?REGISTRATIONS),
    ok.

registered(Module, Function, Registrations) ->
    case Registrations of
        #{{Module, Function} := Pool} -> Pool;
        #{{Module, '_'} := Pool} -> Pool;
        _ -> default
    end.

%% Registrations are made with atoms, so a name that is no atom yet is registered nowhere.
as_atom(Name) when is_atom(Name) -> Name;
as_atom(Name) ->
    try
        case Name of
            _ when is_binary(Name) -> binary_to_existing_atom(Name, utf8);
            _ -> list_to_existing_atom(Name)
        end
    catch
        %% No registration can have this key.
        error:_ -> ''
    end.

registrations() -> persistent_term:get(?REGISTRATIONS, #{}).

store_registrations(Registrations) when map_size(Registrations) =:= 0 -> forget_registrations();
store_registrations(Registrations) -> persistent_term:put(?REGISTRATIONS, Registrations).

%% ---------------------------------------------------------------------------------------------------------------------
%% The process

%% @doc Creates the table of pools; it belongs to the calling process and so outlives a crash of the router.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

call(Request) ->
    try gen_server:call(?MODULE, Request, infinity)
    catch exit:{noproc, _} -> error({not_running, erlang_python})
    end.

-spec init([]) -> {ok, state()}.
init([]) ->
    %% Pools that an earlier router left; contexts that died meanwhile are reported by their monitors.
    {ok, lists:foldl(fun({Pool, _, Contexts}, State) -> watch(Pool, tuple_to_list(Contexts), State) end,
                     #{}, ets:tab2list(?TABLE))}.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, term(), state()}.
handle_call({start, Pool, Size, Mode}, _From, State) ->
    case ets:lookup(?TABLE, Pool) of
        [] -> start_new(Pool, Size, Mode, State);
        [_] -> Repaired = repair(Pool, State), {reply, {ok, contexts(Pool)}, Repaired}
    end;
handle_call({stop, Pool}, _From, State) ->
    {reply, ok, stop_contexts(Pool, State)};
handle_call(stop_all, _From, State) ->
    {reply, ok, lists:foldl(fun({Pool, _, _}, Rest) -> stop_contexts(Pool, Rest) end, State, ets:tab2list(?TABLE))};
handle_call({repair, Pool}, _From, State) ->
    {reply, ok, repair(Pool, State)};
handle_call({register, Key, Pool}, _From, State) ->
    {reply, store_registrations((registrations())#{Key => Pool}), State};
handle_call({unregister, Key}, _From, State) ->
    {reply, store_registrations(maps:remove(Key, registrations())), State};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({'DOWN', Monitor, process, _Pid, _Reason}, State) when is_map_key(Monitor, State) ->
    {{Pool, _}, Rest} = maps:take(Monitor, State),
    {noreply, repair(Pool, Rest)};
handle_info({repair, Pool}, State) ->
    {noreply, repair(Pool, State)};
handle_info(_Other, State) ->
    {noreply, State}.

start_new(Pool, Size, Mode, State) ->
    case py_context_sup:start_contexts(lists:seq(1, Size), #{mode => Mode}) of
        {ok, Pids} ->
            true = ets:insert(?TABLE, {Pool, Mode, list_to_tuple(Pids)}),
            {reply, {ok, Pids}, watch(Pool, Pids, State)};
        {error, _} = Error ->
            {reply, Error, State}
    end.

stop_contexts(Pool, State) ->
    Pids = contexts(Pool),
    true = ets:delete(?TABLE, Pool),
    Rest = unwatch(Pool, fun(_) -> true end, State),
    lists:foreach(fun py_context_sup:stop_context/1, Pids),
    Rest.

%% Replaces the contexts of a pool that have died. Those that cannot be replaced now are tried again later; meanwhile
%% the pool works with what is left.
repair(Pool, State) ->
    case ets:lookup(?TABLE, Pool) of
        [{_, Mode, Contexts}] ->
            Dead = [I || I <- lists:seq(1, tuple_size(Contexts)), not is_process_alive(element(I, Contexts))],
            replace(Dead, Pool, Mode, Contexts, State);
        [] ->
            State
    end.

replace([], _Pool, _Mode, _Contexts, State) ->
    State;
replace(Dead, Pool, Mode, Contexts, State) ->
    Watched = unwatch(Pool, fun(Pid) -> not is_process_alive(Pid) end, State),
    case py_context_sup:start_contexts(Dead, #{mode => Mode}) of
        {ok, Pids} ->
            New = lists:foldl(fun({I, Pid}, Acc) -> setelement(I, Acc, Pid) end, Contexts, lists:zip(Dead, Pids)),
            true = ets:insert(?TABLE, {Pool, Mode, New}),
            watch(Pool, Pids, Watched);
        {error, Reason} ->
            logger:warning("erlang_python: ~b context(s) of pool ~tp could not be replaced: ~0tp",
                           [length(Dead), Pool, Reason]),
            _ = erlang:send_after(?RETRY_AFTER, self(), {repair, Pool}),
            Watched
    end.

watch(Pool, Pids, State) ->
    lists:foldl(fun(Pid, Acc) -> Acc#{monitor(process, Pid) => {Pool, Pid}} end, State, Pids).

unwatch(Pool, Wanted, State) ->
    maps:filter(fun(Monitor, {Watched, Pid}) when Watched =:= Pool ->
                        not (Wanted(Pid) andalso demonitor(Monitor, [flush]));
                   (_Monitor, _Other) ->
                        true
                end, State).
