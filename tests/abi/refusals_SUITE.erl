%%% @doc Backends, Pythons and manifests that do not fit: each is refused with an error that names both sides and the way
%%% out, shows as refused in py_nif:backends/0 and in py:doctor/0, and leaves the VM as it was.
-module(refusals_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1]).
-export([
    a_backend_that_fits_is_taken/1, an_open_that_fails_is_told_to_who_wanted_a_context/1,
    nothing_is_found/1,

    a_manifest_of_a_newer_abi/1, a_manifest_of_another_major_abi/1, a_manifest_that_is_garbage/1,
    a_manifest_that_is_cut_short/1, a_manifest_without_a_field/1, a_manifest_of_an_unknown_kind/1,
    a_manifest_of_an_old_python/1, a_libpython_that_does_not_exist/1, a_shared_object_that_does_not_exist/1,
    a_plugin_is_no_backend/1, a_plugin_of_a_newer_abi/1,

    a_libpython_that_cannot_be_opened/1, a_libpython_that_is_none/1, a_libpython_of_another_version/1,
    a_libpython_with_free_threading/1, a_libpython_without_free_threading/1, a_second_python/1,

    a_backend_that_cannot_be_opened/1, a_backend_with_unresolved_symbols/1, a_backend_without_entry/1,
    a_backend_of_a_newer_minor_abi/1, a_backend_of_a_newer_major_abi/1, a_backend_of_an_older_major_abi/1,
    a_backend_that_is_newer_than_it_was_asked_to_be/1, a_backend_that_refuses_without_a_word/1,
    a_backend_that_leaves_a_function_out/1, a_backend_with_a_short_table/1, a_backend_that_fails/1,
    a_python_that_does_not_start/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() -> [{group, what_fits}, {group, manifests}, {group, pythons}, {group, backends}].

groups() ->
    [{what_fits, [], [a_backend_that_fits_is_taken, an_open_that_fails_is_told_to_who_wanted_a_context,
                      nothing_is_found]},
     {manifests, [], [a_manifest_of_a_newer_abi, a_manifest_of_another_major_abi, a_manifest_that_is_garbage,
                      a_manifest_that_is_cut_short, a_manifest_without_a_field, a_manifest_of_an_unknown_kind,
                      a_manifest_of_an_old_python, a_libpython_that_does_not_exist,
                      a_shared_object_that_does_not_exist, a_plugin_is_no_backend, a_plugin_of_a_newer_abi]},
     {pythons, [], [a_libpython_that_cannot_be_opened, a_libpython_that_is_none, a_libpython_of_another_version,
                    a_libpython_with_free_threading, a_libpython_without_free_threading, a_second_python]},
     {backends, [], [a_backend_that_cannot_be_opened, a_backend_with_unresolved_symbols, a_backend_without_entry,
                     a_backend_of_a_newer_minor_abi, a_backend_of_a_newer_major_abi, a_backend_of_an_older_major_abi,
                     a_backend_that_is_newer_than_it_was_asked_to_be, a_backend_that_refuses_without_a_word,
                     a_backend_that_leaves_a_function_out, a_backend_with_a_short_table, a_backend_that_fails,
                     a_python_that_does_not_start]}].

init_per_suite(Config) -> Config.
end_per_suite(_Config) -> ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% What fits

%% So that the refusals below are not those of something else.
a_backend_that_fits_is_taken(Config) ->
    Application = application(Config),
    Manifest = forged_application:manifest(Application, "forged", #{}),
    #{starts := Starts, runtime := Runtime, backends := Backends, doctor := Doctor} = attempt(Application, []),
    ?assertEqual([ok, ok], Starts),
    ?assertMatch(#{name := <<"forged">>, status := chosen}, Runtime),
    ?assertEqual(list_to_binary(Manifest), maps:get(manifest, Runtime)),
    ?assertMatch([#{name := <<"forged">>, status := chosen}], [B || B = #{name := <<"forged">>} <- Backends]),
    assert_says([<<"Python 3.11.2, backend forged">>], Doctor).

an_open_that_fails_is_told_to_who_wanted_a_context(Config) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", #{}),
    #{application := {error, Reason}} = attempt(Application, []),
    assert_says([<<"this backend is forged and has no interpreters">>], iolist_to_binary(io_lib:format("~tp", [Reason]))).

nothing_is_found(Config) ->
    #{starts := [{error, {Code, Text}} | _], doctor := Doctor} = attempt(application(Config), [{python, "3.11.77"}]),
    ?assertEqual(no_backend, Code),
    assert_says([<<"3.11.77">>], Text),
    assert_mends(Text),
    assert_says([<<"Python has not been started">>], Doctor).

%% ---------------------------------------------------------------------------------------------------------------------
%% Manifests

a_manifest_of_a_newer_abi(Config) ->
    {Major, Minor} = abi(),
    Newer = version(Major, Minor + 1),
    refused_unopened(Config, #{abi => Newer}, ["ABI " ++ Newer, "ABI " ++ version(Major, Minor), "install"]).

a_manifest_of_another_major_abi(Config) ->
    {Major, Minor} = abi(),
    Newer = version(Major + 1, 0),
    refused_unopened(Config, #{abi => Newer}, ["ABI " ++ Newer, "ABI " ++ version(Major, Minor), "install"]).

a_manifest_that_is_garbage(Config) ->
    refused_file(Config, <<0, 255, "garbage", 10>>, ["not JSON"]).

a_manifest_that_is_cut_short(Config) ->
    Application = application(Config),
    {ok, Whole} = file:read_file(forged_application:manifest(Application, "forged", #{})),
    forged_application:file(Application, "forged.json", binary:part(Whole, 0, byte_size(Whole) div 2)),
    refused(Application, [{python, libpython()}], no_backend, ["forged", "not JSON"]).

a_manifest_without_a_field(Config) ->
    refused_unopened(Config, #{libpython => undefined}, ["\"libpython\" is missing", "absolute path"]).

a_manifest_of_an_unknown_kind(Config) ->
    refused_unopened(Config, #{kind => "addon"}, ["\"addon\"", "\"backend\"", "\"plugin\""]).

a_manifest_of_an_old_python(Config) ->
    refused_unopened(Config, #{python => "3.10.4"}, ["3.10.4", "3.11"]).

a_libpython_that_does_not_exist(Config) ->
    refused_unopened(Config, #{libpython => "/nowhere/libpython3.11.so"},
                     ["/nowhere/libpython3.11.so", "does not exist", "install that Python"]).

a_shared_object_that_does_not_exist(Config) ->
    refused_unopened(Config, #{file => "nowhere.so"}, ["nowhere.so", "does not exist"]).

a_plugin_is_no_backend(Config) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", #{kind => "plugin", file => forged_application:forged("no_entry")}),
    #{starts := [{error, {Code, Text}} | _], backends := Backends} = attempt(Application, [{python, libpython()}]),
    ?assertEqual(no_backend, Code),
    ?assertEqual(nomatch, binary:match(Text, <<"forged:">>)),
    ?assertMatch([#{kind := plugin, status := available}], [B || B = #{name := <<"forged">>} <- Backends]).

a_plugin_of_a_newer_abi(Config) ->
    {Major, Minor} = abi(),
    Newer = version(Major, Minor + 1),
    Application = application(Config),
    forged_application:manifest(Application, "good", #{}),
    forged_application:manifest(Application, "forged", #{kind => "plugin", abi => Newer}),
    #{starts := [ok, ok]} = Observed = attempt(Application, []),
    assert_listed(["ABI " ++ Newer, "ABI " ++ version(Major, Minor), "install"], Observed).

%% ---------------------------------------------------------------------------------------------------------------------
%% Pythons

a_libpython_that_cannot_be_opened(Config) ->
    Application = application(Config),
    Path = forged_application:file(Application, "libpython3.11.so", "this is no shared object"),
    forged_application:manifest(Application, "forged", #{libpython => Path}),
    refused(Application, [], libpython_failed, ["forged", Path, "cannot be opened"]).

a_libpython_that_is_none(Config) ->
    Path = forged_application:forged("no_python"),
    refused_opened(Config, #{libpython => Path}, libpython_failed, [Path, "Py_GetVersion"]).

a_libpython_of_another_version(Config) ->
    Path = forged_application:forged("python_3_9"),
    refused_opened(Config, #{libpython => Path}, python_mismatch, ["Python 3.11.2", "Python 3.9.1", Path, "rebuild"]).

a_libpython_with_free_threading(Config) ->
    Path = forged_application:forged("python_3_11_free_threading"),
    refused_opened(Config, #{libpython => Path}, python_mismatch,
                   ["Python 3.11.2,", "Python 3.11.99 (free-threaded)", Path, "rebuild"]).

a_libpython_without_free_threading(Config) ->
    refused_opened(Config, #{mode => "freethreaded", free_threading => true}, python_mismatch,
                   ["Python 3.11.2 (free-threaded)", "Python 3.11.99;", libpython(), "rebuild"]).

%% Brought in by some other library of the VM, before us.
a_second_python(Config) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", #{}),
    Preload = string:trim(os:getenv("LD_PRELOAD", "") ++ " " ++ forged_application:forged("python_3_9")),
    refused(Application, [], [{"LD_PRELOAD", Preload}], python_already_loaded, ["forged", "another Python", libpython()]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Backends

a_backend_that_cannot_be_opened(Config) ->
    Application = application(Config),
    Path = forged_application:file(Application, "forged.so", "this is no shared object"),
    forged_application:manifest(Application, "forged", #{file => "forged.so"}),
    refused(Application, [], backend_failed, [Path, "cannot be opened"]).

a_backend_with_unresolved_symbols(Config) ->
    refused_backend(Config, "unresolved", backend_failed, ["cannot be opened", "function_of_another_python"]).

a_backend_without_entry(Config) ->
    refused_backend(Config, "no_entry", backend_failed, ["erlang_python_backend_entry"]).

a_backend_of_a_newer_minor_abi(Config) ->
    {Major, Minor} = abi(),
    wrong_abi(Config, "newer_minor", version(Major, Minor + 1)).

a_backend_of_a_newer_major_abi(Config) ->
    {Major, _} = abi(),
    wrong_abi(Config, "newer_major", version(Major + 1, 0)).

a_backend_of_an_older_major_abi(Config) ->
    {Major, _} = abi(),
    wrong_abi(Config, "older_major", version((Major - 1) band 16#ffff, 7)).

a_backend_that_is_newer_than_it_was_asked_to_be(Config) ->
    {Major, Minor} = abi(),
    wrong_abi(Config, "newer_unasked", version(Major, Minor + 1)).

a_backend_that_refuses_without_a_word(Config) ->
    {Major, Minor} = abi(),
    refused_backend(Config, "silent_refusal", abi_mismatch, ["ABI " ++ version(Major, Minor)]).

a_backend_that_leaves_a_function_out(Config) ->
    refused_backend(Config, "incomplete", backend_failed, ["ABI " ++ forged_application:abi()]).

a_backend_with_a_short_table(Config) ->
    refused_backend(Config, "short_table", backend_failed, ["ABI " ++ forged_application:abi()]).

a_backend_that_fails(Config) ->
    refused_backend(Config, "failing_entry", backend_failed, ["it is not my day; install another one"]).

a_python_that_does_not_start(Config) ->
    refused_opened(Config, #{file => forged_application:forged("failing_start")}, python_failed,
                   ["forged", "this Python will not start: install a better one"]).

wrong_abi(Config, File, Version) ->
    refused_backend(Config, File, abi_mismatch,
                    ["ABI " ++ Version ++ " ", "ABI " ++ forged_application:abi() ++ ";", "install"]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Refusals

%% By its manifest: nothing is opened. The configuration wants the Python that only this backend is for, so that one the
%% system may have is not taken instead.
refused_unopened(Config, Changes, Parts) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", Changes),
    refused(Application, [{python, libpython()}], no_backend, ["forged: " | Parts]).

refused_file(Config, Content, Parts) ->
    Application = application(Config),
    forged_application:file(Application, "forged.json", Content),
    refused(Application, [{python, libpython()}], no_backend, ["forged: " | Parts]).

%% After it was chosen.
refused_opened(Config, Changes, Code, Parts) ->
    Application = application(Config),
    forged_application:manifest(Application, "forged", Changes),
    refused(Application, [], Code, Parts).

refused_backend(Config, File, Code, Parts) ->
    Path = forged_application:forged(File),
    refused_opened(Config, #{file => Path}, Code, [Path | Parts]).

refused(Application, Environment, Code, Parts) ->
    refused(Application, Environment, [], Code, Parts).

refused(Application, Environment, Variables, Code, Parts) ->
    #{starts := Starts, runtime := Runtime} = Observed = attempt(Application, Environment, Variables),
    ?assertMatch([{error, {Code, _}}, _], Starts),
    [{error, {Code, Text}} = First, Second] = Starts,
    ?assertEqual(First, Second),
    ?assertEqual(#{}, Runtime),
    assert_says(Parts, Text),
    assert_mends(Text),
    assert_application_says(Code, Text, Observed),
    assert_listed(Parts, Observed).

%% The application does not start, for the same reason, as text.
assert_application_says(Code, Text, #{application := Result}) ->
    ?assertMatch({error, {erlang_python, {{Code, _}, {erlang_python_app, start, _}}}}, Result),
    {error, {erlang_python, {{Code, Characters}, _}}} = Result,
    ?assertEqual(Text, unicode:characters_to_binary(Characters)).

assert_listed(Parts, #{backends := Backends, doctor := Doctor}) ->
    ?assertMatch([#{status := refused, reason := _}], [B || B = #{name := <<"forged">>} <- Backends]),
    [#{reason := Reason, kind := Kind}] = [B || B = #{name := <<"forged">>} <- Backends],
    %% The name and the path of its files are beside the reason.
    assert_says([Part || Part <- Parts, string:find(Part, "forged") =:= nomatch], Reason),
    assert_says([Reason], Doctor),
    ?assertMatch({match, _}, re:run(Doctor, ["refused +", atom_to_list(Kind), " +forged"])).

assert_says(Parts, Text) ->
    [?assertNotEqual({nomatch, Part, Text}, {found(Part, Text), Part, Text}) || Part <- Parts],
    ok.

found(Part, Text) ->
    case string:find(Text, Part) of
        nomatch -> nomatch;
        _ -> found
    end.

%% It does not only say what is wrong. (Paths may have such words in them.)
assert_mends(Text) ->
    Words = re:replace(Text, "/[^ ]*", "", [global]),
    ?assertNotEqual({nomatch, Text},
                    {re:run(Words, "install|build|correct|name its directory|must be|oldest|remove"), Text}).

attempt(Application, Environment) ->
    attempt(Application, Environment, []).

attempt(Application, Environment, Variables) ->
    forged_application:with_vm(Application, Variables,
                               fun(Call) -> Call(forged_application, attempt, [Environment]) end).

application(Config) ->
    forged_application:new(filename:join(proplists:get_value(priv_dir, Config),
                                         integer_to_list(erlang:unique_integer([positive])))).

libpython() ->
    forged_application:forged("python_3_11").

abi() ->
    [Major, Minor] = string:split(forged_application:abi(), "."),
    {list_to_integer(Major), list_to_integer(Minor)}.

version(Major, Minor) ->
    integer_to_list(Major) ++ "." ++ integer_to_list(Minor).
