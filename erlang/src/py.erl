%%% @doc Python from Erlang: call, evaluate, execute, cast, collect later.
%%%
%%% Work goes to a context, a thread with a Python interpreter: the one named by its pid, the calling process's own one of
%%% a named pool, or its own one of the pool that is registered for the Python module (else of the default pool). In each
%%% context every process has a namespace of its own, which `exec' and `eval' run in and in which functions of
%%% `' `__main__' `' are looked up; it ends with the process.
%%%
%%% Results are `{ok, Value}' or `{error, Reason}'. A Python exception is `{error, {'ValueError', "message"}}'. Other
%%% reasons: `timeout', `interrupted', `context_stopped', `contexts_not_started', `{pool_not_started, Pool}',
%%% `{overloaded, Current, Max}' (no slot of the semaphore in time), `{nodedown, Node}'. Default timeouts are 30 seconds.
%%%
%%% Names of modules and functions are atoms, binaries or strings; code is iodata or a string.
-module(py).

%% Work
-export([call/3, call/4, call/5, eval/1, eval/2, eval/3, eval/4, exec/1, exec/2]).
-export([cast/3, cast/4, cast/5, spawn_call/3, spawn_call/4, spawn_call/5, await/1, await/2, parallel/1, interrupt/1]).
-export([async_call/3, async_call/4, async_await/1, async_await/2, async_gather/1, async_gather/2]).
%% Items one after the other
-export([stream/3, stream/4, stream_eval/1, stream_eval/2, stream_start/3, stream_start/4, stream_ack/2,
         stream_cancel/1]).
%% Objects kept in Python
-export([is_ref/1, call_method/3, getattr/2, to_term/1]).
%% Contexts
-export([context/0, context/1, get_local_env/1, start_contexts/0, start_contexts/1, stop_contexts/0,
         contexts_started/0, register_pool/2, unregister_pool/1]).
%% Erlang functions that Python calls
-export([register_function/2, register_function/3, unregister_function/1]).
%% State that is shared
-export([state_store/2, state_fetch/1, state_remove/1, state_keys/0, state_clear/0, state_incr/1, state_incr/2,
         state_decr/1, state_decr/2]).
-export([shared_dict_new/0, shared_dict_get/2, shared_dict_get/3, shared_dict_set/3, shared_dict_del/2,
         shared_dict_keys/1, shared_dict_destroy/1]).
%% Modules and memory
-export([reload/1, memory_stats/0, gc/0, gc/1, tracemalloc_start/0, tracemalloc_start/1, tracemalloc_stop/0]).
%% Logging and tracing
-export([configure_logging/0, configure_logging/1, enable_tracing/0, disable_tracing/0, get_traces/0, clear_traces/0]).
%% Virtual environments
-export([ensure_venv/2, ensure_venv/3, activate_venv/1, deactivate_venv/0, venv_info/0]).
%% File descriptors
-export([dup_fd/1]).
%% What runs
-export([version/0, execution_mode/0, subinterp_supported/0, doctor/0]).

-export_type([py_module/0, py_func/0, py_args/0, py_kwargs/0, py_ref/0, py_result/0, call_options/0, eval_options/0]).

-type py_module() :: atom() | binary() | string().
-type py_func() :: atom() | binary() | string().
-type py_args() :: [term()].
-type py_kwargs() :: #{atom() | binary() => term()}.
-type py_ref() :: reference().
-type py_result() :: {ok, term()} | {error, term()}.
-type call_options() :: #{kwargs => py_kwargs(), timeout => timeout(), return => term | ref}.
-type eval_options() :: #{timeout => timeout(), return => term | ref}.

-define(TIMEOUT, 30000).
-define(RETURN_OBJECT, 1).
%% How many stopped contexts a call without a named context passes over before it gives up.
-define(TRIES, 3).

%% ---------------------------------------------------------------------------------------------------------------------
%% Calls

%% @doc Calls a Python function and waits for its result.
-spec call(py_module(), py_func(), py_args()) -> py_result().
call(Module, Function, Args) ->
    call_chosen(pool_for(Module, Function), Module, Function, Args, #{}, ?TIMEOUT).

%% @doc In a context, in a pool, or with keyword arguments: the last argument tells.
-spec call(pid(), py_module(), py_func(), py_args()) -> py_result();
          (py_context_router:pool_name(), py_module(), py_func(), py_args()) -> py_result();
          (py_module(), py_func(), py_args(), py_kwargs()) -> py_result().
call(Context, Module, Function, Args) when is_pid(Context) ->
    call_in(Context, Module, Function, Args, #{}, 0, ?TIMEOUT);
call(Pool, Module, Function, Args) when is_atom(Pool), not is_list(Function), is_list(Args) ->
    call_chosen(Pool, Module, Function, Args, #{}, ?TIMEOUT);
call(Module, Function, Args, Kwargs) when is_list(Args), is_map(Kwargs) ->
    call_chosen(pool_for(Module, Function), Module, Function, Args, Kwargs, ?TIMEOUT).

%% @doc In a context with options, in a pool with keyword arguments, or with keyword arguments and a timeout in
%% milliseconds. `return => ref' leaves the result in Python and gives a reference to it.
-spec call(pid(), py_module(), py_func(), py_args(), call_options()) -> py_result();
          (py_context_router:pool_name(), py_module(), py_func(), py_args(), py_kwargs()) -> py_result();
          (py_module(), py_func(), py_args(), py_kwargs(), timeout()) -> py_result().
call(Context, Module, Function, Args, Options) when is_pid(Context), is_map(Options) ->
    call_in(Context, Module, Function, Args, maps:get(kwargs, Options, #{}), flags(Options),
            maps:get(timeout, Options, ?TIMEOUT));
call(Pool, Module, Function, Args, Kwargs) when is_atom(Pool), is_list(Args), is_map(Kwargs) ->
    call_chosen(Pool, Module, Function, Args, Kwargs, ?TIMEOUT);
call(Module, Function, Args, Kwargs, Timeout) when is_list(Args), is_map(Kwargs) ->
    call_chosen(pool_for(Module, Function), Module, Function, Args, Kwargs, Timeout).

flags(#{return := ref}) -> ?RETURN_OBJECT;
flags(_) -> 0.

call_chosen(Pool, Module, Function, Args, Kwargs, Timeout) ->
    in_pool(Pool, fun
        ({Pid, remote, _}) ->
            remote_call(Pid, Module, Function, Args, Kwargs, 0, Timeout);
        (Entry) ->
            {_, Context, Env} = py_local_env:for_call(Entry, Module),
            py_request:try_call(Context, Module, Function, Args, Kwargs, Env, 0, Timeout)
    end).

call_in(Pid, Module, Function, Args, Kwargs, Flags, Timeout) ->
    in_context(Pid, fun
        ({_, remote, _}) ->
            remote_call(Pid, Module, Function, Args, Kwargs, Flags, Timeout);
        (Entry) ->
            {_, Context, Env} = py_local_env:for_call(Entry, Module),
            py_request:try_call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout)
    end).

remote_call(_Pid, _Module, _Function, _Args, _Kwargs, ?RETURN_OBJECT, _Timeout) ->
    {error, remote_context};
remote_call(Pid, Module, Function, Args, Kwargs, 0, Timeout) ->
    Options = #{kwargs => Kwargs, timeout => Timeout},
    py_remote:request(node(Pid), {?MODULE, call, [Pid, Module, Function, Args, Options]}, Timeout).

%% ---------------------------------------------------------------------------------------------------------------------
%% Code

%% @doc Evaluates a Python expression in the namespace of the calling process. Statements may come before it, on lines
%% of their own or separated by semicolons. Where they end with a block, such as one of `with', the result is `none'.
-spec eval(py_request:code()) -> py_result().
eval(Code) ->
    eval_chosen(Code, #{}, ?TIMEOUT).

%% @doc In a context, or with local variables.
-spec eval(pid(), py_request:code()) -> py_result();
          (py_request:code(), map()) -> py_result().
eval(Context, Code) when is_pid(Context) ->
    eval_in(Context, Code, #{}, 0, ?TIMEOUT);
eval(Code, Locals) when is_map(Locals) ->
    eval_chosen(Code, Locals, ?TIMEOUT).

%% @doc In a context with local variables, or with local variables and a timeout in milliseconds.
-spec eval(pid(), py_request:code(), map()) -> py_result();
          (py_request:code(), map(), timeout()) -> py_result().
eval(Context, Code, Locals) when is_pid(Context), is_map(Locals) ->
    eval_in(Context, Code, Locals, 0, ?TIMEOUT);
eval(Code, Locals, Timeout) when is_map(Locals) ->
    eval_chosen(Code, Locals, Timeout).

%% @doc In a context with local variables and options. `return => ref' leaves the value in Python and gives a reference
%% to it.
-spec eval(pid(), py_request:code(), map(), eval_options()) -> py_result().
eval(Context, Code, Locals, Options) when is_pid(Context), is_map(Locals), is_map(Options) ->
    eval_in(Context, Code, Locals, flags(Options), maps:get(timeout, Options, ?TIMEOUT)).

eval_chosen(Code, Locals, Timeout) ->
    in_pool(default, fun(Entry) -> eval_entry(Entry, Code, Locals, 0, Timeout) end).

eval_in(Pid, Code, Locals, Flags, Timeout) ->
    in_context(Pid, fun(Entry) -> eval_entry(Entry, Code, Locals, Flags, Timeout) end).

eval_entry({_, remote, _}, _Code, _Locals, ?RETURN_OBJECT, _Timeout) ->
    {error, remote_context};
eval_entry({Pid, remote, _}, Code, Locals, 0, Timeout) ->
    py_remote:request(node(Pid), {?MODULE, eval, [Pid, Code, Locals]}, Timeout);
eval_entry(Entry, Code, Locals, Flags, Timeout) ->
    {_, Context, Env} = py_local_env:with_env(Entry),
    py_request:try_eval(Context, Code, Locals, Env, Flags, Timeout).

%% @doc Runs Python statements in the namespace of the calling process. Waits as long as they take.
-spec exec(py_request:code()) -> ok | {error, term()}.
exec(Code) ->
    in_pool(default, fun(Entry) -> exec_entry(Entry, Code) end).

-spec exec(pid(), py_request:code()) -> ok | {error, term()}.
exec(Context, Code) when is_pid(Context) ->
    in_context(Context, fun(Entry) -> exec_entry(Entry, Code) end).

exec_entry({Pid, remote, _}, Code) ->
    py_remote:request(node(Pid), {?MODULE, exec, [Pid, Code]}, infinity);
exec_entry(Entry, Code) ->
    {_, Context, Env} = py_local_env:with_env(Entry),
    py_request:try_exec(Context, Code, Env, infinity).

%% ---------------------------------------------------------------------------------------------------------------------
%% Calls whose result comes later, or never

%% @doc Starts a call whose result nobody wants. What goes wrong in it is not reported.
-spec cast(py_module(), py_func(), py_args()) -> ok.
cast(Module, Function, Args) ->
    cast(Module, Function, Args, #{}).

%% @doc In a context, or with keyword arguments.
-spec cast(pid(), py_module(), py_func(), py_args()) -> ok;
          (py_module(), py_func(), py_args(), py_kwargs()) -> ok.
cast(Context, Module, Function, Args) when is_pid(Context) ->
    cast(Context, Module, Function, Args, #{});
cast(Module, Function, Args, Kwargs) when is_list(Args), is_map(Kwargs) ->
    _ = in_pool(pool_for(Module, Function), fun(Entry) -> cast_entry(Entry, Module, Function, Args, Kwargs) end),
    ok.

-spec cast(pid(), py_module(), py_func(), py_args(), py_kwargs()) -> ok.
cast(Context, Module, Function, Args, Kwargs) when is_pid(Context), is_list(Args), is_map(Kwargs) ->
    _ = in_context(Context, fun(Entry) -> cast_entry(Entry, Module, Function, Args, Kwargs) end),
    ok.

cast_entry({Pid, remote, _}, Module, Function, Args, Kwargs) ->
    py_remote:cast(node(Pid), {?MODULE, cast, [Pid, Module, Function, Args, Kwargs]});
cast_entry(Entry, Module, Function, Args, Kwargs) ->
    {_, Context, Env} = py_local_env:for_call(Entry, Module),
    py_request:try_cast(Context, Module, Function, Args, Kwargs, Env).

%% @doc Starts a call and returns at once; {@link await/1} in the same process takes its result. Erlang functions that
%% it calls run in processes of their own, since the caller is busy elsewhere.
-spec spawn_call(py_module(), py_func(), py_args()) -> py_ref().
spawn_call(Module, Function, Args) ->
    spawn_call(Module, Function, Args, #{}).

%% @doc In a context, or with keyword arguments.
-spec spawn_call(pid(), py_module(), py_func(), py_args()) -> py_ref();
                (py_module(), py_func(), py_args(), py_kwargs()) -> py_ref().
spawn_call(Context, Module, Function, Args) when is_pid(Context) ->
    spawn_call(Context, Module, Function, Args, #{});
spawn_call(Module, Function, Args, Kwargs) when is_list(Args), is_map(Kwargs) ->
    started(in_pool(pool_for(Module, Function), fun(Entry) -> start(Entry, Module, Function, Args, Kwargs) end)).

-spec spawn_call(pid(), py_module(), py_func(), py_args(), py_kwargs()) -> py_ref().
spawn_call(Context, Module, Function, Args, Kwargs) when is_pid(Context), is_list(Args), is_map(Kwargs) ->
    started(in_context(Context, fun(Entry) -> start(Entry, Module, Function, Args, Kwargs) end)).

start({Pid, remote, _}, Module, Function, Args, Kwargs) ->
    Options = #{kwargs => Kwargs, timeout => infinity},
    py_async:start_remote(node(Pid), {?MODULE, call, [Pid, Module, Function, Args, Options]});
start(Entry, Module, Function, Args, Kwargs) ->
    py_async:start(py_local_env:for_call(Entry, Module), Module, Function, Args, Kwargs).

started(Ref) when is_reference(Ref) -> Ref;
started({error, _} = Error) -> py_async:fail(Error).

%% @doc Waits for the result of {@link spawn_call/3} or {@link async_call/3}, once and in the process that started it.
-spec await(py_ref()) -> py_result().
await(Ref) ->
    await(Ref, ?TIMEOUT).

%% @doc With a timeout in milliseconds; when it is over the call is given up.
-spec await(py_ref(), timeout()) -> py_result().
await(Ref, Timeout) when is_reference(Ref) ->
    case py_async:await(Ref, Timeout) of
        {error, not_owner} -> py_task:await(Ref, Timeout, cancel);
        Result -> Result
    end.

%% @doc Starts a coroutine function, or any other, on the event loop of {@link py_event_loop}, and returns at once;
%% {@link async_await/1} in the same process takes its result.
-spec async_call(py_module(), py_func(), py_args()) -> py_ref().
async_call(Module, Function, Args) -> async_call(Module, Function, Args, #{}).

-spec async_call(py_module(), py_func(), py_args(), py_kwargs()) -> py_ref().
async_call(Module, Function, Args, Kwargs) -> py_event_loop:create_task(Module, Function, Args, Kwargs).

%% @doc The same as {@link await/1}.
-spec async_await(py_ref()) -> py_result().
async_await(Ref) -> await(Ref).

%% @doc With a timeout in milliseconds; when it is over the task is cancelled.
-spec async_await(py_ref(), timeout()) -> py_result().
async_await(Ref, Timeout) -> await(Ref, Timeout).

%% @doc Runs coroutine functions, or any others, at the same time on the event loop, and gives their values in their
%% order; or `{error, {gather_failed, [{Index, Reason}]}}' with those that failed, counted from 1.
-spec async_gather([{py_module(), py_func(), py_args()}]) -> py_result().
async_gather(Calls) -> async_gather(Calls, ?TIMEOUT).

%% @doc With a timeout in milliseconds for each.
-spec async_gather([{py_module(), py_func(), py_args()}], timeout()) -> py_result().
async_gather(Calls, Timeout) when is_list(Calls) ->
    Refs = [async_call(Module, Function, Args) || {Module, Function, Args} <- Calls],
    Results = [async_await(Ref, Timeout) || Ref <- Refs],
    case [{Index, Reason} || {Index, {error, Reason}} <- lists:zip(lists:seq(1, length(Results)), Results)] of
        [] -> {ok, [Value || {ok, Value} <- Results]};
        Failed -> {error, {gather_failed, Failed}}
    end.

%% @doc Runs calls at the same time, each in another interpreter as far as there are, and gives each one's own result, in
%% their order. The contexts are those of the default pool if they run side by side (without a GIL, or with one each),
%% else those of a pool `py_parallel' of mode `owngil', which the first call starts with a context a scheduler.
%% `{error, subinterpreters_not_supported}' where there is neither.
-spec parallel([{py_module(), py_func(), py_args()}]) -> {ok, [py_result()]} | {error, term()}.
parallel(Calls) when is_list(Calls) ->
    case parallel_contexts() of
        {ok, []} -> {error, contexts_not_started};
        {ok, Contexts} -> {ok, collect(spread(Calls, Contexts, Contexts))};
        {error, _} = Error -> Error
    end.

parallel_contexts() ->
    case execution_mode() =:= owngil orelse py_nif:execution_mode() =:= free_threaded of
        true ->
            {ok, py_context_router:contexts()};
        false ->
            case subinterp_supported() of
                true -> py_context_router:start_pool(py_parallel, erlang:system_info(schedulers), owngil);
                false -> {error, subinterpreters_not_supported}
            end
    end.

spread([], _, _) -> [];
spread(Calls, [], Contexts) -> spread(Calls, Contexts, Contexts);
spread([{Module, Function, Args} | Calls], [Context | Rest], Contexts) ->
    [spawn_call(Context, Module, Function, Args) | spread(Calls, Rest, Contexts)].

collect(Refs) ->
    [await(Ref, infinity) || Ref <- Refs].

%% @doc Interrupts the Python code that runs in a context at this moment, or the call of {@link spawn_call/3}; its caller
%% gets `{error, interrupted}'. Code in a C function is interrupted when that returns.
-spec interrupt(pid() | py_ref()) -> ok | not_running.
interrupt(Context) when is_pid(Context) -> py_context:interrupt(Context);
interrupt(Ref) when is_reference(Ref) -> py_async:interrupt(Ref).

%% ---------------------------------------------------------------------------------------------------------------------
%% Streams

%% @doc Calls a function and collects all items of the generator, async generator or other iterable it returns. Raises
%% `{invalid_python_identifier, Name}' for what cannot be a name.
-spec stream(py_module(), py_func(), py_args()) -> py_result().
stream(Module, Function, Args) -> stream(Module, Function, Args, #{}).

-spec stream(py_module(), py_func(), py_args(), py_kwargs()) -> py_result().
stream(Module, Function, Args, Kwargs) ->
    streamed(Module, Function, Args, Kwargs, ?TIMEOUT, fun py_stream:collect/1).

%% @doc Evaluates an expression and collects all items of its value.
-spec stream_eval(py_request:code()) -> py_result().
stream_eval(Code) -> stream_eval(Code, #{}).

-spec stream_eval(py_request:code(), map()) -> py_result().
stream_eval(Code, Locals) ->
    in_pool(default, fun
        ({_, remote, _}) ->
            {error, remote_context};
        (Entry) ->
            {_, Context, Env} = py_local_env:with_env(Entry),
            Eval = fun(Flags) -> py_request:try_eval(Context, Code, Locals, Env, Flags, ?TIMEOUT) end,
            py_stream:collect({Context, Eval})
    end).

%% @doc Calls a function and sends the items of what it returns as they come. Returns at once.
%%
%% The owner gets `{py_stream, Ref, {data, Item}}' for each, and at the end `{py_stream, Ref, done}' or
%% `{py_stream, Ref, {error, Reason}}', with the reasons of calls, or `<<"cancelled">>'.
-spec stream_start(py_module(), py_func(), py_args()) -> {ok, reference()} | {error, term()}.
stream_start(Module, Function, Args) -> stream_start(Module, Function, Args, #{}).

%% @doc Options: `owner', the pid that gets the items and whose end ends the stream (the calling process); `kwargs';
%% `window', how many items may be sent beyond those the owner has acknowledged with {@link stream_ack/2} (`infinity').
-spec stream_start(py_module(), py_func(), py_args(), py_stream:options()) -> {ok, reference()} | {error, term()}.
stream_start(Module, Function, Args, Options) ->
    streamed(Module, Function, Args, maps:get(kwargs, Options, #{}), infinity,
             fun({Context, Call}) -> py_stream:start(Context, Call, Options) end).

%% @doc Lets a stream with a window send so many items more.
-spec stream_ack(reference(), pos_integer()) -> ok.
stream_ack(Ref, N) -> py_stream:ack(Ref, N).

%% @doc Ends a stream when it comes to its next item. Its last message is `{py_stream, Ref, {error, <<"cancelled">>}}'.
%% `ok' also for a stream that is over.
-spec stream_cancel(reference()) -> ok.
stream_cancel(Ref) -> py_stream:cancel(Ref).

streamed(Module, Function, Args, Kwargs, Timeout, Work) when is_list(Args), is_map(Kwargs) ->
    ok = py_stream:check_name(Module),
    ok = py_stream:check_name(Function),
    in_pool(pool_for(Module, Function), fun
        ({_, remote, _}) ->
            {error, remote_context};
        (Entry) ->
            {Pid, Context, Env} = py_local_env:for_call(Entry, Module),
            Call = fun(Flags) ->
                py_request:try_call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout)
            end,
            case is_process_alive(Pid) of
                true -> Work({Context, Call});
                false -> context_stopped
            end
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Objects

%% @doc Whether a term is a reference to a Python object.
-spec is_ref(term()) -> boolean().
is_ref(Term) -> py_nif:is_object(Term).

%% @doc Calls a method of an object, in the context where it lives.
-spec call_method(py_ref(), py_func(), py_args()) -> py_result().
call_method(Ref, Method, Args) when is_list(Args) ->
    py_request:object(method, Ref, Method, Args, #{}, 0, ?TIMEOUT).

%% @doc The value of an attribute.
-spec getattr(py_ref(), py_func()) -> py_result().
getattr(Ref, Name) ->
    py_request:object(getattr, Ref, Name, [], #{}, 0, ?TIMEOUT).

%% @doc The object as a term.
-spec to_term(py_ref()) -> py_result().
to_term(Ref) ->
    py_request:object(value, Ref, <<>>, [], #{}, 0, ?TIMEOUT).

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

%% @doc The context the calling process uses in the default pool.
-spec context() -> pid().
context() -> py_context_router:get_context().

%% @doc A context of the default pool by its index, from 1; or the process's own one of a named pool.
-spec context(pos_integer() | py_context_router:pool_name()) -> pid().
context(Which) -> py_context_router:get_context(Which).

%% @doc The namespace of the calling process in a context, made now if there is none. Raises `context_stopped', and
%% `remote_context' for one of another node, whose memory cannot be named here.
-spec get_local_env(pid()) -> py_nif:env().
get_local_env(Context) when is_pid(Context) ->
    case py_local_env:of_context(Context) of
        {error, Reason} ->
            error(Reason, [Context]);
        {_, remote, _} ->
            error(remote_context, [Context]);
        Entry ->
            {_, _, Env} = py_local_env:with_env(Entry),
            Env
    end.

-spec start_contexts() -> {ok, [pid()]} | {error, term()}.
start_contexts() -> py_context_router:start().

%% @doc Starts the default pool, with `contexts' and `mode' instead of what is configured. If it runs already its contexts
%% are returned.
-spec start_contexts(py_context_router:start_opts()) -> {ok, [pid()]} | {error, term()}.
start_contexts(Options) -> py_context_router:start(Options).

%% @doc Kills the contexts of every pool.
-spec stop_contexts() -> ok.
stop_contexts() -> py_context_router:stop_all().

-spec contexts_started() -> boolean().
contexts_started() -> py_context_router:is_started().

%% @doc Sends calls of a Python module, or of one function of it, to a pool.
-spec register_pool(py_context_router:pool_name(), atom() | {atom(), atom()}) -> ok.
register_pool(Pool, {Module, Function}) -> py_context_router:register_pool(Pool, Module, Function);
register_pool(Pool, Module) -> py_context_router:register_pool(Pool, Module).

-spec unregister_pool(atom() | {atom(), atom()}) -> ok.
unregister_pool({Module, Function}) -> py_context_router:unregister_pool(Module, Function);
unregister_pool(Module) -> py_context_router:unregister_pool(Module).

%% ---------------------------------------------------------------------------------------------------------------------
%% Erlang functions

%% @doc Lets Python call a function as `erlang.Name(...)'. It gets one list, the arguments, and runs in the process that
%% waits for the Python code, or in one of its own where none waits.
-spec register_function(atom() | binary() | string(), fun(([term()]) -> term())) -> ok.
register_function(Name, Fun) -> py_callback:register(Name, Fun).

%% @doc The same for `Module:Function/1'.
-spec register_function(atom() | binary() | string(), module(), atom()) -> ok.
register_function(Name, Module, Function) -> py_callback:register(Name, Module, Function).

-spec unregister_function(atom() | binary() | string()) -> ok.
unregister_function(Name) -> py_callback:unregister(Name).

%% ---------------------------------------------------------------------------------------------------------------------
%% State that is shared

%% @doc See {@link py_state}, also for the ones that follow.
-spec state_store(term(), term()) -> ok | {error, full | reserved_key}.
state_store(Key, Value) -> py_state:store(Key, Value).

-spec state_fetch(term()) -> {ok, term()} | {error, not_found}.
state_fetch(Key) -> py_state:fetch(Key).

-spec state_remove(term()) -> ok.
state_remove(Key) -> py_state:remove(Key).

-spec state_keys() -> [term()].
state_keys() -> py_state:keys().

-spec state_clear() -> ok.
state_clear() -> py_state:clear().

-spec state_incr(term()) -> integer().
state_incr(Key) -> py_state:incr(Key).

-spec state_incr(term(), integer()) -> integer().
state_incr(Key, Amount) -> py_state:incr(Key, Amount).

-spec state_decr(term()) -> integer().
state_decr(Key) -> py_state:decr(Key).

-spec state_decr(term(), integer()) -> integer().
state_decr(Key, Amount) -> py_state:decr(Key, Amount).

%% @doc A new dict, to be given to Python; see {@link py_shared_dict}, also for the ones that follow.
-spec shared_dict_new() -> {ok, py_shared_dict:shared_dict()}.
shared_dict_new() -> py_shared_dict:new().

-spec shared_dict_get(py_shared_dict:shared_dict(), binary()) -> term() | undefined.
shared_dict_get(Dict, Key) -> py_shared_dict:get(Dict, Key, undefined).

-spec shared_dict_get(py_shared_dict:shared_dict(), binary(), Default) -> term() | Default.
shared_dict_get(Dict, Key, Default) -> py_shared_dict:get(Dict, Key, Default).

-spec shared_dict_set(py_shared_dict:shared_dict(), binary(), term()) -> ok.
shared_dict_set(Dict, Key, Value) -> py_shared_dict:set(Dict, Key, Value).

-spec shared_dict_del(py_shared_dict:shared_dict(), binary()) -> ok.
shared_dict_del(Dict, Key) -> py_shared_dict:del(Dict, Key).

-spec shared_dict_keys(py_shared_dict:shared_dict()) -> [binary()].
shared_dict_keys(Dict) -> py_shared_dict:keys(Dict).

-spec shared_dict_destroy(py_shared_dict:shared_dict()) -> ok.
shared_dict_destroy(Dict) -> py_shared_dict:destroy(Dict).

%% ---------------------------------------------------------------------------------------------------------------------
%% Modules and memory

%% @doc Executes a module anew in every interpreter that has imported it, once in each. `ok' where none has. Objects of
%% its old classes, and functions that others have imported from it, stay as they are. There is one error for each
%% interpreter where it failed. `{context, timeout}': its contexts are busy, and do it afterwards.
-spec reload(py_module()) -> ok | {error, [{context, term()}]}.
reload(Module) ->
    Results = py_everywhere:once('erlang._imports', reload, [py_import:name(Module)], ?TIMEOUT),
    case [{context, Reason} || {error, Reason} <- Results] of
        [] -> ok;
        Failed -> {error, Failed}
    end.

%% @doc Numbers of the garbage collector of the interpreter that the calling process uses: `gc_stats', a list with a map
%% of `<<"collected">>', `<<"collections">>' and `<<"uncollectable">>' for each generation; `gc_count' and
%% `gc_threshold', tuples with a number for each. While memory is traced, `traced_memory_current' and
%% `traced_memory_peak' in bytes, too.
-spec memory_stats() -> {ok, map()} | {error, term()}.
memory_stats() -> py_memory:stats().

%% @doc Collects garbage in the interpreter that the calling process uses. The number of objects that nothing reached.
-spec gc() -> {ok, non_neg_integer()} | {error, term()}.
gc() -> gc(2).

%% @doc Only of the younger generations: 0, or 0 and 1. What belongs to which depends on the Python.
-spec gc(0..2) -> {ok, non_neg_integer()} | {error, term()}.
gc(Generation) -> py_memory:collect(Generation).

%% @doc Has Python note where memory is taken, which costs time and memory until {@link tracemalloc_stop/0}. It counts for
%% the whole VM. In one that has contexts of mode `owngil' it is refused: `{error, {'RuntimeError', _}}'.
-spec tracemalloc_start() -> ok | {error, term()}.
tracemalloc_start() -> tracemalloc_start(1).

%% @doc With as many frames of the stack for each allocation.
-spec tracemalloc_start(pos_integer()) -> ok | {error, term()}.
tracemalloc_start(Frames) -> py_memory:start_tracing(Frames).

%% @doc Ends it, and forgets what was noted. `ok' also when nothing is traced.
-spec tracemalloc_stop() -> ok | {error, term()}.
tracemalloc_stop() -> py_memory:stop_tracing().

%% ---------------------------------------------------------------------------------------------------------------------
%% Logging and tracing

%% @doc As {@link configure_logging/1}, from level debug on.
-spec configure_logging() -> ok | {error, term()}.
configure_logging() -> configure_logging(#{}).

%% @doc Has what Python's `logging' gets go to Erlang's logger, in all contexts, those that will be started too, until the
%% application stops. Options: `level', below which Python makes no records (`debug'), and `format', as Python's
%% `logging' has it (`<<"%(message)s">>'). Later calls replace earlier ones. Contexts that are busy do it next.
%%
%% `{error, {bad_option, Option}}'; `{error, {not_running, erlang_python}}'.
-spec configure_logging(py_logging:options()) -> ok | {error, term()}.
configure_logging(Options) -> py_logging:configure(Options).

%% @doc From now on `erlang.Span' and `erlang.trace' of Python note what they enclose.
-spec enable_tracing() -> ok.
enable_tracing() -> py_tracer:enable().

%% @doc From now on they note nothing; spans that have not ended are lost. What is collected stays.
-spec disable_tracing() -> ok.
disable_tracing() -> py_tracer:disable().

%% @doc The spans that have ended, in that order, so that children come before their parents. Those of code that has
%% returned are all there. See {@link py_tracer} for the keys, for how many are kept, and for files that viewers read.
-spec get_traces() -> {ok, [py_tracer:span()]}.
get_traces() -> {ok, py_tracer:traces()}.

%% @doc Forgets all spans that have ended.
-spec clear_traces() -> ok.
clear_traces() -> py_tracer:clear().

%% ---------------------------------------------------------------------------------------------------------------------
%% Virtual environments

%% @doc As {@link ensure_venv/3} without options.
-spec ensure_venv(string() | binary(), string() | binary()) -> ok | {error, term()}.
ensure_venv(Path, File) -> py_venv:ensure(Path, File, []).

%% @doc Makes a virtual environment with what a file asks for, unless it is there already, and activates it. A file named
%% `pyproject.toml' means the project in its folder, installed editable; any other is a list of requirements for pip. The
%% venv is made anew when the file has changed. Waits as long as it takes; the installer's output goes to the logger, on
%% level info.
%%
%% Options: `{extras, Names}' of the project; `{installer, pip | uv | auto}', which is uv if there is one;
%% `{python, Executable}' to make it with, of the version that runs; `force', which makes it anew.
%%
%% When it fails nothing has changed. `{error, {install_failed, Status, Output}}' has the last lines of the installer;
%% `{error, {file_error, Posix, Path}}' names what does not exist, or cannot be read or written;
%% `{error, {not_a_venv, Path}}': something else is in the place; `{error, {venv_python_mismatch, #{venv := Version,
%% running := Version}}}'; `{error, {not_a_python, Path}}'; `{error, {installer_not_found, uv}}';
%% `{error, {bad_option, Option}}'; `{error, {bad_path, Path}}'; `{error, aborted}': the application was stopped. Those of
%% {@link activate_venv/1} too.
-spec ensure_venv(string() | binary(), string() | binary(), [py_venv:option()]) -> ok | {error, term()}.
ensure_venv(Path, File, Options) -> py_venv:ensure(Path, File, Options).

%% @doc Lets the packages of a virtual environment be found first, in all contexts, those that will be started too, until
%% the application stops. It takes the place of one that is active. Lines of its `.pth' files are obeyed.
%%
%% `{error, {contexts_busy, Contexts}}': it is active, but these contexts have been busy for five seconds, and get it as
%% soon as they are free. Otherwise an error means that nothing has changed: `{file_error, Posix, Path}',
%% `{not_a_venv, Path}', `{venv_unfinished, Path}' (it is being made, or was when its VM was killed; ensure_venv mends
%% it), `{venv_python_mismatch, #{venv := Version, running := Version}}', `{bad_path, Path}'.
-spec activate_venv(string() | binary()) -> ok | {error, term()}.
activate_venv(Path) -> py_venv:activate(Path).

%% @doc Takes back what activation did to `sys.path', and nothing else; modules that are imported stay. `ok' also when
%% none is active. `{error, {contexts_busy, Contexts}}' as for {@link activate_venv/1}.
-spec deactivate_venv() -> ok | {error, term()}.
deactivate_venv() -> py_venv:deactivate().

%% @doc `#{<<"active">> => false}', or the venv that is active with its `venv_path' and `site_packages'.
-spec venv_info() -> {ok, #{binary() => boolean() | binary()}}.
venv_info() -> py_venv:info().

%% ---------------------------------------------------------------------------------------------------------------------
%% File descriptors

%% @doc A copy of a file descriptor, of a socket for example (`inet:getfd/1'): each of Erlang and Python closes its own.
%% Programs that are started do not inherit it.
-spec dup_fd(integer()) -> {ok, non_neg_integer()} | {error, ebadf | emfile | einval}.
dup_fd(Fd) when is_integer(Fd) -> py_nif:dup_fd(Fd).

%% ---------------------------------------------------------------------------------------------------------------------
%% What runs

%% @doc The version of Python, such as `<<"3.11.2">>'.
-spec version() -> {ok, binary()} | {error, not_started}.
version() ->
    case py_nif:runtime() of
        #{python := Version} -> {ok, Version};
        _ -> {error, not_started}
    end.

%% @doc The configured mode of the default pool.
-spec execution_mode() -> worker | owngil.
execution_mode() ->
    case py_config:context_mode() of
        owngil -> owngil;
        _ -> worker
    end.

%% @doc Whether contexts with an interpreter of their own, of mode `owngil', can be had: from Python 3.14 on.
-spec subinterp_supported() -> boolean().
subinterp_supported() -> py_nif:subinterp_supported().

%% @doc Prints which backends and plugins were found, which was chosen, and why the others were not.
-spec doctor() -> ok.
doctor() -> py_doctor:print().

%% ---------------------------------------------------------------------------------------------------------------------
%% Which context

pool_for(Module, Function) ->
    py_context_router:lookup_pool(Module, Function).

%% Runs work in the context of the calling process in a pool. One that turns out to have stopped before the work began is
%% replaced by another.
in_pool(Pool, Work) ->
    in_pool(Pool, Work, ?TRIES).

in_pool(Pool, Work, Tries) ->
    case py_local_env:of_pool(Pool) of
        {error, context_stopped} when Tries > 0 ->
            retry(Pool, py_local_env:chosen(Pool), Work, Tries);
        {error, _} = Error ->
            Error;
        {Pid, _, _} = Entry ->
            case Work(Entry) of
                context_stopped when Tries > 0 -> retry(Pool, Pid, Work, Tries);
                context_stopped -> {error, context_stopped};
                Result -> Result
            end
    end.

retry(Pool, undefined, Work, Tries) ->
    in_pool(Pool, Work, Tries - 1);
retry(Pool, Pid, Work, Tries) ->
    py_local_env:forget(Pool, Pid),
    in_pool(Pool, Work, Tries - 1).

in_context(Pid, Work) ->
    case py_local_env:of_context(Pid) of
        {error, _} = Error ->
            Error;
        Entry ->
            case Work(Entry) of
                context_stopped ->
                    py_local_env:forget(undefined, Pid),
                    {error, context_stopped};
                Result ->
                    Result
            end
    end.
