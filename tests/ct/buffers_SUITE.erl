%%% @doc Buffers: bytes that processes write and Python reads as it reads a file.
-module(buffers_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    writing_and_closing/1, what_is_no_buffer/1, a_buffer_in_python/1, a_buffer_goes_back_and_forth/1,
    like_a_file/1, like_a_growing_file/1, the_input_of_wsgi/1, wrapped_by_the_library/1, text_that_comes_in_pieces/1,
    requests_of_a_size/1, reading_without_a_size/1, seeking/1, finding/1, closed_by_python/1, refusals_in_python/1
]).
-export([
    readers_are_woken_by_writes/1, readers_are_woken_by_the_end/1, readers_are_woken_by_python/1, timeouts/1,
    interrupted_while_reading/1, calls_are_served_while_one_reads/1, a_killed_writer/1, a_killed_context/1,
    many_writers_many_readers/1, lines_of_many_writers/1, everything_at_once/1, closed_while_everything_goes_on/1,
    long_lines/1
]).
-export([
    coroutines/1, coroutines_that_give_up/1, many_coroutines/1,
    a_view_copies_nothing/1, writes_while_there_is_a_view/1, a_view_outlives_everything/1,
    a_view_outlives_its_context/1, views_of_other_interpreters/1, views_released_by_other_threads/1,
    views_that_are_over/1, what_exports_itself/1
]).
-export([
    large_contents/1, long_writes_at_once/1, closed_in_the_middle_of_a_long_write/1,
    killed_in_the_middle_of_a_long_write/1, absurd_lengths/1, small_writes_give_way/1, memory_is_given_back/1,
    memory_is_given_back_by_close/1, without_the_plugin/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 90}}].

all() ->
    [
        writing_and_closing, what_is_no_buffer, a_buffer_in_python, a_buffer_goes_back_and_forth,
        like_a_file, like_a_growing_file, the_input_of_wsgi, wrapped_by_the_library, text_that_comes_in_pieces,
        requests_of_a_size, reading_without_a_size, seeking, finding, closed_by_python, refusals_in_python,
        readers_are_woken_by_writes, readers_are_woken_by_the_end, readers_are_woken_by_python, timeouts,
        interrupted_while_reading, calls_are_served_while_one_reads, a_killed_writer, a_killed_context,
        many_writers_many_readers, lines_of_many_writers, everything_at_once, closed_while_everything_goes_on,
        long_lines,
        coroutines, coroutines_that_give_up, many_coroutines,
        a_view_copies_nothing, writes_while_there_is_a_view, a_view_outlives_everything,
        a_view_outlives_its_context, views_of_other_interpreters, views_released_by_other_threads,
        views_that_are_over, what_exports_itself,
        large_contents, long_writes_at_once, closed_in_the_middle_of_a_long_write,
        killed_in_the_middle_of_a_long_write, absurd_lengths, small_writes_give_way, memory_is_given_back,
        memory_is_given_back_by_close, without_the_plugin, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

-define(READERS, [<<"call">>, <<"thread">>, <<"loop">>, <<"stock_loop">>]).

%% ---------------------------------------------------------------------------------------------------------------------
%% In Erlang

writing_and_closing(Config) ->
    {ok, Buffer} = py_buffer:new(),
    ?assert(is_reference(Buffer)),
    [ok = py_buffer:write(Buffer, Data) || Data <- [<<"a">>, <<>>, <<"bc">>, binary:copy(<<"d">>, 100_000)]],
    ok = py_buffer:close(Buffer),
    ok = py_buffer:close(Buffer),
    {error, closed} = py_buffer:write(Buffer, <<"e">>),
    {error, closed} = py_buffer:write(Buffer, <<>>),
    {error, closed} = py_buffer:write(Buffer, binary:copy(<<"e">>, 1_000_000)),
    {ok, All} = call(Config, read, [Buffer]),
    ?assert(All =:= <<"abc", (binary:copy(<<"d">>, 100_000))/binary>>),
    {ok, <<>>} = call(Config, read, [Buffer]),
    {ok, Empty} = py_buffer:new(0),
    ok = py_buffer:write(Empty, <<"more than was said">>),
    ok = py_buffer:close(Empty),
    {ok, <<"more than was said">>} = call(Config, read, [Empty]),
    ok.

what_is_no_buffer(_Config) ->
    {ok, Buffer} = py_buffer:new(undefined),
    {ok, Channel} = py_channel:new(),
    [?assertError(badarg, py_buffer:write(Wrong, <<"a">>)) || Wrong <- [make_ref(), Channel, self(), buffer, <<>>]],
    [?assertError(badarg, py_buffer:close(Wrong)) || Wrong <- [make_ref(), Channel, self(), buffer, <<>>]],
    [?assertError(badarg, py_buffer:write(Buffer, Wrong)) || Wrong <- [text, "text", 1, [<<"a">>], <<1:3>>]],
    ?assertError(badarg, py_channel:send(Buffer, a)),
    [?assertError(function_clause, py_buffer:new(Wrong)) || Wrong <- [-1, 1.0, many]],
    ok.

absurd_lengths(Config) ->
    Before = ep_live:resident_bytes(),
    Buffers = [begin {ok, Buffer} = py_buffer:new(Length), Buffer end
               || Length <- [1 bsl 40, 1 bsl 50, 1 bsl 61], _ <- lists:seq(1, 10)],
    [ok = py_buffer:write(Buffer, <<"here\n">>) || Buffer <- Buffers],
    [{ok, <<"here\n">>} = call(Config, readline, [Buffer]) || Buffer <- Buffers],
    ?assert(Before =:= undefined orelse ep_live:resident_bytes() - Before < 50_000_000),
    [{error, too_large} = py_buffer:new(Length) || Length <- [1 bsl 63, 1 bsl 64, 1 bsl 1000]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% As a file

a_buffer_in_python(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Is = [true, true, true, false, true, false, false, true],
    {ok, Empty} = call(Config, attributes, [Buffer]),
    ?assertEqual(Is ++ [0], Empty),
    ok = py_buffer:write(Buffer, <<"abc">>),
    ok = py_buffer:close(Buffer),
    {ok, Closed} = call(Config, attributes, [Buffer]), % by Erlang, which is its end
    ?assertEqual(Is ++ [3], Closed),
    {ok, [true, <<"abc">>, <<>>, true]} =
        eval(Config, <<"[not b.at_eof(), b.read_nonblock(), b.read_nonblock(), b.at_eof()]">>, #{b => Buffer}),
    ok.

a_buffer_goes_back_and_forth(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Values = [Buffer, [Buffer, 1], {Buffer, a}, #{<<"wsgi.input">> => Buffer}, #{Buffer => [#{b => {Buffer}}]}],
    {ok, [Same, [Same, 1], {Same, <<"a">>}, #{<<"wsgi.input">> := Same}, #{Buffer := [#{<<"b">> := {Same}}]}]} =
        eval(Config, <<"v">>, #{v => Values}),
    ?assert(Same =:= Buffer),
    ok = py_buffer:write(Same, <<"abc">>),
    {ok, [true, true, 1, <<"ab">>, <<"c">>]} =
        eval(Config, <<"[b == c, b is not c, len({b, c}), b.read(2), c.read()]">>, #{b => Buffer, c => Same}),
    {ok, {Buffer, <<"PyBuffer">>}} = eval(Config, <<"(erlang.PyBuffer(b), type(erlang.PyBuffer(b)).__name__)">>,
                                          #{b => Buffer}),
    ep_ct:with_function(ep_buffer_back, fun([B]) -> py_buffer:write(B, <<"d">>), {B, B =:= Buffer} end, fun() ->
        {ok, [<<"d">>, true]} =
            eval(Config, <<"[(r := erlang.call('ep_buffer_back', b))[0].read(), r[1]]">>, #{b => Buffer})
    end).

like_a_file(Config) ->
    Seed = seed(),
    {ok, Count} = py:call(ctx(Config), buffer_model, like_a_file, [Seed, 60]),
    6000 = Count,
    ok.

like_a_growing_file(Config) ->
    Seed = seed(),
    ep_ct:with_function(ep_new_buffer, fun([_]) -> {ok, Buffer} = py_buffer:new(), Buffer end, fun() ->
        {ok, Refused} = py:call(ctx(Config), buffer_model, like_a_growing_file, [<<"ep_new_buffer">>, Seed, 25]),
        ?assert(Refused > 0)
    end).

the_input_of_wsgi(Config) ->
    Body = <<"first second\nthird\nfo\nfive\nsix\nthe rest\nof it">>,
    {ok, Buffer} = py_buffer:new(byte_size(Body)),
    ok = py_buffer:write(Buffer, Body),
    ok = py_buffer:close(Buffer),
    Environ = #{<<"wsgi.input">> => Buffer, <<"CONTENT_LENGTH">> => integer_to_binary(byte_size(Body)),
                <<"REQUEST_METHOD">> => <<"POST">>},
    {ok, [Parts, [<<"done">>]]} = call(Config, wsgi, [Environ]),
    ?assertEqual([<<"first ">>, <<"second\n">>, <<"thir">>, <<"d\n">>, <<"fo\n">>, <<"five\n">>, <<"six\n">>,
                  <<"the rest\nof it">>, <<>>], Parts).

wrapped_by_the_library(Config) ->
    {ok, [<<"gr\x{fc}n\n"/utf8>>, <<"two">>]} = call(Config, wrapped, [text, bytes(<<"gr\x{fc}n\r\ntwo"/utf8>>)]),
    {ok, [<<"o">>, <<"one\n">>, Rest]} =
        call(Config, wrapped, [buffered, bytes(<<"one\n", (binary:copy(<<"x">>, 1000))/binary>>)]),
    1000 = byte_size(Rest),
    {ok, [[<<"a">>, <<"b,c">>], [<<"1">>, <<"2\n3">>]]} =
        call(Config, wrapped, [csv, bytes(<<"a,\"b,c\"\r\n1,\"2\n3\"\r\n">>)]),
    {ok, #{<<"a">> := [1, none]}} = call(Config, wrapped, [json, bytes(<<"{\"a\": [1, null]}">>)]),
    ok.

text_that_comes_in_pieces(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = background(Config, async_loop_of_the_guide, [Buffer]),
    [ok = py_buffer:write(Buffer, <<N:32>>) || N <- lists:seq(1, 1000)],
    ok = py_buffer:close(Buffer),
    {ok, All} = ep_background:result(Reader),
    ?assert(All =:= << <<N:32>> || N <- lists:seq(1, 1000) >>).

%% read(n) is what there is; applications that want all of it ask a BufferedReader.
requests_of_a_size(Config) ->
    {ok, Buffer} = py_buffer:new(10),
    ok = py_buffer:write(Buffer, <<"0123">>),
    {ok, <<"0123">>} = call(Config, read, [Buffer, 10]),
    Reader = reading(Config, Buffer, <<"call">>, <<"buffered">>),
    ok = py_buffer:write(Buffer, <<"45">>),
    ok = py_buffer:write(Buffer, <<"67">>),
    ok = py_buffer:write(Buffer, <<"89 more">>),
    {ok, <<"456789">>} = ep_background:result(Reader),
    ok.

reading_without_a_size(Config) ->
    {ok, Unknown} = py_buffer:new(),
    ok = py_buffer:write(Unknown, <<"there">>),
    {ok, <<"there">>} = call(Config, read, [Unknown]),
    {ok, <<>>} = call(Config, read, [Unknown, 0]),
    {ok, Known} = py_buffer:new(8),
    ok = py_buffer:write(Known, <<"four">>),
    {error, {'TimeoutError', _}} = call(Config, read_within, [Known, read, 0.01]),
    {ok, <<"fo">>} = call(Config, read, [Known, 2]),
    {ok, <<"ur">>} = call(Config, read, [Known, 100]),
    {ok, <<>>} = eval(Config, <<"b.read_nonblock()">>, #{b => Known}),
    Reader = reading(Config, Known, <<"call">>, <<"read">>),
    ok = py_buffer:write(Known, <<"rest">>), % the length is what was promised, and no end
    ?assertEqual(1, ep_live:count(wakers)),
    ok = py_buffer:write(Known, <<" and more">>),
    ok = py_buffer:close(Known),
    {ok, <<"rest and more">>} = ep_background:result(Reader),
    ok.

seeking(Config) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, <<"0123456789">>),
    {ok, Result} = call(Config, seeks, [Buffer]),
    Error = <<"ValueError">>,
    Unsupported = <<"UnsupportedOperation">>, % a ValueError and an OSError
    ?assertEqual([4, 2, 5, 5, 10, 10, Error, Error, Error, Unsupported, Unsupported, Error, Error,
                  <<"TypeError">>, <<"TypeError">>, Error, Unsupported, <<"TypeError">>, <<"TypeError">>, 10], Result),
    ok = py_buffer:close(Buffer),
    {ok, [8, <<"89">>, 0, <<"0123456789">>]} =
        eval(Config, <<"[b.seek(-2, 2), b.read(), b.seek(-10, 2), b.read()]">>, #{b => Buffer}),
    {ok, false} = eval(Config, <<"__import__('zipfile').is_zipfile(b)">>, #{b => Buffer}), % looks before its start
    ok.

finding(Config) ->
    [begin
         {ok, Buffer} = py_buffer:new(),
         ok = py_buffer:write(Buffer, Data),
         {ok, []} = call(Config, finds, [Buffer])
     end || Data <- [<<"--bound--boundary\n--b">>, <<"aaaa">>, binary:copy(<<"--">>, 200_000)]],
    {ok, Empty} = py_buffer:new(),
    {ok, [0, -1, -1, -1]} = eval(Config, <<"[b.find(b''), b.find(b'', 1), b.find(b'a'), b.find(b'ab', -5, 5)]">>,
                                 #{b => Empty}),
    ok.

closed_by_python(Config) ->
    [begin
         {ok, Buffer} = py_buffer:new(Length),
         ok = py_buffer:write(Buffer, <<"abc">>),
         ?assertEqual({ok, [{<<"ValueError">>, <<"I/O operation on closed file">>}]}, call(Config, closed, [Buffer])),
         {error, closed} = py_buffer:write(Buffer, <<"d">>),
         ok = py_buffer:close(Buffer)
     end || Length <- [undefined, 3]],
    ok.

refusals_in_python(Config) ->
    {ok, Channel} = py_channel:new(),
    {ok, Buffer} = py_buffer:new(),
    {ok, Problems} = call(Config, refusals, [Buffer, Channel]),
    Expected = lists:duplicate(7, <<"TypeError">>) ++ [<<"ValueError">>] ++ lists:duplicate(4, <<"TypeError">>)
        ++ [<<"ValueError">>, <<"TypeError">>, <<"TypeError">>],
    ?assertEqual(Expected, [Name || [Name, _] <- Problems]),
    [[_, Text], [_, Foreign], [_, None] | _] = Problems,
    {match, _} = re:run(Text, "PyBuffer.*takes the erlang.Ref.*not str"),
    {match, _} = re:run(Foreign, "PyBuffer.*takes what py_buffer:new\\(\\) has made, which <erlang.Ref #Ref<.* is not"),
    {match, _} = re:run(None, "not nothing"),
    ok = py_buffer:write(Buffer, <<"abc">>),
    {ok, <<"abc">>} = call(Config, read, [Buffer]),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Waiting

readers_are_woken_by_writes(Config) ->
    [begin
         {ok, Buffer} = py_buffer:new(),
         Reader = reading(Config, Buffer, Kind, <<"read">>),
         ok = py_buffer:write(Buffer, <<>>), % nothing
         ?assertEqual({Kind, 1}, {Kind, ep_live:count(wakers)}),
         ok = py_buffer:write(Buffer, <<"data">>),
         {Kind, {ok, <<"data">>}} = {Kind, ep_background:result(Reader)},
         Lines = reading(Config, Buffer, Kind, <<"readline">>),
         ok = py_buffer:write(Buffer, <<"no line ">>),
         ok = py_buffer:write(Buffer, <<"yet, ">>),
         ?assertEqual({Kind, 1}, {Kind, ep_live:count(wakers)}),
         ok = py_buffer:write(Buffer, <<"now\nnext">>),
         {Kind, {ok, <<"no line yet, now\n">>}} = {Kind, ep_background:result(Lines)},
         {Kind, {ok, <<"next">>}} = {Kind, call(Config, read, [Buffer])}
     end || Kind <- ?READERS],
    ok.

readers_are_woken_by_the_end(Config) ->
    [begin
         {ok, Buffer} = py_buffer:new(Length),
         Reader = reading(Config, Buffer, Kind, Method),
         ok = py_buffer:close(Buffer),
         {Kind, {ok, <<>>}} = {Kind, ep_background:result(Reader)},
         {ok, Other} = py_buffer:new(Length),
         case {Length, Method} of
             {undefined, <<"read">>} ->
                 ok;
             _ ->
                 ok = py_buffer:write(Other, <<"part">>),
                 Waiting = reading(Config, Other, Kind, Method),
                 ok = py_buffer:close(Other),
                 {Kind, {ok, <<"part">>}} = {Kind, ep_background:result(Waiting)}
         end
     end || Kind <- ?READERS, Length <- [undefined, 10], Method <- [<<"read">>, <<"readline">>]],
    ok.

%% By close(), and by seek() to what was read already.
readers_are_woken_by_python(Config) ->
    Other = ep_fresh_context:start(),
    [begin
         {ok, Buffer} = py_buffer:new(),
         ok = py_buffer:write(Buffer, <<"again">>),
         {ok, <<"again">>} = call(Config, read, [Buffer]),
         Reader = reading(Config, Buffer, Kind, <<"read">>),
         {ok, 2} = py:eval(Other, <<"b.seek(2)">>, #{b => Buffer}),
         {Kind, {ok, <<"ain">>}} = {Kind, ep_background:result(Reader)},
         Closed = reading(Config, Buffer, Kind, <<"readline">>),
         {ok, none} = py:eval(Other, <<"b.close()">>, #{b => Buffer}),
         {Kind, {error, {'ValueError', "I/O operation on closed file"}}} = {Kind, ep_background:result(Closed)}
     end || Kind <- [<<"call">>, <<"loop">>, <<"stock_loop">>]],
    collect(Config),
    ok = py_context:stop(Other).

timeouts(Config) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, <<"no line">>),
    {error, {'TimeoutError', _}} = call(Config, read_within, [Buffer, readline, 0]),
    {error, {'TimeoutError', _}} = call(Config, read_within, [Buffer, readline, 0.01]),
    {ok, <<"no line">>} = call(Config, read_within, [Buffer, read, 0]),
    [{error, {'TimeoutError', _}} = call(Config, read_within, [Buffer, read, Seconds]) || Seconds <- [0, 0.01]],
    [{error, {'TimeoutError', _}} = call(Config, async_read_within, [Buffer, Seconds]) || Seconds <- [0, 0.01]],
    ?assertEqual(0, ep_live:count(wakers)), % they do not wait as long as their tracebacks are kept
    collect(Config),
    ok = py_buffer:write(Buffer, <<"still">>),
    {ok, <<"still">>} = call(Config, read_within, [Buffer, read, 10]),
    ok.

interrupted_while_reading(Config) ->
    {ok, Buffer} = py_buffer:new(),
    {error, timeout} = py:call(ctx(Config), buffer_work, read, [Buffer], #{timeout => 30}),
    ep_ct:wait_until(fun() -> ep_live:count(wakers) =:= 0 end),
    Reader = reading(Config, Buffer, <<"call">>, <<"readline">>),
    ok = py:interrupt(ctx(Config)),
    {error, interrupted} = ep_background:result(Reader),
    ok = py_buffer:write(Buffer, <<"not lost\n">>),
    {ok, <<"not lost\n">>} = call(Config, readline, [Buffer]),
    ep_expect:still_works(ctx(Config)).

calls_are_served_while_one_reads(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = reading(Config, Buffer, <<"call">>, <<"read">>),
    {ok, 4.0} = py:call(ctx(Config), math, sqrt, [16]),
    {ok, none} = eval(Config, <<"plugin_write(b, b'by another call')">>, #{b => Buffer}),
    {ok, <<"by another call">>} = ep_background:result(Reader),
    ok.

a_killed_writer(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Me = self(),
    Writer = ep_background:start(fun() ->
        ok = py_buffer:write(Buffer, <<"before ">>),
        Me ! wrote,
        receive never -> ok end
    end),
    ep_expect:message(wrote),
    ok = ep_background:kill(Writer),
    {ok, <<"before ">>} = call(Config, read, [Buffer]),
    {error, {'TimeoutError', _}} = call(Config, read_within, [Buffer, read, 0.01]),
    Others = [ep_background:start(fun() -> write_for_ever(Buffer) end) || _ <- lists:seq(1, 3)],
    {ok, _} = call(Config, read, [Buffer]),
    [ok = ep_background:kill(Other) || Other <- Others],
    ok = py_buffer:close(Buffer),
    {ok, Rest} = call(Config, read, [Buffer]),
    ?assertEqual(0, byte_size(Rest) rem 1000),
    ok.

write_for_ever(Buffer) ->
    ok = py_buffer:write(Buffer, binary:copy(<<"x">>, 1000)),
    receive after 1 -> write_for_ever(Buffer) end.

a_killed_context(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = reading(Config, Buffer, <<"call">>, <<"readline">>),
    exit(ctx(Config), kill),
    {error, _} = ep_background:result(Reader),
    ep_ct:wait_until(fun() -> ep_live:count(wakers) =:= 0 end),
    ok = py_buffer:write(Buffer, <<"for another\n">>),
    Other = ep_fresh_context:start(),
    {ok, <<"for another\n">>} = py:call(Other, buffer_work, readline, [Buffer]),
    ok = py_context:stop(Other).

many_writers_many_readers(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = background(Config, count_bytes, [Buffer, 4]),
    Other = ep_fresh_context:start(),
    Second = ep_background:start(fun() -> py:call(Other, buffer_work, count_bytes, [Buffer, 3]) end),
    Writers = [ep_background:start(fun() ->
                   [ok = py_buffer:write(Buffer, binary:copy(<<N>>, Size rem 977)) || Size <- lists:seq(1, 1000)]
               end) || N <- lists:seq(1, 5)],
    _ = ep_background:results(Writers),
    ok = py_buffer:close(Buffer),
    {ok, First} = ep_background:result(Reader),
    {ok, Rest} = ep_background:result(Second),
    ok = py_context:stop(Other),
    Each = lists:sum([Size rem 977 || Size <- lists:seq(1, 1000)]),
    Sums = lists:zipwith(fun erlang:'+'/2, First, Rest),
    ?assertEqual([0] ++ lists:duplicate(5, Each) ++ lists:duplicate(250, 0), Sums).

lines_of_many_writers(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = background(Config, count_records, [Buffer, 4]),
    Writers = [ep_background:start(fun() ->
                   [begin
                        Line = iolist_to_binary([N, integer_to_binary(I), ".\n"]),
                        ok = py_buffer:write(Buffer, Line)
                    end || I <- lists:seq(1, 2000)]
               end) || N <- "abcd"],
    _ = ep_background:results(Writers),
    ok = py_buffer:close(Buffer),
    ?assertEqual({ok, [8000, 8000, 0]}, ep_background:result(Reader)).

%% In two contexts, while bytes come that count to 250.
everything_at_once(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Other = ep_fresh_context:start(),
    Work = [ep_background:start(fun() -> py:call(Ctx, buffer_work, everything_at_once, [Buffer, 3]) end)
            || Ctx <- [ctx(Config), Other]],
    Pattern = binary:copy(list_to_binary(lists:seq(0, 250)), 2500),
    [write_some_time(Buffer, binary:part(Pattern, 0, 251 * (N * N * N rem 2500))) || N <- lists:seq(1, 40)],
    ok = py_buffer:close(Buffer),
    [{ok, []} = Result || Result <- ep_background:results(Work)],
    ok = py_context:stop(Other).

%% Whoever reads, looks or waits finds out, in both contexts; and who has a view sees what it saw.
closed_while_everything_goes_on(Config) ->
    [Closer, Other] = [ep_fresh_context:start() || _ <- [1, 2]],
    Pattern = binary:copy(list_to_binary(lists:seq(0, 250)), 250),
    [begin
         {ok, Buffer} = py_buffer:new(Length),
         ok = py_buffer:write(Buffer, Pattern),
         Work = [ep_background:start(fun() -> py:call(Ctx, buffer_work, everything_at_once, [Buffer, 3]) end)
                 || Ctx <- [ctx(Config), Other]],
         [write_some_time(Buffer, Pattern) || _ <- lists:seq(1, 100)],
         {ok, none} = py:eval(Closer, <<"b.close()">>, #{b => Buffer}),
         {error, closed} = py_buffer:write(Buffer, Pattern),
         [{ok, []} = Result || Result <- ep_background:results(Work)]
     end || Length <- [undefined, 10_000_000, undefined, 10_000_000]],
    [ok = py_context:stop(Ctx) || Ctx <- [Closer, Other]],
    ok.

write_some_time(Buffer, Data) ->
    case py_buffer:write(Buffer, Data) of
        {error, memoryview_exists} ->
            erlang:yield(),
            write_some_time(Buffer, Data);
        Result ->
            ok = Result
    end.

%% Longer than what is looked at at once, and in pieces.
long_lines(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Line = binary:copy(<<"0123456789">>, 200_000),
    Reader = reading(Config, Buffer, <<"call">>, <<"readline">>),
    [ok = py_buffer:write(Buffer, binary:part(Line, At, 1000)) || At <- lists:seq(0, byte_size(Line) - 1000, 1000)],
    ok = py_buffer:write(Buffer, <<"\n">>),
    {ok, Read} = ep_background:result(Reader),
    ?assert(Read =:= <<Line/binary, "\n">>),
    ok = py_buffer:write(Buffer, <<Line/binary, "\n", Line/binary, "\n">>),
    {ok, [300_000, 1_700_001, 2_000_001]} =
        eval(Config, <<"[len(b.readline(300000)), len(b.readline()), len(b.readline(3000000))]">>, #{b => Buffer}),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Coroutines

coroutines(Config) ->
    [begin
         {ok, Buffer} = py_buffer:new(),
         Reader = background(Config, async_collect, [Buffer, Kind, self()]),
         ep_expect:message(<<"goes on">>),
         ok = py_buffer:write(Buffer, <<"one\ntwo">>),
         ok = py_buffer:write(Buffer, <<"\nthree">>),
         ok = py_buffer:close(Buffer),
         {Kind, {ok, [<<"one\n">>, <<"two\n">>, <<"three">>]}} = {Kind, ep_background:result(Reader)}
     end || Kind <- [<<"loop">>, <<"stock">>]],
    ok.

coroutines_that_give_up(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = background(Config, async_cancelled, [Buffer, self()]),
    ep_expect:message(<<"write">>),
    ok = py_buffer:write(Buffer, <<"all of it">>),
    {ok, [true, true, <<"all of it">>]} = ep_background:result(Reader),
    ok.

many_coroutines(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Reader = background(Config, async_many, [Buffer, 50]),
    [ok = py_buffer:write(Buffer, binary:copy(<<"x">>, Size)) || Size <- lists:seq(1, 1000)],
    ok = py_buffer:close(Buffer),
    ?assertEqual({ok, 500_500}, ep_background:result(Reader)).

%% ---------------------------------------------------------------------------------------------------------------------
%% Memoryviews

a_view_copies_nothing(Config) ->
    Data = binary:copy(<<"0123456789">>, 5_000_000),
    Buffer = buffer(Data),
    Before = ep_live:resident_bytes(),
    {ok, none} = call(Config, keep_view, [Buffer]),
    {ok, <<"TypeError">>} = call(Config, write_to_view, [Buffer]),
    {ok, 50_000_000} = eval(Config, <<"len(__import__('buffer_work').kept['view'])">>, #{}),
    ?assert(Before =:= undefined orelse ep_live:resident_bytes() - Before < 20_000_000),
    {ok, _} = call(Config, read, [Buffer, 10]),
    {ok, [0, 49_999_990]} =
        eval(Config, <<"[len(memoryview(erlang.PyBuffer._test_create(b''))), len(memoryview(b))]">>, #{b => Buffer}),
    {ok, View} = call(Config, view_of, [Buffer]), % Erlang looks at the same memory
    ?assert(View =:= binary:part(Data, 10, byte_size(Data) - 10)),
    ?assert(Before =:= undefined orelse ep_live:resident_bytes() - Before < 20_000_000),
    {ok, none} = call(Config, release_view, []),
    ok.

writes_while_there_is_a_view(Config) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, <<"first ">>),
    {ok, none} = call(Config, keep_view, [Buffer]),
    ok = py_buffer:write(Buffer, <<"there is room ">>),
    [{error, memoryview_exists} = py_buffer:write(Buffer, binary:copy(<<"x">>, Size)) || Size <- [70_000, 1_000_000]],
    ok = py_buffer:write(Buffer, <<"and still is">>),
    {ok, none} = call(Config, keep_view, [Buffer, second]),
    {ok, none} = call(Config, release_view, []),
    {error, memoryview_exists} = py_buffer:write(Buffer, binary:copy(<<"x">>, 70_000)),
    {ok, none} = call(Config, release_view, [second]),
    ok = py_buffer:write(Buffer, binary:copy(<<"x">>, 70_000)),
    {ok, <<"first there is room and still is">>} = call(Config, read, [Buffer, 32]),
    {ok, Known} = py_buffer:new(1_000_000), % has its memory from the beginning
    ok = py_buffer:write(Known, <<"first ">>),
    {ok, none} = call(Config, keep_view, [Known]),
    ok = py_buffer:write(Known, binary:copy(<<"x">>, 999_994)),
    {error, memoryview_exists} = py_buffer:write(Known, <<"x">>),
    {ok, none} = call(Config, release_view, []),
    ok.

%% Its process in Erlang, every reference, the end, and close() in Python: a thread still looks at it.
a_view_outlives_everything(Config) ->
    Data = crypto:strong_rand_bytes(3_000_000),
    Me = self(),
    Before = ep_live:count(plugin_resources),
    Owner = ep_background:start(fun() ->
        {ok, Buffer} = py_buffer:new(byte_size(Data)),
        ok = py_buffer:write(Buffer, Data),
        {ok, none} = py:call(ctx(Config), buffer_work, keep_view_in_thread, [Buffer, Me]),
        {error, closed} = py_buffer:write(Buffer, <<"x">>)
    end),
    {error, closed} = ep_background:result(Owner),
    ep_ct:wait_until(fun() -> garbage_collect(), ep_live:count(plugin_resources) =:= Before + 1 end), % the memory
    {ok, none} = call(Config, let_thread_look, []),
    Seen = {<<"seen">>, byte_size(Data), digest(Data)},
    ep_expect:message(Seen),
    ep_ct:wait_until(fun() -> ep_live:count(plugin_resources) =:= Before end).

%% As a binary that Erlang holds.
a_view_outlives_its_context(Config) ->
    Data = crypto:strong_rand_bytes(3_000_000),
    Other = ep_fresh_context:start(),
    View = ep_background:result(ep_background:start(fun() ->
        {ok, View} = py:call(Other, buffer_work, view_of, [buffer(Data)]),
        View
    end)),
    exit(Other, kill),
    ep_ct:wait_until(fun() -> not is_process_alive(Other) end),
    ?assert(View =:= Data),
    {ok, [3_000_000, Digest]} = eval(Config, <<"[len(v), __import__('buffer_work').digest(v)]">>,
                                     #{v => {memoryview, View}}),
    ?assertEqual(digest(Data), Digest),
    ok.

views_of_other_interpreters(Config) ->
    Data = crypto:strong_rand_bytes(500_000),
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, Data),
    Contexts = [ctx(Config) | [ep_fresh_context:start() || _ <- lists:seq(1, 3)]],
    [{ok, none} = py:call(Ctx, buffer_work, keep_view, [Buffer, integer_to_binary(N)])
     || {N, Ctx} <- lists:enumerate(Contexts)],
    {error, memoryview_exists} = py_buffer:write(Buffer, Data),
    [First | Others] = lists:enumerate(Contexts),
    [begin
         {ok, [500_000, Digest]} = py:call(Ctx, buffer_work, kept_digest, [integer_to_binary(N)]),
         ?assertEqual(digest(Data), Digest),
         {ok, none} = py:call(Ctx, buffer_work, release_view, [integer_to_binary(N)]),
         ok = py_context:stop(Ctx)
     end || {N, Ctx} <- Others],
    {error, memoryview_exists} = py_buffer:write(Buffer, Data),
    {ok, none} = py:call(element(2, First), buffer_work, release_view, [<<"1">>]),
    ok = py_buffer:write(Buffer, Data).

%% While the thread that made the view has nothing to do: nobody waits for it to let go of the object.
views_released_by_other_threads(Config) ->
    {ok, Buffer} = py_buffer:new(),
    {ok, Go} = py_buffer:new(),
    ok = py_buffer:write(Buffer, <<"first ">>),
    {ok, none} = call(Config, release_in_thread, [Buffer, Go, self()]),
    {error, memoryview_exists} = py_buffer:write(Buffer, binary:copy(<<"x">>, 70_000)),
    ok = py_buffer:close(Go),
    ep_expect:message({<<"released">>, <<"first ">>}),
    ok = py_buffer:write(Buffer, binary:copy(<<"x">>, 70_000)),
    {ok, none} = call(Config, join_threads, []),
    ok.

views_that_are_over(Config) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, binary:copy(<<"x">>, 65_536)),
    {ok, [<<"BufferError">>, <<"BufferError">>, <<"ValueError">>, <<"ValueError">>]} = call(Config, over, [Buffer]),
    ok = py_buffer:write(Buffer, <<"x">>), % which moves them
    {ok, [65_537, 10, 10, <<"TypeError">>]} = call(Config, views_of_views, [Buffer]),
    ok = py_buffer:write(Buffer, binary:copy(<<"x">>, 65_536)).

%% As what a class of somebody else's may do by mistake.
what_exports_itself(Config) ->
    {ok, Buffer} = py_buffer:new(),
    {ok, [<<"RecursionError">>, <<"RecursionError">>, <<"TypeError">>]} = call(Config, exports_itself, [Buffer]),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Much

large_contents(Config) ->
    Data = crypto:strong_rand_bytes(1_000_000),
    All = binary:copy(Data, 60),
    [begin
         {ok, Buffer} = py_buffer:new(Length),
         Reader = background(Config, size_and_digest, [Buffer | Size]),
         [ok = py_buffer:write(Buffer, Piece) || Piece <- Pieces],
         ok = py_buffer:close(Buffer),
         ?assertEqual({ok, [60_000_000, digest(All)]}, ep_background:result(Reader))
     end || {Length, Pieces, Size} <- [{undefined, [All], []}, {undefined, lists:duplicate(60, Data), [100_000]},
                                       {60_000_000, lists:duplicate(60, Data), []}, {1000, [All], [7_000_000]}]],
    ok.

%% Nobody who writes, reads or asks meanwhile is in the way, and every write stays in one piece.
long_writes_at_once(Config) ->
    {ok, Buffer} = py_buffer:new(),
    Size = 8_000_000,
    Writers = [ep_background:start(fun() -> [ok = py_buffer:write(Buffer, binary:copy(<<N>>, Size)) || _ <- [1, 2]] end)
               || N <- [1, 2, 3]],
    Small = [ep_background:start(fun() -> [ok = py_buffer:write(Buffer, <<4, 4, 4>>) || _ <- lists:seq(1, 2000)] end)
             || _ <- [1, 2]],
    _ = ep_background:results(Writers ++ Small),
    ok = py_buffer:close(Buffer),
    {ok, All} = call(Config, read, [Buffer]),
    ?assertEqual(6 * Size + 12_000, byte_size(All)),
    whole(All, Size).

whole(<<>>, _Size) ->
    ok;
whole(<<4, 4, 4, Rest/binary>>, Size) ->
    whole(Rest, Size);
whole(<<N, _/binary>> = All, Size) ->
    <<Piece:Size/binary, Rest/binary>> = All,
    ?assert(Piece =:= binary:copy(<<N>>, Size)),
    whole(Rest, Size).

%% The write either was before, and is there, or it was not, and nothing of it is.
closed_in_the_middle_of_a_long_write(Config) ->
    Data = binary:copy(<<"x">>, 20_000_000),
    [begin
         {ok, Buffer} = py_buffer:new(),
         ok = py_buffer:write(Buffer, <<"start">>),
         Writer = ep_background:start(fun() -> py_buffer:write(Buffer, Data) end),
         {ok, _} = eval(Config, <<"__import__('time').sleep(after)">>, #{'after' => Delay / 1000}),
         case By of
             erlang -> ok = py_buffer:close(Buffer);
             python -> {ok, none} = eval(Config, <<"b.close()">>, #{b => Buffer})
         end,
         case {ep_background:result(Writer), By} of
             {{error, closed}, erlang} -> {ok, <<"start">>} = call(Config, read, [Buffer]);
             {ok, erlang} -> {ok, [20_000_005, _]} = call(Config, size_and_digest, [Buffer]);
             {Result, python} -> ?assert(lists:member(Result, [ok, {error, closed}]))
         end
     end || By <- [erlang, python], Delay <- [0, 1, 2, 4, 8]],
    ok.

%% It goes on to its end, and those that come after it are not in its way.
killed_in_the_middle_of_a_long_write(Config) ->
    Data = binary:copy(<<"x">>, 20_000_000),
    [begin
         {ok, Buffer} = py_buffer:new(),
         Writer = ep_background:start(fun() -> py_buffer:write(Buffer, Data) end),
         {ok, _} = eval(Config, <<"__import__('time').sleep(after)">>, #{'after' => Delay / 1000}),
         ok = ep_background:kill(Writer),
         ok = py_buffer:write(Buffer, binary:copy(<<"y">>, 1_000_000)),
         ok = py_buffer:write(Buffer, <<"z">>),
         ok = py_buffer:close(Buffer),
         Count = <<"(lambda data: [data.count(each) for each in (b'x', b'y', b'z')])(b.read())">>,
         {ok, [Written, 1_000_000, 1]} = eval(Config, Count, #{b => Buffer}),
         ?assert(lists:member(Written, [0, 20_000_000]))
     end || Delay <- [0, 1, 2, 4, 8]],
    ok.

%% A process that writes pieces of some kilobytes spends its time as one that writes large ones.
small_writes_give_way(_Config) ->
    Reductions = fun(Size) ->
        {ok, Buffer} = py_buffer:new(20_000_000),
        Data = binary:copy(<<"x">>, Size),
        {reductions, Before} = process_info(self(), reductions),
        [ok = py_buffer:write(Buffer, Data) || _ <- lists:seq(1, 15_000_000 div Size)],
        {reductions, After} = process_info(self(), reductions),
        After - Before
    end,
    Large = Reductions(150_000),
    [?assert(Small > Large / 2, {Size, Small, Large}) || Size <- [1500, 15_000], Small <- [Reductions(Size)]],
    ok.

%% Of buffers that somebody in Erlang still refers to.
memory_is_given_back_by_close(Config) ->
    Buffers = [Buffer || _ <- lists:seq(1, 20), {ok, Buffer} <- [py_buffer:new()]],
    [ok = py_buffer:write(Buffer, <<"abc">>) || Buffer <- Buffers],
    Before = ep_live:count(plugin_resources),
    [{ok, {<<"abc">>, none}} = eval(Config, <<"b.read(), b.close()">>, #{b => Buffer}) || Buffer <- Buffers],
    ep_ct:wait_until(fun() -> ep_live:count(plugin_resources) =< Before - length(Buffers) end),
    [{error, closed} = py_buffer:write(Buffer, <<"abc">>) || Buffer <- Buffers],
    ok.

memory_is_given_back(Config) ->
    Data = binary:copy(<<"x">>, 1_000_000),
    Round = fun() ->
        {ok, Buffer} = py_buffer:new(),
        [ok = py_buffer:write(Buffer, Data) || _ <- lists:seq(1, 20)],
        {ok, _} = eval(Config, <<"[b.read(5), memoryview(b)[3], len(b)]">>, #{b => Buffer}),
        ok
    end,
    _ = [ep_ct:in_process(Round) || _ <- [1, 2]],
    Before = ep_live:resident_bytes(),
    _ = [ep_ct:in_process(Round) || _ <- lists:seq(1, 20)],
    case Before of
        undefined -> ok;
        _ -> ep_ct:wait_until(fun() -> ep_live:resident_bytes() - Before < 60_000_000 end)
    end.

without_the_plugin(_Config) ->
    ep_ct:with_peer([{plugins, []}], fun(Call) ->
        Missing = {error, {plugin_not_loaded, channel}},
        [?assertEqual(Missing, Call(py_buffer, Function, Args))
         || {Function, Args} <- [{new, []}, {new, [10]}, {write, [make_ref(), <<"a">>]}, {close, [make_ref()]}]],
        {error, {'ImportError', Message}} = Call(py, exec, [<<"from erlang import PyBuffer">>]),
        {match, _} = re:run(Message, "plugin channel is not loaded"),
        {error, {'ImportError', _}} = Call(py, eval, [<<"erlang.PyBuffer">>]),
        ok = Call(py, exec, [<<"from erlang import *\nassert call and not 'PyBuffer' in globals()">>]),
        {ok, 3} = Call(py, eval, [<<"1 + 2">>])
    end),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

ctx(Config) -> proplists:get_value(ctx, Config).

call(Config, Function, Args) ->
    py:call(ctx(Config), buffer_work, Function, Args).

%% Code that sees `plugin_write' as Python's way to write.
eval(Config, Code, Locals) ->
    ok = py:exec(ctx(Config), <<"import erlang\n"
                                "plugin_write = __import__('_erlang').plugin_function('channel', 'buffer_write', 2)">>),
    py:eval(ctx(Config), Code, Locals).

%% Coroutines that raised are garbage of the kind that has to be looked for.
collect(Config) ->
    {ok, _} = py:eval(ctx(Config), <<"__import__('gc').collect()">>).

background(Config, Function, Args) ->
    ep_background:start(fun() -> call(Config, Function, Args) end).

%% One that waits when this returns.
reading(Config, Buffer, Kind, Method) ->
    ep_ct:wait_until(fun() -> ep_live:count(wakers) =:= 0 end),
    Reader = background(Config, read_in, [Buffer, Kind, Method]),
    ep_ct:wait_until(fun() -> ep_live:count(wakers) =:= 1 end),
    Reader.

buffer(Data) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, Data),
    ok = py_buffer:close(Buffer),
    Buffer.

bytes(Data) -> {memoryview, Data}.

digest(Data) ->
    string:lowercase(binary:encode_hex(crypto:hash(sha256, Data))).

%% Another one every time; a failure names it, and EP_TEST_SEED repeats it.
seed() ->
    case os:getenv("EP_TEST_SEED") of
        false -> erlang:unique_integer([positive]) + erlang:system_time(microsecond) rem 1_000_000;
        Seed -> list_to_integer(Seed)
    end.
