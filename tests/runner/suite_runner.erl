%%% @doc Runs one Common Test suite and ends the VM with what it came to. Leaves a summary beside the logs; what CT itself
%%% prints is for tests/run_suite to keep or to show.
-module(suite_runner).

-export([main/1]).

%% A suite that hangs is stopped here, where the case that hangs can still be named, before ctest's own limit.
-define(LIMIT, 900).

%% @doc Arguments: suite, directory of its module, directory for logs, cases (all when there are none).
-spec main([string()]) -> no_return().
main([Suite, Ebin, Logs | Cases]) ->
    Limit = list_to_integer(os:getenv("EP_TEST_LIMIT", integer_to_list(?LIMIT))),
    {ok, _} = timer:apply_after(timer:seconds(Limit), erlang, apply, [fun() -> give_up(Limit) end, []]),
    Result = ct:run_test([
        {suite, Suite}, {dir, Ebin}, {logdir, Logs}, {auto_compile, false}, {ct_hooks, [suite_report]}
        | [{testcase, [list_to_atom(Case) || Case <- Cases]} || Cases =/= []]
    ]),
    {Text, Status} = verdict(Result),
    Failures = suite_report:failures(),
    Summary = io_lib:format("~ts~ts: ~ts~n", [Failures, Suite, Text]),
    ok = file:write_file(filename:join(Logs, "summary"), unicode:characters_to_binary(Summary)),
    halt(Status).

verdict({Ok, Failed, {UserSkipped, AutoSkipped}}) ->
    Text = io_lib:format("~b ok, ~b failed, ~b skipped", [Ok, Failed, UserSkipped + AutoSkipped]),
    {Text, case Ok > 0 andalso Failed + AutoSkipped =:= 0 of true -> 0; false -> 1 end};
verdict({error, Reason}) ->
    {io_lib:format("not run: ~tp", [Reason]), 2}.

give_up(Limit) ->
    io:format(user, "~nThe suite did not end within ~b seconds. Running now: ~tp~n", [Limit, suite_report:running()]),
    halt(3, [{flush, false}]).
