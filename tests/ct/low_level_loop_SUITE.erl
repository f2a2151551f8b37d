%%% @doc Event loops that are run in Erlang, with py_nif's functions.
-module(low_level_loop_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_reader/1, a_writer/1, both/1, many_loops/1, reported_until_it_is_read/1, in_order/1, timers/1,
    a_timer_that_is_cancelled/1, timers_nobody_sees/1, polling_waits_as_a_receive_does/1, waking_up/1, several_who_poll/1
]).
-export([
    a_worker_by_hand/1, a_worker_of_another/1, a_worker_ends_with_its_starter/1, a_killed_worker/1,
    a_killed_worker_of_the_user/1, workers_that_are_killed_all_the_time/1, without_the_application/1,
    the_application_stops/1, what_was_lost_is_said/1, several_who_begin/1, killed_while_a_worker_is_started/1
]).
-export([
    what_was_removed_is_not_reported/1, what_was_on_its_way_is_not_reported/1, the_user_closes_his_file/1,
    the_number_is_another_files/1, a_file_that_hangs_up/1, many_files/1, files_that_come_and_go/1
]).
-export([
    a_destroyed_loop/1, a_loop_nobody_has/1, a_process_that_dies_while_it_polls/1, wrong_arguments/1, no_files/1,
    what_belongs_to_another_loop/1, datagrams/1, datagrams_that_are_refused/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_reader, a_writer, both, many_loops, reported_until_it_is_read, in_order, timers, a_timer_that_is_cancelled,
        timers_nobody_sees, polling_waits_as_a_receive_does, waking_up, several_who_poll,
        a_worker_by_hand, a_worker_of_another, a_worker_ends_with_its_starter, a_killed_worker,
        a_killed_worker_of_the_user, workers_that_are_killed_all_the_time, without_the_application,
        the_application_stops, what_was_lost_is_said, several_who_begin, killed_while_a_worker_is_started,
        what_was_removed_is_not_reported, what_was_on_its_way_is_not_reported, the_user_closes_his_file,
        the_number_is_another_files, a_file_that_hangs_up, many_files, files_that_come_and_go,
        a_destroyed_loop, a_loop_nobody_has, a_process_that_dies_while_it_polls, wrong_arguments, no_files,
        what_belongs_to_another_loop, datagrams, datagrams_that_are_refused, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    %% A case runs in a process of its own, and what it made ends with that.
    [{files, watched()} | ep_files:note(Config)].

end_per_testcase(nothing_is_left_behind, _Config) ->
    ok;
end_per_testcase(_Case, Config) ->
    case ep_files:finish(ep_ct:end_case(), Config) of
        ok ->
            try ep_ct:wait_until(fun() -> watched() =:= proplists:get_value(files, Config) end)
            catch error:timeout -> {fail, {watched, watched()}}
            end;
        Failure ->
            Failure
    end.

watched() ->
    {ep_ct:alive(watched_files), ep_ct:alive(event_loops)}.

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% What is ready

a_reader(_Config) ->
    {ok, Loop} = py_nif:event_loop_new(),
    {Fd, Port} = socket(),
    {ok, File} = py_nif:add_reader(Loop, Fd, 17),
    [] = py_nif:get_pending(Loop),
    0 = py_nif:poll_events(Loop, 0),
    ok = send(Fd, <<"hello">>, Port),
    1 = py_nif:poll_events(Loop, 5000),
    [{17, read}] = py_nif:get_pending(Loop),
    {ok, {<<"hello">>, {<<"127.0.0.1">>, Port}}} = py_nif:recvfrom_test_udp(Fd, 100),
    ok = py_nif:remove_reader(Loop, File),
    ok = py_nif:event_loop_destroy(Loop),
    ok = py_nif:close_test_fd(Fd).

a_writer(_Config) ->
    with_loop(fun(Loop) ->
        {Fd, _} = socket(),
        {ok, File} = py_nif:add_writer(Loop, Fd, 3),
        [{3, write}] = reported(Loop, 1),
        [{3, write}] = reported(Loop, 1),
        ok = py_nif:remove_writer(Loop, File),
        0 = py_nif:poll_events(Loop, 20),
        ok = py_nif:close_test_fd(Fd)
    end).

both(_Config) ->
    with_loop(fun(Loop) ->
        {Fd, Port} = socket(),
        {ok, _} = py_nif:add_reader(Loop, Fd, 1),
        {ok, Writer} = py_nif:add_writer(Loop, Fd, 2),
        [{2, write}] = reported(Loop, 1),
        ok = py_nif:remove_writer(Loop, Writer),
        ok = send(Fd, <<"x">>, Port),
        [{1, read}] = reported(Loop, 1),
        ok = py_nif:close_test_fd(Fd)
    end).

many_loops(_Config) ->
    Loops = [begin {ok, Loop} = py_nif:event_loop_new(), {Loop, socket()} end || _ <- lists:seq(1, 50)],
    [{ok, _} = py_nif:add_reader(Loop, Fd, Port) || {Loop, {Fd, Port}} <- Loops],
    [ok = send(Fd, <<"x">>, Port) || {_, {Fd, Port}} <- Loops],
    [[{Port, read}] = reported(Loop, 1) || {Loop, {_, Port}} <- Loops],
    [ok = py_nif:close_test_fd(Fd) || {_, {Fd, _}} <- Loops],
    [ok = py_nif:event_loop_destroy(Loop) || {Loop, _} <- Loops],
    ok.

reported_until_it_is_read(_Config) ->
    with_reader(fun(Loop, Fd, Port, _) ->
        ok = send(Fd, <<"x">>, Port),
        [[{1, read}] = reported(Loop, 1) || _ <- lists:seq(1, 20)],
        {ok, {<<"x">>, _}} = py_nif:recvfrom_test_udp(Fd, 10),
        %% One report may have been made ready before that.
        _ = py_nif:poll_events(Loop, 20),
        _ = py_nif:get_pending(Loop),
        0 = py_nif:poll_events(Loop, 20),
        ok = send(Fd, <<"y">>, Port),
        [{1, read}] = reported(Loop, 1)
    end).

%% Also without poll_events in between.
in_order(_Config) ->
    with_loop(fun(Loop) ->
        Sockets = [socket() || _ <- lists:seq(1, 5)],
        [{ok, _} = py_nif:add_reader(Loop, Fd, Port) || {Fd, Port} <- Sockets],
        Ports = [begin
            ok = send(Fd, <<"x">>, Port),
            ok = ep_ct:wait_until(fun() -> py_nif:poll_events(Loop, 0) =:= N end),
            {Port, read}
        end || {N, {Fd, Port}} <- lists:zip(lists:seq(1, 5), Sockets)],
        Ports = py_nif:get_pending(Loop),
        ok = ep_ct:wait_until(fun() -> py_nif:get_pending(Loop) =/= [] end),
        [ok = py_nif:close_test_fd(Fd) || {Fd, _} <- Sockets]
    end).

timers(_Config) ->
    with_loop(fun(Loop) ->
        Before = erlang:monotonic_time(millisecond),
        [{ok, _} = py_nif:call_later(Loop, Delay, Delay) || Delay <- [30, 10, 20, 0]],
        [{0, timer}, {10, timer}, {20, timer}, {30, timer}] = reported(Loop, 4),
        true = erlang:monotonic_time(millisecond) - Before >= 30,
        0 = py_nif:poll_events(Loop, 20)
    end).

a_timer_that_is_cancelled(_Config) ->
    with_loop(fun(Loop) ->
        {ok, Timer} = py_nif:call_later(Loop, 10, 1),
        ok = py_nif:cancel_timer(Loop, Timer),
        ok = py_nif:cancel_timer(Loop, Timer),
        {ok, Late} = py_nif:call_later(Loop, 0, 3),
        1 = py_nif:poll_events(Loop, 5000),
        ok = py_nif:cancel_timer(Loop, Late),
        {ok, _} = py_nif:call_later(Loop, 20, 2),
        [{2, timer}] = reported(Loop, 1),
        %% Those that are far away are not kept until then.
        Many = [begin {ok, T} = py_nif:call_later(Loop, 3_600_000, 9), T end || _ <- lists:seq(1, 1000)],
        [ok = py_nif:cancel_timer(Loop, T) || T <- Many],
        {ok, _} = py_nif:call_later(Loop, 0, 4),
        [{4, timer}] = reported(Loop, 1)
    end).

timers_nobody_sees(_Config) ->
    with_loop(fun(Loop) ->
        Timers = [begin {ok, Timer} = py_nif:call_later(Loop, Delay, 1), Timer end
                  || Delay <- [1 bsl 40, 1 bsl 44, 1 bsl 60, 1 bsl 100]],
        [Worker] = workers(),
        {ok, _} = py_nif:call_later(Loop, 0, 2),
        [{2, timer}] = reported(Loop, 1),
        [ok = py_nif:cancel_timer(Loop, Timer) || Timer <- Timers],
        [Worker] = workers(),
        %% So many that they are forgotten elsewhere.
        [{ok, _} = py_nif:call_later(Loop, 1 bsl 44, 3) || _ <- lists:seq(1, 2000)],
        [{ok, _} = py_nif:call_later(Loop, 0, 4) || _ <- lists:seq(1, 2000)],
        [{4, timer}] = lists:usort(reported(Loop, 2000))
    end),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

polling_waits_as_a_receive_does(_Config) ->
    with_reader(fun(Loop, Fd, Port, _) ->
        Before = erlang:monotonic_time(millisecond),
        0 = py_nif:poll_events(Loop, 50),
        true = erlang:monotonic_time(millisecond) - Before >= 50,
        self() ! {something, else},
        Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
        waits(Polling),
        ok = send(Fd, <<"x">>, Port),
        1 = ep_background:result(Polling),
        {something, else} = ep_ct:message()
    end).

waking_up(_Config) ->
    with_loop(fun(Loop) ->
        ok = py_nif:event_loop_wakeup(Loop),
        ok = py_nif:event_loop_wakeup(Loop),
        0 = py_nif:poll_events(Loop, infinity),
        Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
        waits(Polling),
        ok = py_nif:event_loop_wakeup(Loop),
        0 = ep_background:result(Polling),
        %% One that comes with something else is over with that.
        {ok, _} = py_nif:call_later(Loop, 0, 1),
        1 = py_nif:poll_events(Loop, 5000),
        ok = py_nif:event_loop_wakeup(Loop),
        1 = py_nif:poll_events(Loop, 5000),
        [{1, timer}] = py_nif:get_pending(Loop),
        Again = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
        waits(Again),
        ok = py_nif:event_loop_wakeup(Loop),
        0 = ep_background:result(Again)
    end).

several_who_poll(_Config) ->
    with_loop(fun(Loop) ->
        Polling = [ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end) || _ <- lists:seq(1, 10)],
        [waits(One) || One <- Polling],
        {ok, _} = py_nif:call_later(Loop, 0, 1),
        [1] = lists:usort(ep_background:results(Polling))
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Workers

a_worker_by_hand(_Config) ->
    with_loop(fun(Loop) ->
        {ok, Worker} = py_event_worker:start_link(<<"worker">>, Loop),
        ok = py_nif:event_loop_set_worker(Loop, Worker),
        ok = py_nif:event_loop_set_worker(Loop, Worker),
        {Fd, Port} = socket(),
        {ok, _} = py_nif:add_reader(Loop, Fd, 1),
        ok = send(Fd, <<"x">>, Port),
        [{1, read}] = reported(Loop, 1),
        {error, unknown_request} = gen_server:call(Worker, anything),
        ok = gen_server:cast(Worker, anything),
        Worker ! anything,
        [{1, read}] = reported(Loop, 1),
        Monitor = monitor(process, Worker),
        ok = py_nif:event_loop_destroy(Loop),
        normal = receive {'DOWN', Monitor, process, Worker, Reason} -> Reason end,
        ok = py_nif:close_test_fd(Fd)
    end).

a_worker_of_another(_Config) ->
    with_loop(fun(Loop) ->
        {ok, Other} = py_nif:event_loop_new(),
        {ok, Worker} = py_event_worker:start_link(<<"worker">>, Other),
        {error, refused} = py_nif:event_loop_set_worker(Loop, Worker),
        {error, refused} = py_nif:event_loop_set_worker(Loop, self()),
        ok = py_nif:event_loop_set_worker(Other, Worker),
        {ok, Second} = py_event_worker:start_link(<<"second">>, Other),
        {error, refused} = py_nif:event_loop_set_worker(Other, Second),
        ok = gen_server:stop(Second),
        ok = py_nif:event_loop_destroy(Other)
    end).

a_worker_ends_with_its_starter(_Config) ->
    Me = self(),
    with_loop(fun(Loop) ->
        [begin
             {Starter, _} = spawn_monitor(fun() ->
                 {ok, Worker} = py_event_worker:start_link(<<"worker">>, Loop),
                 ok = py_nif:event_loop_set_worker(Loop, Worker),
                 Me ! {worker, Worker},
                 receive {stop, Why} -> exit(Why) end
             end),
             Worker = receive {worker, W} -> W end,
             Starter ! {stop, Reason},
             Reason = ep_ct:down(Worker),
             receive {'DOWN', _, process, Starter, Reason} -> ok end
         end || Reason <- [normal, shutdown]]
    end).

a_killed_worker(_Config) ->
    with_reader(fun(Loop, Fd, Port, File) ->
        {ok, _} = py_nif:call_later(Loop, 3_600_000, 5),
        Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
        waits(Polling),
        [Worker] = workers(),
        exit(Worker, kill),
        {error, no_worker} = ep_background:result(Polling),
        {error, no_worker} = py_nif:poll_events(Loop, 0),
        ok = py_nif:remove_reader(Loop, File),
        %% The next one that is added has another.
        {ok, _} = py_nif:add_reader(Loop, Fd, 2),
        ok = send(Fd, <<"x">>, Port),
        [{2, read}] = reported(Loop, 1)
    end).

a_killed_worker_of_the_user(_Config) ->
    with_loop(fun(Loop) ->
        [begin
             {ok, Worker} = py_event_worker:start_link(N, Loop),
             ok = py_nif:event_loop_set_worker(Loop, Worker),
             {Fd, _} = socket(),
             {ok, _} = py_nif:add_reader(Loop, Fd, N),
             unlink(Worker),
             Monitor = monitor(process, Worker),
             exit(Worker, kill),
             %% Another one may take over at once.
             {ok, Next} = py_event_worker:start_link(N, Loop),
             killed = receive {'DOWN', Monitor, process, Worker, Reason} -> Reason end,
             ok = py_nif:event_loop_set_worker(Loop, Next),
             {error, no_worker} = py_nif:poll_events(Loop, 0),
             {ok, _} = py_nif:call_later(Loop, 0, N),
             [{N, timer}] = reported(Loop, 1),
             ok = gen_server:stop(Next),
             ok = py_nif:close_test_fd(Fd)
         end || N <- lists:seq(1, 20)]
    end).

%% Nothing is promised to who uses their loops, but that everybody gets an answer, and that nothing is left.
workers_that_are_killed_all_the_time(_Config) ->
    Using = [ep_background:start(fun() ->
        [begin
             {ok, Loop} = py_nif:event_loop_new(),
             [used(Loop, N) || N <- lists:seq(1, 20)],
             _ = Round rem 2 =:= 0 andalso py_nif:event_loop_destroy(Loop)
         end || Round <- lists:seq(1, 50)]
    end) || _ <- [1, 2, 3]],
    Killer = spawn_link(fun killer/0),
    _ = ep_background:results(Using),
    unlink(Killer),
    exit(Killer, kill),
    with_reader(fun(Loop, Fd, Port, _) ->
        ok = send(Fd, <<"x">>, Port),
        [{1, read}] = reported(Loop, 1)
    end).

killer() ->
    [exit(Worker, kill) || Worker <- workers()],
    receive after 3 -> killer() end.

used(Loop, N) ->
    {Fd, Port} = socket(),
    Reader = py_nif:add_reader(Loop, Fd, N),
    Writer = py_nif:add_writer(Loop, Fd, N),
    Timer = py_nif:call_later(Loop, N rem 3, N),
    ok = send(Fd, <<"x">>, Port),
    _ = py_nif:poll_events(Loop, N rem 2),
    _ = py_nif:get_pending(Loop),
    _ = [ok = py_nif:cancel_timer(Loop, Known) || {ok, Known} <- [Timer], N rem 2 =:= 0],
    _ = [ok = py_nif:remove_reader(Loop, Known) || {ok, Known} <- [Reader, Writer], N rem 3 > 0],
    [{error, no_worker} = Refused || {error, _} = Refused <- [Reader, Writer, Timer]],
    ok = py_nif:close_test_fd(Fd).

without_the_application(_Config) ->
    ok = application:stop(erlang_python),
    try
        a_reader([]),
        timers([])
    after
        ok = application:start(erlang_python)
    end.

the_application_stops(_Config) ->
    with_reader(fun(Loop, _Fd, _Port, _) ->
        ok = application:stop(erlang_python),
        {error, no_worker} = py_nif:poll_events(Loop, 5000),
        ok = application:start(erlang_python)
    end).

%% Also when there is another worker before somebody polls.
what_was_lost_is_said(_Config) ->
    with_reader(fun(Loop, Fd, Port, _) ->
        [begin
             {ok, _} = py_nif:call_later(Loop, 3_600_000, 1),
             kill_worker(),
             {ok, File} = py_nif:add_reader(Loop, Fd, 2),
             {error, no_worker} = Ask(),
             ok = send(Fd, <<"x">>, Port),
             [{2, read}] = reported(Loop, 1),
             {ok, {<<"x">>, _}} = py_nif:recvfrom_test_udp(Fd, 10),
             ok = py_nif:remove_reader(Loop, File)
         end || Ask <- [
            fun() -> py_nif:poll_events(Loop, infinity) end, fun() -> py_nif:poll_events(Loop, 0) end,
            fun() -> py_nif:get_pending(Loop) end
        ]],
        Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
        waits(Polling),
        kill_worker(),
        {ok, _} = py_nif:call_later(Loop, 3_600_000, 1),
        {error, no_worker} = ep_background:result(Polling)
    end).

kill_worker() ->
    [Worker] = workers(),
    Monitor = monitor(process, Worker),
    exit(Worker, kill),
    receive {'DOWN', Monitor, process, Worker, killed} -> ok end.

several_who_begin(_Config) ->
    [with_loop(fun(Loop) ->
        Beginning = [ep_background:start(fun() ->
            receive go -> py_nif:call_later(Loop, 3_600_000, 1) end
        end) || _ <- lists:seq(1, 8)],
        [ep_background:pid(One) ! go || One <- Beginning],
        [{ok, _} = Result || Result <- ep_background:results(Beginning)],
        [_] = [Worker || Worker <- workers(), is_process_alive(Worker), is_worker_of(Worker, Loop)]
    end) || _ <- lists:seq(1, 200)],
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

is_worker_of(Worker, Loop) ->
    py_nif:event_loop_set_worker(Loop, Worker) =:= ok.

killed_while_a_worker_is_started(_Config) ->
    [begin
         ok = sys:suspend(py_event_worker_sup),
         try
             Starting = ep_background:start(fun() ->
                 {ok, Loop} = py_nif:event_loop_new(),
                 py_nif:call_later(Loop, 3_600_000, 1)
             end),
             waits(Starting),
             ok = ep_background:kill(Starting)
         after
             ok = sys:resume(py_event_worker_sup)
         end
     end || _ <- lists:seq(1, 10)],
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Files that go

what_was_removed_is_not_reported(_Config) ->
    with_reader(fun(Loop, Fd, Port, File) ->
        ok = py_nif:remove_reader(Loop, File),
        ok = py_nif:remove_reader(Loop, File),
        ok = send(Fd, <<"x">>, Port),
        0 = py_nif:poll_events(Loop, 20),
        {ok, _} = py_nif:add_reader(Loop, Fd, 2),
        [{2, read}] = reported(Loop, 1)
    end).

%% In the queue, and in the worker's mailbox.
what_was_on_its_way_is_not_reported(_Config) ->
    with_reader(fun(Loop, Fd, Port, File) ->
        ok = send(Fd, <<"x">>, Port),
        1 = py_nif:poll_events(Loop, 5000),
        ok = py_nif:remove_reader(Loop, File),
        0 = py_nif:poll_events(Loop, 0),
        [] = py_nif:get_pending(Loop),
        [Worker] = workers(),
        [begin
             {ok, Added} = py_nif:add_reader(Loop, Fd, 2),
             true = erlang:suspend_process(Worker),
             ok = ep_ct:wait_until(fun() -> {message_queue_len, 1} =:= process_info(Worker, message_queue_len) end),
             ok = py_nif:remove_reader(Loop, Added),
             {ok, Again} = py_nif:add_reader(Loop, Fd, 3),
             true = erlang:resume_process(Worker),
             [{3, read}] = reported(Loop, 1),
             ok = py_nif:remove_reader(Loop, Again)
         end || _ <- lists:seq(1, 100)]
    end).

the_user_closes_his_file(_Config) ->
    ep_quiet:while(fun() ->
        with_loop(fun(Loop) ->
            {Fd, Port} = socket(),
            {ok, File} = py_nif:add_reader(Loop, Fd, 1),
            ok = py_nif:close_test_fd(Fd),
            {Other, _} = socket(),
            ok = send(Other, <<"x">>, Port), % which our copy still receives
            [{1, read}] = reported(Loop, 1),
            ok = py_nif:remove_reader(Loop, File),
            %% Now the port is free.
            {ok, {Same, Port}} = py_nif:create_test_udp_socket(Port),
            [ok = py_nif:close_test_fd(One) || One <- [Other, Same]]
        end)
    end).

the_number_is_another_files(_Config) ->
    ep_quiet:while(fun() ->
        with_loop(fun(Loop) ->
            [begin
                 {Fd, _} = socket(),
                 {ok, File} = py_nif:add_reader(Loop, Fd, 1),
                 ok = py_nif:close_test_fd(Fd),
                 {Fd, Port} = socket(), % the lowest that is free
                 {ok, Second} = py_nif:add_reader(Loop, Fd, 2),
                 ok = send(Fd, <<"x">>, Port),
                 [{2, read}] = reported(Loop, 1),
                 [ok = py_nif:remove_reader(Loop, One) || One <- [File, Second]],
                 ok = py_nif:close_test_fd(Fd)
             end || _ <- lists:seq(1, 200)]
        end)
    end).

a_file_that_hangs_up(_Config) ->
    with_loop(fun(Loop) ->
        {ok, Listening} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
        {ok, Port} = inet:port(Listening),
        {ok, Client} = gen_tcp:connect({127, 0, 0, 1}, Port, [{active, false}]),
        {ok, Served} = gen_tcp:accept(Listening),
        {ok, Fd} = inet:getfd(Served),
        {ok, _} = py_nif:add_reader(Loop, Fd, 1),
        ok = gen_tcp:close(Client),
        [{1, read}] = reported(Loop, 1),
        [{1, read}] = reported(Loop, 1),
        [ok = gen_tcp:close(Socket) || Socket <- [Listening, Served]]
    end).

many_files(_Config) ->
    ep_quiet:while(fun() ->
        with_loop(fun(Loop) ->
            Sockets = [socket() || _ <- lists:seq(1, 2000)],
            Files = [begin {ok, File} = py_nif:add_reader(Loop, Fd, Port), File end || {Fd, Port} <- Sockets],
            [begin
                 [ok = send(Fd, <<"x">>, Port) || {Fd, Port} <- Sockets],
                 ok = all_are_read(Loop, maps:from_list([{Port, Fd} || {Fd, Port} <- Sockets]))
             end || _ <- [1, 2]],
            [ok = py_nif:remove_reader(Loop, File) || File <- lists:sublist(Files, 1000)],
            [ok = py_nif:close_test_fd(Fd) || {Fd, _} <- Sockets]
        end)
    end).

all_are_read(_Loop, Left) when map_size(Left) =:= 0 ->
    ok;
all_are_read(Loop, Left) ->
    Ports = [Port || {Port, read} <- reported(Loop, 1), is_map_key(Port, Left)], % once more, perhaps
    [{ok, _} = py_nif:recvfrom_test_udp(maps:get(Port, Left), 1) || Port <- Ports],
    all_are_read(Loop, maps:without(Ports, Left)).

%% In four loops, each with a process, so that numbers of files go from one to the other.
files_that_come_and_go(_Config) ->
    ep_quiet:while(fun() ->
        Churning = [ep_background:start(fun() ->
            {ok, Loop} = py_nif:event_loop_new(),
            Seen = churn(Loop, 2000, #{}, 0),
            ok = py_nif:event_loop_destroy(Loop),
            Seen
        end) || _ <- lists:seq(1, 4)],
        true = lists:all(fun(Seen) -> Seen > 200 end, ep_background:results(Churning))
    end),
    ok.

%% Each socket is sent its own id, or nothing. Only those that are in the loop at the time are to be reported, and what
%% can be read is to be their id. Gives how many were read.
churn(Loop, 0, Sockets, Seen) ->
    [gone(Loop, Socket) || Socket <- maps:to_list(Sockets)],
    Seen;
churn(Loop, N, Sockets, Seen) ->
    {Fd, Port} = socket(),
    {ok, File} = py_nif:add_reader(Loop, Fd, N),
    _ = N rem 3 =:= 0 orelse send(Fd, integer_to_binary(N), Port),
    _ = py_nif:poll_events(Loop, N rem 2),
    Now = Sockets#{N => {Fd, File}},
    Read = lists:sum([read(maps:get(Id, Now), Id) || {Id, read} <- py_nif:get_pending(Loop)]),
    {Leaving, Left} = lists:split(map_size(Now) * (N rem 5) div 4, maps:to_list(Now)),
    [gone(Loop, Socket) || Socket <- Leaving],
    churn(Loop, N - 1, maps:from_list(Left), Seen + Read).

read({Fd, _File}, Id) ->
    case py_nif:recvfrom_test_udp(Fd, 100) of
        {ok, {Text, _}} -> Id = binary_to_integer(Text), 1;
        {error, eagain} -> 0
    end.

%% In either order.
gone(Loop, {Id, {Fd, File}}) when Id rem 2 =:= 0 ->
    ok = py_nif:remove_reader(Loop, File),
    ok = py_nif:close_test_fd(Fd);
gone(Loop, {_Id, {Fd, File}}) ->
    ok = py_nif:close_test_fd(Fd),
    ok = py_nif:remove_reader(Loop, File).

%% ---------------------------------------------------------------------------------------------------------------------
%% Ends and refusals

a_destroyed_loop(_Config) ->
    {ok, Loop} = py_nif:event_loop_new(),
    {Fd, _} = socket(),
    {ok, File} = py_nif:add_reader(Loop, Fd, 1),
    {ok, Timer} = py_nif:call_later(Loop, 3_600_000, 1),
    Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
    waits(Polling),
    ok = py_nif:event_loop_destroy(Loop),
    ok = py_nif:event_loop_destroy(Loop),
    {error, closed} = ep_background:result(Polling),
    {error, closed} = py_nif:add_reader(Loop, Fd, 1),
    {error, closed} = py_nif:add_writer(Loop, Fd, 1),
    {error, closed} = py_nif:call_later(Loop, 1, 1),
    {error, closed} = py_nif:poll_events(Loop, 0),
    {error, closed} = py_nif:poll_events(Loop, infinity),
    {error, closed} = py_nif:get_pending(Loop),
    {error, closed} = py_nif:event_loop_wakeup(Loop),
    {error, refused} = py_nif:event_loop_set_worker(Loop, self()),
    ok = py_nif:remove_reader(Loop, File),
    ok = py_nif:cancel_timer(Loop, Timer),
    ok = py_nif:close_test_fd(Fd),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end).

a_loop_nobody_has(_Config) ->
    {Fd, _} = socket(),
    ok = ep_ct:in_process(fun() ->
        {ok, Loop} = py_nif:event_loop_new(),
        [{ok, _} = py_nif:add_reader(Loop, Fd, N) || N <- lists:seq(1, 200)],
        ok
    end),
    ok = ep_ct:wait_until(fun() -> workers() =:= [] end),
    ok = ep_ct:wait_until(fun() -> ep_ct:alive(watched_files) =:= 0 end),
    ok = py_nif:close_test_fd(Fd).

a_process_that_dies_while_it_polls(_Config) ->
    with_loop(fun(Loop) ->
        [begin
             Polling = ep_background:start(fun() -> py_nif:poll_events(Loop, infinity) end),
             waits(Polling),
             ok = ep_background:kill(Polling)
         end || _ <- lists:seq(1, 20)],
        {ok, _} = py_nif:call_later(Loop, 0, 1),
        [{1, timer}] = reported(Loop, 1)
    end).

wrong_arguments(_Config) ->
    {ok, Loop} = py_nif:event_loop_new(),
    {Fd, _} = socket(),
    {ok, File} = py_nif:add_reader(Loop, Fd, 1),
    Wrong = [make_ref(), File, 1, undefined, self()],
    [?assertError(badarg, Do(One)) || One <- Wrong, Do <- [
        fun py_nif:event_loop_destroy/1, fun py_nif:get_pending/1, fun py_nif:event_loop_wakeup/1,
        fun(L) -> py_nif:add_reader(L, Fd, 1) end, fun(L) -> py_nif:call_later(L, 1, 1) end,
        fun(L) -> py_nif:poll_events(L, 1) end, fun(L) -> py_nif:event_loop_set_worker(L, self()) end,
        fun(L) -> py_nif:remove_reader(L, File) end, fun(L) -> py_event_worker:start_link(x, L) end
    ]],
    [?assertError(badarg, py_nif:add_reader(Loop, One, 1)) || One <- [x, 1.0, 1 bsl 40, <<>>]],
    [?assertError(badarg, py_nif:add_reader(Loop, Fd, Id)) || Id <- [x, -1, 1 bsl 64, <<>>]],
    [?assertError(badarg, py_nif:call_later(Loop, Delay, 1)) || Delay <- [x, -1, 1.0, infinity]],
    [?assertError(badarg, py_nif:call_later(Loop, 1, Id)) || Id <- [x, -1]],
    [?assertError(badarg, py_nif:poll_events(Loop, Timeout)) || Timeout <- [x, -1, 1.0, 1 bsl 32]],
    [?assertError(badarg, py_nif:cancel_timer(Loop, One)) || One <- [make_ref(), File, 1]],
    [?assertError(badarg, py_nif:remove_reader(Loop, One)) || One <- [make_ref(), Loop, 1]],
    [?assertError(badarg, py_nif:event_loop_set_worker(Loop, One)) || One <- [x, make_ref()]],
    {ok, _} = py_nif:add_reader(Loop, Fd, (1 bsl 64) - 1),
    ok = py_nif:event_loop_destroy(Loop),
    ok = py_nif:close_test_fd(Fd).

no_files(_Config) ->
    with_loop(fun(Loop) ->
        [{error, ebadf} = py_nif:add_reader(Loop, Fd, 1) || Fd <- [-1, -1000, 1_000_000]],
        {Closed, _} = socket(),
        ok = py_nif:close_test_fd(Closed),
        {error, ebadf} = py_nif:add_reader(Loop, Closed, 1),
        {ok, File} = file:open(code:which(?MODULE), [read, raw, binary]),
        <<Number:32/native>> = prim_file:get_handle(File),
        {error, eperm} = py_nif:add_reader(Loop, Number, 1),
        {error, eperm} = py_nif:add_writer(Loop, Number, 1),
        ok = file:close(File)
    end).

what_belongs_to_another_loop(_Config) ->
    with_reader(fun(Loop, Fd, Port, File) ->
        {ok, Other} = py_nif:event_loop_new(),
        {ok, Timer} = py_nif:call_later(Loop, 3_600_000, 1),
        ?assertError(badarg, py_nif:remove_reader(Other, File)),
        ?assertError(badarg, py_nif:cancel_timer(Other, Timer)),
        ok = send(Fd, <<"x">>, Port),
        [{1, read}] = reported(Loop, 1),
        ok = py_nif:event_loop_destroy(Other)
    end).

datagrams(_Config) ->
    {One, OnePort} = socket(),
    {Other, OtherPort} = socket(),
    ok = py_nif:set_udp_broadcast(One, true),
    ok = py_nif:set_udp_broadcast(One, false),
    {error, eagain} = py_nif:recvfrom_test_udp(One, 100),
    ok = py_nif:sendto_test_udp(One, [<<"he">>, "llo"], <<"127.0.0.1">>, OtherPort),
    {ok, {<<"hel">>, {<<"127.0.0.1">>, OnePort}}} = py_nif:recvfrom_test_udp(Other, 3),
    {error, eaddrinuse} = py_nif:create_test_udp_socket(OnePort),
    ok = py_nif:close_test_fd(One),
    {ok, {Again, OnePort}} = py_nif:create_test_udp_socket(OnePort),
    [ok = py_nif:close_test_fd(Fd) || Fd <- [Other, Again]],
    ok.

datagrams_that_are_refused(_Config) ->
    {Fd, Port} = socket(),
    {error, emsgsize} = py_nif:sendto_test_udp(Fd, binary:copy(<<"x">>, 70_000), <<"127.0.0.1">>, Port),
    [?assertError(badarg, py_nif:sendto_test_udp(Fd, Data, Host, To)) || {Data, Host, To} <- [
        {x, <<"127.0.0.1">>, 1}, {<<>>, <<"localhost">>, 1}, {<<>>, "127.0.0.1", 1}, {<<>>, <<"127.0.0.1">>, 65536}
    ]],
    [?assertError(badarg, py_nif:create_test_udp_socket(Bad)) || Bad <- [-1, 65536, x]],
    ?assertError(badarg, py_nif:recvfrom_test_udp(Fd, -1)),
    ?assertError(badarg, py_nif:set_udp_broadcast(Fd, 1)),
    %% What the VM reads its commands from is not theirs, and neither is what was closed.
    ok = py_nif:close_test_fd(Fd),
    [begin
         {error, ebadf} = py_nif:close_test_fd(Bad),
         {error, ebadf} = py_nif:recvfrom_test_udp(Bad, 10),
         {error, ebadf} = py_nif:sendto_test_udp(Bad, <<>>, <<"127.0.0.1">>, 1),
         {error, ebadf} = py_nif:set_udp_broadcast(Bad, true)
     end || Bad <- [0, 1, 2, 3, -1, Fd]],
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

with_loop(Fun) ->
    {ok, Loop} = py_nif:event_loop_new(),
    _ = Fun(Loop),
    ok = py_nif:event_loop_destroy(Loop).

with_reader(Fun) ->
    with_loop(fun(Loop) ->
        {Fd, Port} = socket(),
        {ok, File} = py_nif:add_reader(Loop, Fd, 1),
        _ = Fun(Loop, Fd, Port, File),
        ok = py_nif:close_test_fd(Fd)
    end).

socket() ->
    {ok, Socket} = py_nif:create_test_udp_socket(0),
    Socket.

send(Fd, Data, Port) ->
    py_nif:sendto_test_udp(Fd, Data, <<"127.0.0.1">>, Port).

%% So many events, or more, when they have come.
reported(_Loop, Count) when Count =< 0 ->
    [];
reported(Loop, Count) ->
    true = py_nif:poll_events(Loop, 10_000) > 0,
    Events = py_nif:get_pending(Loop),
    Events ++ reported(Loop, Count - length(Events)).

waits(Running) ->
    ok = ep_ct:wait_until(fun() ->
        {status, waiting} =:= process_info(ep_background:pid(Running), status)
    end).

workers() ->
    [Pid || {_, Pid, _, _} <- supervisor:which_children(py_event_worker_sup), is_pid(Pid)].
