%%% @doc The supervisor of contexts that belong to nobody else: those of pools and those of {@link py_context:new/1}.
%%%
%%% A context that dies is not restarted here, since whoever held its pid must learn of it; pools replace theirs
%%% themselves, see {@link py_context_router}.
-module(py_context_sup).

-behaviour(supervisor).

-export([start_link/0, start_context/2, start_contexts/2, stop_context/1, which_contexts/0]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    %% The native half of a context ends with its process however that ends, so there is nothing to wait for.
    Context = #{id => py_context, start => {py_context, launch, []}, restart => temporary, shutdown => brutal_kill},
    {ok, {#{strategy => simple_one_for_one}, [Context]}}.

%% @doc Starts a context and waits until it can work; see {@link py_context:start_link/2}.
-spec start_context(term(), py_context:context_mode() | py_context:options()) -> {ok, pid()} | {error, term()}.
start_context(Id, Options) when is_map(Options) ->
    case start_contexts([Id], Options) of
        {ok, [Pid]} -> {ok, Pid};
        {error, _} = Error -> Error
    end;
start_context(Id, Mode) ->
    start_context(Id, #{mode => Mode}).

%% @doc Starts one context for each Id, all at the same time. Either all of them come up, or none stays.
-spec start_contexts([term()], py_context:options()) -> {ok, [pid()]} | {error, term()}.
start_contexts(Ids, Options) ->
    case py_context:check_options(Options) of
        ok -> await([supervisor:start_child(?MODULE, [Id, Options]) || Id <- Ids]);
        {error, _} = Error -> Error
    end.

%% @doc Kills a context. `{error, not_found}' when it is none of this supervisor's.
-spec stop_context(pid()) -> ok | {error, term()}.
stop_context(Pid) ->
    supervisor:terminate_child(?MODULE, Pid).

-spec which_contexts() -> [pid()].
which_contexts() ->
    [Pid || {_, Pid, _, _} <- supervisor:which_children(?MODULE), is_pid(Pid)].

await(Launched) ->
    Pids = [Pid || {ok, Pid} <- Launched],
    Errors = [Error || {error, _} = Error <- Launched ++ [py_context:ready(Pid) || Pid <- Pids]],
    case Errors of
        [] ->
            {ok, Pids};
        [Error | _] ->
            lists:foreach(fun stop_context/1, Pids),
            Error
    end.
