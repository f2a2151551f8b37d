%%% @doc A chat room with 1,000 people in it, who all watch an answer appear word by word as Python makes it.
%%%
%%%   tools/run_with build/dev examples/chat chat [PEOPLE [WORDS]]
%%%
%%% Python's generator writes into a channel of bounded size; the room is subscribed to it with a credit, and passes every
%%% word on to everybody, as a web socket's handler would be told. Nobody is flooded: the room gives credit for what
%%% everybody has got, and when it does not, the generator waits.
-module(chat).

-export([main/0, main/1]).

-define(CREDIT, 10).

-spec main() -> ok.
main() -> main([]).

-spec main([string()]) -> ok.
main(Arguments) ->
    [People, Words] = numbers(Arguments, [1000, 2000]),
    {ok, _} = application:ensure_all_started(erlang_python),
    ok = py_import:add_path(unicode:characters_to_binary(folder())),
    {ok, Channel} = py_channel:new(#{max_size => 300}),
    Room = self(),
    Everybody = [spawn_link(fun() -> person(Room, 0, 0, <<>>) end) || _ <- lists:seq(1, People)],
    ok = py_channel:subscribe(Channel, ?CREDIT),
    Begin = erlang:monotonic_time(microsecond),
    Answer = py:spawn_call(model, answer, [Channel, <<"What is a supervisor?">>, Words]),
    Words = room(Channel, Everybody, 0),
    Took = erlang:monotonic_time(microsecond) - Begin,
    {ok, Words} = py:await(Answer),
    Seen = [seen(Person) || Person <- Everybody],
    %% Everybody has seen the same, and all of it.
    [{Words, _, Text}] = lists:usort([{Count, 0, Text} || {Count, _, Text} <- Seen]),
    io:format("Python wrote ~b words: \"~ts ...\"~n", [Words, string:slice(Text, 0, 50)]),
    io:format("~b people got ~b messages, ~b a second~n",
              [People, People * Words, People * Words * 1000000 div max(1, Took)]),
    io:format("the slowest delivery took ~.1f ms~n", [lists:max([Slowest || {_, Slowest, _} <- Seen]) / 1.0e6]),
    application:stop(erlang_python).

%% Passes on what comes, until it ends.
room(Channel, Everybody, Count) ->
    receive
        {py_channel_message, Channel, {Time, Word}} ->
            [Person ! {said, Time, Word} || Person <- Everybody],
            (Count + 1) rem (?CREDIT div 2) =:= 0 andalso heard(Channel, lists:last(Everybody)),
            room(Channel, Everybody, Count + 1);
        {py_channel_closed, Channel} ->
            Count
    end.

%% More may come when the last in the row has got what came so far.
heard(Channel, Person) ->
    Person ! {did_you_hear, self()},
    receive {yes, Person} -> ok end,
    _ = py_channel:credit(Channel, ?CREDIT div 2). % it may have been closed by now

person(Room, Count, Slowest, Text) ->
    receive
        {said, Time, Word} ->
            Late = os:system_time(nanosecond) - Time,
            person(Room, Count + 1, max(Slowest, Late), append(Text, Word));
        {did_you_hear, Room} ->
            Room ! {yes, self()},
            person(Room, Count, Slowest, Text);
        {what_have_you_seen, Room} ->
            Room ! {seen, self(), {Count, Slowest, Text}}
    end.

%% Enough to show that it is the same for everybody.
append(Text, _) when byte_size(Text) > 60 -> Text;
append(Text, Word) -> <<Text/binary, Word/binary, " ">>.

seen(Person) ->
    Person ! {what_have_you_seen, self()},
    receive {seen, Person, Seen} -> Seen end.

numbers(Given, Defaults) ->
    [list_to_integer(Number) || Number <- Given] ++ lists:nthtail(length(Given), Defaults).

%% The Python beside this module.
folder() ->
    filename:dirname(proplists:get_value(source, ?MODULE:module_info(compile))).
