%%% @doc The programs that make and fill a virtual environment: Python's own venv with pip, or uv.
%%%
%%% Both read their environment variables and configuration as they do in a terminal: indexes, proxies, certificates and
%%% caches are chosen there (`PIP_INDEX_URL', `PIP_NO_INDEX', `PIP_FIND_LINKS', `UV_INDEX_URL', …).
-module(py_installer).

-export([find/2, make/2, install/4, is_project/1]).

-export_type([tool/0]).

-type tool() :: #{installer := pip | {uv, binary()}, python := binary()}.
%% The Python to make the venv with.

%% @doc The installer that was asked for, or that is there: uv if it is on the path. Fails when there is no such
%% program, or when the Python is not the one that runs: `{error, {venv_python_mismatch, _}}', `{error, {not_a_python,
%% _}}'.
-spec find(auto | pip | uv, binary()) -> {ok, tool()} | {error, term()}.
find(Installer, Python) ->
    case {check_python(Python), installer(Installer)} of
        {ok, {ok, Found}} -> {ok, #{installer => Found, python => Python}};
        {ok, {error, _} = Error} -> Error;
        {{error, _} = Error, _} -> Error
    end.

installer(pip) ->
    {ok, pip};
installer(uv) ->
    case os:find_executable("uv") of
        false -> {error, {installer_not_found, uv}};
        Uv -> {ok, {uv, unicode:characters_to_binary(Uv)}}
    end;
installer(auto) ->
    case installer(uv) of
        {ok, _} = Found -> Found;
        {error, _} -> {ok, pip}
    end.

check_python(Python) ->
    Ask = <<"import sys, sysconfig; "
            "print('%d.%d' % sys.version_info[:2] + 't' * bool(sysconfig.get_config_var('Py_GIL_DISABLED')))">>,
    Running = py_venv_dir:running_python(),
    case py_program:run(Python, [<<"-I">>, <<"-c">>, Ask], #{quiet => true, killer => Python}) of
        {ok, Running} -> ok;
        {ok, <<Digit, _/binary>> = Other} when Digit >= $0, Digit =< $9 ->
            {error, {venv_python_mismatch, #{venv => Other, running => Running}}};
        {ok, _} -> {error, {not_a_python, Python}};
        {error, {install_failed, _, _}} -> {error, {not_a_python, Python}};
        {error, _} = Error -> Error
    end.

%% @doc Makes an empty venv. `{error, {install_failed, Status, Output}}': the program's own words.
-spec make(tool(), binary()) -> ok | {error, term()}.
make(#{installer := pip, python := Python}, Path) ->
    %% -I: neither PYTHONHOME nor PYTHONPATH of the VM's surroundings, -u: lines as they are printed.
    run(Python, Python, [<<"-I">>, <<"-u">>, <<"-m">>, <<"venv">>, Path], filename:dirname(Path));
make(#{installer := {uv, Uv}, python := Python}, Path) ->
    run(Python, Uv, [<<"venv">>, <<"--python">>, Python, Path], filename:dirname(Path)).

%% @doc Installs what a file asks for: a `pyproject.toml' means its project, editable, with these extras; anything else
%% is a list of requirements. Runs in the folder of the file, which relative paths in it start from.
-spec install(tool(), binary(), binary(), [binary()]) -> ok | {error, term()}.
install(#{installer := Installer, python := Python}, Path, File, Extras) ->
    Inside = filename:join(Path, "bin/python"),
    {Program, Arguments} = case Installer of
        pip ->
            {Inside, [<<"-I">>, <<"-u">>, <<"-m">>, <<"pip">>, <<"install">>, <<"--no-input">>,
                      <<"--disable-pip-version-check">>, <<"--progress-bar">>, <<"off">>]};
        {uv, Uv} ->
            {Uv, [<<"pip">>, <<"install">>, <<"--python">>, Inside]}
    end,
    run(Python, Program, Arguments ++ wanted(File, Extras), filename:dirname(File)).

%% @doc Whether a file describes a project, which may have extras.
-spec is_project(binary()) -> boolean().
is_project(File) ->
    filename:basename(File) =:= <<"pyproject.toml">>.

wanted(File, Extras) ->
    case is_project(File) of
        true -> [<<"-e">>, iolist_to_binary([filename:dirname(File), brackets(Extras)])];
        false -> [<<"-r">>, File]
    end.

brackets([]) -> [];
brackets(Extras) -> [$[, lists:join($,, Extras), $]].

run(Python, Program, Arguments, Folder) ->
    case py_program:run(Program, Arguments, #{cd => Folder, killer => Python}) of
        {ok, _Output} -> ok;
        {error, _} = Error -> Error
    end.
