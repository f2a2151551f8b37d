%%% @doc A million of everything that comes and goes, to see whether resident memory stays where it is. Prints; a person
%%% judges.
-module(bench_soak).

-export([run/2]).

-type kind() :: {Name :: string(), Share :: pos_integer(), fun(() -> term())}.

%% How many parts a run has. After the first one memory counts as warmed up.
-define(PARTS, 10).

%% @doc Does so many of them in the shares below, of the kinds that Wanted says yes to.
-spec run(pos_integer(), fun((string()) -> boolean())) -> ok.
run(Count, Wanted) ->
    ok = py:register_function(bench_echo, fun([Value]) -> Value end),
    Kinds = [Kind || {Name, _, _} = Kind <- kinds(), Wanted(Name)],
    Shares = [[integer_to_list(Share), $\s, Name] || {Name, Share, _} <- Kinds],
    io:format("~b, in rounds of ~ts~n", [Count, lists:join(", ", Shares)]),
    Marks = [part(Part, Count div ?PARTS, Kinds) || Part <- lists:seq(1, ?PARTS)],
    io:format("growth after the first part: ~.1f KB~n", [(lists:last(Marks) - hd(Marks)) / 1024]),
    io:format("left: ~0p~n", [py_nif:counters()]).

-spec kinds() -> [kind()].
kinds() ->
    [{"calls", 600, fun() -> {ok, 4.0} = py:call(math, sqrt, [16]) end},
     {"evals", 90, fun() -> {ok, 3} = py:eval(<<"1 + 2">>) end},
     {"callbacks", 200, fun() -> {ok, 1} = py:eval(<<"erlang.call('bench_echo', 1)">>) end},
     {"casts with a callback", 90, fun() -> py:cast(erlang, call, [bench_echo, 1]) end},
     {"errors", 10, fun() -> {error, {'ValueError', _}} = py:call(math, sqrt, [-1]) end},
     {"timeouts", 2, fun() -> {error, timeout} = py:eval(<<"any(False for _ in iter(int, 1))">>, #{}, 1) end},
     {"killed callers", 7, fun killed_caller/0},
     {"context restarts", 1, fun restarted_context/0}].

%% Resident memory after it.
part(Part, Count, Kinds) ->
    Rounds = max(1, Count div lists:sum([Share || {_, Share, _} <- Kinds])),
    Took = bench_clock:milliseconds(fun() -> [in_own_process(Kinds) || _ <- lists:seq(1, Rounds)] end),
    _ = [garbage_collect(Pid) || Pid <- processes()],
    timer:sleep(500),
    Resident = bench_proc:resident(),
    io:format("  ~3b %  ~ts KB resident  (~.1f s)~n",
              [Part * 100 div ?PARTS, string:pad(integer_to_list(Resident div 1024), 8, leading), Took / 1000]),
    Resident.

%% A process for each round, so that Python environments come and go, too.
in_own_process(Kinds) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        _ = [Fun() || {_, Share, Fun} <- Kinds, _ <- lists:seq(1, Share)],
        %% Everything cast before this one to the same context.
        {ok, _} = py:call(math, sqrt, [16])
    end),
    receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end.

%% Killed before it starts, while it waits for its turn, while Python runs, or afterwards.
killed_caller() ->
    {Pid, Monitor} = spawn_monitor(fun() -> py:eval(<<"sum(range(10000))">>) end),
    [erlang:yield() || _ <- lists:seq(1, rand:uniform(200))],
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

restarted_context() ->
    {ok, Context} = py_context:new(#{mode => py:execution_mode()}),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    ok = py_context:stop(Context).
