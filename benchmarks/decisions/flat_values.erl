%%% @doc Prints what flat_values.cpp measures, for values of several shapes, as a table.
-module(flat_values).

-export([main/1]).
-export([measure/2]).

-define(TRIES, 15).

%% @doc The argument is the library without its suffix.
-spec main([file:filename()]) -> ok.
main([Library]) ->
    ok = erlang:load_nif(Library, []),
    io:format("Microseconds.~n~n"
              "| value | flat bytes | copy | walk | record | replay | keep | build | build by thread |~n"
              "|---|---|---|---|---|---|---|---|---|~n"),
    [row(Name, Value, Rounds) || {Name, Value, Rounds} <- values()],
    ok.

values() ->
    [{"`[16]`", [16], 20000},
     {"`[<<\"some text\">>, 1.5, #{a => 1}]`", [<<"some text">>, 1.5, #{a => 1}], 20000},
     {"10,000 small integers", lists:seq(1, 10000), 100},
     {"10,000 floats", [N / 4 || N <- lists:seq(1, 10000)], 100},
     {"map of 2,000 text keys", maps:from_list([{integer_to_binary(N), N} || N <- lists:seq(1, 2000)]), 50},
     {"document of 200 records", [record(N) || N <- lists:seq(1, 200)], 100}].

record(N) ->
    #{<<"id">> => N, <<"name">> => <<"somebody">>, <<"tags">> => [<<"a">>, <<"b">>], <<"score">> => N / 3,
      <<"active">> => true, <<"address">> => #{<<"city">> => <<"somewhere">>, <<"code">> => N}}.

%% The best of several tries: whatever else runs only makes them slower.
row(Name, Value, Rounds) ->
    Tries = [in_process(Value, Rounds) || _ <- lists:seq(1, ?TRIES)],
    Bytes = element(1, hd(Tries)),
    Cells = [cell(lists:min([proplists:get_value(Key, Times) || {_, Times} <- Tries]) / 1000)
             || Key <- [copies, walks, records, replays, keeps, builds_here, builds_there]],
    io:format("| ~ts | ~b |~ts~n", [Name, Bytes, Cells]).

cell(Microseconds) when Microseconds < 1 -> io_lib:format(" ~.3f |", [Microseconds]);
cell(Microseconds) -> io_lib:format(" ~.1f |", [Microseconds]).

%% With a heap of its own, which goes with it.
in_process(Value, Rounds) ->
    {_, Monitor} = spawn_monitor(fun() -> exit({measured, measure(Value, Rounds)}) end),
    receive {'DOWN', Monitor, process, _, {measured, Result}} -> Result end.

%% @doc The NIF.
-spec measure(term(), pos_integer()) -> {pos_integer(), [{atom(), float()}]}.
measure(_Value, _Rounds) ->
    erlang:nif_error(not_loaded).
