%%% @doc What of {@link py_nif}'s event loops is done in Erlang: starting a worker where there is none, timers, waiting.
-module(py_event_poll).

-export([add/4, call_later/3, cancel_timer/2, poll/2]).

%% Milliseconds. Longer is no time that anybody sees the end of, and the VM takes no timer that is much longer.
-define(LONGEST, 1 bsl 40).

%% @doc See {@link py_nif:add_reader/3}.
-spec add(py_nif:event_loop(), integer(), py_nif:callback_id(), read | write) ->
    {ok, py_nif:loop_file()} | {error, atom()}.
add(Loop, Fd, Id, Direction) ->
    with_worker(Loop, fun() -> py_nif:event_loop_add(Loop, Fd, Id, Direction) end).

%% @doc See {@link py_nif:call_later/3}.
-spec call_later(py_nif:event_loop(), non_neg_integer(), py_nif:callback_id()) ->
    {ok, py_nif:loop_timer()} | py_nif:loop_error().
call_later(Loop, Milliseconds, Id) when is_integer(Milliseconds), Milliseconds >= 0 ->
    case with_worker(Loop, fun() -> py_nif:event_loop_add_timer(Loop, Id) end) of
        {ok, Timer, TimerId, Worker} ->
            Worker ! {call_later, TimerId, min(Milliseconds, ?LONGEST)},
            {ok, Timer};
        {error, _} = Error ->
            Error
    end;
call_later(_Loop, _Milliseconds, _Id) ->
    error(badarg).

%% @doc See {@link py_nif:cancel_timer/2}.
-spec cancel_timer(py_nif:event_loop(), py_nif:loop_timer()) -> ok.
cancel_timer(Loop, Timer) ->
    case py_nif:event_loop_remove_timer(Loop, Timer) of
        {ok, TimerId, Worker} ->
            Worker ! {cancel_timer, TimerId},
            ok;
        ok ->
            ok
    end.

with_worker(Loop, Do) ->
    case Do() of
        {error, no_worker} ->
            case py_event_worker:start_default(Loop) of
                ok -> Do();
                {error, _} -> {error, no_worker}
            end;
        Result ->
            Result
    end.

%% @doc See {@link py_nif:poll_events/2}.
-spec poll(py_nif:event_loop(), timeout()) -> non_neg_integer() | py_nif:loop_error().
poll(Loop, 0) ->
    py_nif:event_loop_count(Loop);
poll(Loop, Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout > 0, Timeout < 1 bsl 32 ->
    wait(Loop, Timeout);
poll(_Loop, _Timeout) ->
    error(badarg).

%% The reference is made where it is received, so that nothing is looked at that was in the mailbox before.
wait(Loop, Timeout) ->
    Ref = make_ref(),
    case py_nif:event_loop_wait(Loop, Ref) of
        {wait, Waiter} ->
            receive
                {py_event_loop, Ref} -> ok
            after Timeout ->
                py_nif:event_loop_withdraw(Waiter) orelse receive {py_event_loop, Ref} -> ok end
            end,
            %% Also so that the loop is in use, and not collected, while the process waits.
            py_nif:event_loop_count(Loop);
        {ready, N} ->
            N;
        {error, _} = Error ->
            Error
    end.
