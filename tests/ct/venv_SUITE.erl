%%% @doc Virtual environments as users meet them: packages installed by pip and uv, found in every context.
-module(venv_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    inactive/1, packages_come_first/1, path_files/1, code_in_path_files/1, a_failing_line/1, a_line_that_ends_it/1,
    only_what_was_added_is_removed/1, every_context_has_it/1, contexts_to_come/1, replaced_contexts/1,
    another_takes_its_place/1, once_more/1, a_busy_context/1, many_at_once/1, stopped_contexts/1, until_the_end/1
]).
-export([a_context_that_fails/1, not_there/1, not_a_venv/1, another_python/1, without_the_application/1]).
-export([requirements_by_pip/1, a_project_by_pip/1, failing_pip/1, everything_by_uv/1, nothing_is_left_behind/1]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        inactive, packages_come_first, path_files, code_in_path_files, a_failing_line, a_line_that_ends_it,
        only_what_was_added_is_removed, every_context_has_it, contexts_to_come, replaced_contexts,
        another_takes_its_place, once_more, a_busy_context, many_at_once, stopped_contexts, until_the_end,
        a_context_that_fails, not_there, not_a_venv, another_python, without_the_application,
        requirements_by_pip, a_project_by_pip, failing_pip, everything_by_uv, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    _ = py:deactivate_venv(),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Activation

inactive(_Config) ->
    ?assertEqual({ok, #{<<"active">> => false}}, py:venv_info()),
    ok = py:deactivate_venv().

packages_come_first(Config) ->
    Ctx = ctx(Config),
    Before = ep_venv:sys_path(Ctx),
    Path = filename:join(ep_venv:folder(Config), "venv"),
    %% A module of the standard library, of which this one takes the place.
    SitePackages = ep_venv:empty(Path, #{"this.py" => "VALUE = 1\n"}),
    ok = py:activate_venv(Path),
    ?assertEqual([SitePackages | Before], ep_venv:sys_path(Ctx)),
    ?assertEqual({ok, #{<<"active">> => true, <<"venv_path">> => list_to_binary(Path),
                        <<"site_packages">> => list_to_binary(SitePackages)}}, py:venv_info()),
    {ok, 1} = py:eval(Ctx, <<"__import__('this').VALUE">>),
    ok = py:deactivate_venv(),
    ?assertEqual(Before, ep_venv:sys_path(Ctx)),
    ?assertEqual({ok, #{<<"active">> => false}}, py:venv_info()),
    {ok, 1} = py:eval(Ctx, <<"import sys; sys.modules.pop('this').VALUE">>).

path_files(Config) ->
    Ctx = ctx(Config),
    Before = ep_venv:sys_path(Ctx),
    Folder = ep_venv:folder(Config),
    [First, Second, Third] = Targets = [filename:join(Folder, Name) || Name <- ["first", "second", "third"]],
    [ok = file:make_dir(Target) || Target <- Targets],
    Path = filename:join(Folder, "venv"),
    SitePackages = ep_venv:empty(Path, #{
        "b.pth" => ["# a comment\n\n", Third, "\n", First, "\n"],
        "a.pth" => [First, "\n", "../../../../second\n", filename:join(Folder, "nowhere"), "\n"],
        "c.txt" => [Folder, "\n"]
    }),
    ok = py:activate_venv(list_to_binary(Path)),
    ?assertEqual([SitePackages, First, Second, Third | Before], ep_venv:sys_path(Ctx)),
    ok = py:deactivate_venv(),
    ?assertEqual(Before, ep_venv:sys_path(Ctx)).

%% What setuptools does for some editable installs: a module in the venv adds finders.
code_in_path_files(Config) ->
    Ctx = ctx(Config),
    Before = state(Ctx),
    Path = filename:join(ep_venv:folder(Config), "venv"),
    ep_venv:empty(Path, #{
        "x.pth" => "import ep_finder; ep_finder.install()\n",
        "ep_finder.py" => "
import sys

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None

def hook(path):
    raise ImportError

def install():
    sys.meta_path.append(Finder)
    sys.path_hooks.append(hook)
    sys.path.insert(0, 'first of all')
    sys.path.append('last')
"
    }),
    ok = py:activate_venv(Path),
    ?assertMatch({ok, true}, py:eval(Ctx, <<"import sys, ep_finder; ep_finder.Finder in sys.meta_path">>)),
    ?assertMatch([_, "first of all", "last" | _], ep_venv:sys_path(Ctx)),
    ok = py:deactivate_venv(),
    ?assertEqual(Before, state(Ctx)),
    {ok, _} = py:eval(Ctx, <<"import sys; sys.modules.pop('ep_finder').__name__">>).

state(Ctx) ->
    {ok, State} = py:eval(Ctx, <<"import sys; [repr(x) for x in [*sys.path, *sys.meta_path, *sys.path_hooks]]">>),
    State.

%% As at the start of Python: said on stderr, and the rest of that file is left out.
a_failing_line(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{"a.pth" => "import no_such_module_anywhere\n", "b.pth" => "/\n"}),
    ok = py:activate_venv(Path),
    ?assertMatch([SitePackages, "/" | _], ep_venv:sys_path(ctx(Config))).

%% Nothing is half active.
a_line_that_ends_it(Config) ->
    Folder = ep_venv:folder(Config),
    Good = filename:join(Folder, "good"),
    SitePackages = ep_venv:empty(Good, #{}),
    ok = py:activate_venv(Good),
    Before = ep_venv:sys_path(ctx(Config)),
    Bad = filename:join(Folder, "bad"),
    ep_venv:empty(Bad, #{"a.pth" => "/\nimport sys; sys.exit('enough')\n"}),
    ep_expect:python_error('SystemExit', "enough", py:activate_venv(Bad)),
    {ok, #{<<"site_packages">> := Active}} = py:venv_info(),
    ?assertEqual(SitePackages, binary_to_list(Active)),
    %% Undone behind what the context does already, if it shares its interpreter.
    ep_ct:wait_until(fun() -> ep_venv:sys_path(ctx(Config)) =:= Before end).

only_what_was_added_is_removed(Config) ->
    Ctx = ctx(Config),
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{"a.pth" => "/\n"}),
    Added = <<"import sys; sys.path.insert(1, folder)">>,
    {ok, none} = py:eval(Ctx, <<"import sys; sys.path.append('/')">>),
    ok = py:activate_venv(Path),
    {ok, none} = py:eval(Ctx, Added, #{folder => <<"mine">>}),
    ?assertMatch([SitePackages, "mine", "/" | _], ep_venv:sys_path(Ctx)),
    ok = py:deactivate_venv(),
    After = ep_venv:sys_path(Ctx),
    ?assertEqual("mine", hd(After)),
    ?assertEqual("/", lists:last(After)),
    ?assertNot(lists:member(SitePackages, After)),
    {ok, none} = py:eval(Ctx, <<"import sys; sys.path.remove('mine'); sys.path.pop(); None">>).

every_context_has_it(Config) ->
    {ok, Linked} = py_context:start_link(linked, ep_ct:context_mode()),
    ep_ct:with_contexts(2, fun(New) ->
        Contexts = [ctx(Config), Linked | New ++ py_context_router:contexts()],
        Path = filename:join(ep_venv:folder(Config), "venv"),
        SitePackages = ep_venv:empty(Path, #{"ep_everywhere.py" => "VALUE = 3\n"}),
        ok = py:activate_venv(Path),
        [?assertEqual(SitePackages, hd(ep_venv:sys_path(Ctx))) || Ctx <- Contexts],
        [{ok, 3} = py:eval(Ctx, <<"__import__('ep_everywhere').VALUE">>) || Ctx <- Contexts],
        ok = py:deactivate_venv(),
        [?assertNot(lists:member(SitePackages, ep_venv:sys_path(Ctx))) || Ctx <- Contexts]
    end),
    ok = py_context:stop(Linked).

contexts_to_come(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{}),
    ok = py:activate_venv(Path),
    First = fun(Ctx) -> hd(ep_venv:sys_path(Ctx)) end,
    ?assertEqual(SitePackages, ep_ct:with_context(First)),
    ok = py:deactivate_venv(),
    ?assertNotEqual(SitePackages, ep_ct:with_context(First)).

replaced_contexts(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{}),
    ok = py:activate_venv(Path),
    [Killed | _] = Old = py_context_router:contexts(),
    exit(Killed, kill),
    ep_ct:wait_until(fun() -> py_context_router:contexts() =/= Old end),
    [?assertEqual(SitePackages, hd(ep_venv:sys_path(Ctx))) || Ctx <- py_context_router:contexts()],
    ep_ct:restart_contexts(),
    [?assertEqual(SitePackages, hd(ep_venv:sys_path(Ctx))) || Ctx <- py_context_router:contexts()].

another_takes_its_place(Config) ->
    Ctx = ctx(Config),
    Before = ep_venv:sys_path(Ctx),
    Folder = ep_venv:folder(Config),
    [One, Two] = [filename:join(Folder, Name) || Name <- ["one", "two"]],
    _ = ep_venv:empty(One, #{"a.pth" => "/\n"}),
    SitePackages = ep_venv:empty(Two, #{}),
    ok = py:activate_venv(One),
    ok = py:activate_venv(Two),
    ?assertEqual([SitePackages | Before], ep_venv:sys_path(Ctx)).

%% Activating the active one again is how lines that were added to it come into effect.
once_more(Config) ->
    Ctx = ctx(Config),
    Before = ep_venv:sys_path(Ctx),
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{}),
    ok = py:activate_venv(Path),
    {error, {'ModuleNotFoundError', _}} = py:eval(Ctx, <<"__import__('ep_late')">>),
    ep_venv:write(filename:join(SitePackages, "ep_late.py"), "VALUE = 4\n"),
    ep_venv:write(filename:join(SitePackages, "late.pth"), "/\n"),
    ok = py:activate_venv(Path),
    ?assertEqual([SitePackages, "/" | Before], ep_venv:sys_path(Ctx)),
    {ok, 4} = py:eval(Ctx, <<"__import__('ep_late').VALUE">>).

%% Where contexts share an interpreter any of them will do. One that has its own gets it when it is free.
a_busy_context(Config) ->
    Ctx = ctx(Config),
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{}),
    Busy = ep_background:spinning(Ctx),
    case ep_ct:mode() of
        owngil -> ?assertEqual({error, {contexts_busy, [Ctx]}}, py:activate_venv(Path));
        _ -> ok = py:activate_venv(Path)
    end,
    {ok, #{<<"active">> := true}} = py:venv_info(),
    [?assertEqual(SitePackages, hd(ep_venv:sys_path(Other))) || Other <- py_context_router:contexts()],
    ?assertEqual(1, py_semaphore:current()), % what waits has no slot
    ok = ep_background:kill(Busy),
    ?assertEqual(SitePackages, hd(ep_venv:sys_path(Ctx))).

many_at_once(Config) ->
    Folder = ep_venv:folder(Config),
    Paths = [filename:join(Folder, integer_to_list(N)) || N <- lists:seq(1, 4)],
    SitePackages = [ep_venv:empty(Path, #{}) || Path <- Paths],
    Running = [ep_background:start(fun() ->
        [ok = case Path of none -> py:deactivate_venv(); _ -> py:activate_venv(Path) end
         || _ <- lists:seq(1, 5), Path <- [none | Paths]]
    end) || _ <- lists:seq(1, 4)],
    ep_background:results(Running),
    {ok, #{<<"site_packages">> := Active}} = py:venv_info(),
    [begin
        SysPath = ep_venv:sys_path(Ctx),
        ?assertEqual(binary_to_list(Active), hd(SysPath)),
        ?assertEqual([binary_to_list(Active)], [Entry || Entry <- SysPath, lists:member(Entry, SitePackages)])
     end || Ctx <- [ctx(Config) | py_context_router:contexts()]].

%% Contexts that end while they are asked are no reason to wait, or to fail.
stopped_contexts(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    _ = ep_venv:empty(Path, #{}),
    Contexts = [ep_fresh_context:start() || _ <- lists:seq(1, 4)],
    Busy = [ep_background:spinning(Ctx) || Ctx <- Contexts],
    Activation = ep_background:start(fun() -> py:activate_venv(Path) end),
    [exit(Ctx, kill) || Ctx <- Contexts],
    ?assertEqual(ok, ep_background:result(Activation)),
    [{error, _} = ep_background:result(One) || One <- Busy].

until_the_end(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    _ = ep_venv:empty(Path, #{"a.pth" => "/\n"}),
    Before = ep_venv:sys_path(hd(py_context_router:contexts())),
    ok = py:activate_venv(Path),
    ep_ct:restart(),
    ?assertEqual({ok, #{<<"active">> => false}}, py:venv_info()),
    [?assertEqual(Before, ep_venv:sys_path(Ctx)) || Ctx <- py_context_router:contexts()].

%% ---------------------------------------------------------------------------------------------------------------------
%% Refusals

%% A context that has an interpreter of its own reads the venv anew, when it starts.
a_context_that_fails(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    SitePackages = ep_venv:empty(Path, #{}),
    ok = py:activate_venv(Path),
    Before = length(py_context_sup:which_contexts()),
    File = ep_venv:write(filename:join(SitePackages, "a.pth"), "import sys; sys.exit('enough')\n"),
    case ep_ct:mode() of
        owngil -> ep_expect:python_error('SystemExit', "enough", py_context:new(#{mode => owngil}));
        _ -> ep_ct:with_context(fun ep_expect:still_works/1)
    end,
    ?assertEqual(Before, length(py_context_sup:which_contexts())),
    ok = file:delete(File),
    ep_ct:with_context(fun ep_expect:still_works/1).

not_there(Config) ->
    Path = filename:join(ep_venv:folder(Config), "nowhere"),
    ?assertEqual({error, {file_error, enoent, list_to_binary(Path)}}, py:activate_venv(Path)),
    ?assertEqual({error, {bad_path, ""}}, py:activate_venv("")),
    ?assertEqual({error, {bad_path, <<"a\0b">>}}, py:activate_venv(<<"a\0b">>)),
    ?assertEqual({error, {bad_path, venv}}, py:activate_venv(venv)),
    {ok, #{<<"active">> := false}} = py:venv_info().

not_a_venv(Config) ->
    Folder = ep_venv:folder(Config),
    ?assertEqual({error, {not_a_venv, list_to_binary(Folder)}}, py:activate_venv(Folder)),
    File = ep_venv:write(filename:join(Folder, "file"), ""),
    ?assertEqual({error, {not_a_venv, list_to_binary(File)}}, py:activate_venv(File)),
    Hollow = filename:join(Folder, "hollow"),
    ep_venv:write(filename:join(Hollow, "pyvenv.cfg"), ["version = ", element(2, py:version()), "\n"]),
    ?assertEqual({error, {not_a_venv, list_to_binary(Hollow)}}, py:activate_venv(Hollow)).

another_python(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    "python" ++ Running = filename:basename(filename:dirname(ep_venv:site_packages(Path))),
    Mismatch = fun(Other) ->
        ?assertEqual({error, {venv_python_mismatch, #{venv => Other, running => list_to_binary(Running)}}},
                     py:activate_venv(Path))
    end,
    ep_venv:write(filename:join(Path, "pyvenv.cfg"), "version = 3.2.1\n"),
    ep_venv:write(filename:join(Path, "lib/python3.2/site-packages/a.py"), ""),
    Mismatch(<<"3.2">>),
    %% As uv writes it; and only the directory says that there was no GIL.
    ep_venv:write(filename:join(Path, "pyvenv.cfg"), "implementation = CPython\nversion_info = 3.13.5\n"),
    ep_venv:write(filename:join(Path, "lib/python3.13t/site-packages/a.py"), ""),
    Mismatch(<<"3.13t">>).

without_the_application(Config) ->
    Path = filename:join(ep_venv:folder(Config), "venv"),
    _ = ep_venv:empty(Path, #{}),
    File = ep_venv:write(filename:join(filename:dirname(Path), "requirements.txt"), ""),
    ok = application:stop(erlang_python),
    try
        ?assertEqual({error, {not_started, erlang_python}}, py:activate_venv(Path)),
        ?assertEqual({error, {not_started, erlang_python}}, py:ensure_venv(Path, File)),
        ?assertEqual({ok, #{<<"active">> => false}}, py:venv_info())
    after
        ok = application:start(erlang_python)
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Real installers, without a network

requirements_by_pip(Config) -> with_pip(Config, fun(Folder) -> requirements(Folder, pip) end).

a_project_by_pip(Config) -> with_pip(Config, fun(Folder) -> project(Folder, pip) end).

failing_pip(Config) ->
    with_pip(Config, fun(Folder) ->
        File = ep_venv:write(filename:join(Folder, "requirements.txt"), "ep-no-such-package\n"),
        Path = filename:join(Folder, "venv"),
        {error, {install_failed, 1, Output}} = py:ensure_venv(Path, File, [{installer, pip}]),
        {match, _} = re:run(Output, "No matching distribution found for ep-no-such-package"),
        ?assertNot(filelib:is_file(Path))
    end).

everything_by_uv(Config) ->
    case os:find_executable("uv") of
        false -> {skip, "uv is not installed"};
        _ -> with_packages(Config, fun(Folder) -> requirements(Folder, uv), project(Folder, uv) end)
    end.

with_pip(Config, Fun) ->
    case py:call('importlib.util', find_spec, [<<"ensurepip">>]) of
        {ok, none} -> {skip, "this Python has no ensurepip (Debian: python3-venv)"};
        {ok, _} -> with_packages(Config, Fun)
    end.

%% No shell sees these names.
requirements(Folder, Installer) ->
    Name = "it's a \"venv\"; $(touch seen) & `touch seen` é",
    Path = filename:join(Folder, Name ++ " of " ++ atom_to_list(Installer)),
    File = ep_venv:write(filename:join(Folder, Name ++ ".txt"), "ep-alpha>=1.0\n"),
    ok = py:ensure_venv(Path, File, [{installer, Installer}]),
    Utf8 = unicode:characters_to_binary(Path),
    {ok, #{<<"active">> := true, <<"venv_path">> := Utf8}} = py:venv_info(),
    {ok, <<"alpha 1.1">>} = py:eval(<<"__import__('ep_alpha').VALUE">>),
    {ok, Where} = py:eval(<<"import sys; sys.modules.pop('ep_alpha').__file__">>),
    ?assertEqual(unicode:characters_to_list(filename:join(ep_venv:site_packages(Path), "ep_alpha.py")),
                 unicode:characters_to_list(Where)),
    ?assertEqual([], [Seen || Seen <- ["seen", filename:join(Folder, "seen")], filelib:is_file(Seen)]),
    ok = py:deactivate_venv().

%% Editable: what is in the folder of the project counts, from the next import on.
project(Folder, Installer) ->
    Path = filename:join(Folder, "venv of a project"),
    Root = filename:join(Folder, atom_to_list(Installer)),
    {ok, File} = py:call(packages, project, [list_to_binary(Root), <<"ep_project">>, <<"ep-alpha">>]),
    ok = py:ensure_venv(Path, File, [{installer, Installer}, {extras, ["more"]}]),
    {ok, <<"first">>} = py:eval(<<"__import__('ep_project').VALUE">>),
    {ok, <<"alpha 1.1">>} = py:eval(<<"import sys; __import__('ep_alpha'); sys.modules.pop('ep_alpha').VALUE">>),
    ep_venv:write(filename:join(Root, "src/ep_project.py"), "VALUE = 'edited and longer'\n"),
    {ok, <<"edited and longer">>} = py:eval(<<"
import importlib, sys
importlib.reload(sys.modules['ep_project'])
sys.modules.pop('ep_project').VALUE">>),
    ?assertEqual(filename:join(Root, "src"), lists:nth(2, ep_venv:sys_path(py:context()))),
    ok = py:deactivate_venv().

%% Both installers read their environment, as they do in a terminal.
with_packages(Config, Fun) ->
    Folder = ep_venv:folder(Config),
    Wheels = list_to_binary(filename:join(Folder, "wheels")),
    ok = file:make_dir(Wheels),
    ok = ep_fresh_context:add_sources(py:context()),
    [{ok, _} = py:call(packages, wheel, [Wheels, <<"ep_alpha">>, Version,
                                         #{<<"ep_alpha.py">> => <<"VALUE = 'alpha ", Version/binary, "'\n">>}])
     || Version <- [<<"1.0">>, <<"1.1">>]],
    Here = [{"PIP_NO_INDEX", "1"}, {"PIP_FIND_LINKS", binary_to_list(Wheels)},
            {"UV_OFFLINE", "1"}, {"UV_FIND_LINKS", binary_to_list(Wheels)},
            {"UV_CACHE_DIR", filename:join(Folder, "cache")}],
    Before = [{Name, os:getenv(Name)} || {Name, _} <- Here],
    [true = os:putenv(Name, Value) || {Name, Value} <- Here],
    try
        Fun(Folder)
    after
        [case Value of false -> os:unsetenv(Name); _ -> os:putenv(Name, Value) end || {Name, Value} <- Before]
    end.

ctx(Config) -> proplists:get_value(ctx, Config).
