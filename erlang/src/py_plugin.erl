%%% @doc Feature plugins: loading them, and waiting for what their functions have not got yet.
-module(py_plugin).

-export([load/0, wait/4]).

-export_type([result/0]).

%% The most that `receive' takes. What is more is refused before anything waits.
-define(LONGEST, 16#ffffffff).

-type result() :: ok | {ok, term()} | {error, timeout | {plugin_not_loaded, py_nif:plugin()} | term()}.

%% @doc Loads what the application environment lists under `plugins': `all' that are found, or a list of names. One that
%% is listed and cannot be had is an error; of all that are found those that cannot be had are logged.
-spec load() -> ok | {error, {atom(), binary()}}.
load() ->
    Wanted = py_config:plugins(),
    case {Wanted, py_nif:load_plugins(Wanted)} of
        {_, []} ->
            ok;
        {all, Failures} ->
            lists:foreach(
                fun({Name, _Code, Text}) ->
                    logger:warning("erlang_python does without the plugin ~ts: ~ts", [Name, Text])
                end,
                Failures);
        {_, [{_Name, Code, Text} | _]} ->
            {error, {Code, Text}}
    end.

%% @doc Calls a function of a plugin until it has what it is asked for, sleeping meanwhile.
%%
%% `{error, timeout}' when that takes longer; with the timeout 0 it is asked once. No message is left behind.
-spec wait(py_nif:plugin(), atom(), [term()], timeout()) -> result().
wait(Plugin, Function, Arguments, Timeout) ->
    wait(Plugin, Function, Arguments, deadline(Timeout), none).

wait(Plugin, Function, Arguments, Deadline, Before) ->
    Ref = make_ref(),
    Result = py_nif:plugin_wait(Plugin, Function, Arguments, Ref),
    called_again(Before),
    case Result of
        {pending, Waker} ->
            receive
                {py_wake, Ref} -> wait(Plugin, Function, Arguments, Deadline, Waker)
            after left(Deadline) ->
                give_up(Waker, Ref),
                {error, timeout}
            end;
        _ ->
            Result
    end.

called_again(none) -> ok;
called_again(Waker) -> true = py_nif:waker_done(Waker, true).

give_up(Waker, Ref) ->
    case py_nif:waker_done(Waker, false) of
        true -> receive {py_wake, Ref} -> ok end;
        false -> ok
    end.

deadline(infinity) -> infinity;
deadline(Timeout) when is_integer(Timeout), Timeout >= 0, Timeout =< ?LONGEST -> erlang:monotonic_time(millisecond) + Timeout.

left(infinity) -> infinity;
left(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).
