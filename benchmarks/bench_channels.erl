%%% @doc Channels: how many messages a second, and whether it matters how many are in line.
-module(bench_channels).

-export([rows/0]).

-define(MESSAGES, 200_000).
-define(CHUNKS, 50_000).
-define(CHUNK, 16384).
-define(BACKLOG, 1_000_000).

-spec rows() -> [bench_row:row()].
rows() ->
    Message = binary:copy(<<"x">>, 64),
    [#{name => "channel: send, 64 B, 200,000 in line", unit => per_second, reach => {at_least, 4_000_000},
       measure => fun(_) -> sending(Message) end},
     #{name => "channel: receive in Python, 64 B", unit => per_second, reach => {at_least, 2_000_000},
       setup => fun prepare/0, measure => fun(_) -> receiving(receives, Message) end},
     #{name => "channel: receive in a coroutine, 64 B", unit => per_second,
       setup => fun prepare/0, measure => fun(_) -> receiving(receives_async, Message) end},
     #{name => "channel: send in Python, 64 B", unit => per_second,
       setup => fun prepare/0, measure => fun(_) -> sending_in_python(Message) end},
     #{name => "channel: sender and receiver at once, 64 B", unit => per_second, reach => {at_least, 1_500_000},
       setup => fun prepare/0, measure => fun(_) -> both(Message) end},
     #{name => "channel: Python and back, one at a time", unit => us,
       setup => fun prepare/0, measure => fun(_) -> ping_pong() end},
     #{name => "channel: send and receive behind 1,000,000 messages", unit => us, reach => {times_floor, 1.2}, rounds => 3,
       floor => fun(_) -> behind(1, Message) end, measure => fun(_) -> behind(?BACKLOG, Message) end},
     %% 5 GB/s
     #{name => "byte channel: chunks of 16 KiB to Python", unit => per_second, reach => {at_least, 5_000_000_000 / ?CHUNK},
       setup => fun prepare/0, measure => fun(_) -> chunks() end}].

prepare() ->
    ok = py:exec(<<"
from erlang.channel import ByteChannel, Channel
import time

def receives(ref, count):
    receive = Channel(ref).receive
    begin = time.perf_counter()
    for _ in range(count):
        receive()
    return time.perf_counter() - begin

async def receive_all(ref, count):
    receive = Channel(ref).async_receive
    begin = time.perf_counter()
    for _ in range(count):
        await receive()
    return time.perf_counter() - begin

def receives_async(ref, count):
    import erlang
    return erlang.run(receive_all(ref, count))

def sends(ref, message, count):
    send = Channel(ref).send
    begin = time.perf_counter()
    for _ in range(count):
        send(message)
    return time.perf_counter() - begin

def count(ref):
    return sum(1 for _ in Channel(ref))

def count_bytes(ref):
    return sum(map(len, ByteChannel(ref)))

def echo(ref, back):
    back = Channel(back)
    for message in Channel(ref):
        back.send(message)
">>).

sending(Message) ->
    {ok, Ch} = py_channel:new(),
    per_second(?MESSAGES, bench_clock:milliseconds(fun() -> send(Ch, Message, ?MESSAGES) end)).

receiving(Function, Message) ->
    {ok, Ch} = py_channel:new(),
    ok = send(Ch, Message, ?MESSAGES),
    {ok, Seconds} = py:call('__main__', Function, [Ch, ?MESSAGES]),
    ?MESSAGES / Seconds.

sending_in_python(Message) ->
    {ok, Ch} = py_channel:new(),
    {ok, Seconds} = py:call('__main__', sends, [Ch, Message, ?MESSAGES]),
    ?MESSAGES / Seconds.

both(Message) ->
    {ok, Ch} = py_channel:new(),
    per_second(?MESSAGES, bench_clock:milliseconds(fun() ->
        spawn_link(fun() -> ok = send(Ch, Message, ?MESSAGES), py_channel:close(Ch) end),
        {ok, ?MESSAGES} = py:call('__main__', count, [Ch])
    end)).

chunks() ->
    {ok, Ch} = py_byte_channel:new(#{max_size => 100 * ?CHUNK}),
    Chunk = binary:copy(<<"x">>, ?CHUNK),
    Bytes = ?CHUNK * ?CHUNKS,
    per_second(?CHUNKS, bench_clock:milliseconds(fun() ->
        spawn_link(fun() -> ok = send_chunks(Ch, Chunk, ?CHUNKS), py_byte_channel:close(Ch) end),
        {ok, Bytes} = py:call('__main__', count_bytes, [Ch])
    end)).

ping_pong() ->
    Count = 10_000,
    {ok, There} = py_channel:new(),
    {ok, Back} = py_channel:new(),
    Worker = spawn_link(fun() -> ok = prepare(), {ok, none} = py:call('__main__', echo, [There, Back]) end),
    ok = py_channel:send(There, 0),
    {ok, 0} = py_channel:recv(Back),
    Took = bench_clock:milliseconds(fun() -> pings(There, Back, Count) end),
    ok = py_channel:close(There),
    Monitor = monitor(process, Worker),
    receive {'DOWN', Monitor, process, Worker, _} -> ok end,
    Took * 1000 / Count.

pings(_, _, 0) -> ok;
pings(There, Back, N) ->
    ok = py_channel:send(There, N),
    {ok, N} = py_channel:recv(Back),
    pings(There, Back, N - 1).

behind(Backlog, Message) ->
    {ok, Ch} = py_channel:new(),
    ok = send(Ch, Message, Backlog),
    Count = 200_000,
    Took = bench_clock:milliseconds(fun() -> turns(Ch, Message, Count) end),
    Took * 1000 / Count.

turns(_, _, 0) -> ok;
turns(Ch, Message, N) ->
    ok = py_channel:send(Ch, Message),
    {ok, _} = py_channel:try_receive(Ch),
    turns(Ch, Message, N - 1).

send(_, _, 0) -> ok;
send(Ch, Message, N) ->
    ok = py_channel:send(Ch, Message),
    send(Ch, Message, N - 1).

send_chunks(_, _, 0) -> ok;
send_chunks(Ch, Chunk, N) ->
    ok = py_byte_channel:send(Ch, Chunk, #{wait => infinity}),
    send_chunks(Ch, Chunk, N - 1).

per_second(Count, Milliseconds) -> Count * 1000 / Milliseconds.
