%%% @doc Contexts that are stopped while threads of their Python code run on. Where the interpreter ends with the
%%% context, so do its threads; where it is shared they go on. In no case does anybody wait for them.
-module(left_running_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_thread/1, a_daemon/1, a_bare_thread/1, an_executor/1, a_thread_of_a_thread/1, many_threads_of_many_contexts/1,
    a_thread_of_a_killed_context/1, a_thread_that_ends_by_itself/1
]).
-export([
    an_exit_handler/1, an_executor_whose_end_is_interrupted/1, a_thread_in_a_C_function/1, a_thread_in_a_callback/1,
    a_thread_that_drops_our_modules/1, threads_that_never_end/1, the_VM_halts_all_the_same/1, nothing_is_left_behind/1
]).
%% On a second VM.
-export([stop_contexts_with_endless_threads/1]).

%% While a process has this name, threads go on.
-define(UNTIL, ep_left_running).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_thread, a_daemon, a_bare_thread, an_executor, a_thread_of_a_thread, many_threads_of_many_contexts,
        a_thread_of_a_killed_context, a_thread_that_ends_by_itself, an_exit_handler,
        an_executor_whose_end_is_interrupted, a_thread_in_a_C_function, a_thread_in_a_callback,
        a_thread_that_drops_our_modules, threads_that_never_end, the_VM_halts_all_the_same, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_thread(Config) -> runs_on(Config, thread).

a_daemon(Config) -> runs_on(Config, daemon).

a_bare_thread(Config) -> runs_on(Config, bare_thread).

an_executor(Config) -> runs_on(Config, executor).

a_thread_of_a_thread(Config) -> runs_on(Config, thread_that_starts_another).

runs_on(Config, Kind) ->
    Before = ep_live:count(threads),
    allow(),
    Other = ep_fresh_context:start(),
    ok = leave_running(Other, Kind, 1),
    ok = py_context:stop(Other),
    ?assertEqual({error, context_stopped}, py:eval(Other, <<"1">>)),
    answers(ctx(Config)),
    ep_cell:isolates() orelse forbid(),
    ep_expect:message({<<"ended">>, 1}),
    ends(Before),
    forbid().

many_threads_of_many_contexts(Config) ->
    Before = ep_live:count(threads),
    allow(),
    Contexts = [ep_fresh_context:start() || _ <- lists:seq(1, 8)],
    Kinds = [thread, daemon, bare_thread, executor],
    Names = [begin
                 Name = 10 * N + K,
                 ok = leave_running(Context, Kind, Name),
                 Name
             end || {N, Context} <- numbered(Contexts), {K, Kind} <- numbered(Kinds)],
    Stoppers = [ep_background:start(fun() -> py_context:stop(Context) end) || Context <- Contexts],
    ?assertEqual([ok], lists:usort(ep_background:results(Stoppers))),
    answers(ctx(Config)),
    ep_cell:isolates() orelse forbid(),
    [ep_expect:message({<<"ended">>, Name}) || Name <- Names],
    ends(Before),
    forbid().

a_thread_of_a_killed_context(Config) ->
    Before = ep_live:count(threads),
    allow(),
    Other = ep_fresh_context:start(),
    ok = leave_running(Other, thread, 1),
    exit(Other, kill),
    _ = ep_ct:down(Other),
    ep_cell:isolates() orelse forbid(),
    ep_expect:message({<<"ended">>, 1}),
    ends(Before),
    ep_expect:still_works(ctx(Config)),
    forbid().

%% Its end is waited for, not forced: what it does before is done.
a_thread_that_ends_by_itself(Config) ->
    Before = ep_live:count(threads),
    Other = ep_fresh_context:start(),
    Me = self(),
    ok = py:exec(Other, <<"
import threading
def run(pid):
    erlang.send(pid, 'running')
    erlang.call('ep_wait')
    erlang.send(pid, 'done')
">>),
    Wait = fun([]) -> Me ! {waits, self()}, receive go_on -> ok end end,
    ep_ct:with_function(ep_wait, Wait, fun() ->
        ok = py:exec(Other, <<"start = lambda pid: threading.Thread(target=run, args=(pid,)).start()">>),
        {ok, none} = py:call(Other, '__main__', start, [Me]),
        ep_expect:message(<<"running">>),
        Waiting = receive {waits, Pid} -> Pid end,
        Waiting ! go_on,
        ok = py_context:stop(Other),
        ep_expect:message(<<"done">>)
    end),
    ends(Before),
    ep_expect:idle(ctx(Config)).

%% ---------------------------------------------------------------------------------------------------------------------

an_exit_handler(Config) ->
    case ep_cell:isolates() of
        true ->
            Before = ep_live:count(threads),
            allow(),
            Other = ep_fresh_context:start(),
            ok = leave_running(Other, exit_handler, 1),
            ok = py_context:stop(Other),
            ep_expect:message({<<"running">>, 1}),
            answers(ctx(Config)),
            ep_expect:message({<<"ended">>, 1}),
            ends(Before),
            forbid();
        false ->
            {skip, "an interpreter that is shared does not end with a context, so its exit handlers do not run"}
    end.

%% Its workers wait in a C function to be told to end. What tells them is interrupted before it does.
an_executor_whose_end_is_interrupted(_Config) ->
    ep_cell:with_owngil(fun() ->
        Before = ep_live:count(threads),
        allow(),
        {ok, Other} = py_context:new(#{mode => owngil}),
        ok = ep_fresh_context:add_sources(Other),
        {ok, none} = py_context:call(Other, left_running, executor_and_a_long_end, [self(), 1, ?UNTIL]),
        ok = py_context:stop(Other),
        ep_expect:message({<<"running">>, 1}),
        ep_expect:message({<<"ended">>, 1}),
        ends(Before),
        forbid()
    end).

%% The interpreter cannot end before, and nobody waits for that.
a_thread_in_a_C_function(Config) ->
    Before = ep_live:count(threads),
    Ctx = ctx(Config),
    {ok, {Read, Write}} = py:call(Ctx, os, pipe, []),
    Other = ep_fresh_context:start(),
    ok = leave_running(Other, reader, 1, Read),
    ok = py_context:stop(Other),
    ep_expect:still_works(Ctx),
    Next = ep_fresh_context:start(),
    ep_expect:still_works(Next),
    ep_cell:isolates() andalso ?assert(ep_live:count(threads) > Before + 1),
    {ok, 1} = py:call(Next, os, write, [Write, {bytes, <<"x">>}]),
    ep_expect:message({<<"ended">>, 1}),
    ok = py_context:stop(Next),
    [{ok, none} = py:call(Ctx, os, close, [Fd]) || Fd <- [Read, Write]],
    ends(Before).

a_thread_in_a_callback(Config) ->
    Before = ep_live:count(threads),
    ok = ep_hold:register(),
    Other = ep_fresh_context:start(),
    ok = leave_running(Other, caller, 1, hold),
    Holder = ep_hold:holder(),
    ok = py_context:stop(Other),
    ep_expect:still_works(ctx(Config)),
    ep_hold:release(Holder),
    ep_expect:message({<<"ended">>, 1}),
    ends(Before),
    ok = ep_hold:unregister().

%% What ends it lives as long as the interpreter, whether or not Python code can still reach it.
a_thread_that_drops_our_modules(Config) ->
    ep_cell:with_owngil(fun() ->
        Before = ep_live:count(threads),
        Witness = ctx(Config),
        {ok, {Read, Write}} = py:call(Witness, os, pipe, []),
        {ok, Other} = py_context:new(#{mode => owngil}),
        ok = py_context:exec(Other, <<"
import gc, os, sys, threading
def run(fd):
    try:
        while True:
            gc.collect()
            [bytes([255]) * size for size in range(8, 2048, 8)] # in the place of what is gone
    except BaseException:
        os.write(fd, b'ended')
for name in list(sys.modules):
    if name.partition('.')[0] in ('_erlang', 'erlang', '_erlang_impl'):
        del sys.modules[name]
del erlang
start = lambda fd: threading.Thread(target=run, args=(fd,)).start()
">>),
        {ok, none} = py_context:eval(Other, <<"start(fd)">>, #{fd => Write}),
        ok = py_context:stop(Other),
        ?assertEqual({ok, <<"ended">>}, py:call(Witness, os, read, [Read, 5])),
        [{ok, none} = py:call(Witness, os, close, [Fd]) || Fd <- [Read, Write]],
        ends(Before),
        ep_expect:still_works(Witness)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% What cannot be ended lives as long as the VM: one of its own.

threads_that_never_end(_Config) ->
    ep_ct:with_peer([], fun(Call) ->
        ok = Call(?MODULE, stop_contexts_with_endless_threads, [[locked_for_ever, immortal]]),
        %% The application can stop and start.
        ok = Call(application, stop, [erlang_python]),
        ok = Call(application, start, [erlang_python]),
        ok = Call(?MODULE, stop_contexts_with_endless_threads, [[locked_for_ever, immortal]])
    end).

the_VM_halts_all_the_same(_Config) ->
    {ok, Peer, _} = peer:start(#{connection => 0, wait_boot => 60000, args => ["-pa" | ep_ct:code_paths()]}),
    Monitor = monitor(process, Peer),
    ok = peer:call(Peer, ep_ct, start_application, [], 60000),
    ok = peer:call(Peer, ?MODULE, stop_contexts_with_endless_threads, [[locked_for_ever, immortal]], 60000),
    ok = peer:cast(Peer, init, stop, []),
    receive {'DOWN', Monitor, process, Peer, _} -> ok after 30000 -> error(does_not_halt) end.

-spec stop_contexts_with_endless_threads([atom()]) -> ok.
stop_contexts_with_endless_threads(Kinds) ->
    Witness = ep_fresh_context:start(),
    [begin
         Context = ep_fresh_context:start(),
         {ok, none} = py:call(Context, left_running, Kind, [self(), N]),
         ep_expect:message({<<"running">>, N}),
         ok = py_context:stop(Context),
         {ok, 3} = py:eval(Witness, <<"1 + 2">>),
         New = ep_fresh_context:start(),
         {ok, 3} = py:eval(New, <<"1 + 2">>),
         ok = py_context:stop(New)
     end || {N, Kind} <- numbered(Kinds)],
    ok = py_context:stop(Witness).

%% ---------------------------------------------------------------------------------------------------------------------

%% The thread of a context has ended when its interpreter has.
ends(Before) ->
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= Before end).

%% Messages of threads may have come meanwhile.
answers(Context) ->
    ?assertEqual({ok, 3}, py:eval(Context, <<"1 + 2">>)).

leave_running(Context, Kind, Name) -> leave_running(Context, Kind, Name, ?UNTIL).

leave_running(Context, Kind, Name, Until) ->
    {ok, none} = py:call(Context, left_running, Kind, [self(), Name, Until]),
    ep_expect:message({<<"running">>, Name}).

allow() -> register(?UNTIL, self()).

forbid() -> whereis(?UNTIL) =:= undefined orelse unregister(?UNTIL).

numbered(List) -> lists:zip(lists:seq(1, length(List)), List).

ctx(Config) -> proplists:get_value(ctx, Config).
