%%% @doc Spans in the Trace Event Format, as a JSON array of events, which Perfetto and `chrome://tracing' show.
%%%
%%% The format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUNn5OOQtYMH4h6I0nSsKchNAySU. A span is a complete
%%% event, "X", what happened in it an instant event, "i".
%%%
%%% Viewers show each thread as one row and take what overlaps in a row as nested. Spans of asyncio tasks overlap
%%% without being nested, so a row here is no thread: a span is in the row of its parent if it has that to itself, otherwise in
%%% the first that is free.
-module(py_trace_chrome).

-export([document/1]).

-define(PROCESS, 1).

-spec document([py_tracer:span()]) -> py_json:value().
document(Spans) ->
    %% A parent comes before its children; of those that took no microsecond, it is the one that ended last.
    ByStart = lists:sort([{Start, -End, -Number, Span}
                          || {Number, #{start_time := Start, end_time := End} = Span} <- lists:enumerate(Spans)]),
    {Events, _} = lists:mapfoldl(fun place/2, [], [Span || {_, _, _, Span} <- ByStart]),
    lists:append(Events).

%% Rows are stacks of the spans that are open in them, with the innermost first.
place(#{span_id := Id, start_time := Start, end_time := End} = Span, Rows) ->
    Open = [lists:dropwhile(fun({_, Until}) -> Until =< Start end, Row) || Row <- Rows],
    {Number, Placed} = row(Span, {Id, End}, Open, 1, []),
    {[complete(Span, Number) | instants(Span, Number)], Placed}.

row(_Span, Entry, [], Number, Before) ->
    {Number, lists:reverse(Before, [[Entry]])};
row(#{parent_id := Parent} = Span, {_, End} = Entry, [Row | Rows], Number, Before) ->
    case Row of
        [] -> take(Entry, Row, Rows, Number, Before);
        [{Parent, Until} | _] when End =< Until -> take(Entry, Row, Rows, Number, Before);
        _ -> row(Span, Entry, Rows, Number + 1, [Row | Before])
    end.

take(Entry, Row, Rows, Number, Before) ->
    {Number, lists:reverse(Before, [[Entry | Row] | Rows])}.

complete(#{name := Name, span_id := Id, parent_id := Parent, start_time := Start, duration_us := Duration,
           status := Status, attributes := Attributes, end_attrs := EndAttributes}, Row) ->
    Own = #{<<"span_id">> => id(Id), <<"parent_id">> => id(Parent), <<"status">> => atom_to_binary(Status, utf8)},
    Args = maps:merge(Own, py_trace_json:object(maps:merge(Attributes, EndAttributes))),
    event(<<"X">>, Name, Start, Row, #{<<"dur">> => Duration, <<"args">> => Args}).

instants(#{events := Events}, Row) ->
    [event(<<"i">>, Name, Time, Row, #{<<"s">> => <<"t">>, <<"args">> => py_trace_json:object(Attributes)})
     || #{name := Name, attrs := Attributes, time := Time} <- Events].

event(Phase, Name, Time, Row, More) ->
    More#{<<"ph">> => Phase, <<"name">> => py_trace_json:text(Name), <<"cat">> => <<"python">>, <<"ts">> => Time,
          <<"pid">> => ?PROCESS, <<"tid">> => Row}.

%% As text: JavaScript has no integers of 64 bits.
id(undefined) -> null;
id(Id) -> string:lowercase(integer_to_binary(Id, 16)).
