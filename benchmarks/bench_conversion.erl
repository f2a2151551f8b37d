%%% @doc Terms to Python and back. Each row is a whole py:call, whose own few microseconds are in it.
-module(bench_conversion).

-export([rows/0]).

-spec rows() -> [bench_row:row()].
rows() ->
    Ints = lists:seq(1, 10000),
    Floats = [I + 0.5 || I <- Ints],
    Map = maps:from_list([{<<"key number ", (integer_to_binary(I))/binary>>, I} || I <- lists:seq(1, 2000)]),
    Document = [record(I) || I <- lists:seq(1, 200)],
    Binary = << <<(I rem 256)>> || I <- lists:seq(1, 1024 * 1024)>>, % no UTF-8, so bytes in Python
    [into("10,000 small ints in", Ints, 150),
     out_of("10,000 small ints out", Ints, 120),
     there_and_back("10,000 floats, round trip", Floats, 350),
     into("map of 2,000 string keys in", Map, 250),
     out_of("map of 2,000 string keys out", Map, 350),
     there_and_back("document of 200 records, round trip", Document, 200),
     into("1 MB binary in", Binary, none),
     out_of("1 MB binary out", Binary, none),
     array_out("array of 1,000,000 floats out", <<"__import__('array').array('d', range(1_000_000))">>),
     array_out("the same by its tolist()", <<"__import__('array').array('d', range(1_000_000)).tolist()">>)].

%% As a JSON parser would give it.
record(I) ->
    #{<<"id">> => I,
      <<"name">> => <<"name of ", (integer_to_binary(I))/binary>>,
      <<"score">> => I / 7,
      <<"active">> => I rem 2 =:= 0,
      <<"tags">> => [<<"red">>, <<"green">>]}.

into(Name, Term, Most) ->
    row(Name, fun() -> {ok, _} = py:call(builtins, len, [Term]) end, Most).

there_and_back(Name, Term, Most) ->
    row(Name, fun() -> {ok, _} = py:call('__main__', same, [Term]) end, Most).

%% The value is made once, before the clock runs.
out_of(Name, Term, Most) ->
    Row = row(Name, fun() -> {ok, _} = py:call('__main__', kept, []) end, Most),
    Row#{setup => fun() -> define(), {ok, _} = py:call('__main__', keep, [Term]) end}.

array_out(Name, Code) ->
    Row = row(Name, fun() -> {ok, _} = py:call('__main__', kept, [], #{}, infinity) end, none),
    Row#{setup => fun() ->
             define(),
             {ok, _} = py:eval(<<"globals().__setitem__('kept_value', ", Code/binary, ")">>)
         end}.

row(Name, Fun, Most) ->
    Row = #{name => Name, unit => us, setup => fun define/0, measure => fun(_) -> bench_clock:per_call(Fun) end},
    case Most of
        none -> Row;
        _ -> Row#{reach => {at_most, Most}}
    end.

define() ->
    ok = py:exec(<<"def same(value): return value\n"
                   "def keep(value): global kept_value; kept_value = value\n"
                   "def kept(): return kept_value\n">>).
