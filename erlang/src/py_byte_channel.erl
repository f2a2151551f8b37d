%%% @doc Channels of bytes: as {@link py_channel}, for binaries as they are. Sizes are counted in bytes of theirs.
-module(py_byte_channel).

-export([
    new/0, new/1, send/2, send/3, recv/1, recv/2, try_receive/1, close/1, info/1,
    subscribe/2, unsubscribe/1, credit/2, register_callbacks/0
]).

-export_type([channel/0, opts/0]).

-type channel() :: reference().
-type opts() :: #{max_size => non_neg_integer()}.
%% Bytes that may be in line; 0, the default: any number.

%% @doc A channel without a bound.
-spec new() -> {ok, channel()} | py_channel:error().
new() -> new(#{}).

-spec new(opts()) -> {ok, channel()} | py_channel:error().
new(Opts) when is_map(Opts) ->
    py_nif:plugin_call(channel, new, true, maps:get(max_size, Opts, 0)).

%% @doc Sends bytes; never waits. `busy': they would leave more in line than max_size allows; nothing was sent.
-spec send(channel(), binary()) -> ok | busy | {error, closed} | py_channel:error().
send(Channel, Bytes) ->
    case py_nif:plugin_call(channel, send_bytes, Channel, Bytes) of
        pending -> busy;
        Result -> Result
    end.

%% @doc The same, but with `wait' it sleeps until there is room; see py_channel:send/3.
-spec send(channel(), binary(), py_channel:send_opts()) ->
    ok | busy | {error, closed | timeout | too_large} | py_channel:error().
send(Channel, Bytes, Opts) ->
    case {send(Channel, Bytes), Opts} of
        {busy, #{wait := Timeout}} -> py_plugin:wait(channel, send_bytes, [Channel, Bytes], Timeout);
        {Result, _} -> Result
    end.

%% @doc Waits for bytes: what one send gave.
-spec recv(channel()) -> {ok, binary()} | {error, closed | waiter_exists} | py_channel:error().
recv(Channel) ->
    recv(Channel, infinity).

%% @doc The same, for so many milliseconds at most; see py_channel:recv/2.
-spec recv(channel(), timeout()) -> {ok, binary()} | {error, closed | timeout | waiter_exists} | py_channel:error().
recv(Channel, Timeout) ->
    case py_nif:plugin_call(channel, receive_bytes, Channel) of
        pending -> py_plugin:wait(channel, receive_bytes, [Channel], Timeout);
        Result -> Result
    end.

%% @doc Bytes, if there are any.
-spec try_receive(channel()) -> {ok, binary()} | {error, empty | closed} | py_channel:error().
try_receive(Channel) ->
    case py_nif:plugin_call(channel, receive_bytes, Channel) of
        pending -> {error, empty};
        Result -> Result
    end.

%% @doc Nothing more can be sent. Any number of times.
-spec close(channel()) -> ok | py_channel:error().
close(Channel) -> py_channel:close(Channel).

%% @doc How many bytes are in line, how many may be, and whether it was closed.
-spec info(channel()) ->
    #{size := non_neg_integer(), max_size := non_neg_integer(), closed := boolean()} | py_channel:error().
info(Channel) -> py_channel:info(Channel).

%% @doc See py_channel:subscribe/2.
-spec subscribe(channel(), Credit :: 1..1000) -> ok | {error, closed | waiter_exists} | py_channel:error().
subscribe(Channel, Credit) -> py_channel:subscribe(Channel, Credit).

-spec credit(channel(), More :: 1..1000) -> ok | {error, not_subscribed} | py_channel:error().
credit(Channel, More) -> py_channel:credit(Channel, More).

-spec unsubscribe(channel()) -> ok | {error, not_subscribed} | py_channel:error().
unsubscribe(Channel) -> py_channel:unsubscribe(Channel).

%% @doc Does nothing; see py_channel:register_callbacks/0.
-spec register_callbacks() -> ok.
register_callbacks() -> ok.
