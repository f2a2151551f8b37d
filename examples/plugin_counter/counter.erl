%%% @doc Counters that Erlang and Python share: the Erlang face of the plugin in counter.c.
-module(counter).

-export([new/0, add/2, get/1, wait_for/2, wait_for/3]).

-export_type([counter/0]).

-type counter() :: reference().
%% Lives as long as anybody refers to it, here or in Python.

-spec new() -> {ok, counter()} | {error, term()}.
new() ->
    py_nif:plugin_call(counter, new).

%% @doc Adds, and returns the sum.
-spec add(counter(), integer()) -> {ok, integer()} | {error, overflow | term()}.
add(Counter, Amount) ->
    py_nif:plugin_call(counter, add, Counter, Amount).

-spec get(counter()) -> {ok, integer()} | {error, term()}.
get(Counter) ->
    py_nif:plugin_call(counter, get, Counter).

%% @doc Sleeps until the counter has reached the target.
-spec wait_for(counter(), integer()) -> {ok, integer()} | {error, term()}.
wait_for(Counter, Target) ->
    wait_for(Counter, Target, infinity).

-spec wait_for(counter(), integer(), timeout()) -> {ok, integer()} | {error, timeout | term()}.
wait_for(Counter, Target, Timeout) ->
    py_plugin:wait(counter, wait_for, [Counter, Target], Timeout).
