%%% @doc The application environment, read and checked in one place.
%%%
%%% Everything is read when it is needed, so that a change takes effect at the next start of the application or of a
%%% pool without reloading anything.
-module(py_config).

-export([
    native/0, num_contexts/0, context_mode/0, max_concurrent/0, imports/0, paths/0, setup_timeout/0, max_spans/0,
    output/0, event_loop_pool_size/0, event_loop_pool_mode/0, event_loop_selector/0,
    plugins/0
]).

-define(APP, erlang_python).

%% @doc The options of {@link py_nif:configure/1}; keys nobody set are left to the core. Raises
%% `{bad_config, Key, Value}' for a value that cannot be what the key means.
-spec native() -> #{atom() => term()}.
native() ->
    Options = [{backend, backend, fun mode/1},
               {python, python, fun python/1},
               {search_path, search, fun directories/1},
               {big_integers, big_integers, fun big_integers/1},
               {max_atoms, max_atoms, fun count/1},
               {enable_memory_limits, memory_limits, fun boolean/1},
               {callback_patience, callback_patience, fun count/1}],
    Native = maps:from_list([{Option, checked(Key, Value, Check)} || {Key, Option, Check} <- Options,
                                                            {ok, Value} <- [application:get_env(?APP, Key)]]),
    Native#{prefers_owngil => context_mode() =:= owngil}.

%% @doc How many contexts the default pool gets.
-spec num_contexts() -> pos_integer().
num_contexts() ->
    positive(num_contexts, erlang:system_info(schedulers)).

%% @doc The mode of the default pool's contexts: that of the backend, if one is named and nothing else is said. Whether it
%% is one is checked where contexts are started.
-spec context_mode() -> py_context:context_mode().
context_mode() ->
    Backend = case application:get_env(?APP, backend, auto) of
        owngil -> owngil;
        _ -> worker
    end,
    application:get_env(?APP, context_mode, Backend).

%% @doc How many requests may be running at once.
-spec max_concurrent() -> pos_integer().
max_concurrent() ->
    positive(max_concurrent, erlang:system_info(schedulers) * 2 + 1).

%% @doc What every interpreter imports.
-spec imports() -> [py_import:import()].
imports() ->
    checked(imports, application:get_env(?APP, imports, []), fun(Imports) -> [py_import:import(I) || I <- Imports] end).

%% @doc Directories in front of `sys.path'.
-spec paths() -> [binary()].
paths() ->
    checked(paths, application:get_env(?APP, paths, []), fun(Paths) -> [py_import:path(Path) || Path <- Paths] end).

%% @doc How many milliseconds the imports, and the preloaded code, of a new context may take.
-spec setup_timeout() -> timeout().
setup_timeout() ->
    checked(setup_timeout, application:get_env(?APP, setup_timeout, 60000), fun limit/1).

%% @doc How many spans are kept.
-spec max_spans() -> pos_integer().
max_spans() ->
    positive(max_spans, 100000).

%% @doc Where Python's stdout and stderr go.
-spec output() -> py_output:destination().
output() ->
    checked(output, application:get_env(?APP, output, group_leader), fun py_output:destination/1).

%% @doc How many loops {@link py_event_loop_pool} has.
-spec event_loop_pool_size() -> pos_integer().
event_loop_pool_size() ->
    positive(event_loop_pool_size, erlang:system_info(schedulers)).

%% @doc The mode of their contexts.
-spec event_loop_pool_mode() -> py_context:context_mode().
event_loop_pool_mode() ->
    case checked(event_loop_pool_owngil, application:get_env(?APP, event_loop_pool_owngil, false), fun boolean/1) of
        true -> owngil;
        false -> context_mode()
    end.

%% @doc Who watches the files of event loops: the thread that runs the loop, or the VM.
-spec event_loop_selector() -> native | beam.
event_loop_selector() ->
    checked(event_loop_selector, application:get_env(?APP, event_loop_selector, native), fun selector/1).

%% @doc Which plugins are loaded.
-spec plugins() -> all | [binary()].
plugins() ->
    checked(plugins, application:get_env(?APP, plugins, all), fun plugins/1).

plugins(all) -> all;
plugins(Names) -> [plugin(Name) || Name <- Names].

plugin(Name) when is_atom(Name) -> plugin(atom_to_binary(Name));
plugin(Name) ->
    Text = text(Name),
    true = Text =/= <<>> andalso binary:match(Text, <<0>>) =:= nomatch,
    Text.

positive(Key, Default) ->
    checked(Key, application:get_env(?APP, Key, Default), fun count/1).

checked(Key, Value, Check) ->
    try Check(Value)
    catch error:_ -> error({bad_config, Key, Value})
    end.

mode(Mode) when Mode =:= auto; Mode =:= worker; Mode =:= owngil; Mode =:= freethreaded -> Mode.

python(auto) -> auto;
python(Python) -> text(Python).

directories(Dirs) -> [text(Dir) || Dir <- Dirs].

big_integers(Form) when Form =:= string; Form =:= integer -> Form.

count(N) when is_integer(N), N > 0 -> N.

limit(infinity) -> infinity;
limit(Milliseconds) -> count(Milliseconds).

selector(Selector) when Selector =:= native; Selector =:= beam -> Selector.

boolean(Flag) when is_boolean(Flag) -> Flag.

text(Text) when is_list(Text); is_binary(Text) ->
    Utf8 = unicode:characters_to_binary(Text),
    true = is_binary(Utf8),
    Utf8.
