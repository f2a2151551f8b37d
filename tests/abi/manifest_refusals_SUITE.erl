%%% @doc Manifests that cannot be used: they are refused before anything is opened.
-module(manifest_refusals_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0]).
-export([
    a_manifest_of_a_newer_abi/1, a_manifest_of_another_major_abi/1, a_manifest_that_is_garbage/1,
    a_manifest_that_is_cut_short/1, a_manifest_without_a_field/1, a_manifest_of_an_unknown_kind/1,
    a_manifest_of_an_old_python/1, a_libpython_that_does_not_exist/1, a_shared_object_that_does_not_exist/1,
    a_plugin_is_no_backend/1, a_plugin_of_a_newer_abi/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_manifest_of_a_newer_abi, a_manifest_of_another_major_abi, a_manifest_that_is_garbage,
        a_manifest_that_is_cut_short, a_manifest_without_a_field, a_manifest_of_an_unknown_kind,
        a_manifest_of_an_old_python, a_libpython_that_does_not_exist, a_shared_object_that_does_not_exist,
        a_plugin_is_no_backend, a_plugin_of_a_newer_abi
    ].

a_manifest_of_a_newer_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    Newer = refusal:version(Major, Minor + 1),
    refusal:by_manifest(Config, #{abi => Newer}, ["ABI " ++ Newer, "ABI " ++ refusal:version(Major, Minor), "install"]).

a_manifest_of_another_major_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    Newer = refusal:version(Major + 1, 0),
    refusal:by_manifest(Config, #{abi => Newer}, ["ABI " ++ Newer, "ABI " ++ refusal:version(Major, Minor), "install"]).

a_manifest_that_is_garbage(Config) ->
    refusal:by_file(Config, <<0, 255, "garbage", 10>>, ["not JSON"]).

a_manifest_that_is_cut_short(Config) ->
    Application = refusal:application(Config),
    {ok, Whole} = file:read_file(forged_application:manifest(Application, "forged", #{})),
    forged_application:file(Application, "forged.json", binary:part(Whole, 0, byte_size(Whole) div 2)),
    refusal:refused(Application, [{python, refusal:libpython()}], no_backend, ["forged", "not JSON"]).

a_manifest_without_a_field(Config) ->
    refusal:by_manifest(Config, #{libpython => undefined}, ["\"libpython\" is missing", "absolute path"]).

a_manifest_of_an_unknown_kind(Config) ->
    refusal:by_manifest(Config, #{kind => "addon"}, ["\"addon\"", "\"backend\"", "\"plugin\""]).

a_manifest_of_an_old_python(Config) ->
    refusal:by_manifest(Config, #{python => "3.10.4"}, ["3.10.4", "3.11"]).

a_libpython_that_does_not_exist(Config) ->
    refusal:by_manifest(Config, #{libpython => "/nowhere/libpython3.11.so"},
                        ["/nowhere/libpython3.11.so", "does not exist", "install that Python"]).

a_shared_object_that_does_not_exist(Config) ->
    refusal:by_manifest(Config, #{file => "nowhere.so"}, ["nowhere.so", "does not exist"]).

a_plugin_is_no_backend(Config) ->
    Application = refusal:application(Config),
    Plugin = forged_application:forged("no_entry"),
    forged_application:manifest(Application, "forged", #{kind => "plugin", file => Plugin}),
    #{starts := [{error, {Code, Text}} | _], backends := Backends} =
        refusal:attempt(Application, [{python, refusal:libpython()}]),
    ?assertEqual(no_backend, Code),
    ?assertEqual(nomatch, binary:match(Text, <<"forged:">>)),
    ?assertMatch([#{kind := plugin, status := available}], [B || B = #{name := <<"forged">>} <- Backends]).

a_plugin_of_a_newer_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    Newer = refusal:version(Major, Minor + 1),
    Application = refusal:application(Config),
    forged_application:manifest(Application, "good", #{}),
    forged_application:manifest(Application, "forged", #{kind => "plugin", abi => Newer}),
    #{starts := [ok, ok]} = Observed = refusal:attempt(Application, []),
    refusal:assert_listed(["ABI " ++ Newer, "ABI " ++ refusal:version(Major, Minor), "install"], Observed).
