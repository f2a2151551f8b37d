%%% @doc Making a virtual environment when something goes wrong, or somebody else does it at the same time. The
%%% installer does what a script says (ep_venv:with_installer/1), so a case decides what happens in the middle of it.
-module(venv_making_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    made_once/1, a_change_makes_it_anew/1, a_moved_one_is_made_anew/1, uv_is_preferred/1, relative_paths/1, extras/1,
    lines_as_they_come/1, lines_of_any_kind/1
]).
-export([
    a_failure_changes_nothing/1, a_failure_leaves_nothing/1, an_active_one/1, one_at_a_time/1,
    others_at_the_same_time/1, a_killed_caller/1, a_caller_killed_in_the_line/1, a_stopped_application/1, a_killed_VM/1
]).
-export([
    data_of_somebody/1, a_link/1, missing_files/1, other_pythons/1, no_installer/1, options_that_cannot_be/1,
    a_full_disk/1, a_read_only_disk/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        made_once, a_change_makes_it_anew, a_moved_one_is_made_anew, uv_is_preferred, relative_paths, extras,
        lines_as_they_come, lines_of_any_kind, a_failure_changes_nothing, a_failure_leaves_nothing, an_active_one,
        one_at_a_time, others_at_the_same_time, a_killed_caller, a_caller_killed_in_the_line, a_stopped_application,
        a_killed_VM, data_of_somebody, a_link, missing_files, other_pythons, no_installer, options_that_cannot_be,
        a_full_disk, a_read_only_disk, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) -> Config;
init_per_testcase(_Case, Config) ->
    Folder = ep_venv:folder(Config),
    Paths = [{venv, filename:join(Folder, "venv")}, {file, filename:join(Folder, "requirements.txt")}],
    [{folder, Folder} | Paths ++ Config].

end_per_testcase(_Case, _Config) ->
    _ = py:deactivate_venv(),
    ep_background:kill_all(),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% When it is made

made_once(Config) ->
    requirements(Config, good("one")),
    {ok, [_, _ | _]} = ensure_logged(Config, []),
    {ok, #{<<"venv_path">> := Path}} = py:venv_info(),
    ?assertEqual(list_to_binary(venv(Config)), Path),
    ?assertEqual("one", installed(Config)),
    ?assertEqual({ok, []}, ensure_logged(Config, [])),
    ok = py:deactivate_venv(),
    ?assertEqual({ok, []}, ensure_logged(Config, [])),
    {ok, #{<<"active">> := true}} = py:venv_info(),
    ?assertEqual(["requirements.txt"], ep_venv:beside(venv(Config))).

a_change_makes_it_anew(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    requirements(Config, ["[ ! -e $SITE/thing.py ] || exit 1; ", good("two")]),
    ok = ensure(Config, []),
    ?assertEqual("two", installed(Config)),
    installed(Config, "changed by hand"),
    ok = ensure(Config, []),
    ?assertEqual("changed by hand", installed(Config)),
    ok = ensure(Config, [force]),
    ?assertEqual("two", installed(Config)),
    installed(Config, "changed by hand"),
    ok = ensure(Config, [{force, false}]),
    ok = file:delete(filename:join(venv(Config), "bin/python")),
    ok = ensure(Config, []),
    ?assertEqual("two", installed(Config)),
    ?assertEqual(["requirements.txt"], ep_venv:beside(venv(Config))).

a_moved_one_is_made_anew(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    Moved = venv(Config) ++ " elsewhere",
    ok = file:rename(venv(Config), Moved),
    ep_venv:with_installer(fun() ->
        {ok, [_ | _]} = lines(fun() -> py:ensure_venv(Moved, file(Config), [{installer, uv}]) end)
    end).

%% Without a word about the installer: uv where there is one.
uv_is_preferred(Config) ->
    requirements(Config, good("by uv")),
    [Path, File] = [list_to_binary(Name) || Name <- [venv(Config), file(Config)]],
    ok = ep_venv:with_installer(fun() -> py:ensure_venv(Path, File) end),
    ?assertEqual("by uv", installed(Config)).

%% From where the VM works, as a project names them.
relative_paths(Config) ->
    requirements(Config, good("one")),
    {ok, Before} = file:get_cwd(),
    ok = file:set_cwd(proplists:get_value(folder, Config)),
    try
        ok = ep_venv:with_installer(fun() -> py:ensure_venv("priv/venv", "requirements.txt", [{installer, uv}]) end),
        {ok, <<"one">>} = py:eval(<<"import sys; __import__('thing'); sys.modules.pop('thing').VALUE">>),
        ok = py:deactivate_venv(),
        ok = py:activate_venv(<<"priv/venv">>),
        ok = file:set_cwd(Before),
        %% It is what was named then, wherever the VM works afterwards.
        {ok, <<"one">>} = py:eval(<<"import sys; __import__('thing'); sys.modules.pop('thing').VALUE">>),
        {ok, #{<<"venv_path">> := Path}} = py:venv_info(),
        ?assertEqual(filename:join(proplists:get_value(folder, Config), "priv/venv"), binary_to_list(Path))
    after
        file:set_cwd(Before)
    end.

extras(Config) ->
    File = ep_venv:write(filename:join(proplists:get_value(folder, Config), "pyproject.toml"), "[project]\n"),
    Would = fun(Extras) ->
        Options = [{installer, uv}, {extras, Extras}],
        {ok, Lines} = ep_venv:with_installer(fun() ->
            lines(fun() -> py:ensure_venv(venv(Config), File, Options) end)
        end),
        [binary_to_list(Line) || <<"would install ", Line/binary>> <- Lines]
    end,
    Folder = filename:dirname(File),
    ?assertEqual([Folder], Would([])),
    ?assertEqual([Folder ++ "[dev,test]"], Would(["dev", <<"test">>])),
    ?assertEqual([], Would(["test", "dev"])),
    ?assertEqual([Folder ++ "[dev]"], Would(["dev"])).

%% ---------------------------------------------------------------------------------------------------------------------
%% What the logger hears

%% The second line is not printed before the first was heard. Events are those of the process that waits.
lines_as_they_come(Config) ->
    Go = filename:join(proplists:get_value(folder, Config), "go"),
    requirements(Config, ["echo first >&2; ", wait_for(Go), "echo last"]),
    {ok, [Last]} = ep_venv:logged(fun() ->
        Running = ep_background:start(fun() ->
            ok = logger:set_process_metadata(#{request => 7}),
            ensure(Config, [])
        end),
        receive
            {ep_venv, #{level := info, msg := {_, [<<"first">>]}, meta := Metadata}} ->
                Caller = ep_background:pid(Running),
                Leader = group_leader(),
                ?assertMatch(#{request := 7, pid := Caller, gl := Leader, domain := [erlang_python, venv]}, Metadata)
        end,
        receive_all(),
        ep_venv:write(Go, ""),
        ep_background:result(Running)
    end),
    ?assertEqual(<<"last">>, text(Last)).

receive_all() ->
    receive {ep_venv, _} -> receive_all() after 0 -> ok end.

lines_of_any_kind(Config) ->
    requirements(Config, ["printf 'no UTF-8: \\377\\n\\n'; head -c 5000 /dev/zero | tr '\\0' x; echo; ",
                          "printf 'no end'; exit 3"]),
    {{error, {install_failed, 3, Output}}, Lines} = ensure_logged(Config, []),
    [?assert(is_binary(unicode:characters_to_binary(Line))) || Line <- Lines],
    ?assert(lists:member(<<"no end">>, Lines)),
    ?assert(lists:member(binary:copy(<<"x">>, 4096), Lines)),
    ?assertEqual(<<"no end">>, binary:part(Output, byte_size(Output), -6)).

%% ---------------------------------------------------------------------------------------------------------------------
%% Whole or not at all

a_failure_changes_nothing(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    requirements(Config, "echo half > $SITE/half.py; echo 'no such package: snake'; exit 4"),
    ?assertEqual({error, {install_failed, 4, <<"no such package: snake">>}}, ensure(Config, [])),
    ?assertEqual("one", installed(Config)),
    ?assertNot(filelib:is_file(filename:join(ep_venv:site_packages(venv(Config)), "half.py"))),
    ?assertEqual(["requirements.txt"], ep_venv:beside(venv(Config))),
    ok = py:activate_venv(venv(Config)),
    requirements(Config, good("one")),
    ?assertEqual({ok, []}, ensure_logged(Config, [])),
    %% Only the end of what it says, which may be long.
    requirements(Config, "i=0; while [ $i -lt 1000 ]; do echo $i; i=$((i + 1)); done; exit 5"),
    {error, {install_failed, 5, Output}} = ensure(Config, [force]),
    ?assertEqual([integer_to_binary(N) || N <- lists:seq(900, 999)], binary:split(Output, <<"\n">>, [global])),
    ?assertEqual("one", installed(Config)).

a_failure_leaves_nothing(Config) ->
    requirements(Config, "exit 6"),
    ?assertEqual({error, {install_failed, 6, <<>>}}, ensure(Config, [])),
    ?assertNot(filelib:is_file(venv(Config))),
    ?assertEqual(["requirements.txt"], ep_venv:beside(venv(Config))),
    ?assertEqual({ok, #{<<"active">> => false}}, py:venv_info()).

an_active_one(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    {ok, <<"one">>} = py:eval(<<"__import__('thing').VALUE">>),
    requirements(Config, "exit 7"),
    {error, _} = ensure(Config, []),
    {ok, #{<<"active">> := true}} = py:venv_info(),
    {ok, <<"one">>} = py:eval(<<"import sys; sys.modules.pop('thing'); __import__('thing').VALUE">>),
    requirements(Config, good("other")),
    ok = ensure(Config, []),
    {ok, <<"other">>} = py:eval(<<"import sys; sys.modules.pop('thing'); __import__('thing').VALUE">>),
    {ok, _} = py:eval(<<"import sys; sys.modules.pop('thing').VALUE">>).

%% mkdir fails if another one is in there at the same time.
one_at_a_time(Config) ->
    Lock = filename:join(proplists:get_value(folder, Config), "lock"),
    requirements(Config, ["mkdir ", Lock, " && sleep 0.05 && rmdir ", Lock, " && ", good("one")]),
    ok = ep_venv:with_installer(fun() ->
        Ensure = fun(Options) -> py:ensure_venv(venv(Config), file(Config), [{installer, uv} | Options]) end,
        Running = [ep_background:start(fun() -> Ensure(Force) end) || Force <- [[], [force], [], [force]]],
        ?assertEqual([ok, ok, ok, ok], ep_background:results(Running)),
        ok
    end),
    ?assertEqual("one", installed(Config)).

others_at_the_same_time(Config) ->
    Go = filename:join(proplists:get_value(folder, Config), "go"),
    requirements(Config, wait_for(Go)),
    ep_venv:with_installer(fun() ->
        First = ep_background:start(fun() -> py:ensure_venv(venv(Config), file(Config), [{installer, uv}]) end),
        Other = ep_venv:write(file(Config) ++ ".other", ["touch ", Go]),
        ok = py:ensure_venv(venv(Config) ++ ".other", Other, [{installer, uv}]),
        ok = ep_background:result(First)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Killed midway

a_killed_caller(Config) ->
    with_an_install_that_hangs(Config, fun(Running) ->
        ok = ep_background:kill(Running)
    end).

a_caller_killed_in_the_line(Config) ->
    Folder = proplists:get_value(folder, Config),
    [Begun, Go] = [filename:join(Folder, Name) || Name <- ["begun", "go"]],
    requirements(Config, ["touch ", Begun, "; ", wait_for(Go), good("one")]),
    ep_venv:with_installer(fun() ->
        Ensure = fun() -> py:ensure_venv(venv(Config), file(Config), [{installer, uv}]) end,
        First = ep_background:start(Ensure),
        ep_ct:wait_until(fun() -> filelib:is_file(Begun) end),
        Second = ep_background:start(fun() -> py:ensure_venv(venv(Config), file(Config), [{installer, uv}, force]) end),
        Third = ep_background:start(Ensure),
        ok = ep_background:kill(Second),
        ep_venv:write(Go, ""),
        ?assertEqual([ok, ok], ep_background:results([First, Third]))
    end).

a_stopped_application(Config) ->
    with_an_install_that_hangs(Config, fun(Running) ->
        ok = application:stop(erlang_python),
        ?assertEqual({error, aborted}, ep_background:result(Running)),
        ok = application:start(erlang_python)
    end).

%% An installer that does not end by itself is killed with what it has started, and the venv of before is back.
with_an_install_that_hangs(Config, End) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    Pids = filename:join(proplists:get_value(folder, Config), "pids"),
    requirements(Config, ["sleep 600 & echo $$ $! > ", Pids, ".new; mv ", Pids, ".new ", Pids, "; wait"]),
    ep_venv:with_installer(fun() ->
        Running = ep_background:start(fun() -> py:ensure_venv(venv(Config), file(Config), [{installer, uv}]) end),
        ep_ct:wait_until(fun() -> filelib:is_file(Pids) end),
        Path = list_to_binary(venv(Config)),
        ?assertEqual({error, {venv_unfinished, Path}}, py:activate_venv(Path)),
        End(Running)
    end),
    {ok, Written} = file:read_file(Pids),
    [ep_ct:wait_until(fun() -> not is_running(binary_to_list(Pid)) end) || Pid <- string:lexemes(Written, " \n")],
    ep_ct:wait_until(fun() -> ep_venv:beside(venv(Config)) =:= ["pids", "requirements.txt"] end),
    ?assertEqual("one", installed(Config)),
    ok = py:activate_venv(venv(Config)).

is_running(Pid) ->
    case file:read_file(filename:join(["/proc", Pid, "stat"])) of
        {ok, Stat} -> re:run(Stat, "\\) [ZX] ", [{capture, none}]) =:= nomatch;
        {error, _} -> false
    end.

%% What can lie there then, case by case.
a_killed_VM(Config) ->
    Path = venv(Config),
    Journal = filename:join(filename:dirname(Path), ".venv.erlang_python_unfinished"),
    Aside = filename:join(filename:dirname(Path), ".venv.erlang_python_previous"),
    Half = fun() -> ep_venv:write(filename:join(Path, "pyvenv.cfg"), "home") end,
    Unfinished = {error, {venv_unfinished, list_to_binary(Path)}},

    %% While the first one was made.
    ep_venv:write(Journal, "nothing"),
    Half(),
    requirements(Config, good("one")),
    ?assertEqual(Unfinished, py:activate_venv(Path)),
    ok = ensure(Config, []),
    Clean = fun() ->
        ?assertEqual(["requirements.txt"], ep_venv:beside(Path)),
        ?assertEqual("one", installed(Config))
    end,
    Clean(),

    %% Before the old one stepped aside; also when there was no room for the journal's text.
    [begin
        ep_venv:write(Journal, Text),
        ?assertEqual(Unfinished, py:activate_venv(Path)),
        ?assertEqual({ok, []}, ensure_logged(Config, [])),
        Clean()
     end || Text <- ["old", ""]],

    %% While the old one was aside, with nothing and with something in its place.
    [begin
        ep_venv:write(Journal, "old"),
        ok = file:rename(Path, Aside),
        Begin(),
        ?assertEqual(Unfinished, py:activate_venv(Path)),
        ?assertEqual({ok, []}, ensure_logged(Config, [])),
        Clean()
     end || Begin <- [fun() -> ok end, Half]],

    %% When the new one was in its place, and the old one not yet deleted.
    ok = file:make_dir(Aside),
    ok = py:activate_venv(Path),
    ?assertEqual({ok, []}, ensure_logged(Config, [])),
    Clean().

%% ---------------------------------------------------------------------------------------------------------------------
%% Refusals

data_of_somebody(Config) ->
    Path = venv(Config),
    requirements(Config, good("one")),
    Precious = ep_venv:write(filename:join(Path, "precious"), "data"),
    [?assertEqual({error, {not_a_venv, list_to_binary(Path)}}, ensure(Config, Options)) || Options <- [[], [force]]],
    {ok, <<"data">>} = file:read_file(Precious),
    ok = file:delete(Precious),
    ok = ensure(Config, []), % in an empty folder
    File = ep_venv:write(Path ++ ".file", "data"),
    Ensure = fun(Where) -> py:ensure_venv(Where, file(Config), [{installer, pip}, force]) end,
    ?assertEqual({error, {not_a_venv, list_to_binary(File)}}, Ensure(File)),
    Below = filename:join(File, "venv"),
    ?assertEqual({error, {file_error, enotdir, list_to_binary(Below)}}, Ensure(Below)),
    ?assertEqual({error, {file_error, enotdir, list_to_binary(Below)}}, py:activate_venv(Below)),
    {ok, <<"data">>} = file:read_file(File).

%% It is the link that is replaced, not what it leads to.
a_link(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    Link = venv(Config) ++ ".link",
    ok = file:make_symlink(venv(Config), Link),
    requirements(Config, good("two")),
    ok = ep_venv:with_installer(fun() -> py:ensure_venv(Link, file(Config), [{installer, uv}]) end),
    ?assertEqual("one", installed(Config)),
    {ok, <<"two">>} = py:eval(<<"import sys; __import__('thing'); sys.modules.pop('thing').VALUE">>).

missing_files(Config) ->
    Missing = {error, {file_error, enoent, list_to_binary(file(Config))}},
    ?assertEqual(Missing, ensure(Config, [])),
    ?assertEqual({error, {file_error, eisdir, list_to_binary(filename:dirname(file(Config)))}},
                 py:ensure_venv(venv(Config), filename:dirname(file(Config)))),
    requirements(Config, ""),
    ?assertEqual({error, {bad_path, <<>>}}, py:ensure_venv(<<>>, file(Config))),
    ?assertEqual({error, {bad_path, "a\0"}}, py:ensure_venv(venv(Config), "a\0")),
    ?assertNot(filelib:is_file(venv(Config))).

other_pythons(Config) ->
    requirements(Config, good("one")),
    ok = ensure(Config, []),
    Folder = proplists:get_value(folder, Config),
    Script = fun(Name, Line) ->
        File = ep_venv:write(filename:join(Folder, Name), ["#!/bin/sh\n", Line, "\n"]),
        ok = file:change_mode(File, 8#755),
        File
    end,
    #{executable := Executable} = py_nif:runtime(),
    With = fun(Python) -> ensure(Config, [{python, Python}]) end,
    "python" ++ Running = filename:basename(filename:dirname(ep_venv:site_packages(venv(Config)))),
    ?assertEqual({error, {venv_python_mismatch, #{venv => <<"2.7">>, running => list_to_binary(Running)}}},
                 With(Script("python2", "echo 2.7"))),
    [?assertEqual({error, {not_a_python, list_to_binary(File)}}, With(File))
     || File <- [Script("mute", "true"), Script("talks", "echo hello"), Script("fails", "exit 1")]],
    Nowhere = filename:join(Folder, "nowhere"),
    ?assertEqual({error, {file_error, enoent, list_to_binary(Nowhere)}}, With(Nowhere)),
    ?assertEqual({error, {file_error, enoent, <<"no-such-python">>}}, With("no-such-python")),
    ?assertEqual("one", installed(Config)),
    %% The same Python under another name is fine.
    Same = filename:join(Folder, "same"),
    ok = file:make_symlink(Executable, Same),
    ok = With(Executable).

no_installer(Config) ->
    requirements(Config, ""),
    Path = os:getenv("PATH"),
    os:putenv("PATH", "/nowhere"),
    try
        ?assertEqual({error, {installer_not_found, uv}}, py:ensure_venv(venv(Config), file(Config), [{installer, uv}]))
    after
        os:putenv("PATH", Path)
    end,
    ?assertNot(filelib:is_file(venv(Config))).

options_that_cannot_be(Config) ->
    requirements(Config, ""),
    [?assertEqual({error, {bad_option, Option}}, py:ensure_venv(venv(Config), file(Config), [Option]))
     || Option <- [fast, {force, 1}, {installer, conda}, {python, 3}, {extras, dev}, {extras, [dev]}, {extras, ["a]b"]},
                   {extras, ["a,b"]}, {extras, [""]}, {extras, ["-r x"]}, {extras, [<<"dev">>]}]],
    ?assertNot(filelib:is_file(venv(Config))).

%% ---------------------------------------------------------------------------------------------------------------------
%% Disks

a_full_disk(Config) ->
    with_disk(Config, "size=600k", fun(Disk) ->
        Path = filename:join(Disk, "venv"),
        Ensure = fun() ->
            ep_venv:with_installer(fun() -> py:ensure_venv(Path, file(Config), [{installer, uv}]) end)
        end,
        requirements(Config, good("one")),
        ok = Ensure(),
        requirements(Config, "head -c 1000000 /dev/zero > $SITE/large"),
        {error, {install_failed, _, Output}} = Ensure(),
        {match, _} = re:run(Output, "No space left"),
        ?assertEqual([], ep_venv:beside(Path)),
        ok = py:activate_venv(Path),
        %% Not even a note has room.
        {error, enospc} = file:write_file(filename:join(Disk, "filler"), binary:copy(<<0>>, 1000000)),
        {error, {file_error, enospc, _}} = Ensure(),
        ?assertEqual(["filler"], ep_venv:beside(Path)),
        ok = py:activate_venv(Path)
    end).

a_read_only_disk(Config) ->
    with_disk(Config, "size=4m", fun(Disk) ->
        Path = filename:join(Disk, "venv"),
        Ensure = fun(Options) ->
            ep_venv:with_installer(fun() -> py:ensure_venv(Path, file(Config), [{installer, uv} | Options]) end)
        end,
        requirements(Config, good("one")),
        ok = Ensure([]),
        "" = os:cmd("mount -o remount,ro " ++ Disk),
        ok = Ensure([]), % there is nothing to do
        {error, {file_error, erofs, Where}} = Ensure([force]),
        ?assertEqual(list_to_binary(Disk), filename:dirname(Where)),
        Other = filename:join(Disk, "some/other"),
        {error, {file_error, erofs, _}} = py:ensure_venv(Other, file(Config), [{installer, pip}]),
        ok = py:activate_venv(Path),
        ?assertEqual([], ep_venv:beside(Path))
    end).

with_disk(Config, Size, Fun) ->
    Disk = filename:join(proplists:get_value(folder, Config), "disk"),
    ok = file:make_dir(Disk),
    case os:cmd("mount -t tmpfs -o " ++ Size ++ " tmpfs " ++ Disk) of
        "" ->
            try Fun(Disk)
            after
                _ = py:deactivate_venv(),
                os:cmd("umount " ++ Disk)
            end;
        Why ->
            {skip, "no small disk can be mounted: " ++ string:trim(Why)}
    end.

%% ---------------------------------------------------------------------------------------------------------------------

venv(Config) -> proplists:get_value(venv, Config).
file(Config) -> proplists:get_value(file, Config).

requirements(Config, Script) -> ep_venv:write(file(Config), Script).

good(Value) -> ["echo \"VALUE = '", Value, "'\" > \"$SITE/thing.py\"\n"].

wait_for(File) -> ["while [ ! -e ", File, " ]; do sleep 0.02; done; "].

installed(Config) ->
    {ok, Text} = file:read_file(thing(Config)),
    {match, [Value]} = re:run(Text, "VALUE = '(.*)'", [{capture, all_but_first, list}]),
    Value.

installed(Config, Value) -> ep_venv:write(thing(Config), ["VALUE = '", Value, "'\n"]).

thing(Config) -> filename:join(ep_venv:site_packages(venv(Config)), "thing.py").

ensure(Config, Options) ->
    ep_venv:with_installer(fun() -> py:ensure_venv(venv(Config), file(Config), [{installer, uv} | Options]) end).

ensure_logged(Config, Options) -> lines(fun() -> ensure(Config, Options) end).

lines(Fun) ->
    {Result, Events} = ep_venv:logged(Fun),
    {Result, [text(Event) || Event <- Events]}.

text(#{msg := {Format, Args}}) -> unicode:characters_to_binary(io_lib:format(Format, Args)).
