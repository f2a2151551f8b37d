%%% @doc The functions Python may call, by name.
%%%
%%% A function gets one list with all arguments and its return value is what Python sees. It runs in the process whose
%%% call led to it, or in a process of its own where nobody waits.
-module(py_callback).

-export([new_table/0, register/2, register/3, unregister/1, lookup/1, execute/2]).

-export_type([name/0, function/0]).

-type name() :: atom() | binary() | string().
-type callback() :: fun(([term()]) -> term()) | {module(), atom()}.

-define(TABLE, py_callback).
%% Longer reasons help nobody and would travel as the text of an exception.
-define(REASON_LIMIT, 2000).

%% @doc Creates the table; it belongs to the calling process. The names Python knows start out empty with it.
-spec new_table() -> ok.
new_table() ->
    ?TABLE = ets:new(?TABLE, [named_table, public, {read_concurrency, true}]),
    py_nif:functions_clear().

%% @doc Registers a function; one registered before under the same name is replaced.
-spec register(name(), fun(([term()]) -> term())) -> ok.
register(Name, Fun) when is_function(Fun, 1) ->
    store(key(Name), Fun).

%% @doc Registers `Module:Function/1'. It need not be loaded, or exist, before it is called.
-spec register(name(), module(), atom()) -> ok.
register(Name, Module, Function) when is_atom(Module), is_atom(Function) ->
    store(key(Name), {Module, Function}).

%% @doc Forgets a name; `ok' also when nobody knew it.
-spec unregister(name()) -> ok.
unregister(Name) ->
    Key = key(Name),
    true = in_table(fun() -> ets:delete(?TABLE, Key) end),
    py_nif:function_unregistered(Key).

-spec lookup(name()) -> {ok, callback()} | error.
lookup(Name) ->
    find(key(Name)).

%% @doc Runs a function in the calling process. Whatever it raises becomes a text for Python.
-spec execute(name(), [term()]) -> {ok, term()} | {error, binary()}.
execute(Name, Args) ->
    Key = key(Name),
    case find(Key) of
        {ok, Function} -> run(Function, Args);
        error -> {error, not_registered(Key)}
    end.

store(Key, Function) ->
    true = in_table(fun() -> ets:insert(?TABLE, {Key, Function}) end),
    py_nif:function_registered(Key).

%% The table lives and ends with the application.
in_table(Change) ->
    try Change()
    catch error:badarg -> error({not_running, erlang_python})
    end.

find(Key) ->
    try ets:lookup(?TABLE, Key) of
        [{_, Function}] -> {ok, Function};
        [] -> error
    catch
        %% The application is stopping: nothing is registered any more.
        error:badarg -> error
    end.

run(Function, Args) ->
    try
        {ok, apply_to(Function, Args)}
    catch
        Class:Reason:Stack -> {error, describe(Class, Reason, Stack)}
    end.

apply_to({Module, Function}, Args) -> Module:Function(Args);
apply_to(Fun, Args) -> Fun(Args).

%% These two say nothing without the function they are about.
describe(error, Reason, [{Module, Function, ArgsOrArity, _} | _]) when Reason =:= undef; Reason =:= function_clause ->
    to_text("error: ~tp in ~tp:~tp/~b", [Reason, Module, Function, arity(ArgsOrArity)]);
describe(Class, Reason, _Stack) ->
    to_text("~tp: ~0tp", [Class, Reason]).

arity(Args) when is_list(Args) -> length(Args);
arity(Arity) -> Arity.

to_text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args, [{chars_limit, ?REASON_LIMIT}])).

not_registered(Key) ->
    to_text("no Erlang function is registered as '~ts'; register one with py:register_function/2,3", [Key]).

key(Name) when is_binary(Name) -> Name;
key(Name) when is_atom(Name) -> atom_to_binary(Name, utf8);
key(Name) when is_list(Name) ->
    case unicode:characters_to_binary(Name) of
        Key when is_binary(Key) -> Key;
        _ -> error(badarg, [Name])
    end.
