%%% @doc Virtual environments: made, brought up to date, and put in front of `sys.path' in every context.
%%%
%%% This is what stands behind `py:ensure_venv/2,3' and its like. What a directory is told by {@link py_venv_dir}, that
%%% a new one takes its place as a whole is the business of {@link py_venv_swap}, the programs that fill it are those of
%%% {@link py_installer}, and {@link py_venv_active} applies it to contexts.
-module(py_venv).

-export([ensure/3, activate/1, deactivate/0, info/0]).
%% For py_setup and for the application.
-export([setup/1, forget/0]).

-export_type([option/0]).

-type path() :: string() | binary().
-type option() :: force | {force, boolean()} | {extras, [string() | binary()]} | {installer, auto | pip | uv} |
                  {python, path()}.
-type wanted() :: #{path := binary(), file := binary(), force := boolean(), extras := [binary()],
                    installer := auto | pip | uv, python := binary()}.

%% @doc See `py:ensure_venv/3'.
-spec ensure(path(), path(), [option()]) -> ok | {error, term()}.
ensure(Path, File, Options) when is_list(Options) ->
    try
        Wanted = lists:foldl(fun option/2, defaults(absolute(Path), absolute(File)), Options),
        extras_fit(Wanted),
        Metadata = callers_metadata(),
        one_at_a_time({venv, maps:get(path, Wanted)}, fun() ->
            ok = logger:set_process_metadata(Metadata),
            ensured(Wanted)
        end)
    catch
        throw:Reason -> {error, Reason}
    end.

%% @doc See `py:activate_venv/1'.
-spec activate(path()) -> ok | {error, term()}.
activate(Path) ->
    try
        activated(absolute(Path))
    catch
        throw:Reason -> {error, Reason}
    end.

%% @doc See `py:deactivate_venv/0'.
-spec deactivate() -> ok | {error, term()}.
deactivate() ->
    switch(none).

%% @doc See `py:venv_info/0'.
-spec info() -> {ok, #{binary() => boolean() | binary()}}.
info() ->
    case py_venv_active:current() of
        none ->
            {ok, #{<<"active">> => false}};
        #{path := Path, site_packages := SitePackages} ->
            {ok, #{<<"active">> => true, <<"venv_path">> => Path, <<"site_packages">> => SitePackages}}
    end.

%% @doc Gives a context that starts what is active.
-spec setup(py_nif:context()) -> ok | {error, term()}.
setup(Context) -> py_venv_active:setup(Context).

%% @doc The application stops, or starts: nothing is active.
-spec forget() -> ok.
forget() -> py_venv_active:forget().

%% ---------------------------------------------------------------------------------------------------------------------
%% What is wanted

defaults(Path, File) ->
    #{path => Path, file => File, force => false, extras => [], installer => auto, python => own_python()}.

own_python() ->
    case py_nif:runtime() of
        #{executable := Executable} -> Executable;
        _ -> throw({not_started, erlang_python})
    end.

-spec option(option(), wanted()) -> wanted().
option(force, Wanted) ->
    Wanted#{force := true};
option({force, Force}, Wanted) when is_boolean(Force) ->
    Wanted#{force := Force};
option({installer, Installer}, Wanted) when Installer =:= auto; Installer =:= pip; Installer =:= uv ->
    Wanted#{installer := Installer};
option({python, Python}, Wanted) when is_list(Python); is_binary(Python) ->
    Wanted#{python := executable(text(Python))};
option({extras, Extras} = Option, Wanted) when is_list(Extras) ->
    Wanted#{extras := [extra(Extra, Option) || Extra <- Extras]};
option(Option, _Wanted) ->
    throw({bad_option, Option}).

%% The name of an extra stands between brackets in an argument, so it must not end them.
extra(Extra, Option) ->
    try re:run(Extra, "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", [{capture, none}, dollar_endonly]) of
        match -> iolist_to_binary(Extra);
        nomatch -> throw({bad_option, Option})
    catch
        error:_ -> throw({bad_option, Option})
    end.

extras_fit(#{extras := [_ | _] = Extras, file := File}) ->
    py_installer:is_project(File) orelse throw({bad_option, {extras, Extras}});
extras_fit(_Wanted) ->
    ok.

%% A name alone is looked for where the system looks for programs.
executable(Name) ->
    Python = case filename:basename(Name) of
        Name -> Name;
        _ -> filename:absname(Name)
    end,
    case os:find_executable(unicode:characters_to_list(Python)) of
        false -> throw({file_error, enoent, Python});
        Found -> text(Found)
    end.

absolute(Path) -> filename:absname(text(Path)).

%% Names of files are binaries from here on, which reach the system as they are.
text(Path) ->
    try unicode:characters_to_binary(Path) of
        <<_, _/binary>> = Text -> binary:match(Text, <<0>>) =:= nomatch orelse throw({bad_path, Path}), Text;
        _ when is_binary(Path), Path =/= <<>> -> Path; % not UTF-8, which a name of a file need not be
        _ -> throw({bad_path, Path})
    catch
        error:badarg -> throw({bad_path, Path})
    end.

%% What is logged seems to come from the caller, who waits for it.
callers_metadata() ->
    Own = case logger:get_process_metadata() of
        undefined -> #{};
        Metadata -> Metadata
    end,
    maps:merge(#{pid => self(), gl => group_leader()}, Own).

%% ---------------------------------------------------------------------------------------------------------------------
%% What is done, one call for a path at a time

-spec ensured(wanted()) -> ok | {error, term()}.
ensured(#{path := Path} = Wanted) ->
    all([fun() -> py_venv_swap:recover(Path) end,
         fun() -> made(Wanted, stamp(Wanted)) end,
         fun() -> activated(Path) end]).

made(_Wanted, {error, _} = Error) ->
    Error;
made(#{path := Path, force := Force} = Wanted, {ok, Stamp}) ->
    case not Force andalso py_venv_dir:is_stamped(Path, Stamp) of
        true -> ok;
        false -> make(Wanted, Stamp)
    end.

make(#{path := Path, file := File, extras := Extras, installer := Installer, python := Python}, Stamp) ->
    case py_installer:find(Installer, Python) of
        {ok, Tool} ->
            py_venv_swap:replace(Path, fun() ->
                all([fun() -> py_installer:make(Tool, Path) end,
                     fun() -> py_installer:install(Tool, Path, File, Extras) end,
                     fun() -> py_venv_dir:stamp(Path, Stamp) end])
            end);
        {error, _} = Error ->
            Error
    end.

all([]) ->
    ok;
all([Step | Steps]) ->
    case Step() of
        ok -> all(Steps);
        {error, _} = Error -> Error
    end.

%% Whatever makes the venv another one. Its own path is a part, because a venv that was moved is broken; and so is that
%% of a project, which an editable install points to.
stamp(#{path := Path, file := File, extras := Extras, python := Python}) ->
    case file:read_file(File) of
        {ok, Content} ->
            Project = [File || py_installer:is_project(File)],
            All = {1, Path, Python, py_venv_dir:running_python(), lists:usort(Extras), Project, Content},
            {ok, binary:encode_hex(erlang:md5(term_to_binary(All)))};
        {error, Reason} ->
            {error, {file_error, Reason, File}}
    end.

activated(Path) ->
    case py_venv_dir:site_packages(Path) of
        {ok, SitePackages} -> switch(#{path => Path, site_packages => SitePackages});
        {error, _} = Error -> Error
    end.

%% The process that applies it goes on until the last context has it, whatever becomes of the caller.
switch(Venv) ->
    one_at_a_time(activation, fun() -> py_venv_active:switch(Venv) end).

one_at_a_time(Key, Work) ->
    py_venv_jobs:run(Key, Work).
