%%% @doc A report for people: which Python runs, what else was found, what was refused and why.
-module(py_doctor).

-export([print/0]).

%% @doc Prints the report to the caller's group leader.
-spec print() -> ok.
print() ->
    io:put_chars(report()).

report() ->
    case code:ensure_loaded(py_nif) of
        {module, py_nif} ->
            [system(), runtime(py_nif:runtime()), manifests(), load()];
        {error, Reason} ->
            [system(), line("The native core (priv/py_nif) could not be loaded: ~0tp", [Reason])]
    end.

system() ->
    line("erlang_python on OTP ~ts, ~ts", [erlang:system_info(otp_release),
                                           erlang:system_info(system_architecture)]).

runtime(Runtime) when map_size(Runtime) =:= 0 ->
    %% So that the report shows what a start would find.
    ok = py_nif:configure(py_config:native()),
    line("Python has not been started in this VM.", []);
runtime(Runtime) ->
    [line("Python ~ts, backend ~ts", [text(python, Runtime), text(name, Runtime)]),
     details([libpython, executable, file, manifest], Runtime)].

manifests() ->
    case py_nif:backends() of
        [] -> line("~nNo backend and no plugin was found. Each is a .so with its manifest (.json) beside it, looked~n"
                   "for in priv/backends and priv/plugins, in {search_path, Dirs} and in ERLANG_PYTHON_PATH.", []);
        Found -> [line("~nFound, in the order of preference:", []), [manifest(Manifest) || Manifest <- Found]]
    end.

manifest(Manifest) ->
    [line("  ~-9ts ~-8ts ~ts~ts", [text(status, Manifest), text(kind, Manifest), text(name, Manifest),
                                   python(Manifest)]),
     details([reason, manifest, libpython], Manifest)].

python(#{python := Python} = Manifest) when Python =/= undefined ->
    io_lib:format(", Python ~ts~ts", [text(python, Manifest), [" free-threaded" || free_threaded(Manifest)]]);
python(_) ->
    "".

free_threaded(Manifest) -> maps:get(free_threading, Manifest, false) =:= true.

load() ->
    [line("~nContexts: ~b in the default pool. Requests: ~b running, ~b at most.",
          [py_context_router:num_contexts(), py_semaphore:current(), py_semaphore:max_concurrent()]),
     line("Alive: ~ts", [lists:join(", ", [io_lib:format("~b ~ts", [Count, Name])
                                           || {Name, Count} <- lists:sort(maps:to_list(py_nif:counters()))])])].

details(Keys, Manifest) ->
    [line("    ~-11ts ~ts", [Key, text(Key, Manifest)]) || Key <- Keys, is_map_key(Key, Manifest)].

text(Key, Map) ->
    case maps:get(Key, Map, <<"?">>) of
        Text when is_binary(Text) -> Text;
        Other -> io_lib:format("~0tp", [Other])
    end.

line(Format, Args) ->
    io_lib:format(Format ++ "~n", Args).
