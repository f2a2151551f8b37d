%%% @doc Operations on channels, read from bytes, against a model: `-run fuzz_channels -extra SECONDS FAILURE FILE...'.
%%%
%%% Every two bytes are an operation of one of three processes, on one channel. Those that wait are waited for as the
%%% model says they are woken, so a sequence always runs in the same way. First come the files, each a sequence, then
%%% sequences by chance for so many seconds. One that fails is made shorter, printed, and written to the file FAILURE.
-module(fuzz_channels).

-export([start/0, persistently/3]).

-define(DEADLINE, 20000).
-define(SHORTENING, 60000).
-define(PROCESSES, 3).

%% What is to be seen of a channel. The queue: terms with their sizes, oldest first. Senders: those that wait, in line.
%% Mailboxes: what subscribers must have been sent, newest first.
-record(model, {
    module :: py_channel | py_byte_channel,
    channel :: reference(),
    most :: non_neg_integer(),
    closed = false :: boolean(),
    queue = [] :: [{term(), non_neg_integer()}],
    senders = [] :: [{index(), term(), non_neg_integer()}],
    receiver = none :: none | index(),
    subscriber = none :: none | {index(), Credit :: non_neg_integer()},
    one_was_killed = false :: boolean(), % of which the channel may not have heard yet
    processes :: #{index() => pid()},
    mailboxes = #{} :: #{index() => [term()]},
    results = [] :: [{index(), term()}],
    trace = [] :: [term()]
}).

-type index() :: 0..2.

-spec start() -> no_return().
start() ->
    [Seconds, Failure | Files] = init:get_plain_arguments(),
    [] = py_nif:load_plugins([<<"channel">>]),
    lists:foreach(fun(File) -> {ok, Bytes} = file:read_file(File), check(File, Bytes, Failure) end, Files),
    Random = rand:seed(exsss),
    {exsss, Seed} = rand:export_seed_s(Random),
    Until = erlang:monotonic_time(millisecond) + 1000 * list_to_integer(Seconds),
    Count = by_chance(Failure, Until, 0),
    io:format("~b sequences of files, ~b by chance, seed ~w~n", [length(Files), Count, Seed]),
    halt(0).

by_chance(Failure, Until, Count) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            check("chance", rand:bytes(2 * rand:uniform(150)), Failure),
            by_chance(Failure, Until, Count + 1);
        false ->
            Count
    end.

check(Name, Bytes, File) ->
    case outcome(Bytes) of
        ok ->
            ok;
        Reason ->
            keep(File, Bytes),
            io:format("~ts fails: ~w~n~p~n", [Name, Bytes, Reason]),
            Short = shorter(Bytes),
            keep(File, Short),
            io:format("As does what is in ~ts now, for tests/fuzz/corpus/channels: ~w~n", [File, Short]),
            halt(1)
    end.

keep(File, Bytes) ->
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Bytes).

%% Leaves out a part after the other, as long as it fails all the same; for a while, since failing may take long.
shorter(Bytes) ->
    shorter(Bytes, 2 * (byte_size(Bytes) div 4), erlang:monotonic_time(millisecond) + ?SHORTENING).

shorter(Bytes, Part, _) when Part < 2 ->
    Bytes;
shorter(Bytes, Part, Until) ->
    shorter(without(Bytes, 0, Part, Until), 2 * (Part div 4), Until).

without(Bytes, At, Part, Until) ->
    Late = erlang:monotonic_time(millisecond) > Until,
    case Bytes of
        <<Before:At/binary, _:Part/binary, After/binary>> when not Late ->
            Fewer = <<Before/binary, After/binary>>,
            case outcome(Fewer) of
                ok -> without(Bytes, At + Part, Part, Until);
                _ -> without(Fewer, At, Part, Until)
            end;
        _ ->
            Bytes
    end.

%% In a process of its own, which everything dies with: what is linked to one that ends normally lives on.
outcome(Bytes) ->
    {_, Monitor} = spawn_monitor(fun() -> sequence(Bytes), exit(shutdown) end),
    receive
        {'DOWN', Monitor, process, _, shutdown} -> ok;
        {'DOWN', Monitor, process, _, Reason} -> Reason
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Sequences

%% The first two bytes: which kind of channel, and how much goes into it.
sequence(<<Kind, Most, Operations/binary>>) ->
    Module = element(1 + Kind rem 2, {py_channel, py_byte_channel}),
    Bound = element(1 + Most rem 4, {0, 40, 300, 5000}),
    {ok, Channel} = Module:new(#{max_size => Bound}),
    Processes = maps:from_list([{I, process()} || I <- lists:seq(0, ?PROCESSES - 1)]),
    operations(Operations, #model{module = Module, channel = Channel, most = Bound, processes = Processes});
sequence(_) ->
    ok.

operations(<<Operation, Argument, Rest/binary>>, Model) ->
    Who = Operation rem ?PROCESSES,
    operations(Rest, step(operation(Operation div ?PROCESSES, Argument), Who, Model));
operations(_, Model) ->
    [mailbox(Who, Model) || Who <- lists:seq(0, ?PROCESSES - 1), is_idle(Who, Model)],
    ok.

operation(N, Argument) ->
    case N rem 20 of
        0 -> close_or(Argument);
        1 -> {subscribe, 1 + Argument rem 5};
        2 -> {credit, 1 + Argument rem 5};
        3 -> unsubscribe;
        4 -> mailbox;
        5 -> kill;
        6 -> {subscribe, 1000};
        7 -> {credit, 1000};
        N2 when N2 < 10 -> {send, Argument};
        N2 when N2 < 12 -> {send_within, 0, Argument};
        N2 when N2 < 15 -> {send_within, infinity, Argument};
        15 -> {recv, 0};
        N2 when N2 < 18 -> {recv, infinity};
        _ -> try_receive
    end.

%% Not too often, or there is nothing else to see.
close_or(Argument) when Argument < 64 -> close;
close_or(Argument) -> {send, Argument}.

%% One that waits does nothing else, but may be killed.
step(Operation, Who, Model) ->
    case is_idle(Who, Model) orelse Operation =:= kill of
        true -> checked(do(Operation, Who, Model#model{trace = [{Who, Operation} | Model#model.trace]}));
        false -> Model
    end.

is_idle(Who, #model{receiver = Receiver, senders = Senders}) ->
    Who =/= Receiver andalso not lists:keymember(Who, 1, Senders).

%% Whoever was woken has its result now, and what is to be seen of the channel is what the model says.
checked(#model{module = Module, channel = Channel} = Model) ->
    [expect(Result, result_of(maps:get(Who, Model#model.processes)), Model) || {Who, Result} <- Model#model.results],
    Info = #{size => bytes(Model), max_size => Model#model.most, closed => Model#model.closed},
    expect(Info, Module:info(Channel), Model),
    Model#model{results = []}.

expect(Same, Same, _) ->
    ok;
expect(Expected, Result, #model{trace = Trace} = Model) ->
    exit({expected, Expected, got, Result, in, Model#model{trace = []}, after_these, lists:reverse(Trace)}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Operations, and what they do in the model

do({send, Argument}, Who, Model) ->
    Term = term(Argument, Model),
    case admitted(size_of(Term, Model), Model) of
        ok -> sent(Term, now_(Who, send, [Term], ok, Model));
        closed -> now_(Who, send, [Term], {error, closed}, Model);
        _ -> now_(Who, send, [Term], busy, Model)
    end;
do({send_within, Timeout, Argument}, Who, Model) ->
    Term = term(Argument, Model),
    Size = size_of(Term, Model),
    Arguments = [Term, #{wait => Timeout}],
    case admitted(Size, Model) of
        ok -> sent(Term, now_(Who, send, Arguments, ok, Model));
        closed -> now_(Who, send, Arguments, {error, closed}, Model);
        too_large -> now_(Who, send, Arguments, {error, too_large}, Model);
        full when Timeout =:= 0 -> now_(Who, send, Arguments, {error, timeout}, Model);
        full -> waits(Who, send, Arguments, Model#model{senders = Model#model.senders ++ [{Who, Term, Size}]})
    end;
do(try_receive, Who, #model{queue = [], closed = Closed} = Model) ->
    now_(Who, try_receive, [], {error, case Closed of true -> closed; false -> empty end}, Model);
do(try_receive, Who, #model{queue = [{Term, _} | Rest]} = Model) ->
    settled(now_(Who, try_receive, [], {ok, Term}, Model#model{queue = Rest}));
do({recv, Timeout}, Who, #model{queue = [{Term, _} | Rest]} = Model) ->
    settled(now_(Who, recv, [Timeout], {ok, Term}, Model#model{queue = Rest}));
do({recv, Timeout}, Who, #model{closed = true} = Model) ->
    now_(Who, recv, [Timeout], {error, closed}, Model);
do({recv, Timeout}, Who, Model) ->
    case is_taken(Model) of
        true -> now_(Who, recv, [Timeout], {error, waiter_exists}, Model);
        false when Timeout =:= 0 -> now_(Who, recv, [Timeout], {error, timeout}, Model);
        false -> waits(Who, recv, [Timeout], Model#model{receiver = Who})
    end;
do(close, Who, #model{closed = true} = Model) ->
    now_(Who, close, [], ok, Model);
do(close, Who, Model) ->
    #model{receiver = Receiver, senders = Senders, results = Results} = Closed = now_(Who, close, [], ok, Model),
    Woken = [Receiver || Receiver =/= none] ++ [Sender || {Sender, _, _} <- Senders],
    settled(Closed#model{closed = true, receiver = none, senders = [],
                         results = Results ++ [{One, {error, closed}} || One <- Woken]});
do({subscribe, Credit}, Who, Model) ->
    case {is_taken(Model), Model} of
        {true, _} -> now_(Who, subscribe, [Credit], {error, waiter_exists}, Model);
        {false, #model{closed = true, queue = []}} -> now_(Who, subscribe, [Credit], {error, closed}, Model);
        {false, _} -> settled((now_(Who, subscribe, [Credit], ok, Model))#model{subscriber = {Who, Credit}})
    end;
do({credit, More}, Who, #model{subscriber = {Who, Credit}} = Model) ->
    settled((now_(Who, credit, [More], ok, Model))#model{subscriber = {Who, min(1000, Credit + More)}});
do({credit, More}, Who, Model) ->
    now_(Who, credit, [More], {error, not_subscribed}, Model);
do(unsubscribe, Who, #model{subscriber = {Who, _}} = Model) ->
    settled((now_(Who, unsubscribe, [], ok, Model))#model{subscriber = none});
do(unsubscribe, Who, Model) ->
    now_(Who, unsubscribe, [], {error, not_subscribed}, Model);
do(mailbox, Who, Model) ->
    mailbox(Who, Model);
do(kill, Who, #model{processes = Processes, senders = Senders, receiver = Receiver} = Model) ->
    #{Who := Process} = Processes,
    Monitor = monitor(process, Process),
    unlink(Process),
    exit(Process, kill),
    receive {'DOWN', Monitor, process, _, killed} -> ok end,
    WasSubscribed = is_tuple(Model#model.subscriber) andalso element(1, Model#model.subscriber) =:= Who,
    settled(Model#model{
        processes = Processes#{Who := process()},
        senders = lists:keydelete(Who, 1, Senders),
        receiver = case Receiver of Who -> none; _ -> Receiver end,
        subscriber = case WasSubscribed of true -> none; false -> Model#model.subscriber end,
        one_was_killed = WasSubscribed orelse Model#model.one_was_killed,
        mailboxes = maps:remove(Who, Model#model.mailboxes)}).

is_taken(#model{receiver = Receiver, subscriber = Subscriber}) ->
    Receiver =/= none orelse Subscriber =/= none.

admitted(_, #model{closed = true}) -> closed;
admitted(_, #model{most = 0}) -> ok;
admitted(Size, #model{most = Most}) when Size > Most -> too_large;
admitted(Size, Model) ->
    case bytes(Model) + Size =< Model#model.most of
        true -> ok;
        false -> full
    end.

sent(Term, #model{queue = Queue} = Model) ->
    settled(Model#model{queue = Queue ++ [{Term, size_of(Term, Model)}]}).

%% Until nobody is woken any more: the subscriber is fed, or the one that waits for a message gets it; and those that
%% wait for room send what fits, the first ones first.
settled(#model{subscriber = {Who, Credit}, queue = [{Term, _} | Rest]} = Model) when Credit > 0 ->
    Message = {py_channel_message, Model#model.channel, Term},
    settled(to_mailbox(Who, Message, Model#model{queue = Rest, subscriber = {Who, Credit - 1}}));
settled(#model{subscriber = {Who, _}, queue = [], closed = true} = Model) ->
    to_mailbox(Who, {py_channel_closed, Model#model.channel}, Model#model{subscriber = none});
settled(#model{receiver = Who, queue = [{Term, _} | Rest], results = Results} = Model) when Who =/= none ->
    settled(Model#model{receiver = none, queue = Rest, results = Results ++ [{Who, {ok, Term}}]});
settled(#model{senders = Senders, queue = Queue, results = Results} = Model) ->
    Fits = fun({_, _, Size}) -> bytes(Model) + Size =< Model#model.most end,
    case lists:search(Fits, Senders) of
        {value, {Who, Term, Size} = Sender} ->
            settled(Model#model{senders = Senders -- [Sender], queue = Queue ++ [{Term, Size}],
                                results = Results ++ [{Who, ok}]});
        false ->
            Model
    end.

to_mailbox(Who, Message, #model{mailboxes = Mailboxes} = Model) ->
    Model#model{mailboxes = Mailboxes#{Who => [Message | maps:get(Who, Mailboxes, [])]}}.

bytes(#model{queue = Queue}) ->
    lists:sum([Size || {_, Size} <- Queue]).

size_of(Term, #model{module = py_channel}) -> byte_size(term_to_binary(Term));
size_of(Bytes, #model{module = py_byte_channel}) -> byte_size(Bytes).

%% Small ones, those that have an environment to themselves, those that keep something alive, and one that is too long
%% for a scheduler.
term(Argument, #model{module = py_byte_channel}) ->
    binary:copy(<<Argument>>, element(1 + Argument rem 8, {0, 1, 5, 20, 40, 200, 299, 3000}));
term(255, _) ->
    lists:seq(1, 30000);
term(Argument, _) ->
    Part = binary:part(binary:copy(<<Argument>>, 100), 10, Argument rem 80),
    element(1 + Argument rem 13, {
        [], <<>>, Argument, ok, {Argument, [a, b]}, Part, #{Argument => Part}, binary:copy(Part, 40), <<Argument:7>>,
        fun() -> Argument end, [Part | Argument], maps:from_list([{N, Part} || N <- lists:seq(1, 40)]),
        1 bsl (Argument * 8)}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Processes

process() ->
    Self = self(),
    spawn_link(fun() -> serve(Self) end).

serve(Owner) ->
    receive
        {do, Module, Function, Arguments} ->
            Owner ! {result, self(), apply(Module, Function, Arguments)},
            serve(Owner);
        {mailbox, Count} ->
            Owner ! {result, self(), messages(Count)},
            serve(Owner)
    end.

%% As many messages of channels as there must be, and those that must not.
messages(Count) ->
    receive
        Message when element(1, Message) =:= py_channel_message; element(1, Message) =:= py_channel_closed ->
            [Message | messages(Count - 1)]
    after case Count > 0 of true -> ?DEADLINE; false -> 0 end ->
        []
    end.

%% An operation that has its result at once.
now_(Who, Function, Arguments, Expected, Model) ->
    Process = ask(Who, Function, Arguments, Expected, Model),
    expect(Expected, result_of(Process), Model),
    Model.

%% One that waits: there is no event for that, but it can be seen.
waits(Who, Function, Arguments, Model) ->
    Process = ask(Who, Function, Arguments, pending, Model),
    until(fun() ->
        process_info(Process, [status, current_function]) =:=
            [{status, waiting}, {current_function, {py_plugin, wait, 5}}]
    end, {waits, Who, Function, Arguments}, Model),
    Model.

ask(Who, Function, Arguments, Expected, #model{module = Module, channel = Channel, processes = Processes} = Model) ->
    #{Who := Process} = Processes,
    All = [Channel | Arguments],
    case Model#model.one_was_killed andalso Expected =/= {error, waiter_exists} of
        true -> Process ! {do, ?MODULE, persistently, [Module, Function, All]};
        false -> Process ! {do, Module, Function, All}
    end,
    Process.

%% @doc A channel hears of the end of its subscriber a moment after others do.
-spec persistently(module(), atom(), [term()]) -> term().
persistently(Module, Function, Arguments) ->
    persistently(Module, Function, Arguments, erlang:monotonic_time(millisecond) + ?DEADLINE).

persistently(Module, Function, Arguments, Deadline) ->
    case {apply(Module, Function, Arguments), erlang:monotonic_time(millisecond) < Deadline} of
        {{error, waiter_exists}, true} ->
            erlang:yield(),
            persistently(Module, Function, Arguments, Deadline);
        {Result, _} ->
            Result
    end.

result_of(Process) ->
    receive
        {result, Process, Result} -> Result
    after ?DEADLINE ->
        {nothing, process_info(Process, [status, current_function, messages])}
    end.

mailbox(Who, #model{processes = Processes, mailboxes = Mailboxes} = Model) ->
    Expected = lists:reverse(maps:get(Who, Mailboxes, [])),
    #{Who := Process} = Processes,
    Process ! {mailbox, length(Expected)},
    expect(Expected, result_of(Process), Model),
    Model#model{mailboxes = maps:remove(Who, Mailboxes)}.

until(Holds, Why, Model) ->
    until(Holds, Why, Model, erlang:monotonic_time(millisecond) + ?DEADLINE).

until(Holds, Why, Model, Deadline) ->
    case Holds() of
        true ->
            ok;
        false ->
            erlang:monotonic_time(millisecond) < Deadline orelse expect(Why, nothing, Model),
            erlang:yield(),
            until(Holds, Why, Model, Deadline)
    end.
