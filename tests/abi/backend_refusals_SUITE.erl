%%% @doc Backends that are not what their manifests say: they are refused before Python starts.
-module(backend_refusals_SUITE).

-export([suite/0, all/0]).
-export([
    a_backend_that_cannot_be_opened/1, a_backend_with_unresolved_symbols/1, a_backend_without_entry/1,
    a_backend_of_a_newer_minor_abi/1, a_backend_of_a_newer_major_abi/1, a_backend_of_an_older_major_abi/1,
    a_backend_that_is_newer_than_it_was_asked_to_be/1, a_backend_that_refuses_without_a_word/1,
    a_backend_that_leaves_a_function_out/1, a_backend_with_a_short_table/1, a_backend_that_fails/1,
    a_python_that_does_not_start/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_backend_that_cannot_be_opened, a_backend_with_unresolved_symbols, a_backend_without_entry,
        a_backend_of_a_newer_minor_abi, a_backend_of_a_newer_major_abi, a_backend_of_an_older_major_abi,
        a_backend_that_is_newer_than_it_was_asked_to_be, a_backend_that_refuses_without_a_word,
        a_backend_that_leaves_a_function_out, a_backend_with_a_short_table, a_backend_that_fails,
        a_python_that_does_not_start
    ].

a_backend_that_cannot_be_opened(Config) ->
    Application = refusal:application(Config),
    Path = forged_application:file(Application, "forged.so", "this is no shared object"),
    forged_application:manifest(Application, "forged", #{file => "forged.so"}),
    refusal:refused(Application, [], backend_failed, [Path, "cannot be opened"]).

a_backend_with_unresolved_symbols(Config) ->
    refusal:backend(Config, "unresolved", backend_failed, ["cannot be opened", "function_of_another_python"]).

a_backend_without_entry(Config) ->
    refusal:backend(Config, "no_entry", backend_failed, ["erlang_python_backend_entry"]).

a_backend_of_a_newer_minor_abi(Config) ->
    {Major, Minor} = refusal:abi(),
    wrong_abi(Config, "newer_minor", refusal:version(Major, Minor + 1)).

a_backend_of_a_newer_major_abi(Config) ->
    {Major, _} = refusal:abi(),
    wrong_abi(Config, "newer_major", refusal:version(Major + 1, 0)).

a_backend_of_an_older_major_abi(Config) ->
    {Major, _} = refusal:abi(),
    wrong_abi(Config, "older_major", refusal:version((Major - 1) band 16#ffff, 7)).

a_backend_that_is_newer_than_it_was_asked_to_be(Config) ->
    {Major, Minor} = refusal:abi(),
    wrong_abi(Config, "newer_unasked", refusal:version(Major, Minor + 1)).

a_backend_that_refuses_without_a_word(Config) ->
    {Major, Minor} = refusal:abi(),
    refusal:backend(Config, "silent_refusal", abi_mismatch, ["ABI " ++ refusal:version(Major, Minor)]).

a_backend_that_leaves_a_function_out(Config) ->
    refusal:backend(Config, "incomplete", backend_failed, ["ABI " ++ forged_application:abi()]).

a_backend_with_a_short_table(Config) ->
    refusal:backend(Config, "short_table", backend_failed, ["ABI " ++ forged_application:abi()]).

a_backend_that_fails(Config) ->
    refusal:backend(Config, "failing_entry", backend_failed, ["it is not my day; install another one"]).

a_python_that_does_not_start(Config) ->
    refusal:opened(Config, #{file => forged_application:forged("failing_start")}, python_failed,
                   ["forged", "this Python will not start: install a better one"]).

wrong_abi(Config, File, Version) ->
    refusal:backend(Config, File, abi_mismatch,
                    ["ABI " ++ Version ++ " ", "ABI " ++ forged_application:abi() ++ ";", "install"]).
