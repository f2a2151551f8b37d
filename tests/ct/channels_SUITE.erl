%%% @doc Channels of terms and of bytes, from and to every kind of sender and receiver.
-module(channels_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    to_every_receiver/1, from_every_sender/1, between_processes/1, many_senders_one_receiver/1,
    one_sender_many_receivers/1, requests_and_replies/1, between_interpreters/1, between_calls_of_one_context/1,
    terms_come_back_as_they_were/1, no_python_form/1, sizes_are_those_of_the_external_format/1, large_terms/1,
    large_maps_from_python/1,
    full/1, waiting_for_room/1, waiting_senders_and_a_close/1, too_large/1,
    closed_with_data_in_line/1, closing_wakes_receivers/1, with_statement/1,
    timeouts/1, one_process_waits_at_a_time/1, a_killed_receiver/1, a_killed_sender/1, a_killed_context/1,
    interrupted_while_receiving/1, receivers_that_give_up_lose_nothing/1, cancelled_coroutines/1,
    the_loop_goes_on_meanwhile/1, calls_are_served_while_one_receives/1, receivers_on_top_of_each_other/1,
    handles_made_at_once/1, timeouts_that_cannot_be/1, senders_that_fit_go_first/1,
    the_end_for_a_subscriber_without_credit/1, large_messages_block_nobody/1, copying_takes_its_time/1,
    subscribing/1, credit/1, subscribers_and_the_end/1, a_killed_subscriber/1, one_subscriber/1,
    references_survive/1, wrong_arguments/1, kinds_are_not_mixed/1,
    bytes_to_python/1, bytes_from_python/1, byte_backpressure/1, bytes_and_coroutines/1, bytes_between_processes/1,
    kept_by_python_only/1, messages_that_hold_channels/1, memory_is_given_back/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 90}}].

all() ->
    [
        to_every_receiver, from_every_sender, between_processes, many_senders_one_receiver,
        one_sender_many_receivers, requests_and_replies, between_interpreters, between_calls_of_one_context,
        terms_come_back_as_they_were, no_python_form, sizes_are_those_of_the_external_format, large_terms,
        large_maps_from_python,
        full, waiting_for_room, waiting_senders_and_a_close, too_large,
        closed_with_data_in_line, closing_wakes_receivers, with_statement,
        timeouts, one_process_waits_at_a_time, a_killed_receiver, a_killed_sender, a_killed_context,
        interrupted_while_receiving, receivers_that_give_up_lose_nothing, cancelled_coroutines,
        the_loop_goes_on_meanwhile, calls_are_served_while_one_receives, receivers_on_top_of_each_other,
        handles_made_at_once, timeouts_that_cannot_be, senders_that_fit_go_first,
        the_end_for_a_subscriber_without_credit, large_messages_block_nobody, copying_takes_its_time,
        subscribing, credit, subscribers_and_the_end, a_killed_subscriber, one_subscriber,
        references_survive, wrong_arguments, kinds_are_not_mixed,
        bytes_to_python, bytes_from_python, byte_backpressure, bytes_and_coroutines, bytes_between_processes,
        kept_by_python_only, messages_that_hold_channels, memory_is_given_back, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) ->
    %% The exception of a coroutine is in a cycle with the frame of run_until_complete, and holds all others.
    Ctx = proplists:get_value(ctx, Config),
    is_pid(Ctx) andalso is_process_alive(Ctx) andalso py:call(Ctx, gc, collect, []),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

-define(WAYS, [collect, collect_in_loop, collect_in_stock_loop, collect_in_thread]).

%% ---------------------------------------------------------------------------------------------------------------------
%% From anybody to anybody

%% Some messages are there before anybody receives, others come while they do.
to_every_receiver(Config) ->
    Numbers = lists:seq(1, 2000),
    [begin
         {ok, Ch} = py_channel:new(),
         ok = send_all(Ch, lists:seq(1, 100)),
         Running = background(Config, Way, [Ch]),
         ok = send_all(Ch, lists:seq(101, 2000)),
         ok = py_channel:close(Ch),
         {Way, {ok, Numbers}} = {Way, ep_background:result(Running)}
     end || Way <- ?WAYS],
    ok.

from_every_sender(Config) ->
    [begin
         {ok, Ch} = py_channel:new(),
         Running = background(Config, Function, [Ch | Args]),
         Expected = [[Name, N] || N <- lists:seq(0, 499)],
         Expected = [receive_one(Ch) || _ <- Expected],
         {ok, none} = ep_background:result(Running)
     end || {Function, Args, Name} <- [{produce, [<<"a">>, 500], <<"a">>},
                                       {produce_in_threads, [[<<"b">>], 500], <<"b">>},
                                       {produce_in_tasks, [[<<"c">>], 500], <<"c">>}]],
    ok.

between_processes(_Config) ->
    {ok, Ch} = py_channel:new(),
    Sender = ep_background:start(fun() -> send_all(Ch, lists:seq(1, 10000)) end),
    Numbers = lists:seq(1, 10000),
    Numbers = [receive_one(Ch) || _ <- Numbers],
    ok = ep_background:result(Sender).

many_senders_one_receiver(Config) ->
    [begin
         {ok, Ch} = py_channel:new(#{max_size => 2000}),
         Receiver = background(Config, Way, [Ch]),
         {ok, Other} = py_context:new(#{mode => ep_ct:context_mode()}),
         ok = ep_fresh_context:add_sources(Other),
         Processes = [ep_background:start(fun() -> produce(Ch, Name, 300) end) || Name <- [<<"p1">>, <<"p2">>, <<"p3">>]],
         Threads = ep_background:start(fun() ->
             py:call(Other, channel_work, produce_in_threads, [Ch, [<<"t1">>, <<"t2">>], 300])
         end),
         _ = ep_background:results([Threads | Processes]),
         {ok, none} = py:call(Other, channel_work, produce_in_tasks, [Ch, [<<"c1">>, <<"c2">>], 300]),
         ok = py_channel:close(Ch),
         {ok, Messages} = ep_background:result(Receiver),
         py_context:stop(Other),
         2100 = length(Messages),
         [{Way, true} = {Way, [N || [From, N] <- Messages, From =:= Name] =:= lists:seq(0, 299)}
          || Name <- [<<"p1">>, <<"p2">>, <<"p3">>, <<"t1">>, <<"t2">>, <<"c1">>, <<"c2">>]]
     end || Way <- ?WAYS],
    ok.

%% Every receiver gets what it gets in order, and together they get everything once.
one_sender_many_receivers(Config) ->
    Numbers = lists:seq(1, 3000),
    [begin
         {ok, Ch} = py_channel:new(),
         Receivers = background(Config, Way, [Ch, 5]),
         ok = send_all(Ch, Numbers),
         ok = py_channel:close(Ch),
         {ok, Parts} = ep_background:result(Receivers),
         [{Way, Part} = {Way, lists:sort(Part)} || Part <- Parts],
         Numbers = lists:sort(lists:append(Parts))
     end || Way <- [collect_in_many_threads, collect_in_many_tasks]],
    ok.

requests_and_replies(Config) ->
    {ok, Ch} = py_channel:new(),
    Running = background(Config, echo, [Ch]),
    [begin
         ok = py_channel:send(Ch, {request, self(), N}),
         ep_expect:message({<<"response">>, N})
     end || N <- lists:seq(1, 200)],
    ok = py_channel:close(Ch),
    {ok, <<"closed">>} = ep_background:result(Running).

%% In mode owngil, and the main interpreter beside it where both can be had.
between_interpreters(Config) ->
    {ok, There} = py_channel:new(),
    {ok, Back} = py_channel:new(),
    Contexts = [begin {ok, Ctx} = py_context:new(#{mode => Mode}), ok = ep_fresh_context:add_sources(Ctx), Ctx end
                || Mode <- lists:usort([worker, ep_ct:context_mode()])],
    [First | _] = Contexts,
    ok = py_channel:send(Back, There), % by way of a channel itself
    {ok, Passed} = py:call(First, channel_work, 'receive', [Back]),
    true = Passed =:= There,
    Receiver = background(Config, collect, [Passed]),
    [{ok, none} = py:call(Ctx, channel_work, produce, [There, <<"x">>, 100]) || Ctx <- Contexts],
    ok = py_channel:close(There),
    {ok, Messages} = ep_background:result(Receiver),
    true = length(Messages) =:= 100 * length(Contexts),
    [py_context:stop(Ctx) || Ctx <- Contexts],
    ok.

%% The one that receives lets the one in that sends.
between_calls_of_one_context(Config) ->
    {ok, Ch} = py_channel:new(),
    Running = background(Config, receive_saying_so, [Ch, self()]),
    ep_expect:message(<<"receives">>),
    {ok, none} = call(Config, send, [Ch, 42]),
    {ok, 42} = ep_background:result(Running).

%% ---------------------------------------------------------------------------------------------------------------------
%% Terms

terms() ->
    [1, -1, 255, 256, 1 bsl 31, 1 bsl 40, -(1 bsl 63), 1 bsl 64, -(1 bsl 200), 0.0, -1.5, a, 'ä', 'atom ∂', [], [1 | 2],
     [1, 2, 3], lists:seq(1, 300), "text", [256], lists:duplicate(70000, 1), {}, {1}, list_to_tuple(lists:seq(1, 300)), <<>>, <<"bin">>,
     <<0:800>>, <<1:3>>, #{}, #{a => 1, <<"b">> => [c]}, maps:from_list([{N, N} || N <- lists:seq(1, 100)]), self(),
     make_ref(), fun() -> ok end, fun lists:map/2, [nil, none, undefined, true], {nested, [{deep, #{k => [<<"v">>]}}]},
     binary:part(binary:copy(<<"x">>, 100000), 5, 20), [binary:copy(<<"y">>, 1000), {binary:copy(<<"z">>, 100)}],
     lists:foldl(fun(_, Inner) -> {<<"x">>, Inner} end, leaf, lists:seq(1, 300))].

terms_come_back_as_they_were(_Config) ->
    {ok, Ch} = py_channel:new(),
    [begin
         ok = py_channel:send(Ch, Term),
         {ok, Term} = py_channel:try_receive(Ch)
     end || Term <- terms()],
    ok = send_all(Ch, terms()),
    Terms = terms_of(Ch, length(terms())),
    true = length(Terms) =:= length(terms()).

%% What Python cannot express comes as an erlang.Term, and goes back as it was.
no_python_form(Config) ->
    {ok, Ch} = py_channel:new(),
    Fun = fun() -> ok end,
    [begin
         ok = py_channel:send(Ch, Term),
         {ok, Term} = call(Config, 'receive', [Ch])
     end || Term <- [Fun, [1 | 2], <<1:3>>]],
    ok.

sizes_are_those_of_the_external_format(_Config) ->
    [begin
         {ok, Ch} = py_channel:new(),
         ok = py_channel:send(Ch, Term),
         #{size := Size, max_size := 0, closed := false} = py_channel:info(Ch),
         {Term, Size} = {Term, byte_size(term_to_binary(Term))},
         _ = py_channel:try_receive(Ch),
         #{size := 0} = py_channel:info(Ch)
     end || Term <- terms()],
    ok.

%% Too long to be measured on a scheduler, and in every order.
large_terms(Config) ->
    {ok, Ch} = py_channel:new(),
    Large = lists:seq(1, 100000),
    Sent = [1, Large, <<0:8000000>>, {a, Large}, 2],
    ok = send_all(Ch, Sent),
    [ok = py_channel:send(Ch, <<N:4000/unit:8>>) || N <- lists:seq(1, 100)],
    Sent = terms_of(Ch, 5),
    [{ok, <<N:4000/unit:8>>} = py_channel:try_receive(Ch) || N <- lists:seq(1, 100)],
    ok = py_channel:send(Ch, Large),
    {ok, Large} = call(Config, 'receive', [Ch]).

%% Copied with their binaries on threads that are no scheduler's: what makes maps in one go crashes there.
large_maps_from_python(Config) ->
    {ok, Ch} = py_channel:new(),
    [begin
         Map = maps:from_list([{N, <<"x">>} || N <- lists:seq(1, Size)]),
         {ok, _} = call(Config, send, [Ch, Map]),
         {Size, {ok, Map}} = {Size, py_channel:recv(Ch, 5000)}
     end || Size <- [32, 33, 100, 200]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Backpressure

full(Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 100}),
    Message = binary:copy(<<"x">>, 44), % 50 bytes
    ok = py_channel:send(Ch, Message),
    ok = py_channel:send(Ch, Message),
    busy = py_channel:send(Ch, a),
    busy = py_channel:send(Ch, a, #{}),
    #{size := 100, max_size := 100} = py_channel:info(Ch),
    {ok, Message} = py_channel:recv(Ch),
    ok = py_channel:send(Ch, a),
    {ok, Message} = py_channel:recv(Ch),
    {ok, a} = py_channel:recv(Ch),
    {ok, [true, false, 1, none]} = call(Config, tries, [Ch]).

waiting_for_room(Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 60}),
    Message = binary:copy(<<"x">>, 44),
    ok = py_channel:send(Ch, Message),
    {error, timeout} = py_channel:send(Ch, Message, #{wait => 20}),
    {error, timeout} = py_channel:send(Ch, Message, #{wait => 0}),
    {ok, [<<"TimeoutError">>, _]} = call(Config, error_of, [send, Ch, Message, 0.01]),
    Test = self(),
    Senders = [ep_background:start(fun() -> Test ! <<"sends">>, py_channel:send(Ch, {N, Message}, #{wait => infinity}) end)
               || N <- [1, 2]] ++
              [background(Config, send_saying_so, [Ch, {3, Message}, self()])],
    [ep_expect:message(<<"sends">>) || _ <- Senders],
    {ok, Message} = py_channel:recv(Ch),
    Numbers = [N || {ok, {N, M}} <- [py_channel:recv(Ch) || _ <- Senders], M =:= Message],
    [1, 2, 3] = lists:sort(Numbers),
    [ok, ok, {ok, <<"sent">>}] = ep_background:results(Senders),
    ok = py_channel:send(Ch, Message),
    Async = background(Config, send_async_saying_so, [Ch, Message, self()]),
    ep_expect:message(<<"sends">>),
    {ok, Message} = py_channel:recv(Ch),
    {ok, <<"sent">>} = ep_background:result(Async),
    {ok, Message} = py_channel:recv(Ch).

waiting_senders_and_a_close(Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 10}),
    ok = py_channel:send(Ch, 1),
    Message = <<"123">>,
    Waiting = ep_background:start(fun() -> py_channel:send(Ch, Message, #{wait => infinity}) end),
    Python = background(Config, error_of, [send, Ch, Message]),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) >= 2 end),
    ok = py_channel:close(Ch),
    {error, closed} = ep_background:result(Waiting),
    {ok, [<<"ChannelClosed">>, _]} = ep_background:result(Python),
    {ok, 1} = py_channel:recv(Ch),
    {error, closed} = py_channel:recv(Ch).

too_large(Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 10}),
    busy = py_channel:send(Ch, <<0:800>>),
    {error, too_large} = py_channel:send(Ch, <<0:800>>, #{wait => infinity}),
    {ok, [<<"ValueError">>, Text]} = call(Config, error_of, [send, Ch, <<0:800>>]),
    {match, _} = re:run(Text, <<"larger than the channel's max_size">>),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Closing

closed_with_data_in_line(Config) ->
    [begin
         {ok, Ch} = py_channel:new(),
         ok = send_all(Ch, [1, 2, 3]),
         ok = py_channel:close(Ch),
         ok = py_channel:close(Ch),
         {error, closed} = py_channel:send(Ch, 4),
         {error, closed} = py_channel:send(Ch, 4, #{wait => 1000}),
         {Way, {ok, [1, 2, 3]}} = {Way, call(Config, Way, [Ch])}
     end || Way <- ?WAYS],
    {ok, Ch} = py_channel:new(),
    ok = send_all(Ch, [1, 2]),
    ok = py_channel:close(Ch),
    #{closed := true} = py_channel:info(Ch),
    {ok, 1} = py_channel:try_receive(Ch),
    {ok, 2} = py_channel:recv(Ch, 1000),
    {error, closed} = py_channel:try_receive(Ch),
    {error, closed} = py_channel:recv(Ch, 1000),
    {error, closed} = py_channel:recv(Ch),
    {ok, Other} = py_channel:new(),
    ok = send_all(Other, [1, 2]),
    ok = py_channel:close(Other),
    Closed = <<"the channel is closed">>,
    {ok, [1, 2, Closed, Closed, Closed, Closed, <<"closed">>]} = call(Config, after_close, [Other]),
    ok.

closing_wakes_receivers(Config) ->
    [begin
         {ok, Ch} = py_channel:new(),
         Running = background(Config, error_of, [Function, Ch, self()]),
         ep_expect:message(<<"receives">>),
         ok = py_channel:close(Ch),
         {ok, [<<"ChannelClosed">>, _]} = ep_background:result(Running)
     end || Function <- [receive_saying_so, receive_async_saying_so]],
    {ok, Ch} = py_channel:new(),
    Process = ep_background:start(fun() -> py_channel:recv(Ch) end),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) > 0 end),
    ok = py_channel:close(Ch),
    {error, closed} = ep_background:result(Process).

with_statement(Config) ->
    {ok, Ch} = py_channel:new(),
    ok = send_all(Ch, [1, 2]),
    {ok, [1, true]} = call(Config, with_statement, [Ch]),
    {ok, 2} = py_channel:recv(Ch),
    {error, closed} = py_channel:recv(Ch).

%% ---------------------------------------------------------------------------------------------------------------------
%% Waiting

timeouts(Config) ->
    {ok, Ch} = py_channel:new(),
    {error, empty} = py_channel:try_receive(Ch),
    {error, timeout} = py_channel:recv(Ch, 0),
    {error, timeout} = py_channel:recv(Ch, 20),
    {ok, [<<"TimeoutError">>, _]} = call(Config, error_of, ['receive', Ch, 0]),
    {ok, [<<"TimeoutError">>, _]} = call(Config, error_of, ['receive', Ch, 0.02]),
    [{ok, [<<"ValueError">>, _]} = call(Config, error_of, [Function, Ch, Bad])
     || Function <- [receive_for, receive_async_for], Bad <- [<<"-1">>, <<"nan">>]],
    {ok, [<<"TimeoutError">>, _]} = call(Config, error_of, [receive_async_for, Ch, <<"0.01">>]),
    {error, timeout} = py:call(ctx(Config), channel_work, 'receive', [Ch], #{timeout => 30}),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = call(Config, 'receive', [Ch, 1.0e300]),
    ep_ct:wait_until(fun() -> ep_ct:alive(wakers) =:= 0 end).

one_process_waits_at_a_time(_Config) ->
    {ok, Ch} = py_channel:new(),
    First = ep_background:start(fun() -> py_channel:recv(Ch) end),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) > 0 end),
    {error, waiter_exists} = py_channel:recv(Ch),
    {error, waiter_exists} = py_channel:recv(Ch, 10),
    {error, empty} = py_channel:try_receive(Ch),
    ok = ep_background:kill(First),
    Second = ep_background:start(fun() -> py_channel:recv(Ch) end),
    ep_ct:wait_until(fun() -> {error, waiter_exists} =:= py_channel:recv(Ch, 0) end),
    ok = py_channel:send(Ch, x),
    {ok, x} = ep_background:result(Second).

a_killed_receiver(Config) ->
    {ok, Ch} = py_channel:new(),
    Process = ep_background:start(fun() -> py_channel:recv(Ch) end),
    Python = background(Config, receive_saying_so, [Ch, self()]),
    ep_expect:message(<<"receives">>),
    ok = ep_background:kill(Process),
    ok = ep_background:kill(Python),
    ep_ct:wait_until(fun() -> ep_ct:alive(wakers) =:= 0 end),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = py_channel:recv(Ch).

a_killed_sender(Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 10}),
    ok = py_channel:send(Ch, 1),
    Process = ep_background:start(fun() -> py_channel:send(Ch, <<"123">>, #{wait => infinity}) end),
    Python = background(Config, send_saying_so, [Ch, <<"123">>, self()]),
    ep_expect:message(<<"sends">>),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) >= 2 end),
    ok = ep_background:kill(Process),
    ok = ep_background:kill(Python),
    ep_ct:wait_until(fun() -> ep_ct:alive(wakers) =:= 0 end),
    {ok, 1} = py_channel:recv(Ch),
    {error, empty} = py_channel:try_receive(Ch).

a_killed_context(Config) ->
    {ok, Ch} = py_channel:new(),
    [begin
         Ctx = ep_fresh_context:start(),
         Test = self(),
         Running = ep_background:start(fun() -> py:call(Ctx, channel_work, Function, [Ch, Test], #{timeout => infinity}) end),
         ep_expect:message(<<"receives">>),
         exit(Ctx, kill),
         {error, _} = ep_background:result(Running)
     end || Function <- [receive_saying_so, receive_async_saying_so]],
    %% A message would go to whoever has not noticed yet.
    ep_ct:wait_until(fun() ->
        {ok, _} = call(Config, collect_garbage, []),
        ep_ct:alive(wakers) =:= 0
    end),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = call(Config, 'receive', [Ch]).

interrupted_while_receiving(Config) ->
    {ok, Ch} = py_channel:new(),
    [begin
         Running = background(Config, Function, [Ch, self()]),
         ep_expect:message(<<"receives">>),
         ok = py:interrupt(ctx(Config)),
         {error, interrupted} = ep_background:result(Running)
     end || Function <- [receive_saying_so, receive_async_saying_so], _ <- [1, 2, 3]],
    ok = py_channel:send(Ch, 1),
    {ok, 1} = call(Config, 'receive', [Ch]).

receivers_that_give_up_lose_nothing(Config) ->
    Numbers = lists:seq(1, 500),
    [begin
         {ok, Ch} = py_channel:new(),
         Running = background(Config, Way, [Ch, 4]),
         Process = ep_background:start(fun() -> impatient(Ch) end),
         [begin ok = py_channel:send(Ch, N), N rem 10 =:= 0 andalso timer:sleep(1) end || N <- Numbers],
         ok = py_channel:close(Ch),
         {ok, Parts} = ep_background:result(Running),
         Numbers = lists:sort(lists:append([ep_background:result(Process) | Parts]))
     end || Way <- [impatient, impatient_threads]],
    ok.

impatient(Ch) ->
    case py_channel:recv(Ch, 1) of
        {ok, N} -> [N | impatient(Ch)];
        {error, timeout} -> impatient(Ch);
        {error, closed} -> []
    end.

cancelled_coroutines(Config) ->
    {ok, Ch} = py_channel:new(),
    Running = background(Config, cancelled_receive, [Ch, self()]),
    ep_expect:message(<<"cancelled">>),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = ep_background:result(Running).

the_loop_goes_on_meanwhile(Config) ->
    {ok, Ch} = py_channel:new(),
    Running = background(Config, other_work_goes_on, [Ch, self()]),
    ep_expect:message(<<"ten turns">>),
    ok = py_channel:send(Ch, done),
    {ok, [true, <<"done">>]} = ep_background:result(Running).

calls_are_served_while_one_receives(Config) ->
    {ok, Ch} = py_channel:new(),
    Running = background(Config, receive_saying_so, [Ch, self()]),
    ep_expect:message(<<"receives">>),
    {ok, 4.0} = py:call(ctx(Config), math, sqrt, [16]),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = ep_background:result(Running).

%% They run on one thread, the last one on top: a wake for one below is passed on to it, else nobody would go on.
receivers_on_top_of_each_other(Config) ->
    {ok, Ch} = py_channel:new(),
    {ok, Other} = py_channel:new(),
    Receivers = [begin
                     Running = background(Config, receive_saying_so, [Ch, self()]),
                     ep_expect:message(<<"receives">>),
                     Running
                 end || _ <- lists:seq(1, 5)],
    ok = send_all(Ch, [1, 2, 3, 4, 5]),
    [1, 2, 3, 4, 5] = lists:sort([N || {ok, N} <- ep_background:results(Receivers)]),
    %% Below something else that waits, it leaves the message to a process.
    Below = background(Config, receive_saying_so, [Ch, self()]),
    ep_expect:message(<<"receives">>),
    Above = background(Config, receive_saying_so, [Other, self()]),
    ep_expect:message(<<"receives">>),
    ok = py_channel:send(Ch, 6),
    {ok, 6} = py_channel:recv(Ch, 20000),
    ok = py_channel:send(Other, 7),
    {ok, 7} = ep_background:result(Above),
    ok = py_channel:send(Ch, 8),
    {ok, 8} = ep_background:result(Below).

handles_made_at_once(Config) ->
    {ok, Ch} = py_channel:new(),
    {ok, 80000} = call(Config, make_handles, [Ch, 4, 20000]).

timeouts_that_cannot_be(_Config) ->
    {ok, Ch} = py_channel:new(),
    [{'EXIT', _} = catch py_channel:recv(Ch, Bad) || Bad <- [-1, 1 bsl 32, x]],
    0 = ep_ct:alive(wakers),
    ok = py_channel:send(Ch, 1),
    {ok, 1} = py_channel:recv(Ch).

senders_that_fit_go_first(_Config) ->
    {ok, Ch} = py_byte_channel:new(#{max_size => 100}),
    ok = py_byte_channel:send(Ch, <<0:480>>),
    ok = py_byte_channel:send(Ch, <<0:320>>),
    Large = ep_background:start(fun() -> py_byte_channel:send(Ch, <<1:720>>, #{wait => infinity}) end),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) =:= 1 end),
    Small = ep_background:start(fun() -> py_byte_channel:send(Ch, <<2>>, #{wait => infinity}) end),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) =:= 2 end),
    {ok, <<0:480>>} = py_byte_channel:recv(Ch),
    ok = ep_background:result(Small),
    {ok, <<0:320>>} = py_byte_channel:recv(Ch),
    {ok, <<2>>} = py_byte_channel:recv(Ch),
    ok = ep_background:result(Large),
    {ok, <<1:720>>} = py_byte_channel:recv(Ch).

%% Somebody else takes the last message.
the_end_for_a_subscriber_without_credit(_Config) ->
    {ok, Ch} = py_channel:new(),
    ok = py_channel:subscribe(Ch, 1),
    ok = send_all(Ch, [1, 2]),
    ok = py_channel:close(Ch),
    ep_expect:message({py_channel_message, Ch, 1}),
    {ok, 2} = py_channel:try_receive(Ch),
    ep_expect:message({py_channel_closed, Ch}).

%% Neither who subscribes nor who receives copies them on a scheduler that others wait for.
%% Whoever sends and receives in a loop is charged for what is copied, so that others have their turn.
copying_takes_its_time(_Config) ->
    {ok, Channel} = py_channel:new(),
    Reductions = fun(Message, Times) ->
        {reductions, Before} = process_info(self(), reductions),
        [ok = py_channel:send(Channel, Message) || _ <- lists:seq(1, Times)],
        {reductions, Between} = process_info(self(), reductions),
        [{ok, Message} = py_channel:recv(Channel) || _ <- lists:seq(1, Times)],
        {reductions, After} = process_info(self(), reductions),
        {Between - Before, After - Between}
    end,
    Sizes = [{1000, 100}, {100, 1000}, {10, 10_000}],
    [begin
         {Sending, Receiving} = Reductions(lists:seq(1, Size), Times),
         %% 100,000 terms in all are 250 percent of a timeslice of 4000.
         [true = Each > 8000 orelse error({Size, Sending, Receiving}) || Each <- [Sending, Receiving]]
     end || {Size, Times} <- Sizes],
    ok = py_channel:close(Channel).

large_messages_block_nobody(_Config) ->
    Large = lists:seq(1, 500000),
    {ok, Ch} = py_channel:new(),
    [ok = py_channel:send(Ch, Large) || _ <- lists:seq(1, 20)],
    Before = erlang:system_monitor(self(), [{long_schedule, 500}]),
    ok = ep_ct:in_process(fun() ->
        ok = py_channel:subscribe(Ch, 10),
        [receive {py_channel_message, Ch, Large} -> ok end || _ <- lists:seq(1, 10)],
        ok = py_channel:unsubscribe(Ch),
        [{ok, Large} = py_channel:recv(Ch) || _ <- lists:seq(1, 10)],
        ok
    end),
    _ = erlang:system_monitor(Before),
    [] = long_in_nifs().

%% Of what was too long, that which was in a function of ours: the rest is garbage collection.
long_in_nifs() ->
    receive
        {monitor, _, long_schedule, Info} ->
            [Info || {_, {py_nif, _, _}} <- Info] ++ long_in_nifs()
    after 0 -> []
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Subscribers

subscribing(Config) ->
    {ok, Ch} = py_channel:new(),
    ok = send_all(Ch, [1, 2]),
    ok = py_channel:subscribe(Ch, 1000),
    {ok, none} = call(Config, produce, [Ch, <<"p">>, 3]),
    [ep_expect:message({py_channel_message, Ch, Term}) || Term <- [1, 2, [<<"p">>, 0], [<<"p">>, 1], [<<"p">>, 2]]],
    ok = py_channel:unsubscribe(Ch),
    ok = py_channel:send(Ch, later),
    {ok, later} = py_channel:recv(Ch),
    ok = ep_ct:mailbox_empty().

credit(_Config) ->
    {ok, Ch} = py_channel:new(#{max_size => 1000}),
    ok = py_channel:subscribe(Ch, 2),
    ok = send_all(Ch, [1, 2, 3, 4]),
    [ep_expect:message({py_channel_message, Ch, N}) || N <- [1, 2]],
    ok = ep_ct:mailbox_empty(),
    ok = py_channel:credit(Ch, 1),
    ep_expect:message({py_channel_message, Ch, 3}),
    ok = ep_ct:mailbox_empty(),
    %% Room that a subscriber makes is room.
    Sender = ep_background:start(fun() -> py_channel:send(Ch, binary:copy(<<"x">>, 993), #{wait => infinity}) end),
    ep_ct:wait_until(fun() -> maps:get(wakers, py_nif:counters()) > 0 end),
    ok = py_channel:credit(Ch, 2),
    ep_expect:message({py_channel_message, Ch, 4}),
    receive {py_channel_message, Ch, <<"x", _/binary>>} -> ok end,
    ok = ep_background:result(Sender),
    [{'EXIT', {badarg, _}} = catch py_channel:credit(Ch, Bad) || Bad <- [0, -1, 1001, x]],
    [{'EXIT', {badarg, _}} = catch py_channel:subscribe(Ch, Bad) || Bad <- [0, -1, 1001, x]],
    ok.

subscribers_and_the_end(_Config) ->
    {ok, Ch} = py_channel:new(),
    ok = py_channel:subscribe(Ch, 1),
    ok = send_all(Ch, [1, 2]),
    ok = py_channel:close(Ch),
    ep_expect:message({py_channel_message, Ch, 1}),
    ok = ep_ct:mailbox_empty(),
    ok = py_channel:credit(Ch, 5),
    ep_expect:message({py_channel_message, Ch, 2}),
    ep_expect:message({py_channel_closed, Ch}),
    {error, closed} = py_channel:subscribe(Ch, 1),
    {error, not_subscribed} = py_channel:credit(Ch, 5),
    {error, not_subscribed} = py_channel:unsubscribe(Ch).

a_killed_subscriber(_Config) ->
    {ok, Ch} = py_channel:new(),
    Test = self(),
    Running = ep_background:start(fun() -> ok = py_channel:subscribe(Ch, 1), Test ! subscribed, receive never -> ok end end),
    ep_expect:message(subscribed),
    ok = ep_background:kill(Running),
    ep_ct:wait_until(fun() -> py_channel:subscribe(Ch, 10) =:= ok end),
    ok = py_channel:send(Ch, 1),
    ep_expect:message({py_channel_message, Ch, 1}),
    ok = py_channel:unsubscribe(Ch).

one_subscriber(_Config) ->
    {ok, Ch} = py_channel:new(),
    ok = py_channel:subscribe(Ch, 1),
    {error, waiter_exists} = py_channel:subscribe(Ch, 1),
    Other = ep_background:start(fun() ->
        {py_channel:recv(Ch, 0), py_channel:subscribe(Ch, 1), py_channel:unsubscribe(Ch), py_channel:credit(Ch, 1)}
    end),
    {{error, waiter_exists}, {error, waiter_exists}, {error, not_subscribed}, {error, not_subscribed}} =
        ep_background:result(Other),
    ok = py_channel:unsubscribe(Ch).

%% ---------------------------------------------------------------------------------------------------------------------
%% References and arguments

references_survive(Config) ->
    {ok, Ch} = py_channel:new(),
    true = is_reference(Ch),
    {ok, [Ch, [Ch, #{<<"channel">> := Ch}], true, true]} = call(Config, same, [Ch, [Ch]]),
    {ok, [#{<<"size">> := 0, <<"max_size">> := 0, <<"closed">> := false}, false]} = call(Config, info, [Ch]),
    ok.

wrong_arguments(Config) ->
    [{'EXIT', {badarg, _}} = catch Function(Bad)
     || Function <- [fun py_channel:close/1, fun py_channel:info/1, fun py_channel:recv/1, fun py_channel:try_receive/1,
                     fun(Term) -> py_channel:send(Term, 1) end, fun(Term) -> py_channel:subscribe(Term, 1) end,
                     fun(Term) -> py_channel:new(#{max_size => Term}) end],
        Bad <- [make_ref(), self(), x, -1]],
    {'EXIT', {function_clause, _}} = catch py_channel:new([]),
    Expected = <<"() takes the erlang.Ref">>,
    [{Source, {match, _}} = {Source, re:run(element(2, call(Config, construct_from, [<<"term">>, Source])), Text)}
     || {Source, Text} <- [{<<"1">>, Expected}, {<<"None">>, Expected}, {<<"'x'">>, Expected}]],
    {ok, Text} = call(Config, construct, [<<"term">>, make_ref()]),
    {match, _} = re:run(Text, <<"channel.check\\(\\) does not take these arguments">>),
    ok.

kinds_are_not_mixed(Config) ->
    {ok, Terms} = py_channel:new(),
    {ok, Bytes} = py_byte_channel:new(),
    [{'EXIT', {badarg, _}} = catch Wrong()
     || Wrong <- [fun() -> py_channel:send(Bytes, 1) end, fun() -> py_channel:recv(Bytes) end,
                  fun() -> py_byte_channel:send(Terms, <<"x">>) end, fun() -> py_byte_channel:try_receive(Terms) end,
                  fun() -> py_byte_channel:send(Bytes, x) end, fun() -> py_byte_channel:send(Bytes, <<1:3>>) end]],
    [{ok, <<_:10/binary, _/binary>>} = call(Config, construct, [Kind, Ch])
     || {Kind, Ch} <- [{<<"term">>, Bytes}, {<<"bytes">>, Terms}]],
    {ok, <<"no error">>} = call(Config, construct, [<<"bytes">>, Bytes]),
    {ok, [<<"TypeError">>, _]} = call(Config, send_wrong_bytes, [Bytes]),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------
%% Bytes

bytes_to_python(Config) ->
    {ok, Ch} = py_byte_channel:new(),
    Running = background(Config, bytes_from, [Ch]),
    [ok = py_byte_channel:send(Ch, binary:copy(<<N>>, N * 1000)) || N <- lists:seq(1, 10)],
    ok = py_byte_channel:close(Ch),
    {ok, true} = ep_background:result(Running).

bytes_from_python(Config) ->
    {ok, Ch} = py_byte_channel:new(),
    {ok, none} = call(Config, bytes_to, [Ch]),
    [{ok, Bytes} = py_byte_channel:recv(Ch)
     || Bytes <- [<<"bytes">>, <<"bytearray">>, <<"memoryview">>, <<>>, binary:copy(<<255>>, 300000)]],
    {error, closed} = py_byte_channel:recv(Ch),
    ok.

byte_backpressure(Config) ->
    {ok, Ch} = py_byte_channel:new(#{max_size => 10}),
    ok = py_byte_channel:send(Ch, <<"1234567890">>),
    busy = py_byte_channel:send(Ch, <<"1">>),
    {error, timeout} = py_byte_channel:send(Ch, <<"1">>, #{wait => 10}),
    {error, too_large} = py_byte_channel:send(Ch, <<"12345678901">>, #{wait => 10}),
    ok = py_byte_channel:send(Ch, <<>>),
    #{size := 10, max_size := 10, closed := false} = py_byte_channel:info(Ch),
    {ok, <<"1234567890">>} = py_byte_channel:try_receive(Ch),
    {ok, <<>>} = py_byte_channel:recv(Ch, 10),
    {error, empty} = py_byte_channel:try_receive(Ch),
    {error, timeout} = py_byte_channel:recv(Ch, 10),
    {ok, Small} = py_byte_channel:new(#{max_size => 5}),
    {ok, [none, true, false, <<"12345">>, true, true, true]} = call(Config, byte_ends, [Small]),
    ok.

bytes_and_coroutines(Config) ->
    {ok, There} = py_byte_channel:new(#{max_size => 100}),
    {ok, Back} = py_byte_channel:new(#{max_size => 100}),
    Running = background(Config, bytes_async, [There, Back]),
    Sender = ep_background:start(fun() ->
        [ok = py_byte_channel:send(There, <<N:32>>, #{wait => infinity}) || N <- lists:seq(1, 1000)],
        py_byte_channel:close(There)
    end),
    [{ok, <<N:32/little>>} = py_byte_channel:recv(Back) || N <- lists:seq(1, 1000)],
    {error, closed} = py_byte_channel:recv(Back),
    ok = ep_background:result(Sender),
    {ok, none} = ep_background:result(Running).

bytes_between_processes(_Config) ->
    {ok, Ch} = py_byte_channel:new(),
    ok = py_byte_channel:subscribe(Ch, 3),
    ok = py_byte_channel:send(Ch, <<"abc">>),
    ep_expect:message({py_channel_message, Ch, <<"abc">>}),
    ok = py_byte_channel:credit(Ch, 1),
    ok = py_byte_channel:unsubscribe(Ch),
    Whole = binary:copy(<<"x">>, 1000000),
    ok = py_byte_channel:send(Ch, binary:part(Whole, 0, 100)),
    {ok, Part} = py_byte_channel:recv(Ch),
    100 = binary:referenced_byte_size(Part). % it does not keep the whole

%% ---------------------------------------------------------------------------------------------------------------------
%% Lifetimes

kept_by_python_only(Config) ->
    Before = ep_ct:alive(plugin_resources),
    Ctx = ctx(Config),
    ok = ep_ct:in_process(fun() ->
        {ok, Ch} = py_channel:new(),
        ok = send_all(Ch, terms()),
        {ok, none} = py:call(Ctx, channel_work, keep, [Ch]),
        ok
    end),
    true = ep_ct:alive(plugin_resources) > Before,
    {ok, none} = call(Config, forget, []),
    ep_ct:wait_until(fun() -> ep_ct:alive(plugin_resources) =:= Before end).

%% A channel that holds the last reference to another, and one that nobody can reach but through itself is not freed:
%% it is emptied first.
messages_that_hold_channels(_Config) ->
    Before = ep_ct:alive(plugin_resources),
    ok = ep_ct:in_process(fun() ->
        {ok, Outer} = py_channel:new(),
        {ok, Inner} = py_channel:new(),
        ok = send_all(Inner, lists:seq(1, 5000)),
        ok = py_channel:send(Outer, [Inner]),
        ok = py_channel:send(Outer, {Outer, 1}),
        {ok, [Inner]} = py_channel:recv(Outer),
        {ok, {Outer, 1}} = py_channel:recv(Outer),
        ok
    end),
    ep_ct:wait_until(fun() -> ep_ct:alive(plugin_resources) =:= Before end).

%% A million messages through a channel, and a long line that nobody takes, leave nothing.
memory_is_given_back(_Config) ->
    ok = ep_ct:in_process(fun() ->
        {ok, Ch} = py_channel:new(),
        ok = send_all(Ch, lists:seq(1, 300000)),
        ok
    end),
    {ok, Ch} = py_channel:new(),
    {ok, Bytes} = py_byte_channel:new(),
    Round = fun() ->
        [begin
             ok = py_channel:send(Ch, {N, <<"some bytes">>}),
             ok = py_channel:send(Ch, [N, make_ref()]),
             {ok, {N, _}} = py_channel:recv(Ch),
             {ok, [N, _]} = py_channel:recv(Ch),
             ok = py_byte_channel:send(Bytes, <<>>),
             {ok, <<>>} = py_byte_channel:try_receive(Bytes)
         end || N <- lists:seq(1, 100000)],
        erlang:garbage_collect()
    end,
    Round(),
    Before = erlang:memory(system),
    [Round() || _ <- lists:seq(1, 3)],
    Grown = erlang:memory(system) - Before,
    {true, _} = {Grown < 2000000, Grown},
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

send_all(Ch, Terms) -> lists:foreach(fun(Term) -> ok = py_channel:send(Ch, Term) end, Terms).

produce(Ch, Name, Count) ->
    [ok = py_channel:send(Ch, [Name, N], #{wait => infinity}) || N <- lists:seq(0, Count - 1)],
    ok.

receive_one(Ch) ->
    {ok, Term} = py_channel:recv(Ch, 30000),
    Term.

terms_of(Ch, Count) ->
    [begin {ok, Term} = py_channel:try_receive(Ch), Term end || _ <- lists:seq(1, Count)].

call(Config, Function, Args) ->
    py:call(ctx(Config), channel_work, Function, Args).

background(Config, Function, Args) ->
    ep_background:start(fun() -> py:call(ctx(Config), channel_work, Function, Args, #{timeout => infinity}) end).

ctx(Config) -> proplists:get_value(ctx, Config).
