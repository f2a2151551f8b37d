%%% @doc Buffers: written in Erlang, read in Python.
-module(bench_buffers).

-export([rows/0]).

-define(CHUNK, 16384).
-define(CHUNKS, 4096).
-define(LINES, 200_000).

-spec rows() -> [bench_row:row()].
rows() ->
    [#{name => "buffer, MB written and read by 16 KiB", unit => per_second, setup => fun define/0,
       measure => fun(_) -> through(undefined) end},
     #{name => "buffer of known length, MB, the same", unit => per_second, setup => fun define/0,
       measure => fun(_) -> through(?CHUNK * ?CHUNKS) end},
     #{name => "buffer, write of 16 KiB", unit => us, measure => fun(_) -> write() end},
     #{name => "buffer, readline, lines", unit => per_second, setup => fun define/0, measure => fun(_) -> lines() end},
     #{name => "buffer, find in 1 MB", unit => us, setup => fun define/0, measure => fun(_) -> find() end,
       floor => fun(_) -> find_in_bytes() end}].

define() ->
    ok = py:exec(<<"
from timeit import timeit

def drain(buffer):
    while buffer.read(16384):
        pass

def count(buffer):
    return sum(1 for _ in buffer)

def find(buffer):
    return timeit(lambda: buffer.find(b'needle'), number=200) / 200 * 1e6

def find_in_bytes(buffer):
    data = bytes(memoryview(buffer))
    return timeit(lambda: data.find(b'needle'), number=200) / 200 * 1e6
">>).

%% While one process writes, another one's Python reads.
through(Length) ->
    Chunk = binary:copy(<<"x">>, ?CHUNK),
    {ok, Buffer} = py_buffer:new(Length),
    Took = bench_clock:milliseconds(fun() ->
        spawn_link(fun() ->
            [ok = py_buffer:write(Buffer, Chunk) || _ <- lists:seq(1, ?CHUNKS)],
            ok = py_buffer:close(Buffer)
        end),
        {ok, none} = py:call('__main__', drain, [Buffer])
    end),
    ok = free(Buffer),
    ?CHUNK * ?CHUNKS / 1000 / Took.

write() ->
    Chunk = binary:copy(<<"x">>, ?CHUNK),
    {ok, Buffer} = py_buffer:new(?CHUNK * ?CHUNKS),
    Took = bench_clock:milliseconds(fun() -> [ok = py_buffer:write(Buffer, Chunk) || _ <- lists:seq(1, ?CHUNKS)] end),
    ok = free(Buffer),
    Took * 1000 / ?CHUNKS.

lines() ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, binary:copy(<<"a line of some forty characters, or less\n">>, ?LINES)),
    ok = py_buffer:close(Buffer),
    Took = bench_clock:milliseconds(fun() -> {ok, ?LINES} = py:call('__main__', count, [Buffer]) end),
    ?LINES * 1000 / Took.

find() -> find(find).

find_in_bytes() -> find(find_in_bytes).

%% By Python's own clock.
find(Function) ->
    {ok, Buffer} = py_buffer:new(),
    ok = py_buffer:write(Buffer, <<(binary:copy(<<"hay in a stack ">>, 70_000))/binary, "needle">>),
    {ok, Took} = py:call('__main__', Function, [Buffer]),
    Took.

%% Not when the garbage is collected.
free(Buffer) ->
    {ok, none} = py:eval(<<"b.close()">>, #{b => Buffer}),
    ok.
