%%% @doc The part of the report about backends and plugins: a table, and below it what was refused, why, and the cure.
-module(py_doctor_found).

-export([describe/1, python/1]).

-import(py_doctor_layout, [line/2, labelled/3, table/2, plain/1]).

-define(HEADINGS, ["status", "name", "mode", "Python"]).
%% The order of rows.
-define(STATUSES, [chosen, loaded, available, refused]).

%% @doc What py_nif:backends/0 found.
-spec describe([map()]) -> unicode:chardata().
describe([]) ->
    [line("~nNo backend and no plugin was found. Each is a .so with its manifest (.json) beside", []),
     line("it, looked for in priv/backends and priv/plugins, in the directories of", []),
     line("{search_path, Dirs} and in those of ERLANG_PYTHON_PATH.", [])];
describe(Found) ->
    Refused = [Manifest || #{status := refused} = Manifest <- Found],
    [[in_directory(Directory, Found) || Directory <- directories(Found)],
     [["\nRefused\n", [refusal(Manifest, Found) || Manifest <- Refused]] || Refused =/= []]].

%% @doc The version, with a t when it has no GIL; "-" when that is not known.
-spec python(map()) -> string().
python(#{kind := backend, python := Version} = Backend) when Version =/= <<>> ->
    plain(Version) ++ [$t || maps:get(free_threading, Backend)];
python(_) ->
    "-".

%% ---------------------------------------------------------------------------------------------------------------------
%% The table

%% In the order they were looked into.
directories(Found) ->
    lists:foldl(fun(Manifest, Seen) -> Seen ++ ([directory(Manifest)] -- Seen) end, [], Found).

in_directory(Directory, Found) ->
    Rows = [row(Manifest) || Status <- ?STATUSES, #{status := S} = Manifest <- Found, S =:= Status,
                             directory(Manifest) =:= Directory],
    [line("~nFound in ~ts", [plain(Directory)]), table(2, [?HEADINGS | Rows])].

row(#{status := Status, name := Name} = Manifest) ->
    [atom_to_list(Status), plain(Name), mode(Manifest), python(Manifest)].

mode(#{kind := plugin}) -> "plugin";
mode(#{mode := undefined}) -> "-";
mode(#{mode := Mode}) -> atom_to_list(Mode).

directory(#{manifest := Path}) -> filename:dirname(Path).

%% ---------------------------------------------------------------------------------------------------------------------
%% Refusals

refusal(#{name := Name, reason := Reason} = Manifest, Found) ->
    {Why, Cure} = case string:split(plain(Reason), "; ", trailing) of
        [Sentence, Rest] -> {Sentence, Rest};
        [Sentence] -> {Sentence, cure(Manifest, Found)}
    end,
    [line("  ~ts", [plain(Name)]), labelled(12, "    reason", Why), [labelled(12, "    fix", Cure) || Cure =/= ""]].

%% The core's reasons end with what to do where something is wrong. Where nothing is, another one was wanted or runs.
cure(#{reason := Reason} = Manifest, Found) ->
    Rivals = [Rival || #{manifest := Rival} <- Found, binary:match(Reason, Rival) =/= nomatch],
    case is_whole(Manifest) of
        true when Rivals =/= [] -> "remove one of them, or change the order of their directories";
        true when map_get(kind, Manifest) =:= plugin -> wanted(Manifest, Reason);
        true -> io_lib:format("for a VM of its own: {backend, ~ts}, {python, \"~ts\"}",
                              [mode(Manifest), series(python(Manifest))]);
        false -> ""
    end.

%% One that was tried and failed has said in its own words what the matter is.
wanted(#{name := Name}, <<"the configuration leaves it out">>) ->
    io_lib:format("add ~ts to {plugins, Names}, or have them all with {plugins, all}", [plain(Name)]);
wanted(_Manifest, _Reason) ->
    "".

is_whole(#{kind := backend, file := File, libpython := Libpython}) ->
    filelib:is_regular(File) andalso filelib:is_regular(Libpython);
is_whole(#{kind := plugin}) ->
    true.

%% "3.14.7t" as the configuration has it: "3.14t".
series(Python) ->
    re:replace(Python, "^(\\d+\\.\\d+)[^t]*", "\\1", [{return, list}]).
