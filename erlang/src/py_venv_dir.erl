%%% @doc What the directory of a virtual environment says about itself.
-module(py_venv_dir).

-export([site_packages/1, running_python/0, is_venv/1, is_stamped/2, stamp/2]).

%% Written last into a venv that py:ensure_venv/3 makes: what it was made from.
-define(STAMP, "erlang_python.stamp").

%% @doc Where the packages of a venv are, if it is whole and the running Python can use it.
%%
%% `{error, {file_error, Posix, Path}}': there is no such directory, or it cannot be read. `{error, {not_a_venv,
%% Path}}'. `{error, {venv_unfinished, Path}}': it is being made, or the VM that made it was killed. `{error,
%% {venv_python_mismatch, #{venv := Version, running := Version}}}': packages of another minor version of Python may
%% import and then crash.
-spec site_packages(binary()) -> {ok, binary()} | {error, term()}.
site_packages(Path) ->
    case file:read_file(filename:join(Path, "pyvenv.cfg")) of
        {ok, Config} -> finished(Path, Config);
        {error, Reason} when Reason =:= enoent; Reason =:= enotdir -> {error, no_config(Path)};
        {error, Reason} -> {error, {file_error, Reason, Path}}
    end.

finished(Path, Config) ->
    case py_venv_swap:is_unfinished(Path) of
        true -> {error, {venv_unfinished, Path}};
        false -> fitting(Path, running_python(), pythons(Path, Config))
    end.

fitting(Path, _Running, []) ->
    {error, {not_a_venv, Path}};
fitting(Path, Running, [Python | _] = Pythons) ->
    case lists:member(Running, Pythons) of
        true -> {ok, packages_of(Path, Running)};
        false -> {error, {venv_python_mismatch, #{venv => Python, running => Running}}}
    end.

no_config(Path) ->
    case {py_venv_swap:is_unfinished(Path), file:read_link_info(Path)} of
        {true, _} -> {venv_unfinished, Path};
        {false, {error, Reason}} -> {file_error, Reason, Path};
        {false, {ok, _}} -> {not_a_venv, Path}
    end.

%% @doc Whether there is a venv, or what is left of one.
-spec is_venv(binary()) -> boolean().
is_venv(Path) ->
    filelib:is_regular(filename:join(Path, "pyvenv.cfg")).

%% ---------------------------------------------------------------------------------------------------------------------
%% Versions, as directories have them: <<"3.14">>, or <<"3.14t">> without a GIL

-spec running_python() -> binary().
running_python() ->
    #{python := Version, free_threading := Free} = py_nif:runtime(),
    <<(minor(Version))/binary, (case Free of true -> <<"t">>; false -> <<>> end)/binary>>.

%% venv and virtualenv write `version = 3.11.2', uv `version_info = 3.11.2', and neither whether there is a GIL: that
%% only the directory tells.
pythons(Path, Config) ->
    case re:run(Config, "^version(?:_info)?\\s*=\\s*(\\d+\\.\\d+)", [multiline, {capture, all_but_first, binary}]) of
        {match, [Version]} ->
            [Python || Python <- [Version, <<Version/binary, "t">>], filelib:is_dir(packages_of(Path, Python))];
        nomatch ->
            []
    end.

minor(Version) ->
    [Major, Minor | _] = binary:split(Version, <<".">>, [global]),
    <<Major/binary, ".", Minor/binary>>.

packages_of(Path, Python) ->
    filename:join([Path, <<"lib">>, <<"python", Python/binary>>, <<"site-packages">>]).

%% ---------------------------------------------------------------------------------------------------------------------
%% The stamp

%% @doc Whether a venv is whole and was made from what the stamp stands for.
-spec is_stamped(binary(), binary()) -> boolean().
is_stamped(Path, Stamp) ->
    file:read_file(filename:join(Path, ?STAMP)) =:= {ok, Stamp}
        andalso filelib:is_regular(filename:join(Path, "bin/python")) % a link: its Python may be gone
        andalso element(1, site_packages(Path)) =:= ok.

-spec stamp(binary(), binary()) -> ok | {error, {file_error, atom(), binary()}}.
stamp(Path, Stamp) ->
    File = filename:join(Path, ?STAMP),
    case file:write_file(File, Stamp) of
        ok -> ok;
        {error, Reason} -> {error, {file_error, Reason, File}}
    end.
