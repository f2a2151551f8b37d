%%% @doc Runs work in processes of its own, of each key one piece at a time, in the order it came.
%%%
%%% Work traps exits. When its caller dies, or the application stops, it is sent an exit signal from this process; it
%%% can look for that and clean up, or finish.
-module(py_venv_jobs).

-behaviour(gen_server).

-export([start_link/0, run/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type job() :: {Key :: term(), fun(() -> term()), gen_server:from(), CallerMonitor :: reference()}.
-type state() :: #{running := #{pid() => job()}, waiting := [job()]}.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Waits for its turn and for the result. An exception of the work is raised here;
%% `{error, {not_started, erlang_python}}' when the application is not running, or stops meanwhile.
-spec run(term(), fun(() -> Result)) -> Result | {error, {not_started, erlang_python}}.
run(Key, Work) ->
    try gen_server:call(?MODULE, {run, Key, Work}, infinity) of
        {result, Result} -> Result;
        {crashed, Reason} -> error(Reason)
    catch
        exit:_ -> {error, {not_started, erlang_python}}
    end.

-spec init([]) -> {ok, state()}.
init([]) ->
    process_flag(trap_exit, true),
    {ok, #{running => #{}, waiting => []}}.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, term(), state()} | {noreply, state()}.
handle_call({run, Key, Work}, {Caller, _} = From, #{waiting := Waiting} = State) ->
    Job = {Key, Work, From, monitor(process, Caller)},
    {noreply, start(State#{waiting := Waiting ++ [Job]})};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()} | {stop, term(), state()}.
handle_info({'EXIT', Pid, Reason}, #{running := Running} = State) when is_map_key(Pid, Running) ->
    {noreply, start(ended(Pid, Reason, State))};
handle_info({'EXIT', _Parent, Reason}, State) ->
    {stop, Reason, State};
handle_info({'DOWN', Monitor, process, _Caller, _Reason}, #{running := Running, waiting := Waiting} = State) ->
    [exit(Pid, abandoned) || {Pid, {_, _, _, Watched}} <- maps:to_list(Running), Watched =:= Monitor],
    {noreply, State#{waiting := [Job || {_, _, _, Watched} = Job <- Waiting, Watched =/= Monitor]}};
handle_info(_Other, State) ->
    {noreply, State}.

%% @doc Ends what runs, and waits until it has cleaned up; the supervisor says how long.
-spec terminate(term(), state()) -> ok.
terminate(_Reason, #{running := Running} = State) ->
    [exit(Pid, shutdown) || Pid <- maps:keys(Running)],
    wait_for_all(State).

wait_for_all(#{running := Running}) when map_size(Running) =:= 0 ->
    ok;
wait_for_all(#{running := Running} = State) ->
    receive
        {'EXIT', Pid, Reason} when is_map_key(Pid, Running) -> wait_for_all(ended(Pid, Reason, State))
    end.

%% Starts everything whose key is free.
start(#{waiting := Waiting} = State) ->
    lists:foldl(fun({Key, _, _, _} = Job, #{running := Running, waiting := Later} = Acc) ->
        case lists:keymember(Key, 1, maps:values(Running)) of
            true -> Acc#{waiting := Later ++ [Job]};
            false -> Acc#{running := Running#{spawn_link(fun() -> work(Job) end) => Job}}
        end
    end, State#{waiting := []}, Waiting).

work({_Key, Work, From, _Monitor}) ->
    process_flag(trap_exit, true),
    gen_server:reply(From, {result, Work()}).

ended(Pid, Reason, #{running := Running} = State) ->
    {{_, _, From, Monitor}, Rest} = maps:take(Pid, Running),
    demonitor(Monitor, [flush]),
    case Reason of
        normal -> ok; % and has replied
        {Error, [_ | _]} -> gen_server:reply(From, {crashed, Error});
        _ -> gen_server:reply(From, {crashed, Reason})
    end,
    State#{running := Rest}.
