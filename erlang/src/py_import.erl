%%% @doc Directories for `sys.path' and modules to import, in every interpreter there is and will be.
%%%
%%% What is registered reaches a context that runs before any request that is made afterwards; a busy one is not waited
%%% for. A context that starts gets it before it is ready.
%%%
%%% `imports' and `paths' of the application environment are registered when the application starts. When it stops, all
%%% of it is forgotten.
-module(py_import).

-behaviour(py_setup).

-export([init/0]).
-export([ensure_imported/1, ensure_imported/2, is_imported/1, is_imported/2, all_imports/0, import_list/0,
         clear_imports/0]).
-export([add_path/1, add_paths/1, all_paths/0, is_path_added/1, clear_paths/0]).
%% For py_setup, erlang_python_sup, py_config and py.
-export([setup/1, new_table/0, import/1, path/1, name/1]).

-export_type([py_module/0, py_func/0, path/0, import/0]).

-type py_module() :: atom() | binary() | string().
-type py_func() :: atom() | binary() | string().
-type path() :: string() | binary() | atom().
-type import() :: {binary(), binary() | all}.

%% Rows are {{import, Module, Function | all}, Order}, {{path, Path}, Order}, {{failed, Module}, Order} for failures that
%% the log has, and {epoch, Epoch}.
-define(TABLE, ?MODULE).
-define(PYTHON, 'erlang._imports').
%% Whether this VM has added a path to an interpreter, which may have outlived the application it was added for.
-define(EVER_ADDED, {?MODULE, ever_added}).

%% @doc Registers `imports' and `paths' of the application environment. The start of the application does it; call it
%% again after a change of the environment. What is registered otherwise stays.
-spec init() -> ok.
init() ->
    register_paths(py_config:paths()),
    register_imports(py_config:imports()).

%% ---------------------------------------------------------------------------------------------------------------------
%% Modules

%% @doc Imports a module in every interpreter. `ok' also for one that does not exist: calls of it will fail. Raises
%% `badarg' for what is no name.
-spec ensure_imported(py_module()) -> ok | {error, main_not_cacheable}.
ensure_imported(Module) ->
    register_import({name(Module), all}).

%% @doc The same, noted for one function of the module. Whether there is such a function is not looked at.
-spec ensure_imported(py_module(), py_func()) -> ok | {error, main_not_cacheable}.
ensure_imported(Module, Function) ->
    register_import({name(Module), name(Function)}).

%% @doc Whether the module is registered as a whole.
-spec is_imported(py_module()) -> boolean().
is_imported(Module) ->
    is_registered({import, name(Module), all}).

%% @doc Whether this function of the module is registered.
-spec is_imported(py_module(), py_func()) -> boolean().
is_imported(Module, Function) ->
    is_registered({import, name(Module), name(Function)}).

%% @doc Everything registered, in the order it was.
-spec all_imports() -> [import()].
all_imports() ->
    [{Module, Function} || [_, Module, Function] <- in_order({{import, '$2', '$3'}, '$1'}, ['$1', '$2', '$3'])].

%% @doc The registered functions of each module; none for a module that is registered as a whole only.
-spec import_list() -> {ok, #{binary() => [binary()]}}.
import_list() ->
    {ok, lists:foldr(fun add_to_list/2, #{}, all_imports())}.

add_to_list({Module, all}, List) -> maps:merge(#{Module => []}, List);
add_to_list({Module, Function}, List) -> List#{Module => [Function | maps:get(Module, List, [])]}.

%% @doc Forgets all modules, for contexts that start from now on. No interpreter unloads any.
-spec clear_imports() -> ok.
clear_imports() ->
    forget({{import, '_', '_'}, '_'}),
    forget({{failed, '_'}, '_'}).

register_import({<<"__main__">>, _}) -> {error, main_not_cacheable};
register_import(Import) -> register_imports([Import]).

%% One that is registered already has been imported everywhere, or cannot be.
register_imports(Imports) ->
    case [Module || {Module, Function} <- Imports, store({import, Module, Function})] of
        [] -> ok;
        Modules -> py_everywhere:cast(?PYTHON, import_modules, [Modules])
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Directories

%% @doc Puts a directory in front of `sys.path', behind those that are registered already. It need not exist. Adding it
%% again makes Python look anew at what is in it. Raises `badarg' for what is no path.
-spec add_path(path()) -> ok.
add_path(Path) ->
    add_paths([Path]).

%% @doc The same for several, the first one in front.
-spec add_paths([path()]) -> ok.
add_paths(Paths) when is_list(Paths) ->
    register_paths([path(Path) || Path <- Paths]).

%% @doc All directories, in the order of `sys.path'.
-spec all_paths() -> [binary()].
all_paths() ->
    [Path || [_, Path] <- in_order({{path, '$2'}, '$1'}, ['$1', '$2'])].

%% @doc Whether a directory is registered, under this very name.
-spec is_path_added(path()) -> boolean().
is_path_added(Path) ->
    is_registered({path, path(Path)}).

%% @doc Forgets all directories, for interpreters that start from now on. Those that run keep them on `sys.path'.
-spec clear_paths() -> ok.
clear_paths() ->
    forget({{path, '_'}, '_'}).

register_paths([]) ->
    ok;
register_paths(Paths) ->
    [store({path, Path}) || Path <- Paths],
    persistent_term:put(?EVER_ADDED, true),
    py_everywhere:cast(?PYTHON, add_paths, [epoch(), all_paths()]).

%% ---------------------------------------------------------------------------------------------------------------------
%% New contexts

%% @private A context is among the running ones before this reads the table, and whoever registers something writes the
%% table before it looks for running contexts: none is missed.
-spec setup(py_nif:context()) -> ok | {error, term()}.
setup(Context) ->
    case {all_paths(), [Module || {Module, _} <- all_imports()], persistent_term:get(?EVER_ADDED, false)} of
        {[], [], false} ->
            ok;
        {Paths, Modules, _} ->
            Args = [epoch(), Paths, Modules],
            case py_request:setup_call(Context, ?PYTHON, set_up, Args, py_config:setup_timeout()) of
                {ok, Failures} -> lists:foreach(fun report/1, Failures);
                {error, _} = Error -> Error
            end
    end.

%% Once for each module, and not for each context.
report({Module, Reason}) ->
    case store({failed, Module}) of
        true -> logger:warning("erlang_python: the registered module ~ts could not be imported: ~ts", [Module, Reason]);
        false -> ok
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% The table

%% @doc Creates the table; it belongs to the calling process. An interpreter that outlives the application knows by the
%% epoch that the paths of an earlier table are over.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    true = ets:insert(?TABLE, {epoch, erlang:unique_integer([monotonic, positive])}),
    ok.

epoch() ->
    try ets:lookup_element(?TABLE, epoch, 2)
    catch error:badarg -> 0 % the application is not running: older than any
    end.

%% Whether it is new.
store(Key) ->
    try ets:insert_new(?TABLE, {Key, erlang:unique_integer([monotonic])})
    catch error:badarg -> error({not_running, erlang_python})
    end.

is_registered(Key) ->
    try ets:member(?TABLE, Key)
    catch error:badarg -> false
    end.

%% What was registered first comes first.
in_order(Pattern, Wanted) ->
    try lists:sort(ets:select(?TABLE, [{Pattern, [], [Wanted]}]))
    catch error:badarg -> []
    end.

forget(Pattern) ->
    try ets:match_delete(?TABLE, Pattern)
    catch error:badarg -> true
    end,
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Names

%% @doc An element of `imports' in the application environment: a module, or `{Module, Function}'.
-spec import(py_module() | {py_module(), py_func()}) -> import().
import({Module, Function}) -> {module(Module), name(Function)};
import(Module) -> {module(Module), all}.

module(Module) ->
    case name(Module) of
        <<"__main__">> -> error(main_not_cacheable);
        Name -> Name
    end.

%% @doc A directory as a binary. One that Python could not look at would break every later import.
-spec path(path()) -> binary().
path(Path) -> name(Path).

%% @doc A name as a binary; raises `badarg' for what cannot be one.
-spec name(py_module()) -> binary().
name(Name) when is_atom(Name) -> sound(atom_to_binary(Name, utf8));
name(Name) when is_binary(Name) -> sound(Name);
name(Name) when is_list(Name) ->
    case unicode:characters_to_binary(Name) of
        Text when is_binary(Text) -> sound(Text);
        _ -> error(badarg)
    end;
name(_) -> error(badarg).

sound(Name) ->
    case Name =/= <<>> andalso binary:match(Name, <<0>>) =:= nomatch of
        true -> Name;
        false -> error(badarg)
    end.
