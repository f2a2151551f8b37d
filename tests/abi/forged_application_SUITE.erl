%%% @doc What the refusals are compared with: a forged backend that fits, and none at all.
-module(forged_application_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0]).
-export([
    a_backend_that_fits_is_taken/1, a_backend_is_found_in_the_search_path/1,
    a_backend_is_found_in_any_directory_of_the_environment/1, an_open_that_fails_is_told_to_who_wanted_a_context/1,
    nothing_is_found/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_backend_that_fits_is_taken, a_backend_is_found_in_the_search_path,
        a_backend_is_found_in_any_directory_of_the_environment, an_open_that_fails_is_told_to_who_wanted_a_context,
        nothing_is_found
    ].

%% So that a refusal is not one of something else.
a_backend_that_fits_is_taken(Config) ->
    Application = refusal:application(Config),
    Manifest = forged_application:manifest(Application, "forged", #{}),
    #{starts := Starts, runtime := Runtime, backends := Backends, doctor := Doctor} = refusal:attempt(Application, []),
    ?assertEqual([ok, ok], Starts),
    ?assertMatch(#{name := <<"forged">>, status := chosen}, Runtime),
    ?assertEqual(list_to_binary(Manifest), maps:get(manifest, Runtime)),
    ?assertMatch([#{name := <<"forged">>, status := chosen}], [B || B = #{name := <<"forged">>} <- Backends]),
    refusal:assert_says(["Python 3.11.2 runs, by the backend forged"], Doctor).

a_backend_is_found_in_the_search_path(Config) ->
    #{found := Found} = Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", #{}),
    #{runtime := Runtime} = refusal:attempt(Application, [{search_path, ["/nowhere", Found]}],
                                            [{"ERLANG_PYTHON_PATH", ""}]),
    ?assertMatch(#{name := <<"forged">>, status := chosen}, Runtime).

a_backend_is_found_in_any_directory_of_the_environment(Config) ->
    #{found := Found} = Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", #{}),
    #{runtime := Runtime} = refusal:attempt(Application, [], [{"ERLANG_PYTHON_PATH", "/nowhere::" ++ Found ++ ":"}]),
    ?assertMatch(#{name := <<"forged">>, status := chosen}, Runtime).

an_open_that_fails_is_told_to_who_wanted_a_context(Config) ->
    Application = refusal:application(Config),
    forged_application:manifest(Application, "forged", #{}),
    #{application := {error, Reason}} = refusal:attempt(Application, []),
    refusal:assert_says(["this backend is forged and has no interpreters"],
                        unicode:characters_to_binary(io_lib:format("~0tp", [Reason]))).

nothing_is_found(Config) ->
    Application = refusal:application(Config),
    #{starts := [{error, {Code, Text}} | _], doctor := Doctor} = refusal:attempt(Application, [{python, "3.11.77"}]),
    ?assertEqual(no_backend, Code),
    refusal:assert_says(["3.11.77"], Text),
    refusal:assert_mends(Text),
    refusal:assert_says(["No Python runs"], Doctor).
