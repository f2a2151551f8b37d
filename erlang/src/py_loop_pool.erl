%%% @doc Contexts with an event loop each, started when somebody wants one. A process always uses the same one.
-module(py_loop_pool).

-behaviour(gen_server).

-export([start_link/2, loop/1, submit/5, spawn/5, stats/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-type options() :: fun(() -> {Size :: pos_integer(), py_context:context_mode()}).

%% In the process dictionary: its context of a pool.
-define(CHOSEN(Name), {'$py_loop_pool', Name}).

%% @doc Starts a pool by that name. What it is like is asked once, now.
-spec start_link(atom(), options()) -> gen_server:start_ret().
start_link(Name, Options) ->
    gen_server:start_link({local, Name}, ?MODULE, {Name, Options}, []).

%% @doc The loop of the calling process.
-spec loop(atom()) -> {ok, py_loop:loop()} | {error, term()}.
loop(Name) ->
    case get(?CHOSEN(Name)) of
        undefined ->
            choose(Name);
        Context ->
            case py_loop:use(Context) of
                {ok, _} = Found -> Found;
                {error, _} -> choose(Name)
            end
    end.

choose(Name) ->
    case call(Name, contexts) of
        {ok, Contexts} ->
            Context = element(erlang:phash2(self(), tuple_size(Contexts)) + 1, Contexts),
            put(?CHOSEN(Name), Context),
            py_loop:use(Context);
        {error, _} = Error ->
            Error
    end.

%% @doc Submits a task to the loop of the calling process; see {@link py_task:submit/5}.
-spec submit(atom(), py_request:name(), py_request:name(), [term()], map()) -> {ok, py_nif:task()} | {error, term()}.
submit(Name, Module, Function, Args, Kwargs) ->
    on_loop(Name, fun(Loop) -> py_task:submit(Loop, Module, Function, Args, Kwargs) end).

%% @doc The same for {@link py_task:spawn/5}.
-spec spawn(atom(), py_request:name(), py_request:name(), [term()], map()) -> ok | {error, term()}.
spawn(Name, Module, Function, Args, Kwargs) ->
    on_loop(Name, fun(Loop) -> py_task:spawn(Loop, Module, Function, Args, Kwargs) end).

%% A context that has just stopped refuses, and nothing has run.
on_loop(Name, Work) ->
    case Work(loop(Name)) of
        {error, context_stopped} -> Work(choose(Name));
        Result -> Result
    end.

%% @doc `num_loops', `supported' (whether there can be contexts of that mode), `owngil_enabled', and `active_sessions': the
%% processes alive that have used it.
-spec stats(atom()) -> #{atom() => non_neg_integer() | boolean()}.
stats(Name) ->
    case call(Name, stats) of
        #{contexts := Contexts} = Stats ->
            Pids = [Context || Context <- tuple_to_list(Contexts), is_pid(Context)],
            Loops = [Loop || {ok, Loop} <- [py_loop:find(Context) || Context <- Pids]],
            Sessions = lists:sum([py_loop:sessions(Loop) || Loop <- Loops]),
            (maps:remove(contexts, Stats))#{active_sessions => Sessions};
        {error, _} ->
            #{num_loops => 0, supported => false, owngil_enabled => false, active_sessions => 0}
    end.

call(Name, Request) ->
    try
        gen_server:call(Name, Request, infinity)
    catch
        exit:_ -> {error, {not_started, Name}}
    end.

%% ---------------------------------------------------------------------------------------------------------------------

-spec init({atom(), options()}) -> {ok, map()}.
init({Name, Options}) ->
    process_flag(trap_exit, true),
    {Size, Mode} = Options(),
    {ok, #{name => Name, size => Size, mode => Mode, contexts => []}}.

-spec handle_call(term(), gen_server:from(), map()) -> {reply, term(), map()}.
handle_call(contexts, _From, State) ->
    case started(State) of
        {ok, Contexts} -> {reply, {ok, list_to_tuple(Contexts)}, State#{contexts := Contexts}};
        {error, Reason, Contexts} -> {reply, {error, Reason}, State#{contexts := Contexts}}
    end;
handle_call(stats, _From, #{size := Size, mode := Mode, contexts := Contexts} = State) ->
    Supported = py_context:check_options(#{mode => Mode}) =:= ok,
    Stats = #{num_loops => Size, supported => Supported, owngil_enabled => Supported andalso Mode =:= owngil,
              contexts => list_to_tuple(Contexts)},
    {reply, Stats, State};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), map()) -> {noreply, map()}.
handle_cast(_Request, State) ->
    {noreply, State}.

%% Whatever has ended is replaced when it is wanted next.
-spec handle_info(term(), map()) -> {noreply, map()}.
handle_info(_Other, State) ->
    {noreply, State}.

%% The contexts, all with a loop: those there are, in their places, and new ones for those that have ended.
started(#{name := Name, size := Size, mode := Mode, contexts := Contexts}) ->
    Places = case Contexts of
        [] -> lists:duplicate(Size, none);
        _ -> Contexts
    end,
    Launched = [kept(Place) orelse launch(Name, Mode) || Place <- Places],
    Pids = [case Kept of true -> Place; {ok, Pid} -> Pid; Error -> Error end
            || {Place, Kept} <- lists:zip(Places, Launched)],
    %% One after the other: in a shared interpreter the first one imports asyncio for all.
    Ready = [py_context:ready(Pid) || Pid <- Pids, is_pid(Pid)],
    case [Reason || {error, Reason} <- Pids ++ Ready ++ [run(Pid) || Pid <- Pids, is_pid(Pid)]] of
        [] ->
            {ok, Pids};
        [Reason | _] ->
            %% Those that ran before go on.
            [py_context:stop(Pid) || {ok, Pid} <- Launched],
            {error, Reason, [case Kept of true -> Place; _ -> none end || {Place, Kept} <- lists:zip(Places, Launched)]}
    end.

kept(Context) -> is_pid(Context) andalso is_process_alive(Context).

launch(Name, Mode) -> py_context:launch(Name, #{mode => Mode}).

run(Context) ->
    case py_loop:find(Context) of
        {ok, _} ->
            ok;
        {error, no_loop} ->
            py_context:start_loop(Context);
        {error, _} = Error ->
            Error
    end.
