%%% @doc What records and spans cost the Python code that makes them.
-module(bench_logging).

-export([rows/0]).

-define(COUNT, 20000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "logging.debug, filtered by the level", unit => us,
       setup => fun() -> ok = py:configure_logging(#{level => warning}) end,
       measure => fun(_) -> each(<<"import logging">>, <<"logging.debug('%d', 1)">>) end},
     %% Most are dropped, as in any flood; either way Python makes a record and its text.
     #{name => "logging.info, sent", unit => us,
       setup => fun quiet/0,
       measure => fun(_) -> each(<<"import logging">>, <<"logging.info('%d', 1)">>) end},
     #{name => "a span, tracing off", unit => us,
       setup => fun() -> ok = py:disable_tracing() end,
       measure => fun(_) -> each(<<"from erlang import Span">>, <<"with Span('s', n=1): pass">>) end},
     #{name => "a span, tracing on", unit => us,
       setup => fun() -> ok = py:enable_tracing() end,
       measure => fun(_) ->
           ok = py:clear_traces(),
           Took = each(<<"from erlang import Span">>, <<"with Span('s', n=1): pass">>),
           ok = py:clear_traces(),
           Took
       end}].

%% Nothing is printed into the table.
quiet() ->
    ok = py:configure_logging(#{level => info}),
    ok = logger:set_module_level(py_logger, none).

%% The microseconds of one, by Python's own clock.
each(Setup, Statement) ->
    {ok, Took} = py:eval(<<"__import__('timeit').timeit(statement, setup, number=count) / count * 1e6">>,
                         #{statement => Statement, setup => Setup, count => ?COUNT}),
    Took.
