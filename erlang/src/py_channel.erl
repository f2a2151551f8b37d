%%% @doc Channels of terms between processes and Python: messages from anybody to anybody, each to one receiver, in the
%%% order of every sender. They belong to the plugin `channel'; without it every function answers
%%% `{error, {plugin_not_loaded, channel}}'.
%%%
%%% A channel lives as long as a reference to it does, here or in Python. What was sent before it is closed stays to be
%%% received. See docs/channels.md.
-module(py_channel).

-export([
    new/0, new/1, send/2, send/3, recv/1, recv/2, try_receive/1, close/1, info/1,
    subscribe/2, unsubscribe/1, credit/2, register_callbacks/0
]).

-export_type([channel/0, opts/0, send_opts/0, error/0]).

-type channel() :: reference().
-type opts() :: #{max_size => non_neg_integer()}.
%% Bytes that may be in line, counted as in the external term format; 0, the default: any number.
-type send_opts() :: #{wait => timeout()}.
-type error() :: {error, {plugin_not_loaded, channel}}.

%% @doc A channel without a bound.
-spec new() -> {ok, channel()} | error().
new() -> new(#{}).

-spec new(opts()) -> {ok, channel()} | error().
new(Opts) when is_map(Opts) ->
    py_nif:plugin_call(channel, new, false, maps:get(max_size, Opts, 0)).

%% @doc Sends a term; never waits. `busy': it would leave more in line than max_size allows; nothing was sent.
-spec send(channel(), term()) -> ok | busy | {error, closed} | error().
send(Channel, Term) ->
    case py_nif:plugin_call(channel, send, Channel, Term) of
        pending -> busy;
        Result -> Result
    end.

%% @doc The same, but with `wait' it sleeps until there is room, for so many milliseconds at most.
%%
%% `{error, timeout}': there was none in time. `{error, too_large}': there never will be; the term is larger than max_size.
-spec send(channel(), term(), send_opts()) -> ok | busy | {error, closed | timeout | too_large} | error().
send(Channel, Term, Opts) ->
    case {send(Channel, Term), Opts} of
        {busy, #{wait := Timeout}} -> py_plugin:wait(channel, send, [Channel, Term], Timeout);
        {Result, _} -> Result
    end.

%% @doc Waits for a message.
-spec recv(channel()) -> {ok, term()} | {error, closed | waiter_exists} | error().
recv(Channel) ->
    recv(Channel, infinity).

%% @doc Waits for a message, for so many milliseconds at most.
%%
%% `{error, closed}': the channel was closed, and all has been received. `{error, waiter_exists}': another process waits
%% already, or is subscribed.
-spec recv(channel(), timeout()) -> {ok, term()} | {error, closed | timeout | waiter_exists} | error().
recv(Channel, Timeout) ->
    case py_nif:plugin_call(channel, 'receive', Channel) of
        pending -> py_plugin:wait(channel, 'receive', [Channel], Timeout);
        Result -> Result
    end.

%% @doc A message, if there is one.
-spec try_receive(channel()) -> {ok, term()} | {error, empty | closed} | error().
try_receive(Channel) ->
    case py_nif:plugin_call(channel, 'receive', Channel) of
        pending -> {error, empty};
        Result -> Result
    end.

%% @doc Nothing more can be sent. Whoever waits is woken. Any number of times.
-spec close(channel()) -> ok | error().
close(Channel) ->
    py_nif:plugin_call(channel, close, Channel).

%% @doc How many bytes are in line, how many may be (0: any number), and whether it was closed.
-spec info(channel()) -> #{size := non_neg_integer(), max_size := non_neg_integer(), closed := boolean()} | error().
info(Channel) ->
    case py_nif:plugin_call(channel, info, Channel) of
        {ok, Info} -> Info;
        Error -> Error
    end.

%% @doc Messages come to the calling process as `{py_channel_message, Channel, Term}', as many as it has credit for: a
%% number of 1 to 1000, which credit/2 adds to. After the last one of a channel that was closed comes
%% `{py_channel_closed, Channel}', which costs none. Ends with the process, with unsubscribe/1, or with that message.
-spec subscribe(channel(), Credit :: 1..1000) -> ok | {error, closed | waiter_exists} | error().
subscribe(Channel, Credit) ->
    py_nif:plugin_call(channel, subscribe, Channel, Credit).

%% @doc So many more messages may come to the calling process; never more than 1000. `{error, not_subscribed}': it is not,
%% or not any more, since the channel was closed.
-spec credit(channel(), More :: 1..1000) -> ok | {error, not_subscribed} | error().
credit(Channel, More) ->
    py_nif:plugin_call(channel, credit, Channel, More).

%% @doc No more messages come, but those that are in the mailbox already.
-spec unsubscribe(channel()) -> ok | {error, not_subscribed} | error().
unsubscribe(Channel) ->
    py_nif:plugin_call(channel, unsubscribe, Channel).

%% @doc Does nothing: Python finds channels by itself. For code that was written for other implementations.
-spec register_callbacks() -> ok.
register_callbacks() -> ok.
