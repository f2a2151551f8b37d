%%% @doc Starts and stops the application.
%%%
%%% Python itself is started once in the life of the VM and survives a stop; contexts, pools, registered functions,
%%% registrations and shared state do not.
-module(erlang_python_app).

-behaviour(application).

-export([start/2, stop/1]).

%% @doc Fails with `{error, {Code, Text}}' when no Python could be started; Text says what was tried and how to mend it.
%% With `{error, {bad_config, Key, Value}}' when the application environment has a value that cannot be.
-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    try start_runtime() of
        ok -> start_processes();
        {error, _} = Error -> Error
    catch
        %% What the configuration says cannot be: an answer for people, without the stack.
        error:{bad_config, _, _} = Reason -> {error, Reason}
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    %% Only here: it may be set before a start.
    ok = py_preload:clear_code(),
    forget_all().

start_runtime() ->
    case code:ensure_loaded(py_nif) of
        {module, py_nif} ->
            ok = py_nif:configure(py_config:native()),
            ok = py_nif:semaphore_set_max(py_config:max_concurrent()),
            %% Checked before anything is started.
            _ = [py_config:num_contexts(), py_config:paths(), py_config:imports(), py_config:setup_timeout(),
                 py_config:max_spans(), py_config:output(), py_config:event_loop_pool_size(),
                 py_config:event_loop_pool_mode(), py_config:event_loop_selector()],
            case py_plugin:load() of
                ok -> readable(py_nif:start_runtime());
                {error, _} = Error -> readable(Error)
            end;
        {error, Reason} ->
            {error, {py_nif_not_loaded, Reason}}
    end.

start_processes() ->
    %% What a stop that was itself killed may have left behind.
    forget_all(),
    case erlang_python_sup:start_link() of
        {ok, Sup} ->
            ok = py_state:register_callbacks(),
            ok = py_output:register(),
            ok = py_gen_call:register(),
            ok = py_event_worker:register(),
            start_pool(Sup);
        {error, _} = Error -> Error
    end.

start_pool(Sup) ->
    ok = py_import:init(),
    case py_context_router:start() of
        {ok, _Contexts} ->
            {ok, Sup};
        {error, _} = Error ->
            unlink(Sup),
            stop_supervisor(Sup),
            Error
    end.

stop_supervisor(Sup) ->
    Monitor = monitor(process, Sup),
    exit(Sup, shutdown),
    receive {'DOWN', Monitor, process, Sup, _} -> ok end.

forget_all() ->
    py_context_router:forget_registrations(),
    ok = py_nif:functions_clear(),
    py_venv:forget(),
    py_logging:forget(),
    py_state:clear().

%% The application controller prints the reason as a term: a list shows as text whatever its characters are.
readable({error, {Code, Message}}) when is_binary(Message) ->
    {error, {Code, unicode:characters_to_list(Message)}};
readable(Result) ->
    Result.
