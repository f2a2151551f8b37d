%%% @doc Buffers: bytes that Erlang writes and Python reads as it reads a file (erlang.PyBuffer), without a copy where
%%% it wants none. They belong to the plugin `channel'; without it every function answers
%%% `{error, {plugin_not_loaded, channel}}'.
%%%
%%% A buffer lives as long as a reference to it does, here or in Python; a memoryview of its bytes lives longer, if need
%%% be. See docs/buffers.md.
-module(py_buffer).

-export([new/0, new/1, write/2, close/1]).

-export_type([buffer/0, error/0]).

-type buffer() :: reference().
-type error() :: {error, {plugin_not_loaded, channel}}.

%% @doc A buffer for any number of bytes.
-spec new() -> {ok, buffer()} | error().
new() -> new(undefined).

%% @doc A buffer for so many bytes: they get their memory at once, up to 64 MiB of it, and `read()' in Python waits for
%% the last of them. More or fewer can be written all the same: what ends it is close/1.
%%
%% `{error, too_large}': no machine has that much memory.
-spec new(ContentLength :: non_neg_integer() | undefined) -> {ok, buffer()} | {error, too_large} | error().
new(ContentLength) when ContentLength =:= undefined; is_integer(ContentLength), ContentLength >= 0 ->
    py_nif:plugin_call(channel, buffer_new, ContentLength).

%% @doc Appends bytes, and wakes whoever waits for them.
%%
%% `{error, closed}': the buffer was closed, here or in Python. `{error, memoryview_exists}': there is no room where the
%% bytes lie, and they cannot be moved while Python looks at them; nothing was written. `{error, out_of_memory}',
%% `{error, too_large}': the same, since there is no memory.
-spec write(buffer(), binary()) ->
    ok | {error, closed | memoryview_exists | out_of_memory | too_large} | error().
write(Buffer, Data) ->
    py_nif:plugin_call(channel, buffer_write, Buffer, Data).

%% @doc Nothing more is written: what is there can be read, and then comes the end. Any number of times.
-spec close(buffer()) -> ok | error().
close(Buffer) ->
    py_nif:plugin_call(channel, buffer_end, Buffer).
