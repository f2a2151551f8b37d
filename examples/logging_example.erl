%%% @doc A till in Python: what it logs goes to Erlang's logger, and what its work consists of is printed as a tree of
%%% spans.
%%%
%%%   ERL_LIBS=build/dev/lib escript examples/logging_example.erl [FILE]
%%%
%%% FILE gets the spans for a viewer, such as https://ui.perfetto.dev.
-module(logging_example).

-export([main/1]).

-spec main([file:filename()]) -> ok.
main(Files) ->
    {ok, _} = application:ensure_all_started(erlang_python),
    ok = logger:update_formatter_config(default, #{single_line => true, template => [level, " ", msg, "\n"]}),
    ok = py:configure_logging(#{level => info, format => <<"%(name)s: %(message)s">>}),
    ok = py:enable_tracing(),

    ok = py:exec(till()),
    {ok, 8} = py:call('__main__', sell, [[tea, cake]]),
    {error, {'KeyError', "'coffee'"}} = py:call('__main__', sell, [[tea, coffee]]),

    {ok, Spans} = py:get_traces(),
    [ok = py_tracer:export(chrome, File) || File <- Files],
    %% With it all that Python has logged is on its way to the handlers.
    ok = application:stop(erlang_python),
    ok = logger_std_h:filesync(default),
    print(undefined, "", in_order(Spans)).

till() ->
    <<"
import erlang
import logging

log = logging.getLogger('till')
prices = {'tea': 3, 'cake': 5}

@erlang.trace()
def price_of(item):
    log.debug('looking for %s', item)  # below the level: no record is made
    return prices[item]

@erlang.trace()
def sell(items):
    with erlang.Span('add up', things=len(items)) as span:
        total = sum(price_of(item) for item in items)
        span.event('done', total=total)
    log.info('sold %d things for %d', len(items), total)
    if total > 5:
        log.warning('much for one customer')
    return total
">>.

%% They are listed as they ended.
in_order(Spans) -> lists:sort(fun(#{start_time := One}, #{start_time := Other}) -> One =< Other end, Spans).

print(Parent, Indent, Spans) ->
    lists:foreach(fun(#{span_id := Id} = Span) ->
        io:format("~s~ts~n", [Indent, line(Span)]),
        print(Id, Indent ++ "  ", Spans)
    end, [Span || #{parent_id := Of} = Span <- Spans, Of =:= Parent]).

line(#{name := Name, status := ok, duration_us := Duration, events := Events}) ->
    io_lib:format("~ts: ~b us~ts", [Name, Duration, [[", ", Event] || #{name := Event} <- Events]]);
line(#{name := Name, status := error, end_attrs := #{<<"exception">> := Text}}) ->
    io_lib:format("~ts: failed, ~ts", [Name, Text]).
