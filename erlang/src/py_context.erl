%%% @doc A Python context: an OS thread with its own namespace, owned by this process.
%%%
%%% The process is the context's identity and its life: it can be linked, monitored, supervised and stopped like any
%%% other. Requests do not pass through it: the caller hands them to the thread itself and gets the answer from it.
%%%
%%% Without an environment, the functions here work in the context's own namespace, which all processes share; those of
%%% {@link py} work in an environment of the calling process. A context that has stopped gives
%%% `{error, context_stopped}'. Where no timeout is given there is none.
-module(py_context).

-behaviour(gen_server).

-export([start_link/2, new/1, stop/1, destroy/1]).
-export([call/4, call/5, call/6, call/7, eval/2, eval/3, eval/4, eval/5, exec/2, exec/3]).
-export([call_method/4, to_term/1, interrupt/1]).
-export([start_loop/1, start_loop/2, stop_loop/1, stop_loop/2, loop_ref/1]).
-export([submit/4, submit/5, submit_await/4, submit_await/5, submit_await/6]).
-export([create_local_env/1, get_nif_ref/1, get_interp_id/1, is_subinterp/1, memory_usage/1]).
%% For py_context_sup.
-export([launch/2, ready/1, check_options/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-export_type([context/0, context_mode/0, options/0]).

-type context() :: pid().
-type context_mode() :: py_nif:mode().
-type options() :: #{mode := context_mode(), memory_limit => pos_integer()}.
-type state() :: #{id := term(),
                   mode := context_mode(),
                   native := py_nif:context() | undefined,
                   %% `{starting, Ref, Waiting}' until the thread is up and set up, or has failed.
                   status := ready | {failed, term()} | {starting, reference(), [gen_server:from()]}}.

-define(TIMEOUT, 30000).

%% ---------------------------------------------------------------------------------------------------------------------
%% Life

%% @doc Starts a context linked to the caller and waits until it can work. Id is only a label.
%% `{error, {invalid_mode, Mode}}', `{error, owngil_requires_python314}', why the thread could not start, or why what
%% {@link py_preload} has for it failed.
-spec start_link(term(), context_mode()) -> {ok, context()} | {error, term()}.
start_link(Id, Mode) ->
    case launch(Id, #{mode => Mode}) of
        {ok, Pid} -> started(Pid, ready(Pid));
        {error, _} = Error -> Error
    end.

%% @doc Starts a context under {@link py_context_sup}: it lives until it is stopped. Options: `mode' (`worker'), and for
%% mode `owngil' `memory_limit': the bytes its interpreter may take beyond what it has when it is new, which needs
%% `{enable_memory_limits, true}' in the application environment when Python starts. Python code that would take more
%% gets a MemoryError. What libraries take from the system by themselves is not seen, and small blocks may go 256 KiB
%% beyond, so that the error can be handled.
%%
%% Errors are those of {@link start_link/2}, `{error, memory_limit_requires_owngil}', `{error, memory_limits_not_enabled}',
%% `{error, {invalid_memory_limit, Value}}' and `{error, {invalid_option, Key}}'.
-spec new(#{mode => context_mode(), memory_limit => pos_integer()}) -> {ok, context()} | {error, term()}.
new(Options) when is_map(Options) ->
    try
        py_context_sup:start_context(new, maps:merge(#{mode => worker}, Options))
    catch
        exit:{noproc, _} -> {error, {not_started, erlang_python}}
    end.

%% @doc Stops a context; it is gone when this returns. What waits in it gets `{error, context_stopped}'.
-spec stop(context()) -> ok.
stop(Context) when is_pid(Context) ->
    try
        gen_server:stop(Context)
    catch
        exit:_ -> ok
    end.

%% @doc The same as {@link stop/1}.
-spec destroy(context()) -> ok.
destroy(Context) -> stop(Context).

%% @doc As {@link start_link/2}, without waiting: {@link ready/1} waits. Keeps a supervisor free while threads start.
-spec launch(term(), options()) -> {ok, context()} | {error, term()}.
launch(Id, Options) ->
    case check_options(Options) of
        ok -> gen_server:start_link(?MODULE, {Id, Options}, []);
        {error, _} = Error -> Error
    end.

%% @doc Waits until a launched context can work. After an error the process still exists, so that whoever is linked
%% to it is not taken down; stop it.
-spec ready(context()) -> ok | {error, term()}.
ready(Context) ->
    try
        gen_server:call(Context, ready, infinity)
    catch
        exit:_ -> {error, context_stopped}
    end.

%% @doc Whether contexts with these options can be started here.
-spec check_options(options()) -> ok | {error, term()}.
check_options(Options) ->
    case [Error || {error, _} = Error <- [check_option(Key, Value) || {Key, Value} <- maps:to_list(Options)]] of
        [] -> ok;
        [Error | _] -> Error
    end.

check_option(mode, Mode) -> check_mode(Mode);
check_option(memory_limit, Bytes) when is_integer(Bytes), Bytes > 0, Bytes < 1 bsl 60 -> ok;
check_option(memory_limit, Bytes) -> {error, {invalid_memory_limit, Bytes}};
check_option(Key, _) -> {error, {invalid_option, Key}}.

check_mode(worker) -> ok;
check_mode(freethreaded) ->
    case py_nif:runtime() of
        #{free_threading := false} -> {error, freethreaded_requires_free_threaded_python};
        _ -> ok
    end;
check_mode(owngil) -> py_nif:owngil_problem();
check_mode(Mode) -> {error, {invalid_mode, Mode}}.

started(Pid, ok) ->
    {ok, Pid};
started(Pid, {error, _} = Error) ->
    unlink(Pid),
    stop(Pid),
    Error.

%% ---------------------------------------------------------------------------------------------------------------------
%% Work

%% @doc Calls a Python function in the context's own namespace, or in an environment.
-spec call(context(), py_request:name(), py_request:name(), [term()]) -> py_request:result().
call(Context, Module, Function, Args) ->
    call(Context, Module, Function, Args, #{}).

-spec call(context(), py_request:name(), py_request:name(), [term()], map()) -> py_request:result().
call(Context, Module, Function, Args, Kwargs) ->
    call(Context, Module, Function, Args, Kwargs, infinity).

-spec call(context(), py_request:name(), py_request:name(), [term()], map(), timeout()) -> py_request:result().
call(Context, Module, Function, Args, Kwargs, Timeout) ->
    call(Context, Module, Function, Args, Kwargs, Timeout, undefined).

-spec call(context(), py_request:name(), py_request:name(), [term()], map(), timeout(), py_request:env()) ->
    py_request:result().
call(Context, Module, Function, Args, Kwargs, Timeout, Env) when is_list(Args), is_map(Kwargs) ->
    case joined(Context) of
        {ok, Native} -> py_request:call(Native, Module, Function, Args, Kwargs, Env, 0, Timeout);
        remote -> remote(Context, call, [Module, Function, Args, Kwargs, Timeout], Env, Timeout);
        {error, _} = Error -> Error
    end.

%% @doc Evaluates a Python expression in the context's own namespace, or in an environment.
-spec eval(context(), py_request:code()) -> py_request:result().
eval(Context, Code) ->
    eval(Context, Code, #{}).

-spec eval(context(), py_request:code(), map()) -> py_request:result().
eval(Context, Code, Locals) ->
    eval(Context, Code, Locals, infinity).

-spec eval(context(), py_request:code(), map(), timeout()) -> py_request:result().
eval(Context, Code, Locals, Timeout) ->
    eval(Context, Code, Locals, Timeout, undefined).

-spec eval(context(), py_request:code(), map(), timeout(), py_request:env()) -> py_request:result().
eval(Context, Code, Locals, Timeout, Env) when is_map(Locals) ->
    case joined(Context) of
        {ok, Native} -> py_request:eval(Native, Code, Locals, Env, 0, Timeout);
        remote -> remote(Context, eval, [Code, Locals, Timeout], Env, Timeout);
        {error, _} = Error -> Error
    end.

%% @doc Runs Python statements in the context's own namespace, or in an environment.
-spec exec(context(), py_request:code()) -> ok | {error, term()}.
exec(Context, Code) ->
    exec(Context, Code, undefined).

-spec exec(context(), py_request:code(), py_request:env()) -> ok | {error, term()}.
exec(Context, Code, Env) ->
    case joined(Context) of
        {ok, Native} -> py_request:exec(Native, Code, Env, infinity);
        remote -> remote(Context, exec, [Code], Env, infinity);
        {error, _} = Error -> Error
    end.

%% @doc Calls a method of an object. The object knows the context it lives in, so Context is not looked at.
-spec call_method(context(), py_nif:object(), py_request:name(), [term()]) -> py_request:result().
call_method(_Context, Object, Method, Args) when is_list(Args) ->
    py_request:object(method, Object, Method, Args, #{}, 0, infinity).

%% @doc Converts an object to a term.
-spec to_term(py_nif:object()) -> py_request:result().
to_term(Object) ->
    py_request:object(value, Object, <<>>, [], #{}, 0, infinity).

%% @doc Interrupts the Python code that runs in the context at this moment; its caller gets `{error, interrupted}'.
-spec interrupt(context()) -> ok | not_running.
interrupt(Context) ->
    case native(Context) of
        {ok, Native} ->
            py_nif:context_interrupt(Native);
        remote ->
            case py_remote:once(node(Context), {?MODULE, interrupt, [Context]}) of
                ok -> ok;
                _ -> not_running
            end;
        {error, context_stopped} ->
            not_running
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Event loops

%% @doc As {@link start_loop/2} without options.
-spec start_loop(context()) -> ok | {error, term()}.
start_loop(Context) ->
    start_loop(Context, #{}).

%% @doc Runs an event loop in a context until {@link stop_loop/1}, until the calling process ends, or the context does.
%% The caller gets `{py_loop_exit, Context, Result}' then, with `ok' when it was stopped, or `{error, Reason}'. Other work
%% of the context is done between the callbacks of the loop. Options: `timeout', the milliseconds to wait while the
%% context is busy (30000).
%%
%% `{error, already_started}', `{error, timeout}', `{error, context_stopped}', `{error, remote_context}'.
-spec start_loop(context(), #{timeout => timeout()}) -> ok | {error, term()}.
start_loop(Context, Options) when node(Context) =:= node(), is_map(Options) ->
    py_loop:start(Context, self(), maps:get(timeout, Options, ?TIMEOUT));
start_loop(Context, Options) when is_pid(Context), is_map(Options) ->
    {error, remote_context}.

%% @doc As {@link stop_loop/2} with five seconds.
-spec stop_loop(context()) -> ok | {error, no_loop | remote_context}.
stop_loop(Context) ->
    stop_loop(Context, 5000).

%% @doc Ends the loop of a context: its tasks are answered with `{error, loop_stopped}' and cancelled, and clean up. What
%% is not done after so many milliseconds is interrupted.
-spec stop_loop(context(), timeout()) -> ok | {error, no_loop | remote_context}.
stop_loop(Context, Timeout) when node(Context) =:= node() ->
    py_loop:stop(Context, Timeout);
stop_loop(Context, _Timeout) when is_pid(Context) ->
    {error, remote_context}.

%% @doc The reference that stands for the loop of a context, for {@link py_event_loop}.
-spec loop_ref(context()) -> {ok, reference()} | {error, no_loop | context_stopped | remote_context}.
loop_ref(Context) when node(Context) =:= node() ->
    case py_loop:find(Context) of
        {ok, Loop} -> {ok, py_loop:ref(Loop)};
        {error, _} = Error -> Error
    end;
loop_ref(Context) when is_pid(Context) ->
    {error, remote_context}.

%% @doc Gives the loop of a context a task: a function, and what it returns is awaited if it can be. The caller gets
%% `{async_result, Task, {ok, Value} | {error, Reason}}', or waits with {@link py_event_loop:await/2}.
-spec submit(context(), py_request:name(), py_request:name(), [term()]) -> {ok, py_nif:task()} | {error, term()}.
submit(Context, Module, Function, Args) ->
    submit(Context, Module, Function, Args, #{}).

-spec submit(context(), py_request:name(), py_request:name(), [term()], map()) -> {ok, py_nif:task()} | {error, term()}.
submit(Context, Module, Function, Args, Kwargs) when node(Context) =:= node() ->
    py_task:submit(py_loop:use(Context), Module, Function, Args, Kwargs);
submit(Context, _Module, _Function, _Args, _Kwargs) when is_pid(Context) ->
    {error, remote_context}.

%% @doc Does so and waits for the result, 30 seconds where nothing is said. `{error, timeout}': the task was cancelled.
-spec submit_await(context(), py_request:name(), py_request:name(), [term()]) -> py_request:result().
submit_await(Context, Module, Function, Args) ->
    submit_await(Context, Module, Function, Args, #{}).

-spec submit_await(context(), py_request:name(), py_request:name(), [term()], map()) -> py_request:result().
submit_await(Context, Module, Function, Args, Kwargs) ->
    submit_await(Context, Module, Function, Args, Kwargs, ?TIMEOUT).

-spec submit_await(context(), py_request:name(), py_request:name(), [term()], map(), timeout()) -> py_request:result().
submit_await(Context, Module, Function, Args, Kwargs, Timeout) ->
    case submit(Context, Module, Function, Args, Kwargs) of
        {ok, Task} -> py_task:await(Task, Timeout, cancel);
        {error, _} = Error -> Error
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% What a context is

%% @doc A new namespace in the context, freed with the last copy of the reference.
-spec create_local_env(context()) -> {ok, py_nif:env()} | {error, term()}.
create_local_env(Context) ->
    case native(Context) of
        {ok, Native} -> {ok, py_nif:env_new(Native)};
        remote -> {error, remote_context};
        {error, _} = Error -> Error
    end.

%% @doc The context's native half, for the functions of {@link py_nif}. Raises `context_stopped' or `remote_context'.
-spec get_nif_ref(context()) -> py_nif:context().
get_nif_ref(Context) ->
    case native(Context) of
        {ok, Native} -> Native;
        remote -> error(remote_context, [Context]);
        {error, Reason} -> error(Reason, [Context])
    end.

%% @doc A number no other context has, or had, in this VM.
-spec get_interp_id(context()) -> {ok, non_neg_integer()} | {error, term()}.
get_interp_id(Context) ->
    case native(Context) of
        {ok, Native} -> {ok, py_nif:context_id(Native)};
        remote -> py_remote:once(node(Context), {?MODULE, get_interp_id, [Context]});
        {error, _} = Error -> Error
    end.

%% @doc The memory of a context that was started with a limit, in bytes: what its interpreter has taken since then, the
%% most it ever had, and the limit.
-spec memory_usage(context()) ->
    {ok, #{used := non_neg_integer(), peak := non_neg_integer(), limit := pos_integer()}} |
    {error, no_memory_limit | context_stopped | term()}.
memory_usage(Context) ->
    case native(Context) of
        {ok, Native} ->
            case py_nif:context_memory(Native) of
                {ok, {Used, Peak, Limit}} -> {ok, #{used => Used, peak => Peak, limit => Limit}};
                error -> {error, no_memory_limit}
            end;
        remote -> py_remote:once(node(Context), {?MODULE, memory_usage, [Context]});
        {error, _} = Error -> Error
    end.

%% @doc Whether the context has an interpreter of its own. False for one that has stopped.
-spec is_subinterp(context()) -> boolean().
is_subinterp(Context) ->
    try
        gen_server:call(Context, mode, infinity) =:= owngil
    catch
        exit:_ -> false
    end.

%% The same for work of the calling process, which the context watches from now on: should it be killed, its code stops.
joined(Context) when node(Context) =:= node() ->
    case py_local_env:of_context(Context) of
        {_, Native, _} -> {ok, Native};
        {error, _} = Error -> Error
    end;
joined(Context) when is_pid(Context) ->
    remote.

native(Context) when node(Context) =:= node() ->
    case py_nif:context_of(Context) of
        undefined -> {error, context_stopped};
        Native -> {ok, Native}
    end;
native(Context) when is_pid(Context) ->
    remote.

%% An environment is memory of this VM: another node cannot use it.
remote(Context, Function, Args, undefined, Timeout) ->
    py_remote:request(node(Context), {?MODULE, Function, [Context | Args]}, Timeout);
remote(_Context, _Function, _Args, _Env, _Timeout) ->
    {error, env_wrong_interpreter}.

%% ---------------------------------------------------------------------------------------------------------------------
%% gen_server

-spec init({term(), options()}) -> {ok, state()}.
init({Id, #{mode := Mode} = Options}) ->
    %% A context ends with the process that started it, also when that one ends normally.
    process_flag(trap_exit, true),
    Ref = make_ref(),
    State = #{id => Id, mode => Mode, native => undefined, status => {starting, Ref, []}},
    case new_native(Ref, Options) of
        {ok, Native} -> {ok, State#{native := Native}};
        {error, Reason} -> {ok, State#{status := {failed, Reason}}}
    end.

%% The backend of a mode is loaded when the first context wants it.
new_native(Ref, Options) ->
    case py_nif:context_new(Ref, Options) of
        {error, not_loaded} ->
            case py_nif:load_backend(Options) of
                ok -> py_nif:context_new(Ref, Options);
                {error, _} = Error -> Error
            end;
        Result ->
            Result
    end.

-spec handle_call(term(), gen_server:from(), state()) -> {reply, term(), state()} | {noreply, state()}.
handle_call(ready, From, #{status := {starting, Ref, Waiting}} = State) ->
    {noreply, State#{status := {starting, Ref, [From | Waiting]}}};
handle_call(ready, _From, #{status := Status} = State) ->
    {reply, outcome(Status), State};
handle_call(mode, _From, #{mode := Mode} = State) ->
    {reply, Mode, State};
handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Request, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()} | {stop, term(), state()}.
handle_info({Ref, ready}, #{status := {starting, Ref, _}, native := Native} = State) ->
    %% Not here: it may run Python code, and this process has to be free to be stopped meanwhile.
    Self = self(),
    _ = spawn_monitor(fun() -> Self ! {Ref, py_setup:apply(Native)} end),
    {noreply, State};
handle_info({Ref, Outcome}, #{status := {starting, Ref, _}} = State) ->
    {noreply, started_as(Outcome, State)};
handle_info({'DOWN', _Monitor, process, _Pid, Reason}, #{status := {starting, _, _}} = State) ->
    {noreply, started_as({error, Reason}, State)};
handle_info({'EXIT', _Pid, normal}, State) ->
    {noreply, State};
handle_info({'EXIT', _Pid, Reason}, State) ->
    {stop, Reason, State};
handle_info(_Other, State) ->
    {noreply, State}.

-spec terminate(term(), state()) -> ok.
terminate(_Reason, #{native := undefined}) ->
    ok;
terminate(_Reason, #{native := Native}) ->
    py_nif:context_destroy(Native).

started_as(Outcome, #{status := {starting, _, Waiting}} = State) ->
    lists:foreach(fun(From) -> gen_server:reply(From, Outcome) end, Waiting),
    Status = case Outcome of
        ok -> ready;
        {error, Reason} -> {failed, Reason}
    end,
    State#{status := Status}.

outcome(ready) -> ok;
outcome({failed, Reason}) -> {error, Reason}.
