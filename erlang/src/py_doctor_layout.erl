%%% @doc Text for a terminal: paragraphs with labels, and tables, within 80 columns as far as words allow.
-module(py_doctor_layout).

-export([line/2, labelled/3, table/2, plain/1]).

-define(WIDTH, 80).

-spec line(string(), [term()]) -> unicode:chardata().
line(Format, Args) ->
    [io_lib:format(Format, Args), $\n].

%% @doc A paragraph behind a label, all of its lines indented alike: the label takes so many columns.
-spec labelled(pos_integer(), string(), unicode:chardata()) -> unicode:chardata().
labelled(Columns, Label, Text) ->
    [First | Rest] = wrapped(string:lexemes(plain(Text), " \n"), ?WIDTH - Columns),
    [string:pad(Label, Columns), First, $\n, [[lists:duplicate(Columns, $\s), Line, $\n] || Line <- Rest]].

%% @doc Rows of cells, indented; every column but the last is as wide as its widest cell.
-spec table(non_neg_integer(), [[string()]]) -> unicode:chardata().
table(Indent, Rows) ->
    Widths = lists:foldl(fun(Row, Widest) -> lists:zipwith(fun erlang:max/2, lengths(Row), Widest) end,
                         lengths(hd(Rows)), tl(Rows)),
    [[lists:duplicate(Indent, $\s), row(Row, Widths), $\n] || Row <- Rows].

%% @doc The characters of a text. Bytes that are no UTF-8, as paths may have them, are taken one by one.
-spec plain(unicode:chardata()) -> string().
plain(Text) ->
    case unicode:characters_to_list(Text) of
        Characters when is_list(Characters) -> Characters;
        _ -> binary_to_list(iolist_to_binary(Text))
    end.

lengths(Row) -> [string:length(Cell) || Cell <- Row].

row([Last], _) -> Last;
row([Cell | Cells], [Width | Widths]) -> [string:pad(Cell, Width + 2), row(Cells, Widths)].

wrapped([], _Width) -> [""];
wrapped([Word | Words], Width) -> wrapped(Words, Word, Width).

wrapped([], Line, _Width) ->
    [Line];
wrapped([Word | Words], Line, Width) ->
    Longer = Line ++ " " ++ Word,
    case string:length(Longer) =< Width of
        true -> wrapped(Words, Longer, Width);
        false -> [Line | wrapped(Words, Word, Width)]
    end.
