%%% @doc The report of py:doctor/0: it agrees with what the library does, and people can read it.
-module(doctor_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    it_says_which_python_runs/1, it_says_what_would_run_and_starts_nothing/1, every_backend_has_a_row/1,
    it_says_which_modes_contexts_can_have/1, it_says_whether_memory_can_be_limited/1,
    what_is_refused_has_a_reason_and_a_fix/1, backends_for_another_python_say_how_to_have_them/1,
    a_name_that_is_taken_is_refused/1, a_wish_that_nothing_fits_is_named/1, a_value_that_cannot_be_is_named/1,
    it_fits_a_terminal/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        it_says_which_python_runs, it_says_what_would_run_and_starts_nothing, every_backend_has_a_row,
        it_says_which_modes_contexts_can_have, it_says_whether_memory_can_be_limited,
        what_is_refused_has_a_reason_and_a_fix, backends_for_another_python_say_how_to_have_them,
        a_name_that_is_taken_is_refused, a_wish_that_nothing_fits_is_named, a_value_that_cannot_be_is_named,
        it_fits_a_terminal, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% What runs

it_says_which_python_runs(_Config) ->
    #{name := Name, libpython := Libpython} = py_nif:runtime(),
    {ok, Version} = py:version(),
    Report = report(),
    has(Report, ["^Python ", Version, "t? runs, by the backend ", Name, "\\.$"]),
    has(Report, ["^  libpython +", Libpython, "$"]),
    has(Report, ["^  chosen +", Name, " +", atom_to_list(ep_ct:mode()), " +", Version]),
    has(Report, ["^  default pool +", integer_to_list(py_context_router:num_contexts()), " contexts$"]).

it_says_what_would_run_and_starts_nothing(_Config) ->
    #{name := Name} = py_nif:runtime(),
    with_environment([], fun(Call, Report) ->
        has(Report, ["^Python .* would run, by the backend ", Name, "\\.$"]),
        has(Report, ["^  chosen +", Name, " "]),
        has(Report, ["^  default pool +0 contexts$"]),
        #{} = Runtime = Call(py_nif, runtime, []),
        0 = map_size(Runtime),
        {ok, _} = Call(application, ensure_all_started, [erlang_python])
    end).

every_backend_has_a_row(_Config) ->
    Report = report(),
    [begin
        has(Report, ["^  ", atom_to_list(Status), " +", Name, " +", atom_to_list(Mode), " +[0-9.]+t?$"]),
        has(Report, ["^Found in ", filename:dirname(Manifest), "$"])
    end || #{kind := backend, status := Status, name := Name, mode := Mode, manifest := Manifest} <- py_nif:backends()].

%% ---------------------------------------------------------------------------------------------------------------------
%% What contexts can be like

it_says_which_modes_contexts_can_have(_Config) ->
    Report = report(),
    [case py_context:new(#{mode => Mode}) of
        {ok, Context} ->
            ok = py_context:stop(Context),
            has(Report, ["^  ", atom_to_list(Mode), " +yes"]);
        {error, Reason} ->
            has(Report, ["^  ", atom_to_list(Mode), " +no: ", code(Reason)])
    end || Mode <- [worker, owngil, freethreaded]].

it_says_whether_memory_can_be_limited(_Config) ->
    has(report(), "^  memory_limit +no: memory_limit(s_not_enabled|_requires_owngil)"),
    case py_nif:owngil_problem() of
        ok ->
            with_environment([{enable_memory_limits, true}],
                             fun(_Call, Report) -> has(Report, "^  memory_limit +yes") end);
        {error, Reason} ->
            {skip, atom_to_list(Reason)}
    end.

code({Code, _Text}) -> atom_to_list(Code);
code(Code) -> atom_to_list(Code).

%% ---------------------------------------------------------------------------------------------------------------------
%% What was refused

what_is_refused_has_a_reason_and_a_fix(Config) ->
    Directory = directory(Config, "bröken ones"),
    ok = file:write_file(filename:join(Directory, "broken.json"), "{"),
    with_environment([{search_path, [Directory]}], fun(_Call, Report) ->
        has(Report, ["^Found in ", Directory, "$"]),
        has(Report, "^  refused +broken +- +-$"),
        has(Report, "^  broken\n    reason +the manifest is not JSON: .*(\n {12}.*)*\n    fix +correct or remove it$")
    end).

backends_for_another_python_say_how_to_have_them(_Config) ->
    #{libpython := Mine} = py_nif:runtime(),
    case [Backend || #{kind := backend, libpython := Theirs} = Backend <- py_nif:backends(), Theirs =/= Mine] of
        [] ->
            {skip, "this build has backends for one Python only"};
        [#{name := Name, mode := Mode, python := Version} | _] ->
            {match, [Series]} = re:run(Version, "^\\d+\\.\\d+", [{capture, first, list}]),
            has(report(), ["^  ", Name, "\n    reason +it is for another Python[^:]*\n    fix[^:]*: "
                           "\\{backend, ", atom_to_list(Mode), "\\}, \\{python, \"", Series, "t?\"\\}$"])
    end.

a_name_that_is_taken_is_refused(Config) ->
    #{manifest := First, file := File, name := Name} = py_nif:runtime(),
    Directory = directory(Config, "copies"),
    [{ok, _} = file:copy(Path, filename:join(Directory, filename:basename(Path))) || Path <- [First, File]],
    with_environment([{search_path, [Directory]}], fun(_Call, Report) ->
        has(Report, ["^  ", Name, "\n    reason +", First, "\\s+has\\s+the\\s+same\\s+name\\s+and\\s+comes\\s+first\n"
                     "    fix +remove one of them"])
    end).

a_wish_that_nothing_fits_is_named(_Config) ->
    with_environment([{python, "3.99"}], fun(_Call, Report) ->
        has(Report, "^No Python runs, and none would be started\\.$"),
        has(Report, "^  asked for +.*\\{python, \"3\\.99\"\\}"),
        has(Report, "^  refused "),
        has(Report, "the configuration wants 3\\.99$")
    end).

a_value_that_cannot_be_is_named(_Config) ->
    with_environment([{python, 3.11}], fun(_Call, Report) ->
        has(Report, "^Python cannot be started: "),
        has(Report, "^  \\{python, 3\\.11\\}$")
    end),
    with_environment([{plugins, none}], fun(_Call, Report) ->
        has(Report, "^Python cannot be started: "),
        has(Report, "^  \\{plugins, none\\}$")
    end).

%% ---------------------------------------------------------------------------------------------------------------------

%% A path is never broken, so a line with a long one may be longer.
it_fits_a_terminal(_Config) ->
    [] = [Line || Line <- string:split(report(), "\n", all), string:length(Line) > 80, not lists:member($/, Line)].

report() ->
    unicode:characters_to_list(py_doctor:report()).

%% The report of a VM that has this application environment and has not started the application.
with_environment(Values, Fun) ->
    ep_ct:with_peer(not_started, fun(Call) ->
        ok = Call(application, load, [erlang_python]),
        [ok = Call(application, set_env, [erlang_python, Key, Value])
         || {Key, Value} <- lists:ukeymerge(1, lists:keysort(1, Values), lists:keysort(1, ep_ct:environment()))],
        Fun(Call, unicode:characters_to_list(Call(py_doctor, report, [])))
    end).

directory(Config, Name) ->
    Directory = filename:join(proplists:get_value(priv_dir, Config), Name),
    ok = filelib:ensure_path(Directory),
    Directory.

has(Report, Pattern) ->
    Text = unicode:characters_to_list(Pattern),
    case re:run(Report, Text, [unicode, multiline, {capture, none}]) of
        match -> ok;
        nomatch -> ct:fail("~ts~nis not in~n~ts", [Text, Report])
    end.
