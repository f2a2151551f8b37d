%%% @doc A process that runs callbacks for which no caller waits: those of casts and of Python's own threads.
%%%
%%% To the function it is a process of its own, started for it. One whose function left no trace waits for the next
%%% callback, which the native core then sends it directly; any other ends as it would have.
-module(py_runner).

-export([start/1]).
-export([idle/2]).

-export_type([call/0]).

-type call() :: {callback, Callback :: reference(), Name :: binary() | atom(), Args :: [term()],
                 ForWhom :: pid() | undefined}.

-define(TRACES, [message_queue_len, links, monitored_by, registered_name, trap_exit, priority, monitors, dictionary,
                 total_heap_size]).
%% What cannot be seen (timers, tables) is not kept for ever.
-define(MOST_CALLS, 10000).
-define(MOST_WORDS, 50000).
%% Milliseconds until what the last callback left on the heap is given up.
-define(AWAKE, 100).

%% @doc Starts a process for a callback of the calling process, the host. It outlives the host for as long as its function
%% runs.
-spec start(call()) -> pid().
start(Call) ->
    Host = self(),
    spawn(fun() -> serve(Call, {monitor(process, Host), group_leader()}, ?MOST_CALLS) end).

serve({callback, _, _, _, ForWhom} = Call, Host, Left) ->
    _ = run(Call),
    case Left > 0 andalso is_as_new(ForWhom, Host) andalso py_nif:runner_ready() of
        true -> wait(Host, Left - 1);
        false -> ok
    end.

%% The function may kill this process: Python is told then because the callback is gone with it.
run({callback, Callback, Name, Args, ForWhom}) ->
    %% What the function asks of the context that waits for it is served at once for this.
    _ = put('$callers', [ForWhom]),
    {Status, Value} = py_callback:execute(Name, py_output:args(Name, Args, {for, ForWhom})),
    py_nif:answer(Callback, Status, Value).

%% Whether nothing of the last function can be met by the next one, and nobody waits for the end of this process.
is_as_new(ForWhom, {_Monitor, Leader}) ->
    [{_, Queue}, {_, Links}, {_, Watchers}, {_, Name}, {_, Traps}, {_, Priority}, {_, Monitors}, {_, Dictionary},
     {_, Words}] = process_info(self(), ?TRACES),
    _ = erase(),
    {Queue, Links, Watchers, Name, Traps, Priority, Dictionary} =:=
        {0, [], [], [], false, normal, [{'$callers', [ForWhom]}]} andalso
        length(Monitors) =:= 1 andalso % the host's
        Words < ?MOST_WORDS andalso group_leader() =:= Leader.

wait(Host, Left) ->
    receive
        {py_native, Call} -> serve(Call, Host, Left);
        _HostIsDownOrAStray -> leave()
    after ?AWAKE -> erlang:hibernate(?MODULE, idle, [Host, Left])
    end.

%% @private
-spec idle({reference(), pid()}, non_neg_integer()) -> ok.
idle(Host, Left) ->
    receive
        {py_native, Call} -> serve(Call, Host, Left);
        _HostIsDownOrAStray -> leave()
    end.

%% A callback that is on its way is not lost.
leave() ->
    case py_nif:runner_leaves() of
        true -> ok;
        false -> receive {py_native, Call} -> _ = run(Call), ok end
    end.
