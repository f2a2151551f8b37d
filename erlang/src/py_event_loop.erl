%%% @doc Python's asyncio for Erlang: functions and coroutines that run on an event loop, and results as messages.
%%%
%%% There is one loop for the whole VM, in a context of its own, which starts with the first task; {@link
%%% py_event_loop_pool} has several, and {@link py_context:start_loop/1} runs one in any context. Functions here that take
%%% a Loop first take the reference of any of them.
%%%
%%% A task is a function of a module; when what it returns can be awaited, it is. The result comes to the process that
%%% submitted it, as `{async_result, Task, {ok, Value} | {error, Reason}}', of which {@link await/1} takes out the second
%%% half. Reasons are those of {@link py}, and `function_not_found' and `loop_stopped'. When the process dies its tasks
%%% are cancelled. Tasks of one process begin in their order.
%%%
%%% Functions of `__main__' are those the process has defined with {@link py:exec/1}, as far as the loop runs in the same
%%% interpreter, then those of its namespace in the loop, see {@link exec/1}.
-module(py_event_loop).

-export([run/3, run/4, run/5, create_task/3, create_task/4, create_task/5, await/1, await/2]).
-export([spawn_task/3, spawn_task/4, spawn_task/5, exec/1, exec/2, eval/1, eval/2]).
-export([get_loop/0, get_nif_ref/1]).
-export([start_link/0]).

-export_type([loop/0, run_options/0, await_options/0]).

-type loop() :: reference().
-type run_options() :: #{timeout => timeout(), kwargs => map()}.
-type await_options() :: #{timeout => timeout(), cancel => boolean()}.

-define(TIMEOUT, 5000).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    py_loop_pool:start_link(?MODULE, fun() -> {1, py_config:context_mode()} end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Tasks

%% @doc Submits a task and waits for its result.
-spec run(py:py_module(), py:py_func(), py:py_args()) -> py:py_result().
run(Module, Function, Args) ->
    run(Module, Function, Args, #{}).

%% @doc With options, or on a loop. `timeout' is in milliseconds (5000): the task is cancelled then.
-spec run(py:py_module(), py:py_func(), py:py_args(), run_options()) -> py:py_result();
         (loop(), py:py_module(), py:py_func(), py:py_args()) -> py:py_result().
run(Loop, Module, Function, Args) when is_reference(Loop) ->
    run(Loop, Module, Function, Args, #{});
run(Module, Function, Args, Options) when is_map(Options) ->
    ran(py_loop_pool:submit(?MODULE, Module, Function, Args, kwargs(Options)), Options).

-spec run(loop(), py:py_module(), py:py_func(), py:py_args(), run_options()) -> py:py_result().
run(Loop, Module, Function, Args, Options) when is_reference(Loop), is_map(Options) ->
    ran(py_task:submit(of_ref(Loop), Module, Function, Args, kwargs(Options)), Options).

ran({ok, Task}, Options) -> py_task:await(Task, maps:get(timeout, Options, ?TIMEOUT), cancel);
ran({error, _} = Error, _Options) -> Error.

kwargs(Options) -> maps:get(kwargs, Options, #{}).

%% @doc Submits a task. One that could not be submitted has that as its result.
-spec create_task(py:py_module(), py:py_func(), py:py_args()) -> reference().
create_task(Module, Function, Args) ->
    create_task(Module, Function, Args, #{}).

%% @doc With keyword arguments; or on a loop, and then a task that could not be submitted is an error.
-spec create_task(py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) -> reference();
                 (loop(), py:py_module(), py:py_func(), py:py_args()) -> {ok, reference()} | {error, term()}.
create_task(Loop, Module, Function, Args) when is_reference(Loop) ->
    create_task(Loop, Module, Function, Args, #{});
create_task(Module, Function, Args, Kwargs) when is_map(Kwargs) ->
    task(py_loop_pool:submit(?MODULE, Module, Function, Args, Kwargs)).

-spec create_task(loop(), py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) ->
    {ok, reference()} | {error, term()}.
create_task(Loop, Module, Function, Args, Kwargs) when is_reference(Loop), is_map(Kwargs) ->
    py_task:submit(of_ref(Loop), Module, Function, Args, Kwargs).

task({ok, Task}) -> Task;
task({error, Reason}) -> py_task:failed(Reason).

%% @doc Waits five seconds for the result of a task, in the process that has submitted it.
-spec await(reference()) -> py:py_result().
await(Task) ->
    await(Task, ?TIMEOUT).

%% @doc With a timeout in milliseconds, or with options. After `{error, timeout}' no result of the task comes any more;
%% with `cancel => true' it is cancelled, too. `{error, not_owner}': another process has submitted it, or its result has
%% been taken.
-spec await(reference(), timeout() | await_options()) -> py:py_result().
await(Task, #{} = Options) when is_reference(Task) ->
    Then = case maps:get(cancel, Options, false) of
        true -> cancel;
        false -> leave
    end,
    py_task:await(Task, maps:get(timeout, Options, ?TIMEOUT), Then);
await(Task, Timeout) when is_reference(Task) ->
    py_task:await(Task, Timeout, leave).

%% @doc Submits a task whose result nobody wants. It goes on when the calling process ends.
-spec spawn_task(py:py_module(), py:py_func(), py:py_args()) -> ok | {error, term()}.
spawn_task(Module, Function, Args) ->
    spawn_task(Module, Function, Args, #{}).

%% @doc With keyword arguments, or on a loop.
-spec spawn_task(py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) -> ok | {error, term()};
                (loop(), py:py_module(), py:py_func(), py:py_args()) -> ok | {error, term()}.
spawn_task(Loop, Module, Function, Args) when is_reference(Loop) ->
    spawn_task(Loop, Module, Function, Args, #{});
spawn_task(Module, Function, Args, Kwargs) when is_map(Kwargs) ->
    py_loop_pool:spawn(?MODULE, Module, Function, Args, Kwargs).

-spec spawn_task(loop(), py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) -> ok | {error, term()}.
spawn_task(Loop, Module, Function, Args, Kwargs) when is_reference(Loop), is_map(Kwargs) ->
    py_task:spawn(of_ref(Loop), Module, Function, Args, Kwargs).

%% ---------------------------------------------------------------------------------------------------------------------
%% The namespace of a process

%% @doc Runs Python statements in the namespace that the calling process has in the loop. It ends with the process.
-spec exec(py_request:code()) -> ok | {error, term()}.
exec(Code) -> exec_on(own(), Code).

-spec exec(loop(), py_request:code()) -> ok | {error, term()}.
exec(Loop, Code) when is_reference(Loop) -> exec_on(of_ref(Loop), Code).

exec_on({ok, Loop}, Code) ->
    with_env(Loop, fun(Native, Env) -> py_request:exec(Native, Code, Env, infinity) end);
exec_on({error, _} = Error, _Code) ->
    Error.

%% @doc Evaluates a Python expression there.
-spec eval(py_request:code()) -> py:py_result().
eval(Code) -> eval_on(own(), Code).

-spec eval(loop(), py_request:code()) -> py:py_result().
eval(Loop, Code) when is_reference(Loop) -> eval_on(of_ref(Loop), Code).

eval_on({ok, Loop}, Code) ->
    with_env(Loop, fun(Native, Env) -> py_request:eval(Native, Code, #{}, Env, 0, infinity) end);
eval_on({error, _} = Error, _Code) ->
    Error.

with_env(Loop, Work) ->
    {Context, _, _} = py_loop:context(Loop),
    case py_local_env:of_context(Context) of
        {error, _} = Error ->
            Error;
        Entry ->
            {_, Native, Env} = py_local_env:with_env(Entry),
            Work(Native, Env)
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Loops

%% @doc The loop of the VM, started now if it does not run.
-spec get_loop() -> {ok, loop()} | {error, term()}.
get_loop() ->
    case own() of
        {ok, Loop} -> {ok, py_loop:ref(Loop)};
        {error, _} = Error -> Error
    end.

%% @doc What {@link py_nif:event_loop_exec/2} takes: the reference itself.
-spec get_nif_ref(loop()) -> loop().
get_nif_ref(Loop) when is_reference(Loop) -> Loop.

own() -> py_loop_pool:loop(?MODULE).

of_ref(Ref) ->
    case py_loop:of_ref(Ref) of
        {ok, Loop} ->
            {Context, _, _} = py_loop:context(Loop),
            py_loop:use(Context);
        {error, _} = Error ->
            Error
    end.
