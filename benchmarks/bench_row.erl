%%% @doc A row of the table: what is measured, beside what, and what it should come to.
%%%
%%% The machine is never alone, so a number by itself says little. Where there is a floor, rounds of it and of the row
%%% take turns, and the ratio is the median of what the pairs came to.
-module(bench_row).

-export([run/2, verdict/1, median/1, ratio/3]).

-export_type([row/0, reach/0, unit/0, result/0]).

-type unit() :: us | ms | per_second | kb | bytes | times.
-type reach() :: {times_floor, float()} | {at_most, number()} | {at_least, number()}.
-type row() :: #{name := string(),
                 unit := unit(),
                 %% One round; gets what `setup' returned, in the same process.
                 measure := fun((term()) -> number()),
                 %% The same path with an empty body, in the same unit.
                 floor => fun((term()) -> number()),
                 setup => fun(() -> term()),
                 reach => reach(),
                 %% At most so many, for rows that take long or do not vary.
                 rounds => pos_integer()}.
-type result() :: #{name := string(),
                    unit := unit(),
                    measured := number(),
                    floor => number(),
                    %% How many times as long as the floor; more than 1 is slower for rates, too.
                    ratio => float(),
                    reach => reach()}.

%% @doc Runs a row in a process of its own, so that rows share neither heap nor Python environment.
-spec run(row(), pos_integer()) -> {ok, result()} | {error, term()}.
run(Row, Rounds) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({measured, measured(Row, Rounds)}) end),
    receive
        {'DOWN', Monitor, process, Pid, {measured, Result}} -> {ok, Result};
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

%% @doc Whether a result is what it should be; `none' when nothing was asked.
-spec verdict(result()) -> ok | over | none.
verdict(#{reach := {times_floor, Most}, ratio := Ratio}) -> within(Ratio =< Most);
verdict(#{reach := {at_most, Most}, measured := Measured}) -> within(Measured =< Most);
verdict(#{reach := {at_least, Least}, measured := Measured}) -> within(Measured >= Least);
verdict(_) -> none.

within(true) -> ok;
within(false) -> over.

measured(Row, Rounds) ->
    Setup = maps:get(setup, Row, fun() -> undefined end),
    State = Setup(),
    Count = min(Rounds, maps:get(rounds, Row, Rounds)),
    Count > 1 andalso round(Row, State), % the first one warms up
    Pairs = [round(Row, State) || _ <- lists:seq(1, Count)],
    maps:merge(maps:with([name, unit, reach], Row), summary(Row, Pairs)).

round(#{measure := Measure, floor := Floor}, State) ->
    garbage_collect(),
    Bottom = Floor(State),
    garbage_collect(),
    {Bottom, Measure(State)};
round(#{measure := Measure}, State) ->
    garbage_collect(),
    {none, Measure(State)}.

summary(#{floor := _, unit := Unit}, Pairs) ->
    #{measured => median([Measured || {_, Measured} <- Pairs]),
      floor => median([Bottom || {Bottom, _} <- Pairs]),
      ratio => median([ratio(Unit, Bottom, Measured) || {Bottom, Measured} <- Pairs])};
summary(_, Pairs) ->
    #{measured => median([Measured || {none, Measured} <- Pairs])}.

%% @doc How many times as long as the first number the second one means.
-spec ratio(unit(), number(), number()) -> float().
ratio(per_second, Bottom, Measured) -> Bottom / Measured;
ratio(_, Bottom, Measured) -> Measured / Bottom.

-spec median([number()]) -> number().
median(Numbers) ->
    Sorted = lists:sort(Numbers),
    Size = length(Sorted),
    case Size rem 2 of
        1 -> lists:nth(Size div 2 + 1, Sorted);
        0 -> (lists:nth(Size div 2, Sorted) + lists:nth(Size div 2 + 1, Sorted)) / 2
    end.
