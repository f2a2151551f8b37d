%%% @doc Results in a file, to be compared with those of another run: CSV, the name last.
-module(bench_file).

-export([write/2, read/1]).

-spec write(file:name(), [bench_row:result()]) -> ok | {error, file:posix()}.
write(File, Results) ->
    Lines = ["unit,measured,floor,name\n" | [line(Result) || Result <- Results]],
    file:write_file(File, unicode:characters_to_binary(Lines)).

%% @doc What each row measured.
-spec read(file:name()) -> #{string() => number()}.
read(File) ->
    {ok, Text} = file:read_file(File),
    [_Head | Lines] = string:lexemes(unicode:characters_to_list(Text), "\n"),
    maps:from_list([parse(Line) || Line <- Lines]).

line(#{name := Name, unit := Unit, measured := Measured} = Result) ->
    Floor = case Result of
        #{floor := Value} -> number(Value);
        _ -> ""
    end,
    [atom_to_list(Unit), $,, number(Measured), $,, Floor, $,, $", string:replace(Name, "\"", "\"\"", all), $", $\n].

number(Value) -> io_lib:format("~.3f", [float(Value)]).

parse(Line) ->
    [_Unit, Rest] = string:split(Line, ","),
    [Measured, Rest1] = string:split(Rest, ","),
    [_Floor, Quoted] = string:split(Rest1, ","),
    Name = string:replace(string:slice(Quoted, 1, string:length(Quoted) - 2), "\"\"", "\"", all),
    {unicode:characters_to_list(Name), list_to_float(Measured)}.
