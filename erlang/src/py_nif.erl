%%% @doc The native core, function by function.
%%%
%%% Everything in Erlang that needs Python goes through this module, and nothing here runs Python on a scheduler: a
%%% request is recorded, handed to the thread of its context and answered by a message. Functions named `submit_*' start
%%% a request; {@link py_request} waits for its answer. The `context_*' functions do both and are what guides show to
%%% users who hold an environment of their own.
-module(py_nif).

-export([
    %% the VM-wide runtime
    configure/1, start_runtime/0, runtime/0, backends/0,
    set_host/1, host_stopped/0, runner_ready/0, runner_leaves/0,
    execution_mode/0, owngil_supported/0, owngil_problem/0, subinterp_supported/0, load_backend/1,
    %% contexts
    context_new/2, context_destroy/1, context_of/1, contexts/0, context_join/1, context_id/1, context_interrupt/1,
    context_memory/1,
    context_call/5, context_call/6,
    context_eval/2, context_eval/3, context_eval/4, context_exec/2, context_exec/3,
    %% requests
    submit_call/8, submit_eval/6, submit_exec/5, submit_object/7, submit_noop/3, cancel/1,
    async_new/0, async_set/2, async_handle/1,
    %% tasks of event loops
    submit_task/5, spawn_task/6, task_new/1, task_give_up/1, task_state/1, task_context/1,
    event_loop_exec/2, event_loop_eval/2,
    %% environments and objects
    env_new/1, is_env/1, is_object/1, object_context/1,
    %% callbacks
    answer/3, build/1, function_registered/1, function_unregistered/1, functions_clear/0,
    %% the semaphore
    semaphore_acquire/1, semaphore_cancel/1, semaphore_release/1, semaphore_current/0, semaphore_max/0,
    semaphore_set_max/1,
    %% terms by key
    store_new/0, store_get/2, store_put/4, store_add/4, store_remove/2, store_keys/1, store_clear/1, store_close/1,
    %% what Python tells without waiting
    feed_open/2, feed_close/1, feed_taken/2,
    %% file descriptors
    dup_fd/1,
    %% event loops run in Erlang
    event_loop_new/0, event_loop_destroy/1, event_loop_set_worker/2, event_loop_wakeup/1,
    add_reader/3, remove_reader/2, add_writer/3, remove_writer/2, call_later/3, cancel_timer/2,
    poll_events/2, get_pending/1,
    %% what those are made of: py_event_poll and py_event_worker
    event_loop_core/1, event_loop_join/1, event_loop_become_worker/1, event_loop_work/1, event_loop_ready/3,
    event_loop_add/4, event_loop_remove/2, event_loop_add_timer/2, event_loop_remove_timer/2,
    event_loop_wait/2, event_loop_withdraw/1, event_loop_count/1,
    %% datagram sockets to try them out with
    create_test_udp_socket/1, sendto_test_udp/4, recvfrom_test_udp/2, set_udp_broadcast/2, close_test_fd/1,
    %% plugins
    load_plugins/1, plugin_wait/4, waker_done/2,
    plugin_call/2, plugin_call/3, plugin_call/4, plugin_call/5, plugin_call/6, plugin_call/7, plugin_call/8,
    %% what is alive, for audits and monitoring
    counters/0
]).

-on_load(load/0).

-define(STUB, erlang:nif_error({not_loaded, ?MODULE})).

-type context() :: reference().
%% A context's native half. Keeps nothing alive but itself.
-type env() :: reference().
%% A Python namespace inside one context. Freed when the last copy of the reference is gone.
-type object() :: reference().
%% A Python object kept for Erlang. Freed like an environment.
-type task() :: reference().
%% A result that will come to the process that made it, as `{async_result, Task, Result}', unless it gives the task up.
-type handle() :: non_neg_integer().
%% A request that was accepted; names it to {@link cancel/1}.
-type name() :: atom() | binary().
-type flags() :: non_neg_integer().
%% Bit 0: the result is an object handle. Bit 1: no answer is wanted. Bit 2: callbacks run in a process of their own
%% instead of in the caller. Bit 3: no slot of the semaphore is taken.
-type tag() :: reference() | {reference(), Ancestors :: [pid()]}.
%% What the answer comes with; and the processes that started the caller, nearest first.
-type submitted() :: handle() | ancestry | {error, term()}.
%% `ancestry': nothing was submitted; the context waits for a callback and wants a tag with ancestors.
-type mode() :: worker | owngil | freethreaded.

-type store() :: reference() | state.
%% Terms by key: one that store_new/0 made, freed like an environment, or py_state's.
-type feed() :: log | spans.
-type limit() :: non_neg_integer() | infinity.

-type event_loop() :: reference().
%% Files and timers of a loop that is run in Erlang. Closed when the last copy of the reference is gone.
-type loop_core() :: reference().
%% The same for whoever is not to keep it open. Taken wherever an event_loop() is.
-type loop_file() :: reference().
-type loop_timer() :: reference().
-type callback_id() :: non_neg_integer().
%% What an event is reported with; up to 64 bits.
-type loop_error() :: {error, closed | no_worker}.
%% The loop was destroyed; or its worker has ended.

-export_type([context/0, env/0, object/0, task/0, handle/0, flags/0, name/0, submitted/0, mode/0, feed/0]).
-type plugin() :: atom().
-type plugin_result() :: ok | {ok, term()} | pending | {error, {plugin_not_loaded, plugin()} | term()}.
-type waker() :: reference().
%% A process's wait for a plugin.

-export_type([plugin/0, plugin_result/0, waker/0]).
-export_type([event_loop/0, loop_core/0, loop_file/0, loop_timer/0, callback_id/0, loop_error/0]).

load() ->
    Priv = case code:priv_dir(erlang_python) of
        {error, bad_name} ->
            filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
        Dir ->
            Dir
    end,
    erlang:load_nif(filename:join(Priv, "py_nif"), list_to_binary(Priv)).

%% ---------------------------------------------------------------------------------------------------------------------
%% The runtime

%% @doc Says where to look for backends and which one to take; nothing is opened. Later calls replace earlier ones until
%% the runtime has started; after that only what can still change does.
%%
%% Keys, all optional: `backend' (`auto' | mode()), `python' (`auto' | binary(): a version such as <<"3.14t">>, or the
%% path of an executable or of a libpython), `search' ([binary()], directories with manifests), `paths' ([binary()], put
%% on sys.path), `big_integers' (`string' | `integer'), `max_atoms' (how many new atoms Python may make), `memory_limits' (boolean():
%% contexts with a limit can be had), `prefers_owngil' (boolean(): of the Pythons that fit, one that can do that).
-spec configure(#{atom() => term()}) -> ok.
configure(_Options) -> ?STUB.

%% @doc Selects a backend and starts Python, once in the life of the VM; later calls return what the first one did.
%% Runs on a dirty scheduler.
-spec start_runtime() -> ok | {error, {Code :: atom(), Message :: binary()}}.
start_runtime() -> ?STUB.

%% @doc What runs: `#{}' before start_runtime/0, else the manifest of the chosen backend as backends/0 shows it.
-spec runtime() -> map().
runtime() -> ?STUB.

%% @doc Every backend and plugin manifest that was found, and what became of it, in the order of preference.
%% Keys: kind, name, mode, file, manifest, abi, python, abi_tag, free_threading, libpython, executable, status
%% (`chosen' | `available' | `refused'), reason (binary(), only when refused).
-spec backends() -> [map()].
backends() -> ?STUB.

%% @doc Names the process that runs callbacks nobody waits for, forwards messages and writes the core's log. It gets
%% `{py_native, {callback, Callback, Name, Args, ForWhom}}' (the process whose request
%% it is, or `undefined'), `{py_native, {forward, Destination, Message}}' and
%% `{py_native, {log, Level, Text}}'.
-spec set_host(pid()) -> ok.
set_host(_Pid) -> ?STUB.

%% @doc The application stops: nothing is sent to the host process any more.
-spec host_stopped() -> ok.
host_stopped() -> ?STUB.

%% @doc The calling process will run the next callback it is sent as `{py_native, {callback, _, _, _, _}}'. False: there
%% are enough, or the application is not running.
-spec runner_ready() -> boolean().
runner_ready() -> ?STUB.

%% @doc The calling process will not run any more. False: it is about to be sent one that it has to run first.
-spec runner_leaves() -> boolean().
runner_leaves() -> ?STUB.

%% @doc Whether contexts of mode `owngil' can be had: the Python that runs, or would be chosen, has interpreters with a GIL
%% each (3.14 and newer, with a GIL), and there is a backend for them.
-spec owngil_supported() -> boolean().
owngil_supported() -> owngil_problem() =:= ok.

%% @doc Why contexts of mode `owngil' cannot be had.
-spec owngil_problem() -> ok | {error, owngil_requires_python314 | owngil_requires_gil | owngil_backend_missing}.
owngil_problem() -> ?STUB.

%% @doc The same as {@link owngil_supported/0}.
-spec subinterp_supported() -> boolean().
subinterp_supported() -> owngil_supported().

%% @doc What the Python that runs, or would be chosen, is capable of: it has no GIL, it has subinterpreters (3.12 and
%% newer), or neither.
-spec execution_mode() -> free_threaded | subinterp | multi_executor.
execution_mode() -> ?STUB.

%% @doc Loads the backend that contexts of a mode need, if there is one beside that which start_runtime/0 chose.
-spec load_backend(#{mode := mode()}) -> ok | {error, atom() | {Code :: atom(), Message :: binary()}}.
load_backend(_Options) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

%% @doc Starts a context owned by the calling process: when that process ends, however it ends, so does the context.
%% The caller gets `{Ref, ready}' or `{Ref, {error, Reason}}' when its thread is up. `{error, not_loaded}': see
%% load_backend/1. `memory_limit' are the bytes its interpreter may take beyond what it has when it is new.
-spec context_new(Ref :: reference(), #{mode := mode(), memory_limit => pos_integer()}) ->
    {ok, context()} | {error, term()}.
context_new(_Ref, _Options) -> ?STUB.

%% @doc Ends a context: work that waits or runs is answered with `{error, context_stopped}', running Python code is
%% interrupted. Returns at once.
-spec context_destroy(context()) -> ok.
context_destroy(_Context) -> ?STUB.

%% @doc The context a process owns, looked up in a table; no message is sent.
-spec context_of(pid()) -> context() | undefined.
context_of(_Pid) -> ?STUB.

%% @doc All contexts that have not stopped, whoever started them, each with the process that owns it; in no order. On a
%% dirty scheduler.
-spec contexts() -> [{pid(), context()}].
contexts() -> ?STUB.

%% @doc Lets the context watch the calling process, once for each process: Python code that runs for it is interrupted
%% when it dies.
-spec context_join(context()) -> ok.
context_join(_Context) -> ?STUB.

%% @doc A number no other context of this VM has, or had.
-spec context_id(context()) -> non_neg_integer().
context_id(_Context) -> ?STUB.

%% @doc Bytes a context with a limit has taken, the most it ever had, and its limit. `error' for any other context.
-spec context_memory(context()) -> {ok, {non_neg_integer(), non_neg_integer(), pos_integer()}} | error.
context_memory(_Context) -> ?STUB.

%% @doc Interrupts the request whose Python code runs at this moment.
-spec context_interrupt(context()) -> ok | not_running.
context_interrupt(_Context) -> ?STUB.

%% @doc Calls a Python function in an environment, or in the context's own namespace, and waits without limit.
-spec context_call(context(), name(), name(), [term()], map()) -> {ok, term()} | {error, term()}.
context_call(Context, Module, Function, Args, Kwargs) ->
    context_call(Context, Module, Function, Args, Kwargs, undefined).

-spec context_call(context(), name(), name(), [term()], map(), env() | undefined) -> {ok, term()} | {error, term()}.
context_call(Context, Module, Function, Args, Kwargs, Env) ->
    py_request:call(Context, Module, Function, Args, Kwargs, Env, 0, infinity).

%% @doc Evaluates a Python expression; see {@link context_call/6}.
-spec context_eval(context(), iodata()) -> {ok, term()} | {error, term()}.
context_eval(Context, Code) -> context_eval(Context, Code, #{}).

-spec context_eval(context(), iodata(), map()) -> {ok, term()} | {error, term()}.
context_eval(Context, Code, Locals) -> context_eval(Context, Code, Locals, undefined).

-spec context_eval(context(), iodata(), map(), env() | undefined) -> {ok, term()} | {error, term()}.
context_eval(Context, Code, Locals, Env) ->
    py_request:eval(Context, Code, Locals, Env, 0, infinity).

%% @doc Runs Python statements; see {@link context_call/6}.
-spec context_exec(context(), iodata()) -> ok | {error, term()}.
context_exec(Context, Code) -> context_exec(Context, Code, undefined).

-spec context_exec(context(), iodata(), env() | undefined) -> ok | {error, term()}.
context_exec(Context, Code, Env) ->
    py_request:exec(Context, Code, Env, infinity).

%% ---------------------------------------------------------------------------------------------------------------------
%% Requests
%%
%% The caller gets exactly one `{Ref, Result}' or `{Ref, flat, Flat}', whose result build/1 makes, and before it any
%% number of `{Ref, Callback, Name, Args}' which it has to answer with answer/3, unless cancel/1 says otherwise.

-spec submit_call(context(), tag(), name(), name(), [term()], map(), env() | undefined, flags()) -> submitted().
submit_call(_Context, _Ref, _Module, _Function, _Args, _Kwargs, _Env, _Flags) -> ?STUB.

-spec submit_eval(context(), tag(), binary(), map(), env() | undefined, flags()) -> submitted().
submit_eval(_Context, _Ref, _Code, _Locals, _Env, _Flags) -> ?STUB.

-spec submit_exec(context(), tag(), binary(), env() | undefined, flags()) -> submitted().
submit_exec(_Context, _Ref, _Code, _Env, _Flags) -> ?STUB.

%% @doc Works on an object handle, in the context that owns it.
-spec submit_object(tag(), method | getattr | value, object(), name(), [term()], map(), flags()) -> submitted().
submit_object(_Ref, _Operation, _Object, _Name, _Args, _Kwargs, _Flags) -> ?STUB.

%% @doc A request that does nothing: the floor every benchmark is measured against.
-spec submit_noop(context(), tag(), flags()) -> submitted().
submit_noop(_Context, _Ref, _Flags) -> ?STUB.

%% @doc Gives a request up. `cancelled': it never ran, or is being interrupted, and no message will come.
%% `{overloaded, Current, Max}': the same, and it was still waiting for a slot of the semaphore.
%% `callback': a `{Ref, Callback, Name, Args}' is in the mailbox or about to be, take it out; nothing else will come.
%% `replied': the answer is in the mailbox or about to be, take it out.
-spec cancel(handle()) -> cancelled | callback | replied | {overloaded, non_neg_integer(), pos_integer()}.
cancel(_Handle) -> ?STUB.

%% @doc A reference that remembers the handle of a request: what py:spawn_call returns.
-spec async_new() -> reference().
async_new() -> ?STUB.

-spec async_set(reference(), handle()) -> ok.
async_set(_Async, _Handle) -> ?STUB.

-spec async_handle(reference()) -> {ok, handle()} | error.
async_handle(_Async) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------
%% Tasks of event loops
%%
%% All that are open when their context stops are answered with `{error, context_stopped}'.

%% @doc Makes a task of calling a Python function on the loop of a context. No slot of the semaphore is taken.
-spec submit_task(context(), name(), name(), [term()], map()) -> task() | {error, term()}.
submit_task(_Context, _Module, _Function, _Args, _Kwargs) -> ?STUB.

%% @doc The same without a task: nobody gets the result, and it goes on when the calling process ends. Any reference.
-spec spawn_task(reference(), context(), name(), name(), [term()], map()) -> ok | {error, term()}.
spawn_task(_Ref, _Context, _Module, _Function, _Args, _Kwargs) -> ?STUB.

%% @doc A task that nobody has submitted.
-spec task_new(context()) -> task() | {error, context_stopped}.
task_new(_Context) -> ?STUB.

%% @doc Nothing about the task comes any more. `replied': it has come, or is about to.
-spec task_give_up(task()) -> cancelled | replied.
task_give_up(_Task) -> ?STUB.

%% @doc `ending': its message is about to be in the mailbox; `over': it is, or was, or the task was given up;
%% `not_owner': another process made it, or it is none.
-spec task_state(term()) -> open | ending | over | not_owner.
task_state(_Task) -> ?STUB.

-spec task_context(task()) -> context().
task_context(_Task) -> ?STUB.

%% @doc Runs Python statements in the namespace that the calling process has in an event loop; see
%% {@link py_event_loop:exec/2}.
-spec event_loop_exec(reference(), py_request:code()) -> ok | {error, term()}.
event_loop_exec(Loop, Code) -> py_event_loop:exec(Loop, Code).

%% @doc Evaluates a Python expression there.
-spec event_loop_eval(reference(), py_request:code()) -> {ok, term()} | {error, term()}.
event_loop_eval(Loop, Code) -> py_event_loop:eval(Loop, Code).

%% ---------------------------------------------------------------------------------------------------------------------
%% Environments and objects

%% @doc A new namespace in a context. Costs no round trip: the dict is made when it is first used, as a copy of the
%% context's own namespace at that time.
-spec env_new(context()) -> env().
env_new(_Context) -> ?STUB.

-spec is_env(term()) -> boolean().
is_env(_Term) -> ?STUB.

-spec is_object(term()) -> boolean().
is_object(_Term) -> ?STUB.

%% @doc The context an object handle belongs to.
-spec object_context(object()) -> context().
object_context(_Object) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------
%% Callbacks

%% @doc The result of a request whose value is too large to be built by the context's thread. Once for each Flat.
-spec build(Flat :: reference()) -> {ok, term()} | {error, term()}.
build(_Flat) -> ?STUB.

%% @doc Answers a callback with a value, or with a text that Python raises as RuntimeError. `ok' also when nobody waits
%% any more. `{final, Result}': the request ended meanwhile (it was interrupted, or its context stopped) and this is its
%% result; no message about it comes any more.
-spec answer(Callback :: reference(), ok | error, term()) -> ok | {final, {error, term()}}.
answer(_Callback, _Status, _Value) -> ?STUB.

%% @doc Makes a name visible to Python as an attribute of the module `erlang'.
-spec function_registered(binary()) -> ok.
function_registered(_Name) -> ?STUB.

-spec function_unregistered(binary()) -> ok.
function_unregistered(_Name) -> ?STUB.

-spec functions_clear() -> ok.
functions_clear() -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------
%% The semaphore

%% @doc Takes a slot for the caller. `{ok, Slot}': taken; `{wait, Slot}': the caller gets `{Slot, granted}' in its turn.
%% The slot is given back by semaphore_release/1 or when the last copy of Slot is gone, with its holder at the latest.
-spec semaphore_acquire(pid()) -> {ok, reference()} | {wait, reference()}.
semaphore_acquire(_Pid) -> ?STUB.

%% @doc Gives up waiting. `granted': too late, the slot is the caller's and the message is in the mailbox or about to be.
-spec semaphore_cancel(reference()) -> cancelled | granted.
semaphore_cancel(_Slot) -> ?STUB.

-spec semaphore_release(reference()) -> ok.
semaphore_release(_Slot) -> ?STUB.

-spec semaphore_current() -> non_neg_integer().
semaphore_current() -> ?STUB.

-spec semaphore_max() -> pos_integer().
semaphore_max() -> ?STUB.

-spec semaphore_set_max(pos_integer()) -> ok.
semaphore_set_max(_Max) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% Terms by key. All but store_close/1 raise `badarg' for one that was closed.

-spec store_new() -> store().
store_new() -> ?STUB.

-spec store_get(store(), Key :: term()) -> {ok, term()} | error.
store_get(_Store, _Key) -> ?STUB.

%% @doc A new key is refused when there are so many already.
-spec store_put(store(), Key :: term(), Value :: term(), limit()) -> ok | full.
store_put(_Store, _Key, _Value, _Most) -> ?STUB.

%% @doc Adds to a counter, an integer of 64 bits, that begins as 0. `badarg' when it is none, or would become none.
-spec store_add(store(), Key :: term(), Amount :: integer(), limit()) -> integer() | full.
store_add(_Store, _Key, _Amount, _Most) -> ?STUB.

-spec store_remove(store(), Key :: term()) -> ok.
store_remove(_Store, _Key) -> ?STUB.

%% @doc In no order. Runs on a dirty scheduler, as the next two do.
-spec store_keys(store()) -> [term()].
store_keys(_Store) -> ?STUB.

-spec store_clear(store()) -> ok.
store_clear(_Store) -> ?STUB.

%% @doc Drops all entries; the store is an error to all who hold it. Any number of times.
-spec store_close(reference()) -> ok.
store_close(_Store) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% What Python tells one process without waiting for it. The process gets the message as it is.

%% @doc The calling process reads the feed from now on; so many messages may be on their way to it before more are
%% dropped.
-spec feed_open(feed(), Most :: non_neg_integer()) -> ok.
feed_open(_Feed, _Most) -> ?STUB.

-spec feed_close(feed()) -> ok.
feed_close(_Feed) -> ?STUB.

%% @doc The reader has read so many, and may be sent as many more. How many were dropped since the last time.
-spec feed_taken(feed(), Count :: non_neg_integer()) -> Dropped :: non_neg_integer().
feed_taken(_Feed, _Count) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% @doc A copy of a file descriptor, for {@link py:dup_fd/1}.
-spec dup_fd(integer()) -> {ok, non_neg_integer()} | {error, ebadf | emfile | einval}.
dup_fd(_Fd) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% Event loops run in Erlang: files are watched by the VM, on behalf of a process, the worker (py_event_worker). One is
%% started when the first file or timer is added, unless there is one by then. For users who know how a loop is written;
%% docs/low-level-loop.md shows one. A reference of another kind, or of another loop, raises `badarg'.

%% @doc A loop without files and timers. It is closed when the last copy of the reference is gone.
-spec event_loop_new() -> {ok, event_loop()}.
event_loop_new() -> ?STUB.

%% @doc Closes it: the VM lets go of the files, timers are forgotten, who polls it gets `{error, closed}', and so does
%% whoever uses it later. Any number of times.
-spec event_loop_destroy(event_loop()) -> ok.
event_loop_destroy(_Loop) -> ?STUB.

%% @doc Makes a process that py_event_worker:start_link/2 has started for this loop its worker. `{error, refused}' for
%% any other process, and when the loop has another worker that is alive, or was destroyed.
-spec event_loop_set_worker(event_loop(), pid()) -> ok | {error, refused}.
event_loop_set_worker(_Loop, _Pid) -> ?STUB.

%% @doc Has poll_events/2 return, now or when it is called next.
-spec event_loop_wakeup(event_loop()) -> ok | {error, closed}.
event_loop_wakeup(_Loop) -> ?STUB.

%% @doc Reports `{Id, read}' when the file can be read from, once for each call of get_pending/1, as long as it can.
%% A copy of the file descriptor is watched: the caller may close his at any time. `ebadf' when it is none, `eperm' for
%% a regular file or a directory, which is always ready.
-spec add_reader(event_loop(), integer(), callback_id()) ->
    {ok, loop_file()} | loop_error() | {error, ebadf | eperm | emfile | atom()}.
add_reader(Loop, Fd, Id) -> py_event_poll:add(Loop, Fd, Id, read).

%% @doc Nothing is reported of it any more, and the copy of the file descriptor is closed. Any number of times.
-spec remove_reader(event_loop(), loop_file()) -> ok.
remove_reader(Loop, File) -> event_loop_remove(Loop, File).

%% @doc The same for writing: `{Id, write}'.
-spec add_writer(event_loop(), integer(), callback_id()) ->
    {ok, loop_file()} | loop_error() | {error, ebadf | eperm | emfile | atom()}.
add_writer(Loop, Fd, Id) -> py_event_poll:add(Loop, Fd, Id, write).

-spec remove_writer(event_loop(), loop_file()) -> ok.
remove_writer(Loop, File) -> event_loop_remove(Loop, File).

%% @doc Reports `{Id, timer}' after so many milliseconds, once; after 1 bsl 40, which are 34 years, where it is more.
-spec call_later(event_loop(), non_neg_integer(), callback_id()) -> {ok, loop_timer()} | loop_error().
call_later(Loop, Milliseconds, Id) -> py_event_poll:call_later(Loop, Milliseconds, Id).

%% @doc It is not reported any more, unless it has been. Any number of times.
-spec cancel_timer(event_loop(), loop_timer()) -> ok.
cancel_timer(Loop, Timer) -> py_event_poll:cancel_timer(Loop, Timer).

%% @doc Waits until something can be reported, and says how much; 0 when so many milliseconds are over, or after
%% event_loop_wakeup/1. The process waits as in a `receive', and no scheduler with it. `{error, no_worker}': files and
%% timers that were added before are gone with their worker. Where there is another one that is said once.
-spec poll_events(event_loop(), timeout()) -> non_neg_integer() | loop_error().
poll_events(Loop, Timeout) -> py_event_poll:poll(Loop, Timeout).

%% @doc What there is to report, in the order it came up. Of a file that is still ready the next poll_events/2 or
%% get_pending/1 learns again.
-spec get_pending(event_loop()) -> [{callback_id(), read | write | timer}] | loop_error().
get_pending(_Loop) -> ?STUB.

-spec event_loop_core(event_loop()) -> loop_core().
event_loop_core(_Loop) -> ?STUB.

%% @doc The calling process would be the worker.
-spec event_loop_join(loop_core()) -> ok.
event_loop_join(_Core) -> ?STUB.

%% @doc The calling process is the worker, unless there is one, or the loop is closed.
-spec event_loop_become_worker(loop_core()) -> ok | {error, refused}.
event_loop_become_worker(_Core) -> ?STUB.

%% @doc Some of what the worker has to do. `closed': its end.
-spec event_loop_work(loop_core()) -> ok | more | closed.
event_loop_work(_Core) -> ?STUB.

%% @doc The worker was told by the VM that a file can be read from (1) or written to (2), or it is time (4).
-spec event_loop_ready(loop_core(), Id :: non_neg_integer(), 1 | 2 | 4) -> ok.
event_loop_ready(_Core, _Id, _What) -> ?STUB.

-spec event_loop_add(event_loop(), integer(), callback_id(), read | write) ->
    {ok, loop_file()} | loop_error() | {error, atom()}.
event_loop_add(_Loop, _Fd, _Id, _Direction) -> ?STUB.

-spec event_loop_remove(event_loop(), loop_file()) -> ok.
event_loop_remove(_Loop, _File) -> ?STUB.

%% @doc The worker is to say event_loop_ready/3 with the id.
-spec event_loop_add_timer(event_loop(), callback_id()) ->
    {ok, loop_timer(), Id :: non_neg_integer(), Worker :: pid()} | loop_error().
event_loop_add_timer(_Loop, _Id) -> ?STUB.

-spec event_loop_remove_timer(event_loop(), loop_timer()) -> {ok, Id :: non_neg_integer(), Worker :: pid()} | ok.
event_loop_remove_timer(_Loop, _Timer) -> ?STUB.

%% @doc The calling process is going to be sent `{py_event_loop, Ref}', as long as it has the waiter and does not
%% withdraw it. `{ready, N}': it need not wait.
-spec event_loop_wait(event_loop(), Ref :: reference()) ->
    {wait, Waiter :: reference()} | {ready, non_neg_integer()} | loop_error().
event_loop_wait(_Loop, _Ref) -> ?STUB.

%% @doc False: the message is in the mailbox.
-spec event_loop_withdraw(Waiter :: reference()) -> boolean().
event_loop_withdraw(_Waiter) -> ?STUB.

-spec event_loop_count(event_loop()) -> non_neg_integer() | loop_error().
event_loop_count(_Loop) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% Datagram sockets that are file descriptors, on the loopback interface, to try event loops out with. `ebadf' for a
%% file descriptor that create_test_udp_socket/1 has not returned, or that was closed.

%% @doc Bound to a port; 0 is any that is free.
-spec create_test_udp_socket(inet:port_number()) ->
    {ok, {non_neg_integer(), inet:port_number()}} | {error, inet:posix()}.
create_test_udp_socket(_Port) -> ?STUB.

%% @doc Host is an IPv4 address as text.
-spec sendto_test_udp(integer(), iodata(), binary(), inet:port_number()) -> ok | {error, inet:posix()}.
sendto_test_udp(_Fd, _Data, _Host, _Port) -> ?STUB.

%% @doc One datagram, cut to so many bytes. `{error, eagain}' when there is none.
-spec recvfrom_test_udp(integer(), non_neg_integer()) ->
    {ok, {binary(), {Host :: binary(), inet:port_number()}}} | {error, inet:posix()}.
recvfrom_test_udp(_Fd, _Most) -> ?STUB.

-spec set_udp_broadcast(integer(), boolean()) -> ok | {error, inet:posix()}.
set_udp_broadcast(_Fd, _On) -> ?STUB.

-spec close_test_fd(integer()) -> ok | {error, inet:posix()}.
close_test_fd(_Fd) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------
%% Plugins. {@link py_plugin} is made of this.

%% @doc Opens the plugins that are wanted; others are not to be had any more. What is returned of one of them is why it
%% is not to be had.
-spec load_plugins(all | [binary()]) -> [{Name :: binary(), Code :: atom(), Text :: binary()}].
load_plugins(_Wanted) -> ?STUB.

%% @doc Calls a function of a plugin with up to six arguments. `pending': it has not got what it is asked for yet.
-spec plugin_call(plugin(), Function :: atom()) -> plugin_result().
plugin_call(_Plugin, _Function) -> ?STUB.

-spec plugin_call(plugin(), atom(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A) -> ?STUB.

-spec plugin_call(plugin(), atom(), term(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A, _B) -> ?STUB.

-spec plugin_call(plugin(), atom(), term(), term(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A, _B, _C) -> ?STUB.

-spec plugin_call(plugin(), atom(), term(), term(), term(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A, _B, _C, _D) -> ?STUB.

-spec plugin_call(plugin(), atom(), term(), term(), term(), term(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A, _B, _C, _D, _E) -> ?STUB.

-spec plugin_call(plugin(), atom(), term(), term(), term(), term(), term(), term()) -> plugin_result().
plugin_call(_Plugin, _Function, _A, _B, _C, _D, _E, _F) -> ?STUB.

%% @doc The same, but when it is pending `{py_wake, Ref}' comes as soon as it is worth calling again, once; the wait is
%% over when the waker is given back, or forgotten.
-spec plugin_wait(plugin(), atom(), [term()], reference()) ->
    ok | {ok, term()} | {error, term()} | {pending, waker()}.
plugin_wait(_Plugin, _Function, _Arguments, _Ref) -> ?STUB.

%% @doc Gives a waker back, once; says whether its message has been sent, or is just being. If it has been, CalledAgain
%% says whether plugin_wait/4 was called again since.
-spec waker_done(waker(), CalledAgain :: boolean()) -> boolean().
waker_done(_Waker, _CalledAgain) -> ?STUB.

%% ---------------------------------------------------------------------------------------------------------------------

%% @doc How many of each thing are alive: contexts, threads, requests, callbacks, envs, objects, lent (memory of
%% Python that binaries look at), messages, slots, stores, loop_inboxes (where asyncio loops wait for Erlang), tasks,
%% wakers (waits for plugins), plugin_resources, event_loops, watched_files (that the VM has copies of), atoms_left.
-spec counters() -> #{atom() => non_neg_integer()}.
counters() -> ?STUB.
