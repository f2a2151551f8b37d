%%% @doc What every new context is given before anybody can use it.
%%%
%%% {@link py_context} runs this between the start of the thread and the answer to whoever started the context. A step
%%% that fails, fails the start: the context ends, and its starter gets the error.
-module(py_setup).

-export([apply/1]).

-callback setup(py_nif:context()) -> ok | {error, term()}.

%% In this order: modules come from the paths of the steps before, and preloaded code uses them.
-define(STEPS, [py_logging, py_venv, py_import, py_preload]).

%% @doc Runs the steps in their order, up to the first one that fails.
-spec apply(py_nif:context() | pid()) -> ok | {error, term()}.
apply(Pid) when is_pid(Pid) ->
    case py_nif:context_of(Pid) of
        undefined -> {error, context_stopped};
        Context -> apply(Context)
    end;
apply(Context) ->
    run(?STEPS, Context).

run([], _Context) ->
    ok;
run([Step | Steps], Context) ->
    case Step:setup(Context) of
        ok -> run(Steps, Context);
        {error, _} = Error -> Error
    end.
