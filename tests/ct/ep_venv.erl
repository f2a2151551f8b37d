%%% @doc Virtual environments for tests: some with what makes one and nothing else, some made by an installer that does
%%% what a script says, and what the logger heard of it.
-module(ep_venv).

-export([folder/1, empty/2, site_packages/1, write/2, sys_path/1, with_installer/1, beside/1]).
-export([logged/1, log/2]).

%% @doc A directory for the case alone, empty.
-spec folder([tuple()]) -> file:filename().
folder(Config) ->
    Folder = filename:join(proplists:get_value(priv_dir, Config),
                           integer_to_list(erlang:unique_integer([positive]))),
    ok = file:make_dir(Folder),
    Folder.

%% @doc Makes a venv with these files in its site-packages, in no time and without any program. Gives its site-packages.
-spec empty(file:filename(), #{string() => iodata()}) -> file:filename().
empty(Path, Files) ->
    SitePackages = site_packages(Path),
    ok = filelib:ensure_dir(filename:join(SitePackages, "any")),
    {ok, Version} = py:version(),
    write(filename:join(Path, "pyvenv.cfg"), ["home = /nowhere\nversion = ", Version, "\n"]),
    maps:foreach(fun(Name, Content) -> write(filename:join(SitePackages, Name), Content) end, Files),
    SitePackages.

-spec site_packages(file:filename()) -> file:filename().
site_packages(Path) ->
    {ok, Python} = py:eval(<<"import sys; 'python%d.%d' % sys.version_info[:2] + sys.abiflags">>),
    filename:join([Path, "lib", binary_to_list(Python), "site-packages"]).

-spec write(file:filename(), iodata()) -> file:filename().
write(File, Content) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Content),
    File.

-spec sys_path(pid()) -> [string()].
sys_path(Ctx) ->
    {ok, Path} = py:eval(Ctx, <<"import sys; sys.path">>),
    [unicode:characters_to_list(Entry) || Entry <- Path].

%% @doc Runs a case while the installer uv is that of programs/, which runs its requirements with sh.
-spec with_installer(fun(() -> Result)) -> Result.
with_installer(Fun) ->
    Path = os:getenv("PATH"),
    true = os:putenv("PATH", filename:join(filename:dirname(code:which(?MODULE)), "programs") ++ ":" ++ Path),
    try
        Fun()
    after
        os:putenv("PATH", Path)
    end.

%% @doc What lies beside a venv, hidden files and all.
-spec beside(file:filename()) -> [file:filename()].
beside(Path) ->
    {ok, Names} = file:list_dir(filename:dirname(Path)),
    lists:sort(Names) -- [filename:basename(Path)].

%% ---------------------------------------------------------------------------------------------------------------------

%% @doc The result of a function, and what was logged meanwhile by installers, as events.
-spec logged(fun(() -> Result)) -> {Result, [logger:log_event()]}.
logged(Fun) ->
    ok = logger:set_application_level(erlang_python, info),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => self(), filter_default => stop, filters =>
        [{venv, {fun logger_filters:domain/2, {log, sub, [erlang_python, venv]}}}]}),
    try
        Result = Fun(),
        {Result, heard()}
    after
        ok = logger:remove_handler(?MODULE),
        ok = logger:unset_application_level(erlang_python)
    end.

-spec log(logger:log_event(), logger:handler_config()) -> term().
log(Event, #{config := Listener}) ->
    Listener ! {?MODULE, Event}.

heard() ->
    receive {?MODULE, Event} -> [Event | heard()] after 0 -> [] end.
