%%% @doc A report for people: which Python runs or would run and why, what else was found, what was refused and how to
%%% mend that, and what contexts can be like here. Starts nothing.
-module(py_doctor).

-export([print/0, report/0, main/1]).

-import(py_doctor_layout, [line/2, labelled/3, plain/1]).

%% @doc Prints the report to the caller's group leader.
-spec print() -> ok.
print() ->
    io:put_chars(report()).

%% @doc The report as text.
-spec report() -> unicode:chardata().
report() ->
    {Report, _} = examine(),
    Report.

%% @doc What `erlang_python doctor' runs. With "start" it starts the application first. Ends the VM, with status 0 when
%% there is a Python to run.
-spec main([string()]) -> no_return().
main(Options) ->
    Failure = lists:member("start", Options) andalso start(),
    {Report, Healthy} = examine(),
    io:put_chars([Report, [["\nThe application did not start.\n", Failure] || Failure =/= false]]),
    halt(case Healthy andalso Failure =:= false of true -> 0; false -> 1 end).

start() ->
    %% The report says what the log would.
    ok = logger:set_primary_config(level, none),
    case application:ensure_all_started(erlang_python) of
        {ok, _} -> false;
        {error, {erlang_python, {{Code, Text}, {erlang_python_app, start, _}}}} when is_list(Text) ->
            labelled(2, "", [atom_to_list(Code), ": ", Text]);
        {error, {erlang_python, {Reason, {erlang_python_app, start, _}}}} ->
            labelled(2, "", io_lib:format("~0tp", [Reason]));
        {error, Reason} ->
            labelled(2, "", io_lib:format("~0tp", [Reason]))
    end.

examine() ->
    %% The configuration has to be known for a report of what would be.
    _ = application:load(erlang_python),
    case code:ensure_loaded(py_nif) of
        {module, py_nif} -> examine_native();
        {error, Reason} -> {[system(), line("~nThe native core (priv/py_nif) could not be loaded: ~0tp", [Reason])],
                            false}
    end.

examine_native() ->
    Runtime = py_nif:runtime(),
    Problem = map_size(Runtime) =:= 0 andalso configure(),
    Found = py_nif:backends(),
    Chosen = [Backend || #{status := chosen} = Backend <- Found, Problem =:= false],
    {[system(), $\n, headline(Runtime, Chosen, Problem), py_doctor_found:describe(Found),
      "\nContexts\n", py_doctor_contexts:possible(Chosen, Found), $\n, load()],
     Chosen =/= []}.

%% False, or what is wrong with the configuration.
configure() ->
    try
        ok = py_nif:configure(py_config:native()),
        _ = py_config:plugins(),
        false
    catch
        error:{bad_config, Key, Value} -> {Key, Value}
    end.

system() ->
    Version = case application:get_key(erlang_python, vsn) of
        {ok, Vsn} -> Vsn;
        undefined -> ""
    end,
    [line("erlang_python ~ts on OTP ~ts, ~ts",
          [Version, erlang:system_info(otp_release), erlang:system_info(system_architecture)]),
     line("in ~ts", [filename:dirname(filename:dirname(code:which(?MODULE)))])].

%% ---------------------------------------------------------------------------------------------------------------------
%% What runs, or would

headline(_Runtime, _Chosen, {Key, Value}) ->
    [line("Python cannot be started: the configuration has a value that cannot be,", []),
     line("  {~0tp, ~0tp}", [Key, Value])];
headline(Runtime, [Backend], false) ->
    Verb = case map_size(Runtime) of
        0 -> "would run";
        _ -> "runs"
    end,
    [line("Python ~ts ~s, by the backend ~ts.", [py_doctor_found:python(Backend), Verb, text(name, Backend)]),
     [labelled(14, "  " ++ atom_to_list(Key), text(Key, Backend)) || Key <- [executable, libpython]],
     labelled(14, "  why", why())];
headline(_Runtime, [], false) ->
    [line("No Python runs, and none would be started.", []), labelled(14, "  asked for", wishes())].

why() ->
    case {application:get_env(erlang_python, backend, auto), application:get_env(erlang_python, python, auto)} of
        {auto, auto} -> [wishes(), ": ", order()];
        {auto, _} -> [wishes(), ": of those, ", order()];
        {_, auto} -> [wishes(), ": of those, the first directory's, of the newest Python"];
        {_, _} -> wishes()
    end.

order() ->
    case py_config:context_mode() of
        owngil -> "a Python that can do owngil if there is one, then the newest";
        _ -> "the first directory's, worker before other modes, then the newest Python"
    end.

wishes() ->
    Wishes = [{backend, auto}, {python, auto}],
    Set = [{Key, application:get_env(erlang_python, Key, Default)} || {Key, Default} <- Wishes],
    lists:join(", ", [io_lib:format("{~ts, ~0tp}", [Key, Value])
                      || {Key, Value} <- Set ++ [{context_mode, owngil} || py_config:context_mode() =:= owngil]]).

%% ---------------------------------------------------------------------------------------------------------------------
%% What is there at this moment

load() ->
    {AtomsLeft, Counters} = maps:take(atoms_left, py_nif:counters()),
    Alive = [io_lib:format("~b ~ts", [Count, Name]) || {Name, Count} <- lists:sort(maps:to_list(Counters)), Count > 0],
    ["Load\n",
     labelled(16, "  default pool", io_lib:format("~b contexts", [py_context_router:num_contexts()])),
     labelled(16, "  requests",
              io_lib:format("~b running, ~b at most", [py_semaphore:current(), py_semaphore:max_concurrent()])),
     [labelled(16, "  alive", lists:join(", ", Alive)) || Alive =/= []],
     labelled(16, "  new atoms", io_lib:format("~b more for Python code", [AtomsLeft]))].

text(Key, Map) ->
    plain(maps:get(Key, Map)).
