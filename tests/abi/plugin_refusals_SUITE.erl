%%% @doc Plugins that cannot be had: where all that are found are wanted, the application does without them and logs why;
%%% where they are listed, it does not start. What others there are can be had.
-module(plugin_refusals_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0]).
-export([
    a_plugin_that_fits_is_loaded/1, a_plugin_may_have_no_functions/1, no_entry/1, a_newer_table/1,
    a_newer_major_version/1, an_entry_that_fails/1, an_entry_that_fails_without_a_word/1, an_error_without_an_end/1,
    an_open_that_fails/1, an_open_that_fails_without_a_word/1, a_count_without_functions/1, a_table_that_is_too_short/1,
    a_function_without_a_body/1, a_function_without_a_name/1, a_function_with_too_long_a_name/1,
    a_function_with_too_many_arguments/1, a_symbol_nobody_has/1, a_file_that_is_no_shared_object/1, an_empty_file/1,
    a_directory/1, the_first_of_two_with_one_name_wins/1, one_that_is_refused_leaves_its_name_to_the_next/1,
    a_name_nobody_has/1, functions_that_answer_oddly/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_plugin_that_fits_is_loaded, a_plugin_may_have_no_functions, no_entry, a_newer_table,
        a_newer_major_version, an_entry_that_fails, an_entry_that_fails_without_a_word, an_error_without_an_end,
        an_open_that_fails, an_open_that_fails_without_a_word, a_count_without_functions, a_table_that_is_too_short,
        a_function_without_a_body, a_function_without_a_name, a_function_with_too_long_a_name,
        a_function_with_too_many_arguments, a_symbol_nobody_has, a_file_that_is_no_shared_object, an_empty_file,
        a_directory, the_first_of_two_with_one_name_wins, one_that_is_refused_leaves_its_name_to_the_next,
        a_name_nobody_has, functions_that_answer_oddly
    ].

%% ---------------------------------------------------------------------------------------------------------------------
%% What the others are compared with

a_plugin_that_fits_is_loaded(Config) ->
    loaded(Config, "whole", {ok, 42}).

a_plugin_may_have_no_functions(Config) ->
    Application = refusal:application(Config),
    forged_application:plugin(Application, "forged", "empty", #{}),
    forged_application:plugin(Application, "whole", "whole", #{}),
    #{all := ok, log := [], listed := ok, answers := {ok, 42}} = attempt(Application, [whole, forged]),
    ok.

loaded(Config, Forged, Answers) ->
    Application = refusal:application(Config),
    forged_application:plugin(Application, "forged", Forged, #{}),
    Observed = attempt(Application, [forged]),
    ?assertMatch(#{all := ok, log := [], listed := ok, answers := Answers}, Observed),
    ?assertMatch([#{status := loaded, kind := plugin}], listing(Observed)),
    refusal:assert_says(["loaded  forged"], re:replace(maps:get(doctor, Observed), " +", "  ",
                                                      [global, {return, binary}])).

%% ---------------------------------------------------------------------------------------------------------------------
%% Tables

no_entry(Config) ->
    refused(Config, "no_entry", plugin_failed, ["erlang_python_plugin_entry", "it is no plugin", "forged.json"]).

a_newer_table(Config) ->
    {Major, Minor} = refusal:abi(),
    refused(Config, "newer_minor", abi_mismatch, [refusal:version(Major, Minor + 1), refusal:version(Major, Minor)]).

a_newer_major_version(Config) ->
    {Major, Minor} = refusal:abi(),
    refused(Config, "newer_major", abi_mismatch, [refusal:version(Major + 1, 0), refusal:version(Major, Minor)]).

an_entry_that_fails(Config) ->
    refused(Config, "failing_entry", plugin_failed, ["this plugin is forged"]).

an_entry_that_fails_without_a_word(Config) ->
    refused(Config, "silent_entry", plugin_failed, ["does not want to be loaded", "does not say why"]).

an_error_without_an_end(Config) ->
    Said = lists:duplicate(1023, $e),
    #{listed := {error, {plugin_failed, Text}}} = observe(Config, "endless_entry"),
    ?assertEqual(Said, lists:nthtail(string:length(Text) - 1023, unicode:characters_to_list(Text))).

an_open_that_fails(Config) ->
    refused(Config, "failing_open", plugin_failed, ["could not be opened", "there is nothing to open here"]).

an_open_that_fails_without_a_word(Config) ->
    refused(Config, "silent_open", plugin_failed, ["could not be opened", "does not say why"]).

a_count_without_functions(Config) ->
    refused(Config, "without_functions", plugin_failed, ["left functions out of its table"]).

a_table_that_is_too_short(Config) ->
    refused(Config, "short_table", plugin_failed, ["left functions out of its table"]).

a_function_without_a_body(Config) ->
    refused(Config, "no_body", plugin_failed, ["without a body"]).

a_function_without_a_name(Config) ->
    refused(Config, "no_name", plugin_failed, ["without a name"]).

a_function_with_too_long_a_name(Config) ->
    refused(Config, "long_name", plugin_failed, ["a name of more than 255 characters"]).

a_function_with_too_many_arguments(Config) ->
    refused(Config, "too_many_arguments", plugin_failed, ["greedy of 7 arguments", "6 are the most"]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Files

a_symbol_nobody_has(Config) ->
    refused(Config, "unresolved", plugin_failed, ["cannot be opened", "nobody_has_this", "forged.json"]).

a_file_that_is_no_shared_object(Config) ->
    Application = refusal:application(Config),
    File = forged_application:file(Application, "text.so", "no ELF, and nothing else either"),
    forged_application:plugin(Application, "forged", "whole", #{file => File}),
    assert_refused(attempt(Application, [forged]), plugin_failed, [File, "cannot be opened"]).

an_empty_file(Config) ->
    Application = refusal:application(Config),
    File = forged_application:file(Application, "empty.so", ""),
    forged_application:plugin(Application, "forged", "whole", #{file => File}),
    assert_refused(attempt(Application, [forged]), plugin_failed, [File, "cannot be opened"]).

%% Its manifest is refused already.
a_directory(Config) ->
    #{found := Found} = Application = refusal:application(Config),
    Directory = filename:join(Found, "directory.so"),
    ok = file:make_dir(Directory),
    forged_application:plugin(Application, "forged", "whole", #{file => Directory}),
    Observed = attempt(Application, [forged]),
    ?assertMatch(#{all := ok, log := []}, Observed),
    #{listed := {error, {Code, Text}}} = Observed,
    ?assertEqual(plugin_refused, Code),
    refusal:assert_says([Directory, "is no file"], Text),
    refusal:assert_listed(["is no file"], Observed).

%% ---------------------------------------------------------------------------------------------------------------------
%% Names

the_first_of_two_with_one_name_wins(Config) ->
    Application = refusal:application(Config),
    First = forged_application:plugin(Application, "1", "whole", #{name => "forged"}),
    Second = forged_application:plugin(Application, "2", "failing_open", #{name => "forged"}),
    #{all := ok, log := [], listed := ok, answers := {ok, 42}, doctor := Doctor} = Observed =
        attempt(Application, [forged]),
    FirstPath = list_to_binary(First),
    SecondPath = list_to_binary(Second),
    ?assertMatch([#{status := loaded, manifest := FirstPath}, #{status := refused, manifest := SecondPath}],
                 listing(Observed)),
    [_, #{reason := Reason}] = listing(Observed),
    refusal:assert_says([First, "has the same name and comes first"], Reason),
    refusal:assert_says(["remove one of them, or change"], Doctor).

one_that_is_refused_leaves_its_name_to_the_next(Config) ->
    {Major, Minor} = refusal:abi(),
    Application = refusal:application(Config),
    forged_application:plugin(Application, "1", "whole", #{name => "forged", abi => refusal:version(Major, Minor + 1)}),
    forged_application:plugin(Application, "2", "whole", #{name => "forged"}),
    #{all := ok, log := [], listed := ok, answers := {ok, 42}} = Observed = attempt(Application, [forged]),
    ?assertMatch([#{status := refused}, #{status := loaded}], listing(Observed)).

a_name_nobody_has(Config) ->
    Application = refusal:application(Config),
    #{all := ok, log := [], listed := {error, {Code, Text}}, answers := Answers} = Observed =
        attempt(Application, [forged]),
    ?assertEqual(plugin_not_found, Code),
    refusal:assert_says(["there is no plugin forged"], Text),
    refusal:assert_mends(Text),
    ?assertEqual({error, {plugin_not_loaded, forged}}, Answers),
    assert_application_says(Code, Text, Observed).

%% ---------------------------------------------------------------------------------------------------------------------
%% Functions

functions_that_answer_oddly(Config) ->
    Application = refusal:application(Config),
    forged_application:plugin(Application, "forged", "odd_answers", #{}),
    Scheduler = 1, DirtyCpu = 2, DirtyIo = 3, % ERL_NIF_THR_*
    forged_application:with_vm(Application, [], fun(Run) ->
        Run(application, load, [erlang_python]),
        ok = Run(py_nif, configure, [#{}]),
        ok = Run(py_plugin, load, []),
        Call = fun(Args) -> Run(py_nif, plugin_call, [forged | Args]) end,
        [?assertEqual({Args, Result}, {Args, Call(Args)})
         || {Args, Result} <- [{[nothing], ok}, {[failed], {error, failed}}, {[closed], {error, closed}},
                               {[unknown], {error, failed}}, {[pending], pending},
                               {[always_too_long], {error, failed}}, {[where], {ok, Scheduler}},
                               {[where_cpu], {ok, DirtyCpu}}, {[where_io], {ok, DirtyIo}},
                               {[where_too_long], {ok, DirtyCpu}}, {[unknown_flags], {ok, Scheduler}},
                               {[which, a], {ok, a}}, {[which, a, b, c, d, e, f], {ok, f}},
                               {[elsewhere], {ok, "elsewhere"}}]],
        ?assertError(badarg, Call([wrong_kind])),
        ?assertError({no_plugin_function, {forged, which, 2}}, Call([which, a, b])),
        ?assertError({no_plugin_function, {forged, nowhere, 0}}, Call([nowhere])),
        Wait = fun(Function, Args) -> Run(py_plugin, wait, [forged, Function, Args, 10]) end,
        {error, timeout} = Wait(pending, []),
        {error, failed} = Wait(always_too_long, []),
        {ok, f} = Wait(which, [a, b, c, d, e, f]),
        ?assertError(badarg, Wait(which, [a, b, c, d, e, f, g])),
        ?assertMatch(#{wakers := 0}, counters(Run))
    end).

%% Wakers of processes that are gone are garbage until the VM has collected it.
counters(Run) ->
    [Run(erlang, garbage_collect, [Pid]) || Pid <- Run(erlang, processes, [])],
    Run(py_nif, counters, []).

%% ---------------------------------------------------------------------------------------------------------------------

refused(Config, Forged, Code, Parts) ->
    assert_refused(observe(Config, Forged), Code, [Forged ++ ".so" | Parts]).

%% The forged plugin under the name forged, and one that is fine, which stays so.
observe(Config, Forged) ->
    Application = refusal:application(Config),
    forged_application:plugin(Application, "forged", Forged, #{}),
    forged_application:plugin(Application, "whole", "whole", #{}),
    Observed = attempt(Application, [forged, whole]),
    ?assertMatch([#{status := loaded}], [P || P = #{name := <<"whole">>} <- maps:get(backends, Observed)]),
    Observed.

assert_refused(#{listed := Result, answers := Answers, all := All, log := Log} = Observed, Code, Parts) ->
    ?assertMatch({error, {Code, _}}, Result),
    {error, {Code, Text}} = Result,
    refusal:assert_says(Parts, Text),
    refusal:assert_mends(Text),
    ?assertEqual({error, {plugin_not_loaded, forged}}, Answers),
    ?assertEqual(ok, All),
    ?assertMatch([_], Log),
    refusal:assert_says(["does without the plugin forged" | Parts], hd(Log)),
    refusal:assert_listed([], Observed),
    [#{reason := Reason}] = listing(Observed),
    ?assertEqual(Text, Reason),
    assert_application_says(Code, Text, Observed).

assert_application_says(Code, Text, #{application := Result}) ->
    ?assertMatch({error, {erlang_python, {{Code, _}, {erlang_python_app, start, _}}}}, Result),
    {error, {erlang_python, {{Code, Characters}, _}}} = Result,
    ?assertEqual(Text, unicode:characters_to_binary(Characters)).

listing(#{backends := Backends}) ->
    [Plugin || Plugin = #{kind := plugin, name := <<"forged">>} <- Backends].

attempt(Application, Listed) ->
    forged_application:with_vm(Application, [],
                               fun(Call) -> Call(forged_application, attempt_plugins, [Listed]) end).
