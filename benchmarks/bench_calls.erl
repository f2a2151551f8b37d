%%% @doc Calls, evals and casts.
-module(bench_calls).

-export([rows/0]).

-define(CALLERS, 50).
-define(EACH, 2000).
-define(CASTS, 50000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "py:call(math, sqrt, [16]), one caller", unit => us, reach => {times_floor, 1.6},
       setup => fun bench_floor:context/0, floor => fun bench_floor:one_caller/1,
       measure => fun(_) -> bench_clock:per_call(fun() -> call(none) end) end},
     #{name => "py:eval(<<\"1 + 2\">>), one caller", unit => us, reach => {times_floor, 1.8},
       setup => fun bench_floor:context/0, floor => fun bench_floor:one_caller/1,
       measure => fun(_) -> bench_clock:per_call(fun() -> eval(none) end) end},
     #{name => "50 callers at once, calls", unit => per_second, reach => {at_least, 300000},
       floor => fun many_handoffs/1, measure => fun(_) -> many(fun call/1) end},
     #{name => "50 callers at once, evals", unit => per_second, reach => {at_least, 250000},
       floor => fun many_handoffs/1, measure => fun(_) -> many(fun eval/1) end},
     #{name => "cast and message back", unit => per_second, reach => {at_least, 300000},
       measure => fun casts/1}].

call(_) ->
    {ok, 4.0} = py:call(math, sqrt, [16]).

eval(_) ->
    {ok, 3} = py:eval(<<"1 + 2">>).

many(Fun) ->
    bench_clock:callers(?CALLERS, ?EACH, {fun() -> none end, Fun}).

many_handoffs(_) ->
    bench_floor:callers(?CALLERS, ?EACH).

%% One process casts, another gets the messages.
casts(_) ->
    Self = self(),
    Took = bench_clock:milliseconds(fun() ->
        spawn_link(fun() -> [ok = py:cast(erlang, send, [Self, back]) || _ <- lists:seq(1, ?CASTS)] end),
        [receive <<"back">> -> ok end || _ <- lists:seq(1, ?CASTS)]
    end),
    ?CASTS * 1000 / Took.
