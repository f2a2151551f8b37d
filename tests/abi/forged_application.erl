%%% @doc The application as it is installed, but for its backends: a directory that a test fills with manifests of its
%%% own, and a VM that finds nothing else.
-module(forged_application).

-export([new/1, manifest/3, plugin/4, file/3, forged/1, abi/0, with_vm/3, attempt/1, attempt_plugins/1]).
%% Of a logger's handler.
-export([log/2]).

-type application() :: #{lib := file:filename(), found := file:filename()}.
-type observed() :: #{starts := [ok | {error, {atom(), binary()}}], runtime := map(), backends := [map()],
                      doctor := binary(), application := {ok, [atom()]} | {error, term()}}.

-type plugins_observed() :: #{all := ok | {error, term()}, log := [binary()], listed := ok | {error, {atom(), binary()}},
                              backends := [map()], doctor := binary(), answers := term(),
                              application := {ok, [atom()]} | {error, term()}}.

-export_type([application/0, observed/0, plugins_observed/0]).

%% @doc An application without backends below a directory.
-spec new(file:filename()) -> application().
new(Directory) ->
    Lib = filename:join([Directory, "lib", "erlang_python"]),
    Found = filename:join(Directory, "found"),
    Priv = code:priv_dir(erlang_python),
    ok = filelib:ensure_path(filename:join(Lib, "priv")),
    ok = filelib:ensure_path(Found),
    ok = file:make_symlink(code:lib_dir(erlang_python, ebin), filename:join(Lib, "ebin")),
    {ok, Names} = file:list_dir(Priv),
    [ok = file:make_symlink(filename:join(Priv, Name), filename:join([Lib, "priv", Name]))
     || Name <- Names -- ["backends", "plugins"]],
    #{lib => Lib, found => Found}.

%% @doc Adds a manifest of a backend that would be fine, with some fields changed; `undefined' leaves a field out.
-spec manifest(application(), string(), #{atom() => string() | boolean() | undefined}) -> file:filename().
manifest(Application, Name, Changes) ->
    Good = #{kind => "backend", name => Name, mode => "worker", abi => abi(), file => forged("whole"),
             python => "3.11.2", abi_tag => "cp311", free_threading => false, libpython => forged("python_3_11"),
             executable => "/forged/bin/python3.11"},
    Fields = [io_lib:format("~p: ~ts", [atom_to_list(Key), json(Value)])
              || {Key, Value} <- maps:to_list(maps:merge(Good, Changes)), Value =/= undefined],
    file(Application, Name ++ ".json", ["{", lists:join(", ", Fields), "}\n"]).

json(Value) when is_boolean(Value) -> atom_to_list(Value);
json(Value) -> io_lib:format("~p", [Value]).

%% @doc The same of a plugin, with the manifest's own name, and one of the forged ones of the build.
-spec plugin(application(), string(), string(), #{atom() => string() | undefined}) -> file:filename().
plugin(Application, Name, Forged, Changes) ->
    Nothing = maps:from_keys([mode, python, abi_tag, free_threading, libpython, executable], undefined),
    Plugin = Nothing#{kind => "plugin", file => forged(filename:join("plugins", Forged))},
    manifest(Application, Name, maps:merge(Plugin, Changes)).

%% @doc Adds any other file beside the manifests.
-spec file(application(), string(), iodata()) -> file:filename().
file(#{found := Found}, Name, Content) ->
    Path = filename:join(Found, Name),
    ok = file:write_file(Path, Content),
    Path.

%% @doc The path of a forged backend or Python of the build.
-spec forged(string()) -> file:filename().
forged(Name) ->
    Path = filename:join([os:getenv("EP_TEST_ABI_DIR"), "forged", Name ++ ".so"]),
    true = filelib:is_regular(Path),
    Path.

%% @doc The version of the ABI's headers.
-spec abi() -> string().
abi() ->
    [Includes | _] = string:split(os:getenv("EP_TEST_INCLUDES"), ":"),
    {ok, Header} = file:read_file(filename:join([Includes, "erlang_python", "abi.h"])),
    Number = fun(Part) ->
        {match, [Digits]} = re:run(Header, "#define EP_ABI_" ++ Part ++ " ([0-9]+)", [{capture, all_but_first, list}]),
        Digits
    end,
    Number("MAJOR") ++ "." ++ Number("MINOR").

%% @doc Runs a function with a way to call into a VM that has this application, and sees to it that the VM survives.
%% Environment variables of its own go before those that make it find the application's manifests.
-spec with_vm(application(), [{string(), string()}], fun((fun((module(), atom(), list()) -> term())) -> Result)) ->
    Result.
with_vm(#{lib := Lib, found := Found}, Env, Fun) ->
    Paths = [filename:join(Lib, "ebin"), filename:dirname(code:which(?MODULE))],
    {ok, Peer, _} = peer:start(#{
        connection => 0, wait_boot => 60000, args => ["-pa" | Paths],
        env => maps:to_list(maps:merge(#{"ERL_LIBS" => "", "ERLANG_PYTHON_PATH" => Found}, maps:from_list(Env)))
    }),
    Call = fun(Module, Function, Args) -> peer:call(Peer, Module, Function, Args, 60000) end,
    try
        Result = Fun(Call),
        true = is_list(Call(os, getpid, [])),
        Result
    after
        peer:stop(Peer)
    end.

%% @doc In that VM: starts Python with these values in the application environment, twice, then the application. Tells
%% what could be seen.
-spec attempt([{atom(), term()}]) -> observed().
attempt(Environment) ->
    ok = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- Environment],
    ok = py_nif:configure(py_config:native()),
    Starts = [py_nif:start_runtime(), py_nif:start_runtime()],
    #{starts => Starts, runtime => py_nif:runtime(), backends => py_nif:backends(),
      doctor => printed(fun py:doctor/0), application => application:ensure_all_started(erlang_python)}.

%% @doc In that VM: loads all plugins, then those that are listed, then starts the application with these. `answers' is
%% what the function answer/0 of the first one comes to.
-spec attempt_plugins([atom(), ...]) -> plugins_observed().
attempt_plugins([First | _] = Listed) ->
    ok = application:load(erlang_python),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => self()}}),
    ok = py_nif:configure(py_config:native()),
    All = py_plugin:load(),
    Log = logged(),
    ok = application:set_env(erlang_python, plugins, Listed),
    Result = py_plugin:load(),
    Answers = py_nif:plugin_call(First, answer),
    Observed = #{all => All, log => Log, listed => Result, answers => Answers,
                 backends => py_nif:backends(), doctor => printed(fun py:doctor/0)},
    ok = logger:remove_handler(?MODULE),
    Observed#{application => application:ensure_all_started(erlang_python)}.

-spec log(logger:log_event(), #{config := #{to := pid()}, _ => _}) -> ok.
log(Event, #{config := #{to := Pid}}) ->
    Text = logger_formatter:format(Event, #{single_line => true, template => [msg]}),
    Pid ! {logged, unicode:characters_to_binary(Text)},
    ok.

%% Handlers run in the process that logs.
logged() ->
    receive
        {logged, Text} -> [Text | logged()]
    after 0 -> []
    end.

%% What a function prints.
printed(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        receive go -> ok end,
        ok = Fun()
    end),
    true = group_leader(self(), Pid),
    Pid ! go,
    collect(Monitor, []).

collect(Monitor, Output) ->
    receive
        {io_request, From, Ref, {put_chars, unicode, Characters}} ->
            From ! {io_reply, Ref, ok},
            collect(Monitor, [Output, Characters]);
        {'DOWN', Monitor, process, _, normal} ->
            unicode:characters_to_binary(Output);
        {'DOWN', Monitor, process, _, Reason} ->
            error({cannot_print, Reason})
    end.
