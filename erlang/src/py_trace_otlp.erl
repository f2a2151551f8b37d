%%% @doc Spans in the JSON form of OTLP, the protocol of OpenTelemetry.
%%%
%%% The message is an ExportTraceServiceRequest of
%%% https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto; how it is
%%% JSON is said in https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: identifiers in hexadecimal, 64 bit
%%% numbers as strings, enumerations as numbers.
-module(py_trace_otlp).

-export([document/1]).

-define(KIND_INTERNAL, 1).
-define(STATUS_OK, 1).
-define(STATUS_ERROR, 2).

-spec document([py_tracer:span()]) -> py_json:value().
document(Spans) ->
    Parents = maps:from_list([{Id, Parent} || #{span_id := Id, parent_id := Parent} <- Spans]),
    Offset = unix_offset(),
    Scope = #{<<"name">> => <<"erlang_python">>, <<"version">> => version()},
    #{<<"resourceSpans">> =>
          [#{<<"resource">> => #{<<"attributes">> => attributes(#{<<"service.name">> => service()})},
             <<"scopeSpans">> => [#{<<"scope">> => Scope,
                                    <<"spans">> => [span(Span, Parents, Offset) || Span <- Spans]}]}]}.

span(#{name := Name, span_id := Id, parent_id := Parent, start_time := Start, end_time := End, status := Status,
       attributes := Attributes, end_attrs := EndAttributes, events := Events}, Parents, Offset) ->
    Span = #{<<"traceId">> => hex(root(Id, Parents), 32),
             <<"spanId">> => hex(Id, 16),
             <<"name">> => py_trace_json:text(Name),
             <<"kind">> => ?KIND_INTERNAL,
             <<"startTimeUnixNano">> => unix_nano(Start, Offset),
             <<"endTimeUnixNano">> => unix_nano(End, Offset),
             <<"attributes">> => attributes(maps:merge(Attributes, EndAttributes)),
             <<"events">> => [#{<<"timeUnixNano">> => unix_nano(Time, Offset),
                                <<"name">> => py_trace_json:text(Event),
                                <<"attributes">> => attributes(Attrs)}
                              || #{name := Event, attrs := Attrs, time := Time} <- Events],
             <<"status">> => status(Status, EndAttributes)},
    case Parent of
        undefined -> Span;
        _ -> Span#{<<"parentSpanId">> => hex(Parent, 16)}
    end.

%% A trace is known by its outermost span, also when that has not ended yet.
root(Id, Parents) ->
    case Parents of
        #{Id := Parent} when Parent =/= undefined -> root(Parent, Parents);
        _ -> Id
    end.

status(ok, _) -> #{<<"code">> => ?STATUS_OK};
status(error, #{<<"exception">> := Text}) -> #{<<"code">> => ?STATUS_ERROR, <<"message">> => py_trace_json:text(Text)};
status(error, _) -> #{<<"code">> => ?STATUS_ERROR}.

attributes(Map) ->
    [#{<<"key">> => Key, <<"value">> => any_value(Value)}
     || {Key, Value} <- lists:sort(maps:to_list(py_trace_json:object(Map)))].

any_value(null) -> #{};
any_value(Flag) when is_boolean(Flag) -> #{<<"boolValue">> => Flag};
any_value(Int) when is_integer(Int), Int >= -(1 bsl 63), Int < 1 bsl 63 -> #{<<"intValue">> => integer_to_binary(Int)};
any_value(Large) when is_integer(Large) -> #{<<"stringValue">> => integer_to_binary(Large)};
any_value(Float) when is_float(Float) -> #{<<"doubleValue">> => Float};
any_value(Text) when is_binary(Text) -> #{<<"stringValue">> => Text};
any_value(List) when is_list(List) -> #{<<"arrayValue">> => #{<<"values">> => [any_value(V) || V <- List]}};
any_value(Map) when is_map(Map) -> #{<<"kvlistValue">> => #{<<"values">> => attributes(Map)}}.

hex(Number, Digits) ->
    iolist_to_binary(io_lib:format("~*.16.0b", [Digits, Number])).

unix_nano(Microseconds, Offset) ->
    integer_to_binary(Microseconds * 1000 + Offset).

%% From the clock of spans, which is that of the operating system as Erlang sees it, to the time of day.
unix_offset() ->
    {time, Monotonic} = lists:keyfind(time, 1, erlang:system_info(os_monotonic_time_source)),
    erlang:system_time(nanosecond) - erlang:convert_time_unit(Monotonic, native, nanosecond).

service() -> <<"erlang_python">>.

version() ->
    {ok, Version} = application:get_key(erlang_python, vsn),
    list_to_binary(Version).
