%%% @doc How results look on a screen. Lines come one by one, since a run takes a while.
-module(bench_table).

-export([head/1, line/2, failed/2, value/2, modes_head/1, modes_line/3]).

%% Of the columns; the first one is left-aligned.
-define(WIDTHS, [46, 14, 14, 5, 14, 4]).
-define(COMPARED_WIDTH, 14).
-define(MODE_WIDTH, 20).

%% @doc The names of the columns, with the two of a comparison when there is one.
-spec head(Compared :: boolean()) -> ok.
head(Compared) ->
    line_of(["what", "measured", "floor", "ratio", "to reach", ""],
            [Name || Compared, Name <- ["before", "now/before"]]),
    line_of([lists:duplicate(Width, $-) || Width <- ?WIDTHS],
            [lists:duplicate(?COMPARED_WIDTH, $-) || Compared, _ <- [before, now]]).

%% @doc A result, beside what the same row measured before, if that is known.
-spec line(bench_row:result(), number() | none) -> ok.
line(#{name := Name, unit := Unit, measured := Measured} = Result, Before) ->
    line_of([Name,
             value(Unit, Measured),
             cell(floor, Result, fun(Floor) -> value(Unit, Floor) end),
             cell(ratio, Result, fun(Ratio) -> io_lib:format("~.2f", [Ratio]) end),
             cell(reach, Result, fun(Reach) -> reach(Unit, Reach) end),
             verdict(bench_row:verdict(Result))],
            compared(Unit, Measured, Before)).

%% @doc A row that could not be measured.
-spec failed(string(), term()) -> ok.
failed(Name, Reason) ->
    io:format("~ts  failed: ~0tp~n", [string:pad(Name, hd(?WIDTHS)), Reason]).

%% @doc The names of the columns of a table with one for each backend.
-spec modes_head([string()]) -> ok.
modes_head(Backends) ->
    modes_line_of("what", Backends),
    modes_line_of(lists:duplicate(hd(?WIDTHS), $-), [lists:duplicate(?MODE_WIDTH, $-) || _ <- Backends]).

%% @doc What a row came to with each of them, and its ratio to mode worker.
-spec modes_line(string(), bench_row:unit(), [{number(), float() | none}]) -> ok.
modes_line(Name, Unit, Results) ->
    modes_line_of(Name, [[value(Unit, Measured), against(Ratio)] || {Measured, Ratio} <- Results]).

against(none) -> "        ";
against(Ratio) -> string:pad(io_lib:format("(~.2f)", [Ratio]), 8, leading).

modes_line_of(What, Cells) ->
    Columns = [right(Cell, ?MODE_WIDTH) || Cell <- Cells],
    io:format("~ts~n", [lists:join("  ", [string:pad(What, hd(?WIDTHS)) | Columns])]).

%% @doc A number with its unit, with as many digits as mean something.
-spec value(bench_row:unit(), number()) -> iolist().
value(us, V) -> [digits(V), " us"];
value(ms, V) -> [digits(V), " ms"];
value(kb, V) -> [digits(V), " KB"];
value(bytes, V) -> [digits(V), " B"];
value(times, V) -> [io_lib:format("~.2f", [float(V)]), " x"];
value(per_second, V) -> [digits(V), " /s"].

cell(Key, Result, Format) ->
    case Result of
        #{Key := Value} -> Format(Value);
        _ -> "-"
    end.

reach(_Unit, {times_floor, Most}) -> io_lib:format("<= ~.1f x floor", [Most]);
reach(Unit, {at_most, Most}) -> ["<= ", value(Unit, Most)];
reach(Unit, {at_least, Least}) -> [">= ", value(Unit, Least)].

verdict(ok) -> "ok";
verdict(over) -> "OVER";
verdict(none) -> "".

compared(_Unit, _Measured, none) -> [];
compared(Unit, _Measured, Before) when Before == 0 -> [value(Unit, Before), "-"];
compared(Unit, Measured, Before) -> [value(Unit, Before), io_lib:format("~.2f", [Measured / Before])].

digits(V) when abs(V) >= 100 -> grouped(round(V));
digits(V) when V == trunc(V) -> integer_to_list(trunc(V));
digits(V) when abs(V) >= 10 -> io_lib:format("~.1f", [V]);
digits(V) -> io_lib:format("~.2f", [V]).

grouped(V) when V < 0 -> [$- | grouped(-V)];
grouped(V) when V < 1000 -> integer_to_list(V);
grouped(V) -> [grouped(V div 1000), io_lib:format(",~3..0b", [V rem 1000])].

line_of([What | Cells], Compared) ->
    [First | Widths] = ?WIDTHS,
    Columns = [right(Cell, Width) || {Cell, Width} <- lists:zip(Cells, Widths)]
              ++ [right(Cell, ?COMPARED_WIDTH) || Cell <- Compared],
    io:format("~ts~n", [lists:join("  ", [string:pad(What, First) | Columns])]).

right(Text, Width) -> string:pad(Text, Width, leading).
