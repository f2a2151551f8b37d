%%% @doc An event loop that runs in a context, and the process that keeps it running.
%%%
%%% The loop itself is one request that goes on until it is stopped, made by this process: it takes no slot of the
%%% semaphore and has no timeout. When it was interrupted the next request goes on with the same loop. Tasks do not pass
%%% through here; the process that submits one has this process watch it, so that what is left of its tasks is cancelled
%%% when it dies.
%%%
%%% Who started the loop is its owner: it gets `{py_loop_exit, Context, Result}' when the loop has ended, and its death
%%% ends the loop.
-module(py_loop).

-behaviour(gen_server).

-export([new_table/0, start/3, stop/2, find/1, of_ref/1, use/1, known/1, known/2, cancel/1]).
-export([ref/1, context/1, native/1, sessions/1, monitor/1]).
-export([start_link/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([loop/0, exit_result/0]).

%% What is needed to submit to a loop. The table has it without the native context: what a killed process leaves there
%% keeps nothing alive.
-record(loop, {context :: pid(), native :: py_nif:context() | undefined, number :: non_neg_integer(), process :: pid(),
               ref :: reference()}).

-opaque loop() :: #loop{}.
-type exit_result() :: ok | {error, term()}.
%% `ok': it was stopped, or its owner died.

-define(TABLE, ?MODULE).
-define(PYTHON, <<"erlang._tasks">>).
%% In the process dictionary: by context, the loops that the process has submitted to and which watch it, each with the
%% environments it knows.
-define(JOINED, '$py_loops').
%% A map larger than this is cleared of loops that have ended before it grows.
-define(MANY, 16).
%% Milliseconds after which a context in which something waits is asked again.
-define(BUSY, 5).
%% How long Python may take to end a loop before it is interrupted.
-define(PATIENCE, 5000).

%% ---------------------------------------------------------------------------------------------------------------------
%% For those who run loops

%% @doc The table of loops, by context and by reference; owned by the caller.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    ok.

%% @doc Starts a loop in a context for Owner and waits until it runs. `{error, already_started}', `{error, timeout}': the
%% context has been busy for so long; `{error, context_stopped}'.
-spec start(pid(), pid(), timeout()) -> ok | {error, term()}.
start(Context, Owner, Timeout) ->
    case py_loop_sup:start_loop(Context, Owner) of
        {ok, Process} -> await_start(Process, Timeout);
        {error, _} = Error -> Error
    end.

await_start(Process, Timeout) ->
    try
        gen_server:call(Process, await_start, Timeout)
    catch
        exit:{timeout, _} ->
            _ = gen_server:call(Process, {stop, ?PATIENCE}, infinity),
            {error, timeout};
        exit:_ ->
            {error, context_stopped}
    end.

%% @doc Ends a loop: its tasks are cancelled, and have the time for cleaning up. `{error, no_loop}'.
-spec stop(pid(), timeout()) -> ok | {error, no_loop}.
stop(Context, Timeout) ->
    case lookup(Context) of
        {ok, #loop{process = Process}} ->
            try
                gen_server:call(Process, {stop, Timeout}, infinity)
            catch
                exit:_ -> ok % it has ended by itself
            end;
        {error, _} ->
            {error, no_loop}
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% For those who use them

%% @doc The loop that runs in a context.
-spec find(pid()) -> {ok, loop()} | {error, no_loop | context_stopped | {not_started, erlang_python}}.
find(Context) ->
    case lookup(Context) of
        {ok, Loop} ->
            case py_nif:context_of(Context) of
                undefined -> {error, context_stopped};
                Native -> {ok, Loop#loop{native = Native}}
            end;
        {error, no_loop} ->
            none(Context);
        {error, _} = Error ->
            Error
    end.

lookup(Context) ->
    try ets:lookup(?TABLE, Context) of
        [{_, #loop{process = Process} = Loop}] ->
            case is_process_alive(Process) of
                true -> {ok, Loop};
                false -> {error, no_loop}
            end;
        _ ->
            {error, no_loop}
    catch
        error:badarg -> {error, {not_started, erlang_python}}
    end.

none(Context) ->
    case py_nif:context_of(Context) of
        undefined -> {error, context_stopped};
        _ -> {error, no_loop}
    end.

%% @doc The loop that a reference stands for.
-spec of_ref(reference()) -> {ok, loop()} | {error, no_loop}.
of_ref(Ref) ->
    try ets:lookup(?TABLE, Ref) of
        [{_, Context}] -> find(Context);
        [] -> {error, no_loop}
    catch
        error:badarg -> {error, no_loop}
    end.

%% @doc The loop of a context, which watches the calling process from now on.
-spec use(pid()) -> {ok, loop()} | {error, no_loop | context_stopped}.
use(Context) ->
    case get(?JOINED) of
        #{Context := {#loop{process = Process} = Loop, _}} = Joined ->
            case is_process_alive(Process) andalso is_process_alive(Context) of
                true -> {ok, Loop};
                false -> find_and_join(Context, maps:remove(Context, Joined))
            end;
        undefined ->
            find_and_join(Context, #{});
        Joined ->
            find_and_join(Context, Joined)
    end.

find_and_join(Context, Joined) ->
    case find(Context) of
        {ok, #loop{process = Process} = Loop} ->
            _ = py_local_env:of_context(Context), % the context watches it, too
            Process ! {join, self()},
            put(?JOINED, (running(Joined))#{Context => {Loop, []}}),
            {ok, Loop};
        {error, _} = Error ->
            put(?JOINED, Joined),
            Error
    end.

running(Joined) when map_size(Joined) < ?MANY -> Joined;
running(Joined) -> maps:filter(fun(_, {#loop{process = Process}, _}) -> is_process_alive(Process) end, Joined).

%% @doc The environments of the calling process that a loop it uses knows.
-spec known(loop()) -> [py_nif:env()].
known(#loop{context = Context}) ->
    #{Context := {_, Envs}} = get(?JOINED),
    Envs.

%% @doc Those it knows from now on.
-spec known(loop(), [py_nif:env()]) -> ok.
known(#loop{context = Context} = Loop, Envs) ->
    put(?JOINED, (get(?JOINED))#{Context := {Loop, Envs}}),
    ok.

%% @doc Cancels a task that the calling process has submitted.
-spec cancel(py_nif:task()) -> ok.
cancel(Task) ->
    Native = py_nif:task_context(Task),
    Joined = case get(?JOINED) of
        undefined -> [];
        Map -> maps:values(Map)
    end,
    _ = [Process ! {cancel, Task} || {#loop{native = N, process = Process}, _} <- Joined, N =:= Native],
    ok.

%% @doc The reference that stands for a loop.
-spec ref(loop()) -> reference().
ref(#loop{ref = Ref}) -> Ref.

-spec context(loop()) -> {pid(), py_nif:context(), non_neg_integer()}.
context(#loop{context = Context, native = Native, number = Number}) -> {Context, Native, Number}.

-spec native(loop()) -> py_nif:context().
native(#loop{native = Native}) -> Native.

%% @doc Monitors the process that keeps a loop running.
-spec monitor(loop()) -> reference().
monitor(#loop{process = Process}) -> erlang:monitor(process, Process).

%% @doc How many processes a loop watches.
-spec sessions(loop()) -> non_neg_integer().
sessions(#loop{process = Process}) ->
    try
        gen_server:call(Process, sessions)
    catch
        exit:_ -> 0
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% gen_server

-spec start_link(pid(), pid()) -> gen_server:start_ret().
start_link(Context, Owner) ->
    gen_server:start_link(?MODULE, {Context, Owner}, []).

-spec init({pid(), pid()}) -> {ok, map()} | {stop, term()}.
init({Context, Owner}) ->
    process_flag(trap_exit, true),
    case py_nif:context_of(Context) of
        undefined -> {stop, context_stopped};
        Native -> init(Context, Native, Owner)
    end.

init(Context, Native, Owner) ->
    case py_nif:task_new(Native) of
        {error, Reason} ->
            {stop, Reason};
        Life ->
            sweep(),
            case ets:insert_new(?TABLE, {Context, {starting, self()}}) of
                true ->
                    ok = py_nif:context_join(Native),
                    Loop = #loop{context = Context, number = py_nif:context_id(Native), process = self(),
                                 ref = make_ref()},
                    {ok, request(#{loop => Loop, native => Native, life => Life,
                                   owner => Owner, owner_monitor => erlang:monitor(process, Owner), request => none,
                                   joined => #{}, starting => [], stopping => [], phase => starting, result => ok})};
                false ->
                    _ = py_nif:task_give_up(Life),
                    {stop, already_started}
            end
    end.

%% What processes that were killed have left. A new row of the same context is another object, and stays.
sweep() ->
    lists:foreach(fun swept/1, ets:tab2list(?TABLE)).

swept({_, {starting, Process}} = Row) ->
    is_process_alive(Process) orelse ets:delete_object(?TABLE, Row);
swept({_, #loop{process = Process, ref = Ref}} = Row) ->
    is_process_alive(Process) orelse (ets:delete(?TABLE, Ref) andalso ets:delete_object(?TABLE, Row));
swept({_Ref, _Context}) ->
    true.

-spec handle_call(term(), gen_server:from(), map()) -> {reply, term(), map()} | {noreply, map()} | {stop, normal, map()}.
handle_call(await_start, _From, #{phase := running} = State) ->
    {reply, ok, State};
handle_call(await_start, From, #{starting := Waiting} = State) ->
    {noreply, State#{starting := [From | Waiting]}};
handle_call({stop, Timeout}, From, #{stopping := Waiting} = State) ->
    stopping(Timeout, State#{stopping := [From | Waiting]});
handle_call(sessions, _From, #{joined := Joined} = State) ->
    {reply, map_size(Joined), State};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), map()) -> {noreply, map()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), map()) -> {noreply, map()} | {stop, normal, map()}.
handle_info({join, Pid}, #{joined := Joined} = State) ->
    case Joined of
        #{Pid := _} -> {noreply, State};
        #{} -> {noreply, State#{joined := Joined#{Pid => erlang:monitor(process, Pid)}}}
    end;
handle_info({cancel, Task}, State) ->
    tell(cancel, [Task], State),
    {noreply, State};
handle_info({'DOWN', Monitor, process, _, _}, #{owner_monitor := Monitor} = State) ->
    stopping(?PATIENCE, State);
handle_info({'DOWN', _, process, Pid, _}, #{joined := Joined} = State) ->
    tell(forget, [Pid], State),
    {noreply, State#{joined := maps:remove(Pid, Joined)}};
handle_info({py_loop, Life, runs}, #{life := Life, loop := Loop, phase := starting, starting := Waiting} = State) ->
    #loop{context = Context, ref = Ref} = Loop,
    true = ets:insert(?TABLE, [{Context, Loop}, {Ref, Context}]),
    [gen_server:reply(From, ok) || From <- Waiting],
    {noreply, State#{phase := running, starting := []}};
handle_info({Ref, Result}, #{request := {Ref, _}} = State) ->
    ended(Result, State#{request := none});
handle_info(again, #{request := none, phase := Phase} = State) when Phase =/= stopping ->
    {noreply, request(State)};
handle_info(interrupt, #{request := {_, Handle}} = State) ->
    %% Python has had its time.
    case py_request:cancel(Handle) of
        replied -> {noreply, State};
        _ -> {stop, normal, State#{request := none}}
    end;
handle_info(_Other, State) ->
    {noreply, State}.

-spec terminate(term(), map()) -> ok.
terminate(_Reason, #{loop := Loop, life := Life, owner := Owner, starting := Starting, stopping := Stopping,
                     result := Result} = State) ->
    #loop{context = Context, ref = Ref} = Loop,
    abandon(State),
    ets:delete(?TABLE, Context),
    ets:delete(?TABLE, Ref),
    _ = py_nif:task_give_up(Life),
    Failure = case Result of
        ok -> {error, loop_stopped};
        _ -> Result
    end,
    [gen_server:reply(From, Failure) || From <- Starting],
    [gen_server:reply(From, ok) || From <- Stopping],
    Owner ! {py_loop_exit, Context, Result},
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

request(#{loop := #loop{number = Number}, native := Native, life := Life} = State) ->
    Ref = make_ref(),
    case py_request:setup_start(Native, Ref, ?PYTHON, run, [Number, Life, self()]) of
        {ok, Handle} ->
            State#{request := {Ref, Handle}};
        Refused ->
            self() ! {Ref, final(Refused)},
            State#{request := {Ref, 0}}
    end.

final(context_stopped) -> {error, context_stopped};
final(Refused) -> Refused.

ended({ok, <<"busy">>}, #{phase := Phase} = State) when Phase =/= stopping ->
    %% When it runs already it was interrupted, and something that waits has come between.
    _ = erlang:send_after(?BUSY, self(), again),
    {noreply, State};
ended({ok, <<"interrupted">>}, #{phase := Phase} = State) when Phase =/= stopping ->
    {noreply, request(State)};
ended({error, interrupted}, #{phase := Phase} = State) when Phase =/= stopping ->
    {noreply, request(State)};
ended({ok, _}, State) ->
    {stop, normal, State};
ended({error, interrupted}, State) ->
    {stop, normal, State};
ended({error, Reason}, State) ->
    {stop, normal, State#{result := {error, Reason}}}.

stopping(_Timeout, #{request := none} = State) ->
    {stop, normal, State};
stopping(Timeout, State) ->
    tell(stop, [], State),
    is_integer(Timeout) andalso erlang:send_after(Timeout, self(), interrupt),
    {noreply, State#{phase := stopping}}.

%% The loop has to end, and this process ends first: its request is given up, which interrupts it.
abandon(#{request := {_, Handle}} = State) when Handle =/= 0 ->
    tell(stop, [], State),
    _ = py_request:cancel(Handle),
    ok;
abandon(State) ->
    tell(stop, [], State).

%% Between the callbacks of the loop.
tell(Function, Args, #{loop := #loop{number = Number}, native := Native}) ->
    _ = py_request:setup_cast(Native, ?PYTHON, Function, [Number | Args]),
    ok.
