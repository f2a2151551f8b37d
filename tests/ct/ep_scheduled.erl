%%% @doc How long a function keeps a normal scheduler busy at a time. What it does on a dirty scheduler does not count.
-module(ep_scheduled).

-export([measure/3]).

%% What trace messages with `scheduler_id' say for every dirty scheduler.
-define(DIRTY, 0).

%% @doc Runs three functions, each on what the one before it returned, in a process of their own. Returns how long the
%% second took and the longest it was on a normal scheduler without a pause, in microseconds.
-spec measure(fun(() -> Prepared), fun((Prepared) -> Value), fun((Value) -> term())) ->
    {non_neg_integer(), non_neg_integer()}.
measure(Prepare, Measured, Afterwards) ->
    {Pid, Monitor} = spawn_monitor(fun() ->
        receive go -> ok end,
        Prepared = Prepare(),
        Start = erlang:monotonic_time(),
        Value = Measured(Prepared),
        Stop = erlang:monotonic_time(),
        Afterwards(Value),
        exit({measured, Start, Stop})
    end),
    1 = erlang:trace(Pid, true, [running, scheduler_id, monotonic_timestamp]),
    Pid ! go,
    receive
        {'DOWN', Monitor, process, Pid, {measured, Start, Stop}} ->
            Inside = [Event || {_, _, Time} = Event <- events(Pid), Time > Start, Time < Stop],
            {micros(Stop - Start), micros(longest(Inside, Start, Stop))};
        {'DOWN', Monitor, process, Pid, Reason} ->
            error(Reason)
    end.

events(Pid) ->
    Delivered = erlang:trace_delivered(Pid),
    receive {trace_delivered, Pid, Delivered} -> ok end,
    collect(Pid).

collect(Pid) ->
    receive
        {trace_ts, Pid, Direction, _Where, Scheduler, Time} -> [{Direction, Scheduler, Time} | collect(Pid)]
    after 0 ->
        []
    end.

%% The process runs on a normal scheduler at Start.
longest(Events, Start, Stop) -> lists:max([0 | slices(Events, Start, Stop)]).

slices([], paused, _Stop) -> [];
slices([], Since, Stop) -> [Stop - Since];
slices([{in, ?DIRTY, _} | Rest], _Since, Stop) -> slices(Rest, paused, Stop);
slices([{in, _, Time} | Rest], _Since, Stop) -> slices(Rest, Time, Stop);
slices([{out, _, _} | Rest], paused, Stop) -> slices(Rest, paused, Stop);
slices([{out, _, Time} | Rest], Since, Stop) -> [Time - Since | slices(Rest, paused, Stop)].

micros(Native) -> erlang:convert_time_unit(Native, native, microsecond).
