%%% @doc Where Python's `sys.stdout' and `sys.stderr' go: the application environment's `output'.
%%%
%%% A line that Python prints is a callback like any other: it runs in the process that waits for the request, or in a
%%% runner, and Python goes on when it has been written. So whoever writes slowly slows down the code that prints, and
%%% nothing piles up. Nobody waits for ever: not for a group leader that does not answer, and not beyond the timeout of
%%% the request. What cannot be written is dropped; Python code does not fail for that.
-module(py_output).

-export([new_table/0, destination/1, register/0, args/3, print/1]).

-export_type([destination/0, stream/0]).

-type stream() :: stdout | stderr.
-type destination() :: group_leader | os | {process, pid() | atom()} | {module(), atom()}
    | fun((stream(), binary()) -> term()).
%% The group leader of the process whose request prints, or of the application where there is none; the streams of the
%% OS process; a process that gets `{py_output, Stream, Text}'; a function of arity 2.
-type known() :: timeout() | {for, pid() | undefined}.
%% What the calling process knows: how many milliseconds its request has left, or, in a runner, whose request it is.

-define(FUNCTION, <<"$py_output">>).
%% {{Leader, Writer}}: lines that are with a group leader, each with the process that waits for the answer.
-define(WRITERS, py_output_writers).
%% Milliseconds a group leader may take for a line.
-define(PATIENCE, 5000).
%% So many lines may be with a group leader that has not answered.
-define(MOST_WRITERS, 1000).
%% So many messages may be in the mailbox of a process before Python waits for it.
-define(MOST_UNREAD, 1000).
%% Milliseconds after which it looks again.
-define(PAUSE, 5).

%% @doc Creates the table of lines that have not been written; it belongs to the calling process.
-spec new_table() -> ok.
new_table() ->
    %% Written by every line and from everywhere; its size is asked for as often.
    Options = [named_table, public, ordered_set, {write_concurrency, true}, {decentralized_counters, false}],
    ?WRITERS = ets:new(?WRITERS, Options),
    ok.

%% @doc The same when it is one; raises otherwise.
-spec destination(term()) -> destination().
destination(Where) when Where =:= group_leader; Where =:= os -> Where;
destination({process, Pid} = Where) when is_pid(Pid), node(Pid) =:= node() -> Where;
destination({process, Name} = Where) when is_atom(Name), Name =/= undefined -> Where;
destination({Module, Function} = Where) when is_atom(Module), is_atom(Function), Module =/= process -> Where;
destination(Fun) when is_function(Fun, 2) -> Fun.

%% @doc Puts the configured destination into effect. Python looks whether the function is registered: if not, it writes to
%% the streams of the OS process itself.
-spec register() -> ok.
register() ->
    case py_config:output() of
        os ->
            ok;
        Where ->
            %% No fun, which new versions of this module would make an end of.
            ok = persistent_term:put(?MODULE, Where),
            py_callback:register(?FUNCTION, ?MODULE, print)
    end.

%% @doc The callback.
-spec print([term()]) -> none.
print([Stream, Text, Known]) ->
    put(persistent_term:get(?MODULE), stream(Stream), Text, Known).

%% @doc The arguments of a callback: those that Python gave and, for a line that is printed, what is known here.
-spec args(Name :: binary() | atom(), [term()], known()) -> [term()].
args(?FUNCTION, [_, _] = Args, Known) -> Args ++ [Known];
args(_Name, Args, _Known) -> Args.

stream(<<"stdout">>) -> stdout;
stream(<<"stderr">>) -> stderr.

put(group_leader, _Stream, Text, Known) ->
    to_leader(leader(Known), Text, patience(Known));
put({process, Process}, Stream, Text, Known) ->
    to_process(local(Process), {py_output, Stream, Text}, patience(Known));
put({Module, Function}, Stream, Text, _Known) ->
    _ = Module:Function(Stream, Text),
    none;
put(Fun, Stream, Text, _Known) ->
    _ = Fun(Stream, Text),
    none.

patience(Left) when is_integer(Left) -> min(Left, ?PATIENCE);
patience(_) -> ?PATIENCE.

%% ---------------------------------------------------------------------------------------------------------------------
%% Group leaders

leader({for, Pid}) when is_pid(Pid) ->
    case process_info(Pid, group_leader) of
        {group_leader, Leader} -> Leader;
        undefined -> group_leader()
    end;
leader(_) ->
    group_leader().

%% By a process of its own: an answer that comes too late finds nobody then. That process waits on, since the group
%% leader has the line; so there is a bound for those.
to_leader(Leader, Text, Patience) ->
    case has_room(Leader) of
        true ->
            {Writer, Monitor} = spawn_monitor(fun() -> write(Leader, Text) end),
            receive
                {'DOWN', Monitor, process, Writer, _} -> none
            after Patience ->
                _ = demonitor(Monitor, [flush]),
                none
            end;
        false ->
            none
    end.

%% While all goes well the table is all but empty, and nothing is counted.
has_room(Leader) ->
    ets:info(?WRITERS, size) < ?MOST_WRITERS orelse writers(Leader) < ?MOST_WRITERS.

%% A writer that was killed has left its entry.
writers(Leader) ->
    {Living, Dead} = lists:partition(fun is_process_alive/1, ets:select(?WRITERS, [{{{Leader, '$1'}}, [], ['$1']}])),
    [ets:delete(?WRITERS, {Leader, Writer}) || Writer <- Dead],
    length(Living).

write(Leader, Text) ->
    Writer = {Leader, self()},
    try
        true = ets:insert(?WRITERS, {Writer}),
        try io:put_chars(Leader, Text)
        after ets:delete(?WRITERS, Writer)
        end
    catch
        error:_ -> ok % it is gone, or refuses, or the application has stopped
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Other processes

local(Name) when is_atom(Name) -> whereis(Name);
local(Pid) -> Pid.

%% Nobody who does not read gets ever more. The calling process cannot read while it waits here.
to_process(undefined, _Message, _Patience) ->
    none;
to_process(Pid, Message, Patience) ->
    case process_info(Pid, message_queue_len) of
        {_, Unread} when Unread < ?MOST_UNREAD ->
            Pid ! Message,
            none;
        {_, _} when Patience > 0, Pid =/= self() ->
            receive after ?PAUSE -> ok end,
            to_process(Pid, Message, Patience - ?PAUSE);
        _ ->
            none
    end.
