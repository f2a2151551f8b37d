%%% @doc What the suites share: starting the application in the mode under test, contexts that end with the case that
%%% made them, waiting for events, and the audit that ends every suite.
%%%
%%% EP_TEST_MODE (worker, owngil, freethreaded; worker when unset) and EP_TEST_PYTHON (as `python' in the application
%%% environment; auto when unset) choose what runs. The cases are the same for all of them.
-module(ep_ct).

-export([mode/0, context_mode/0, init_suite/1, end_suite/1, end_case/0, audit/1, alive/1]).
-export([start_application/0, environment/0, code_paths/0, restart/0, restart_contexts/0, with_environment/2]).
-export([with_context/1, with_contexts/2, with_function/3, with_peer/1, with_peer/2, with_peer/3]).
-export([in_process/1, wait_until/1, message/0, down/1, mailbox_empty/0, growth/1]).
-export([busy/1, busy/2, result/1, result/2]).

-type remote_call() :: fun((module(), atom(), [term()]) -> term()).
%% Calls a function on the second VM.

-define(AUDITED, [contexts, requests, callbacks, envs, objects, lent, messages, stores, loop_inboxes, tasks,
                  event_loops, watched_files, wakers, plugin_resources]).
-define(DEADLINE, 20000).

%% @doc The backend under test.
-spec mode() -> worker | owngil | freethreaded.
mode() ->
    case os:getenv("EP_TEST_MODE", "worker") of
        "worker" -> worker;
        "owngil" -> owngil;
        "freethreaded" -> freethreaded
    end.

%% @doc The mode a context of that backend is asked for: a free-threaded Python serves `worker'.
-spec context_mode() -> worker | owngil.
context_mode() ->
    case mode() of
        owngil -> owngil;
        _ -> worker
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Suites

%% @doc The body of init_per_suite: a fresh application, and a note of what is alive in it.
-spec init_suite([tuple()]) -> [tuple()].
init_suite(Config) ->
    start_application(),
    %% Threads of contexts that ran before, in another suite, may still be ending.
    wait_until(fun() -> alive(contexts) =:= length(py_context_sup:which_contexts()) end),
    [{counters_before, counters()} | Config].

%% @doc The body of end_per_suite: the audit, and the end of the application.
-spec end_suite([tuple()]) -> ok.
end_suite(Config) ->
    try
        audit(Config)
    after
        ok = application:stop(erlang_python)
    end.

%% @doc The body of end_per_testcase: fails a case that leaves a message in its mailbox.
-spec end_case() -> ok | {fail, term()}.
end_case() ->
    case process_info(self(), messages) of
        {messages, []} -> ok;
        {messages, Messages} -> {fail, {messages_left, Messages}}
    end.

%% @doc The last case of every suite: what the suite made is gone. (A case, because Common Test does not count failures
%% of end_per_suite.) A context thread frees the environments of dead processes when it runs next, hence the wait.
-spec audit([tuple()]) -> ok.
audit(Config) ->
    _ = py_context_router:stop_pool(py_parallel),
    Made = py_context_sup:which_contexts() -- py_context_router:contexts(),
    [py_context_sup:stop_context(Context) || Context <- Made],
    Before = proplists:get_value(counters_before, Config),
    settle(fun() -> changes(Before, counters()) end),
    0 = py_semaphore:current(),
    ok.

settle(Changes) ->
    try
        wait_until(fun() -> Changes() =:= #{} end)
    catch
        error:timeout -> ct:fail({left_behind, Changes()})
    end.

changes(Before, After) ->
    maps:filter(fun(Name, {Was, Is}) -> Was =/= Is orelse not is_map_key(Name, Before) end,
                maps:map(fun(Name, Is) -> {maps:get(Name, Before), Is} end, After)).

%% A handle is alive as long as a process has not collected the garbage it is in.
counters() ->
    [garbage_collect(Pid) || Pid <- processes()],
    maps:with(?AUDITED, py_nif:counters()).

%% @doc How many things of a kind are alive, garbage of processes not counted.
-spec alive(atom()) -> non_neg_integer().
alive(Kind) ->
    maps:get(Kind, counters()).

%% ---------------------------------------------------------------------------------------------------------------------
%% The application

%% @doc Starts the application in the mode under test, anew if it runs.
-spec start_application() -> ok.
start_application() ->
    _ = application:stop(erlang_python),
    _ = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- environment()],
    {ok, _} = application:ensure_all_started(erlang_python),
    ok.

%% @doc What the application environment says under test.
-spec environment() -> [{atom(), term()}].
environment() ->
    [{backend, mode()}, {context_mode, context_mode()}, {python, python()}].

%% @doc What a second VM needs in its code path.
-spec code_paths() -> [file:filename()].
code_paths() ->
    [filename:join(code:lib_dir(erlang_python), "ebin"), filename:dirname(code:which(?MODULE))].

python() ->
    case os:getenv("EP_TEST_PYTHON", "auto") of
        "auto" -> auto;
        Python -> Python
    end.

-spec restart() -> ok.
restart() ->
    ok = application:stop(erlang_python),
    ok = application:start(erlang_python).

%% @doc Gives the default pool the contexts it has after a start of the application.
-spec restart_contexts() -> ok.
restart_contexts() ->
    ok = py:stop_contexts(),
    {ok, _} = py:start_contexts(#{contexts => erlang:system_info(schedulers), mode => context_mode()}),
    ok.

%% @doc Runs a case on the application restarted with other values in its environment, then puts the old ones back.
-spec with_environment([{atom(), term()}], fun(() -> term())) -> ok.
with_environment(Values, Fun) ->
    Old = [{Key, application:get_env(erlang_python, Key)} || {Key, _} <- Values],
    [application:set_env(erlang_python, Key, Value) || {Key, Value} <- Values],
    try
        restart(),
        Fun()
    after
        [restore_env(Key, Value) || {Key, Value} <- Old],
        restart()
    end,
    ok.

restore_env(Key, undefined) -> application:unset_env(erlang_python, Key);
restore_env(Key, {ok, Value}) -> application:set_env(erlang_python, Key, Value).

%% ---------------------------------------------------------------------------------------------------------------------
%% Things that end with the case

-spec with_context(fun((pid()) -> Result)) -> Result.
with_context(Fun) ->
    with_contexts(1, fun([Context]) -> Fun(Context) end).

-spec with_contexts(pos_integer(), fun(([pid()]) -> Result)) -> Result.
with_contexts(N, Fun) ->
    Contexts = [new_context() || _ <- lists:seq(1, N)],
    try
        Fun(Contexts)
    after
        [py_context:stop(Context) || Context <- Contexts, is_process_alive(Context)]
    end.

%% Not linked: a case that kills its context is not to die of it.
new_context() ->
    {ok, Context} = py_context:new(#{mode => context_mode()}),
    unlink(Context),
    Context.

-spec with_function(atom() | binary(), fun((list()) -> term()), fun(() -> Result)) -> Result.
with_function(Name, Function, Fun) ->
    ok = py:register_function(Name, Function),
    try
        Fun()
    after
        py:unregister_function(Name)
    end.

%% @doc Runs a case on a second VM, for what can only be done once in a VM or would spoil it. No distribution needed.
-spec with_peer(fun((remote_call()) -> Result)) -> Result.
with_peer(Fun) ->
    with_peer([], Fun).

%% @doc The same with the application started there, with these values in its environment.
-spec with_peer([{atom(), term()}] | not_started, fun((remote_call()) -> Result)) -> Result.
with_peer(Values, Fun) ->
    with_peer(Values, [], Fun).

%% @doc The same with more arguments for the VM.
-spec with_peer([{atom(), term()}] | not_started, [string()], fun((remote_call()) -> Result)) -> Result.
with_peer(Values, Args, Fun) ->
    {ok, Peer, _} = peer:start(#{connection => 0, wait_boot => 60000, args => Args ++ ["-pa" | code_paths()]}),
    Call = fun(Module, Function, Arguments) -> peer:call(Peer, Module, Function, Arguments, 120000) end,
    try
        prepare(Values, Call),
        Fun(Call)
    after
        peer:stop(Peer)
    end.

prepare(not_started, _Call) ->
    ok;
prepare(Values, Call) ->
    ok = Call(application, load, [erlang_python]),
    [ok = Call(application, set_env, [erlang_python, Key, Value]) || {Key, Value} <- environment() ++ Values],
    {ok, _} = Call(application, ensure_all_started, [erlang_python]).

%% ---------------------------------------------------------------------------------------------------------------------
%% Processes and events

%% @doc The result of a function run in a process of its own, and so in a Python environment of its own.
-spec in_process(fun(() -> Result)) -> Result.
in_process(Fun) ->
    result(spawn_monitor(fun() -> exit({result, Fun()}) end)).

%% @doc Polls, for what sends no message when it happens; `error:timeout' when it does not happen.
-spec wait_until(fun(() -> boolean())) -> ok.
wait_until(Condition) ->
    wait_until(Condition, erlang:monotonic_time(millisecond) + ?DEADLINE).

wait_until(Condition, Deadline) ->
    case Condition() of
        true ->
            ok;
        false ->
            erlang:monotonic_time(millisecond) < Deadline orelse error(timeout),
            receive after 2 -> ok end,
            wait_until(Condition, Deadline)
    end.

%% @doc By how many bytes the memory of the VM's processes has grown, and what the function has returned, which is part
%% of that.
-spec growth(fun(() -> Result)) -> {integer(), Result}.
growth(Fun) ->
    erlang:garbage_collect(),
    Before = erlang:memory(processes),
    Result = Fun(),
    {erlang:memory(processes) - Before, Result}.

%% @doc The next message of the calling process.
-spec message() -> term().
message() ->
    receive Message -> Message after ?DEADLINE -> ct:fail(no_message) end.

%% @doc Waits for a process to end and says why it did.
-spec down(pid()) -> term().
down(Pid) ->
    down(Pid, monitor(process, Pid), ?DEADLINE).

down(Pid, Monitor, Deadline) ->
    receive {'DOWN', Monitor, process, Pid, Reason} -> Reason after Deadline -> ct:fail({still_alive, Pid}) end.

-spec mailbox_empty() -> ok.
mailbox_empty() ->
    ok = end_case().

%% @doc A process whose Python code runs, and never ends by itself, when this returns.
-spec busy(pid()) -> {pid(), reference()}.
busy(Context) ->
    busy(Context, infinity).

-spec busy(pid(), timeout()) -> {pid(), reference()}.
busy(Context, Timeout) ->
    Owner = self(),
    Token = erlang:unique_integer([positive]),
    {Pid, Monitor} = spawn_monitor(fun() ->
        ok = py:exec(Context, <<"
import time

def spin(pid, token):
    erlang.send(pid, (erlang.atom('running'), token))
    while True:
        time.sleep(0.001)
">>),
        exit({result, py:call(Context, '__main__', spin, [Owner, Token], #{timeout => Timeout})})
    end),
    receive
        {running, Token} -> {Pid, Monitor};
        {'DOWN', Monitor, process, Pid, Reason} -> ct:fail({not_running, Reason})
    after ?DEADLINE ->
        ct:fail(not_running)
    end.

%% @doc What a process of busy/1 or spawn_monitor ended with: the result of its call, or the reason it was killed.
-spec result({pid(), reference()}) -> term().
result(Process) ->
    result(Process, ?DEADLINE).

-spec result({pid(), reference()}, timeout()) -> term().
result({Pid, Monitor}, Deadline) ->
    case down(Pid, Monitor, Deadline) of
        {result, Result} -> Result;
        {Reason, [{_, _, _, _} | _] = Stack} -> erlang:raise(error, Reason, Stack);
        Reason -> Reason
    end.
