%%% @doc The functions of {@link py_event_loop} for a pool of loops, each in a context of its own. A process always uses the
%%% same one, so its tasks begin in their order.
%%%
%%% Application environment: `event_loop_pool_size', how many (a loop a scheduler), and `event_loop_pool_owngil', which
%%% gives each an interpreter and a GIL of its own. They are read when the process of that name starts, which is a child
%%% of erlang_python_sup; the loops start when the first task comes.
-module(py_event_loop_pool).

-export([run/3, run/4, create_task/3, create_task/4, await/1, await/2, spawn_task/3, spawn_task/4]).
-export([exec/1, eval/1, get_loop/0, get_stats/0]).
-export([start_link/0]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    py_loop_pool:start_link(?MODULE, fun() -> {py_config:event_loop_pool_size(), py_config:event_loop_pool_mode()} end).

%% @doc See {@link py_event_loop:run/4}.
-spec run(py:py_module(), py:py_func(), py:py_args()) -> py:py_result().
run(Module, Function, Args) ->
    run(Module, Function, Args, #{}).

-spec run(py:py_module(), py:py_func(), py:py_args(), py_event_loop:run_options()) -> py:py_result().
run(Module, Function, Args, Options) when is_map(Options) ->
    case py_loop_pool:submit(?MODULE, Module, Function, Args, maps:get(kwargs, Options, #{})) of
        {ok, Task} -> py_task:await(Task, maps:get(timeout, Options, 5000), cancel);
        {error, _} = Error -> Error
    end.

%% @doc See {@link py_event_loop:create_task/4}.
-spec create_task(py:py_module(), py:py_func(), py:py_args()) -> reference().
create_task(Module, Function, Args) ->
    create_task(Module, Function, Args, #{}).

-spec create_task(py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) -> reference().
create_task(Module, Function, Args, Kwargs) when is_map(Kwargs) ->
    case py_loop_pool:submit(?MODULE, Module, Function, Args, Kwargs) of
        {ok, Task} -> Task;
        {error, Reason} -> py_task:failed(Reason)
    end.

%% @doc See {@link py_event_loop:await/1}.
-spec await(reference()) -> py:py_result().
await(Task) -> py_event_loop:await(Task).

-spec await(reference(), timeout() | py_event_loop:await_options()) -> py:py_result().
await(Task, TimeoutOrOptions) -> py_event_loop:await(Task, TimeoutOrOptions).

%% @doc See {@link py_event_loop:spawn_task/4}.
-spec spawn_task(py:py_module(), py:py_func(), py:py_args()) -> ok | {error, term()}.
spawn_task(Module, Function, Args) ->
    spawn_task(Module, Function, Args, #{}).

-spec spawn_task(py:py_module(), py:py_func(), py:py_args(), py:py_kwargs()) -> ok | {error, term()}.
spawn_task(Module, Function, Args, Kwargs) when is_map(Kwargs) ->
    py_loop_pool:spawn(?MODULE, Module, Function, Args, Kwargs).

%% @doc See {@link py_event_loop:exec/1}.
-spec exec(py_request:code()) -> ok | {error, term()}.
exec(Code) ->
    case get_loop() of
        {ok, Loop} -> py_event_loop:exec(Loop, Code);
        {error, _} = Error -> Error
    end.

-spec eval(py_request:code()) -> py:py_result().
eval(Code) ->
    case get_loop() of
        {ok, Loop} -> py_event_loop:eval(Loop, Code);
        {error, _} = Error -> Error
    end.

%% @doc The loop of the calling process.
-spec get_loop() -> {ok, py_event_loop:loop()} | {error, term()}.
get_loop() ->
    case own() of
        {ok, Loop} -> {ok, py_loop:ref(Loop)};
        {error, _} = Error -> Error
    end.

%% @doc `num_loops'; `supported', whether there can be contexts of the mode that is configured; `owngil_enabled';
%% `active_sessions', how many processes that are alive have used the pool.
-spec get_stats() -> #{atom() => non_neg_integer() | boolean()}.
get_stats() -> py_loop_pool:stats(?MODULE).

own() -> py_loop_pool:loop(?MODULE).
