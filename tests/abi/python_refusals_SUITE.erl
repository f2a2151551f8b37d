%%% @doc Pythons that are not what a backend was built for: they are refused before the backend is opened.
-module(python_refusals_SUITE).

-export([suite/0, all/0]).
-export([
    a_libpython_that_cannot_be_opened/1, a_libpython_that_is_none/1, a_libpython_of_another_version/1,
    a_libpython_with_free_threading/1, a_libpython_without_free_threading/1, a_second_python/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_libpython_that_cannot_be_opened, a_libpython_that_is_none, a_libpython_of_another_version,
        a_libpython_with_free_threading, a_libpython_without_free_threading, a_second_python
    ].

a_libpython_that_cannot_be_opened(Config) ->
    Application = refusal:application(Config),
    Path = forged_application:file(Application, "libpython3.11.so", "this is no shared object"),
    forged_application:manifest(Application, "forged", #{libpython => Path}),
    refusal:refused(Application, [], libpython_failed, ["forged", Path, "cannot be opened"]).

a_libpython_that_is_none(Config) ->
    Path = forged_application:forged("no_python"),
    refusal:opened(Config, #{libpython => Path}, libpython_failed, [Path, "Py_GetVersion"]).

a_libpython_of_another_version(Config) ->
    Path = forged_application:forged("python_3_9"),
    refusal:opened(Config, #{libpython => Path}, python_mismatch, ["Python 3.11.2", "Python 3.9.1", Path, "rebuild"]).

a_libpython_with_free_threading(Config) ->
    Path = forged_application:forged("python_3_11_free_threading"),
    refusal:opened(Config, #{libpython => Path}, python_mismatch,
                   ["Python 3.11.2,", "Python 3.11.99 (free-threaded)", Path, "rebuild"]).

a_libpython_without_free_threading(Config) ->
    refusal:opened(Config, #{mode => "freethreaded", free_threading => true}, python_mismatch,
                   ["Python 3.11.2 (free-threaded)", "Python 3.11.99;", refusal:libpython(), "rebuild"]).

%% Brought in by some other library of the VM, before us.
a_second_python(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", #{}),
    Preload = string:trim(os:getenv("LD_PRELOAD", "") ++ " " ++ forged_application:forged("python_3_9")),
    refusal:refused(Application, [], [{"LD_PRELOAD", Preload}], python_already_loaded,
                    ["forged", "another Python", refusal:libpython()]).
