%%% @doc Python code that runs in every new context before anything else does.
%%%
%%% What it defines is in the namespace of the context, of which that of each process starts as a copy. Changes are for
%%% contexts that start later, those that replace a dead one in a pool included. It may be set before the application
%%% starts, which is how the default pool gets it; it is forgotten when the application stops.
-module(py_preload).

-behaviour(py_setup).

-export([set_code/1, get_code/0, clear_code/0, has_preload/0, apply_preload/1]).
%% For py_setup.
-export([setup/1]).

%% Read by every context that starts, written hardly ever.
-define(CODE, ?MODULE).

%% @doc Sets the code, in place of what was set before. It is not looked at: a context that runs it and fails does not
%% start, with the exception as its error. Raises `badarg' for what is no text.
-spec set_code(binary() | iolist()) -> ok.
set_code(Code) when is_binary(Code) ->
    persistent_term:put(?CODE, Code);
set_code(Code) when is_list(Code) ->
    case unicode:characters_to_binary(Code) of
        Text when is_binary(Text) -> set_code(Text);
        _ -> error(badarg, [Code])
    end.

%% @doc The code that is set.
-spec get_code() -> binary() | undefined.
get_code() ->
    persistent_term:get(?CODE, undefined).

%% @doc Contexts that start from now on run nothing.
-spec clear_code() -> ok.
clear_code() ->
    _ = persistent_term:erase(?CODE),
    ok.

%% @doc Whether there is any.
-spec has_preload() -> boolean().
has_preload() ->
    get_code() =/= undefined.

%% @doc Runs the code in a context's own namespace, once more if it has run there already. `{error, timeout}' when it
%% has not ended within `setup_timeout' of the application environment; it is interrupted then.
-spec apply_preload(py_nif:context()) -> ok | {error, term()}.
apply_preload(Context) ->
    case get_code() of
        undefined -> ok;
        Code -> py_request:setup_exec(Context, Code, py_config:setup_timeout())
    end.

%% @private
-spec setup(py_nif:context()) -> ok | {error, term()}.
setup(Context) ->
    apply_preload(Context).
