%%% @doc State that Erlang and Python share.
-module(bench_state).

-export([rows/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "state_incr, from Python", unit => us, reach => {at_most, 3},
       measure => fun(_) -> from_python(<<"f('hits')">>, <<"state_incr">>) end},
     #{name => "state_get of a small dict, from Python", unit => us,
       setup => fun() -> ok = py:state_store(<<"small">>, #{<<"a">> => 1, <<"b">> => [1, 2, 3]}) end,
       measure => fun(_) -> from_python(<<"f('small')">>, <<"state_get">>) end},
     #{name => "py:state_incr, from Erlang", unit => us,
       measure => fun(_) -> bench_clock:per_call(fun() -> py:state_incr(<<"hits">>) end) end}].

%% The microseconds of one, by Python's own clock.
from_python(Statement, Function) ->
    {ok, Took} = py:eval(<<"__import__('timeit').timeit(statement, 'from erlang import ' + function + ' as f', "
                           "number=20000) / 20000 * 1e6">>, #{statement => Statement, function => Function}),
    Took.
