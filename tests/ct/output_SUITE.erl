%%% @doc What Python prints: by default to the group leader of the process whose request runs.
-module(output_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
%% To the group leader.
-export([
    what_is_printed_goes_to_the_caller/1, casts_and_spawned_calls_print_for_their_caller/1,
    a_cast_whose_caller_is_gone_prints_for_the_application/1, threads_print_for_the_application/1,
    a_thread_sends_what_is_left_at_its_end/1, a_traceback_of_a_thread_is_printed/1, warnings_are_printed/1,
    finalizers_print/1, finalizers_print_when_their_context_stops/1, a_callback_prints/1,
    a_request_in_the_middle_of_a_line/1, interpreters_print_alike/1
]).
%% Lines.
-export([
    a_line_is_sent_as_a_whole/1, what_is_left_is_sent_at_the_end/1, what_is_left_of_a_failure_is_sent/1,
    flush_sends_what_there_is/1, nothing_is_sent_for_nothing/1, long_text_without_a_newline_is_sent/1,
    a_megabyte_arrives/1, text_is_unicode/1, what_is_no_text_is_refused/1, the_stream_is_one_of_pythons/1,
    lines_of_processes_do_not_mix/1, redirecting_works_as_ever/1
]).
%% Those who do not listen.
-export([
    a_dead_group_leader/1, a_group_leader_killed_meanwhile/1, a_slow_group_leader/1,
    nobody_is_served_while_a_line_is_printed/1, nobody_is_served_above_a_line_that_is_printed/1,
    a_finalizer_that_prints_where_its_context_is_used/1, a_silent_group_leader_and_a_timeout/1,
    a_silent_group_leader_and_no_timeout/1, a_silent_group_leader_and_a_stopped_context/1,
    a_silent_group_leader_and_many_lines/1, writers_that_are_killed/1,
    a_group_leader_on_another_node/1, a_caller_killed_while_it_prints/1,
    a_context_stopped_while_it_prints/1, an_interrupt_while_it_prints/1, what_cleans_up_may_print/1
]).
%% Configuration.
-export([
    to_a_process/1, to_a_registered_process/1, to_a_process_that_does_not_read/1, to_the_calling_process/1,
    to_a_function/1, a_function_that_fails/1, to_the_streams_of_the_os_process/1, what_cannot_be_a_destination/1,
    a_restart_changes_the_destination/1, nothing_is_left_behind/1
]).
%% Called by the library, and in other VMs.
-export([take/2, fail/2, print_in_vm/1, listen/1]).

%% What a silent group leader is given, and some more.
-define(LONG, 4500).

suite() -> [{timetrap, {seconds, 120}}].

all() -> [{group, group_leader}, {group, lines}, {group, faults}, {group, configuration}, nothing_is_left_behind].

groups() ->
    [{group_leader, [], [
        what_is_printed_goes_to_the_caller, casts_and_spawned_calls_print_for_their_caller,
        a_cast_whose_caller_is_gone_prints_for_the_application, threads_print_for_the_application,
        a_thread_sends_what_is_left_at_its_end, a_traceback_of_a_thread_is_printed, warnings_are_printed,
        finalizers_print, finalizers_print_when_their_context_stops, a_callback_prints,
        a_request_in_the_middle_of_a_line, interpreters_print_alike
     ]},
     {lines, [], [
        a_line_is_sent_as_a_whole, what_is_left_is_sent_at_the_end, what_is_left_of_a_failure_is_sent,
        flush_sends_what_there_is, nothing_is_sent_for_nothing, long_text_without_a_newline_is_sent,
        a_megabyte_arrives, text_is_unicode, what_is_no_text_is_refused, the_stream_is_one_of_pythons,
        lines_of_processes_do_not_mix, redirecting_works_as_ever
     ]},
     {faults, [], [
        a_dead_group_leader, a_group_leader_killed_meanwhile, a_slow_group_leader,
        nobody_is_served_while_a_line_is_printed, nobody_is_served_above_a_line_that_is_printed,
        a_finalizer_that_prints_where_its_context_is_used, a_silent_group_leader_and_a_timeout,
        a_silent_group_leader_and_no_timeout, a_silent_group_leader_and_a_stopped_context,
        a_silent_group_leader_and_many_lines, writers_that_are_killed, a_group_leader_on_another_node,
        a_caller_killed_while_it_prints, a_context_stopped_while_it_prints, an_interrupt_while_it_prints,
        what_cleans_up_may_print
     ]},
     {configuration, [], [
        to_a_process, to_a_registered_process, to_a_process_that_does_not_read, to_the_calling_process,
        to_a_function, a_function_that_fails, to_the_streams_of_the_os_process, what_cannot_be_a_destination,
        a_restart_changes_the_destination
     ]}].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% To the group leader

what_is_printed_goes_to_the_caller(Config) ->
    Ctx = ctx(Config),
    [<<"exec\n">>, <<"eval\n">>, <<"call 1\n">>, <<"error\n">>] = written(fun() ->
        ok = py:exec(Ctx, <<"import sys\nprint('exec')">>),
        {ok, none} = py:eval(Ctx, <<"print('eval')">>),
        {ok, none} = py:call(Ctx, builtins, print, [<<"call">>, 1]),
        ok = py:exec(Ctx, <<"print('error', file=sys.stderr)">>)
    end).

casts_and_spawned_calls_print_for_their_caller(Config) ->
    Ctx = ctx(Config),
    [<<"cast\n">>, <<"spawned\n">>] = written(fun() ->
        ok = py:cast(Ctx, builtins, print, [<<"cast">>]),
        {ok, none} = py:await(py:spawn_call(Ctx, builtins, print, [<<"spawned">>]))
    end).

a_cast_whose_caller_is_gone_prints_for_the_application(Config) ->
    Ctx = ctx(Config),
    for_the_application(fun(Leader) ->
        Wait = fun([]) -> true = register(ep_output_here, self()), listen(go) end,
        ok = ep_ct:with_function(ep_output_go, Wait, fun() ->
            [] = written(fun() ->
                ok = py:exec(Ctx, <<"def wait_and_print():\n    erlang.call('ep_output_go')\n    print('orphan')">>),
                ok = py:cast(Ctx, '__main__', wait_and_print, []),
                ep_ct:wait_until(fun() -> whereis(ep_output_here) =/= undefined end)
            end),
            ep_output_here ! go,
            arrives(<<"orphan\n">>, Leader)
        end)
    end).

threads_print_for_the_application(Config) ->
    for_the_application(fun(Leader) ->
        [<<"not in it\n">>] = written(fun() ->
            ok = py:exec(ctx(Config), <<"
import threading
thread = threading.Thread(target=lambda: print('in a thread'))
thread.start()
thread.join()
print('not in it')
">>)
        end),
        <<"in a thread\n">> = ep_leader:text(Leader)
    end).

a_thread_sends_what_is_left_at_its_end(Config) ->
    for_the_application(fun(Leader) ->
        ok = py:exec(ctx(Config), <<"
import threading
thread = threading.Thread(target=lambda: print('left', end=' over'))
thread.start()
thread.join()
">>),
        arrives(<<"left over">>, Leader)
    end).

a_traceback_of_a_thread_is_printed(Config) ->
    for_the_application(fun(Leader) ->
        ok = py:exec(ctx(Config), <<"
import threading
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
">>),
        Text = ep_leader:text(Leader),
        ?assertMatch(<<"Exception in thread", _/binary>>, Text),
        {_, _} = binary:match(Text, <<"ZeroDivisionError: division by zero\n">>)
    end).

warnings_are_printed(Config) ->
    Text = iolist_to_binary(written(fun() ->
        ok = py:exec(ctx(Config), <<"
import warnings
with warnings.catch_warnings():
    warnings.simplefilter('always')
    warnings.warn('take care')
">>)
    end)),
    {_, _} = binary:match(Text, <<"UserWarning: take care\n">>).

finalizers_print(Config) ->
    [<<"before\n">>, <<"half a line, finalized\n">>, <<"whole\n">>, <<"in a cycle\n">>] = written(fun() ->
        ok = py:exec(ctx(Config), <<"
import gc

class Printing:
    def __init__(self, text):
        self.text = text

    def __del__(self):
        print(self.text)

def run():
    first = Printing('finalized')
    print('before')
    print('half', end=' a line, ')
    del first
    print('whole')
    knot = Printing('in a cycle')
    knot.itself = knot
    del knot
    gc.collect()
">>),
        {ok, none} = py:call(ctx(Config), '__main__', run, [])
    end).

%% The native context may be gone by then.
finalizers_print_when_their_context_stops(_Config) ->
    for_the_application(fun(Leader) ->
        Ctx = ep_fresh_context:start(),
        ok = py:exec(Ctx, <<"
class Printing:
    def __del__(self, print=print):
        print('at the end')
">>),
        {ok, Object} = py:call(Ctx, '__main__', 'Printing', [], #{return => ref}),
        ok = py_context:stop(Ctx),
        arrives(<<"at the end\n">>, Leader),
        {error, _} = py:call_method(Object, '__str__', [])
    end).

a_callback_prints(Config) ->
    Ctx = ctx(Config),
    Callback = fun([]) -> ok = py:exec(Ctx, <<"print('inside')">>), io:put_chars("erlang\n"), none end,
    [<<"before\n">>, <<"inside\n">>, <<"erlang\n">>, <<"after\n">>] = written(fun() ->
        ep_ct:with_function(ep_output_callback, Callback, fun() ->
            ok = py:exec(Ctx, <<"print('before')\nerlang.call('ep_output_callback')\nprint('after')">>)
        end)
    end).

a_request_in_the_middle_of_a_line(Config) ->
    Ctx = ctx(Config),
    Callback = fun([]) -> ok = py:exec(Ctx, <<"print('inner', end='')">>), none end,
    [<<"inner">>, <<"outer line\n">>] = written(fun() ->
        ep_ct:with_function(ep_output_callback, Callback, fun() ->
            ok = py:exec(Ctx, <<"print('outer', end=' ')\nerlang.call('ep_output_callback')\nprint('line')">>)
        end)
    end).

interpreters_print_alike(_Config) ->
    ep_ct:with_contexts(3, fun(Contexts) ->
        Lines = [<<"1\n">>, <<"2\n">>, <<"3\n">>],
        Lines = written(fun() ->
            [{ok, none} = py:call(Ctx, builtins, print, [N])
             || {N, Ctx} <- lists:zip([1, 2, 3], Contexts)]
        end)
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Lines

a_line_is_sent_as_a_whole(Config) ->
    [<<"a b c\n">>, <<"d\ne\n">>, <<"f g\n">>] = printed(Config, <<"
print('a', 'b', end=' ')
print('c')
print('d\\ne\\nf', end=' ')
print('g')
">>).

what_is_left_is_sent_at_the_end(Config) ->
    [<<"out">>, <<"err">>] = printed(Config, <<"
import sys
sys.stderr.write('err')
sys.stdout.write('out')
">>).

what_is_left_of_a_failure_is_sent(Config) ->
    [<<"so far">>] = written(fun() ->
        {error, {'ZeroDivisionError', _}} = py:exec(ctx(Config), <<"print('so far', end='')\n1 / 0">>)
    end).

flush_sends_what_there_is(Config) ->
    [<<"a">>, <<"b">>, <<"c\n">>] = printed(Config, <<"
import sys
print('a', end='', flush=True)
print('b', end='')
sys.stdout.flush()
sys.stdout.flush()
print('c')
">>).

nothing_is_sent_for_nothing(Config) ->
    [] = printed(Config, <<"
import sys
print(end='')
assert sys.stdout.write('') == 0
sys.stdout.writelines([])
sys.stdout.flush()
">>).

long_text_without_a_newline_is_sent(Config) ->
    Written = printed(Config, <<"
import sys
for _ in range(20000):
    sys.stdout.write('x')
">>),
    20000 = iolist_size(Written),
    ?assertEqual(3, length(Written)).

a_megabyte_arrives(Config) ->
    Line = <<(binary:copy(<<"x">>, 1_000_000))/binary, "\n">>,
    [Line] = printed(Config, <<"print('x' * 1_000_000)">>),
    Lines = binary:copy(<<"y\n">>, 500_000),
    [Lines] = printed(Config, <<"import sys\nassert sys.stdout.write('y\\n' * 500_000) == 1_000_000">>),
    ok. % not what may be memory of Python

text_is_unicode(Config) ->
    Text = <<"grün → 漢字 😀\n"/utf8>>,
    [Text] = printed(Config, <<"print('grün → 漢字 😀')"/utf8>>),
    [<<"a\\udc80b\n">>] = printed(Config, <<"print('a\\udc80b')">>),
    [<<"nul\0l\n">>] = printed(Config, <<"print('nul\\0l')">>).

what_is_no_text_is_refused(Config) ->
    [] = printed(Config, <<"
import sys
for value in (b'bytes', 1, None):
    try:
        sys.stdout.write(value)
    except TypeError as error:
        assert str(error) == f'write() argument must be str, not {type(value).__name__}', error
    else:
        assert False, value
">>).

the_stream_is_one_of_pythons(Config) ->
    [<<"still open\n">>] = printed(Config, <<"
import io, sys
for name, stream in (('<stdout>', sys.stdout), ('<stderr>', sys.stderr)):
    assert isinstance(stream, io.TextIOBase)
    assert stream.name == name and stream.mode == 'w'
    assert stream.encoding == 'utf-8' and stream.errors == 'backslashreplace'
    assert stream.writable() and not stream.readable() and not stream.seekable()
    assert not hasattr(stream, 'buffer')
    assert not stream.isatty() and stream.line_buffering and stream.newlines is None
    for refused in (stream.fileno, stream.read, stream.tell, stream.detach):
        try:
            refused()
        except io.UnsupportedOperation:
            pass
        else:
            assert False, refused
    stream.close()
    assert not stream.closed
print('still open')
">>).

lines_of_processes_do_not_mix(_Config) ->
    Leader = ep_leader:start(),
    ep_ct:with_contexts(2, fun(Contexts) ->
        Callers = [spawn_monitor(fun() ->
            true = group_leader(Leader, self()),
            ok = py:exec(Ctx, <<"
def run(letter):
    for _ in range(50):
        for _ in range(10):
            print(letter, end='')
        print()
">>),
            exit({result, py:call(Ctx, '__main__', run, [Letter])})
        end) || {Ctx, Letter} <- lists:zip(Contexts ++ Contexts, [<<"a">>, <<"b">>, <<"c">>, <<"d">>])],
        [{ok, none} = ep_ct:result(Caller) || Caller <- Callers]
    end),
    Lines = ep_leader:written(Leader),
    Expected = lists:append([lists:duplicate(50, <<(binary:copy(<<Letter>>, 10))/binary, "\n">>) || Letter <- "abcd"]),
    ?assertEqual(Expected, lists:sort(Lines)).

redirecting_works_as_ever(Config) ->
    [<<"outside\n">>] = printed(Config, <<"
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()) as kept:
    print('inside')
assert kept.getvalue() == 'inside\\n'
print('outside')
">>).

%% ---------------------------------------------------------------------------------------------------------------------
%% Those who do not listen

a_dead_group_leader(Config) ->
    Leader = ep_leader:start(),
    ok = ep_leader:stop(Leader),
    {ok, 6} = ep_leader:of_process(Leader, fun() -> py:eval(ctx(Config), <<"print('nobody') or 6">>) end).

a_group_leader_killed_meanwhile(Config) ->
    Leader = ep_leader:start(silent),
    Printing = spawn_monitor(fun() ->
        true = group_leader(Leader, self()),
        exit({result, py:eval(ctx(Config), <<"print('nobody') or 6">>)})
    end),
    ep_ct:wait_until(fun() -> ep_leader:written(Leader) =/= [] end),
    ok = ep_leader:stop(Leader),
    {ok, 6} = ep_ct:result(Printing, ?LONG).

a_slow_group_leader(Config) ->
    Leader = ep_leader:start({slow, 30}),
    Code = <<"
import time
begin = time.monotonic()
for n in range(5):
    print(n)
took = time.monotonic() - begin
">>,
    {ok, Took} = ep_leader:of_process(Leader, fun() ->
        ok = py:exec(ctx(Config), Code),
        py:eval(ctx(Config), <<"took">>)
    end),
    ?assert(Took >= 0.14),
    <<"0\n1\n2\n3\n4\n">> = ep_leader:text(Leader).

%% Whoever came in would wait for the lock on the very thread that holds it.
nobody_is_served_while_a_line_is_printed(Config) ->
    Ctx = ctx(Config),
    ok = py_context:exec(Ctx, <<"
import threading
lock = threading.Lock()

def run(pid):
    with lock:
        erlang.send(pid, erlang.atom('printing'))
        print('slow')
        return 'done'
">>),
    Leader = ep_leader:start({slow, 300}),
    Self = self(),
    [First, Second] = [ep_background:start(fun() ->
        true = group_leader(Leader, self()),
        py_context:call(Ctx, '__main__', run, [Self])
    end) || _ <- [1, 2]],
    ep_expect:message(printing),
    {ok, <<"done">>} = ep_background:result(First),
    {ok, <<"done">>} = ep_background:result(Second),
    ep_expect:message(printing).

%% Nor on top of what the printing of that line calls: the lock is below it on the stack.
nobody_is_served_above_a_line_that_is_printed(_Config) ->
    Tester = self(),
    Print = fun(_Stream, _Text) ->
        py_context:call(whereis(ep_output_context), '__main__', wait, [Tester])
    end,
    using_a_context(Print, fun(Ctx) ->
        ok = ep_hold:register(),
        ok = py_context:exec(Ctx, <<"
import threading
lock = threading.Lock()

def run():
    with lock:
        print('x')
        return 'printed'

def wait(tester):
    erlang.call('hold', tester)
">>),
        Printing = ep_background:start(fun() -> py_context:call(Ctx, '__main__', run, []) end),
        Holder = ep_hold:holder(),
        Before = ep_live:count(requests),
        Stranger = ep_background:start(fun() -> py_context:eval(Ctx, <<"lock.locked()">>) end),
        ep_ct:wait_until(fun() -> ep_live:count(requests) > Before end),
        timer:sleep(100), % ten times what a stranger waits below a plain erlang.call
        ep_hold:release(Holder),
        {ok, <<"printed">>} = ep_background:result(Printing),
        {ok, false} = ep_background:result(Stranger),
        ep_expect:idle(Ctx)
    end).

%% It runs for nobody, so what prints is a stranger to its own context. That takes ten seconds, and not for ever.
a_finalizer_that_prints_where_its_context_is_used(_Config) ->
    Tester = self(),
    Print = fun(_Stream, Text) ->
        Tester ! {printed, Text},
        Tester ! {answered, py_context:eval(whereis(ep_output_context), <<"6">>)}
    end,
    using_a_context(Print, fun(Ctx) ->
        ok = py_context:exec(Ctx, <<"
class Printing:
    def __del__(self):
        print('finalized')
">>),
        ok = ep_ct:in_process(fun() ->
            {ok, _} = py:call(Ctx, '__main__', 'Printing', [], #{return => ref}),
            ok % the reference stays here
        end),
        ep_expect:message({printed, <<"finalized\n">>}),
        ep_expect:message({answered, {ok, 6}}),
        ep_expect:idle(Ctx)
    end).

%% Runs a case with output that uses the registered context, which the case gets.
using_a_context(Output, Fun) ->
    configured(Output, fun() ->
        Ctx = ep_fresh_context:start(),
        true = register(ep_output_context, Ctx),
        Fun(Ctx),
        ok = py_context:stop(Ctx)
    end).

a_silent_group_leader_and_a_timeout(Config) ->
    Leader = ep_leader:start(silent),
    Begin = erlang:monotonic_time(millisecond),
    {error, timeout} = ep_leader:of_process(Leader, fun() ->
        py_context:eval(ctx(Config), <<"[print('again') for _ in range(10)]">>, #{}, 200)
    end),
    ?assert(erlang:monotonic_time(millisecond) - Begin < ?LONG),
    ep_expect:still_works(ctx(Config)).

a_silent_group_leader_and_no_timeout(Config) ->
    Leader = ep_leader:start(silent),
    [{ok, 6}, {ok, 7}] = ep_leader:of_process(Leader, fun() ->
        [py_context:eval(ctx(Config), <<"print('once') or 6">>), py_context:eval(ctx(Config), <<"7">>)]
    end).

a_silent_group_leader_and_a_stopped_context(Config) ->
    Leader = ep_leader:start(silent),
    Printing = spawn_monitor(fun() ->
        true = group_leader(Leader, self()),
        exit({result, py_context:eval(ctx(Config), <<"print('once') or 6">>)})
    end),
    ep_ct:wait_until(fun() -> ep_leader:written(Leader) =/= [] end),
    ok = py_context:stop(ctx(Config)),
    {error, context_stopped} = ep_ct:result(Printing).

%% It gets no more than some of them, and others are not concerned.
a_silent_group_leader_and_many_lines(Config) ->
    Silent = silent_with_many_lines(),
    ?assert(length(ep_leader:written(Silent)) < 2000),
    {ok, none} = ep_leader:of_process(Silent, fun() ->
        py_context:eval(ctx(Config), <<"print('one more')">>, #{}, ?LONG)
    end),
    ?assertNot(lists:member(<<"one more\n">>, ep_leader:written(Silent))),
    [<<"heard\n">>] = written(fun() -> ok = py:exec(ctx(Config), <<"print('heard')">>) end).

writers_that_are_killed(Config) ->
    Silent = silent_with_many_lines(),
    ep_ct:wait_until(fun() ->
        {monitored_by, Writers} = process_info(Silent, monitored_by),
        [exit(Writer, kill) || Writer <- Writers],
        Writers =:= []
    end),
    {error, timeout} = ep_leader:of_process(Silent, fun() ->
        py_context:eval(ctx(Config), <<"[print('one more') for _ in range(10)]">>, #{}, 200)
    end),
    ?assert(lists:member(<<"one more\n">>, ep_leader:written(Silent))).

%% What Python does to print, by many requests that have no time left.
silent_with_many_lines() ->
    Silent = ep_leader:start(silent),
    Name = <<"$py_output">>,
    Args = py_output:args(Name, [<<"stdout">>, <<"x\n">>], 0),
    _ = ep_leader:of_process(Silent, fun() -> [py_callback:execute(Name, Args) || _ <- lists:seq(1, 3000)] end),
    ep_ct:wait_until(fun() -> length(ep_leader:written(Silent)) >= 1000 end),
    Silent.

a_group_leader_on_another_node(Config) ->
    case start_distribution() of
        {error, Reason} ->
            {skip, {distribution_does_not_start, Reason}};
        Distribution ->
            Cookie = atom_to_list(erlang:get_cookie()),
            {ok, Peer, Node} = peer:start(#{name => peer:random_name(), wait_boot => 60000,
                                            args => ["-setcookie", Cookie, "-pa" | ep_ct:code_paths()]}),
            Leader = rpc:call(Node, ?MODULE, listen, [leader]),
            {ok, none} = ep_leader:of_process(Leader, fun() -> py:eval(ctx(Config), <<"print('far')">>) end),
            <<"far\n">> = ep_leader:text(Leader),
            peer:stop(Peer),
            {ok, none} = ep_leader:of_process(Leader, fun() -> py:eval(ctx(Config), <<"print('gone')">>) end),
            Distribution =:= started andalso net_kernel:stop(),
            ok
    end.

a_caller_killed_while_it_prints(Config) ->
    Leader = ep_leader:start(),
    Printing = endless(ctx(Config), Leader),
    ep_background:kill(Printing),
    ep_expect:idle(ctx(Config)).

a_context_stopped_while_it_prints(Config) ->
    Printing = endless(ctx(Config), ep_leader:start()),
    ok = py_context:stop(ctx(Config)),
    {error, context_stopped} = ep_background:result(Printing).

an_interrupt_while_it_prints(Config) ->
    Printing = endless(ctx(Config), ep_leader:start()),
    ok = py_context:interrupt(ctx(Config)),
    {error, interrupted} = ep_background:result(Printing),
    ep_expect:idle(ctx(Config)).

%% It is interrupted once, and not again by each line.
what_cleans_up_may_print(Config) ->
    ok = py:exec(ctx(Config), <<"
import threading
lock = threading.Lock()

def hold():
    lock.acquire()
    try:
        rounds = 0
        while True:
            rounds += 1
    finally:
        print('leaving')
        lock.release()
">>),
    {error, timeout} = py:call(ctx(Config), '__main__', hold, [], #{timeout => 200}),
    {ok, false} = py:eval(ctx(Config), <<"lock.locked()">>),
    ep_expect:idle(ctx(Config)).

endless(Ctx, Leader) ->
    Printing = ep_background:start(fun() ->
        true = group_leader(Leader, self()),
        py_context:exec(Ctx, <<"while True: print('x' * 100)">>)
    end),
    ep_ct:wait_until(fun() -> length(ep_leader:written(Leader)) > 10 end),
    Printing.

%% ---------------------------------------------------------------------------------------------------------------------
%% Configuration

to_a_process(_Config) ->
    configured({process, self()}, fun() ->
        ok = ep_ct:in_process(fun() ->
            py:exec(<<"import sys\nprint('a\\nb')\nprint('c', file=sys.stderr, end='')">>)
        end),
        {py_output, stdout, <<"a\n">>} = ep_ct:message(),
        {py_output, stdout, <<"b\n">>} = ep_ct:message(),
        {py_output, stderr, <<"c">>} = ep_ct:message()
    end).

to_a_registered_process(_Config) ->
    configured({process, ep_output_reader}, fun() ->
        {ok, none} = py:eval(<<"print('nobody is there')">>),
        true = register(ep_output_reader, self()),
        {ok, none} = ep_ct:in_process(fun() -> py:eval(<<"print('somebody is')">>) end),
        {py_output, stdout, <<"somebody is\n">>} = ep_ct:message(),
        true = unregister(ep_output_reader)
    end).

to_a_process_that_does_not_read(_Config) ->
    Reader = spawn(?MODULE, listen, [never]),
    configured({process, Reader}, fun() ->
        {error, timeout} = py:eval(<<"[print(n) for n in range(100_000)]">>, #{}, 1000),
        {message_queue_len, Unread} = process_info(Reader, message_queue_len),
        ?assert(Unread =< 1100)
    end),
    exit(Reader, kill).

to_the_calling_process(_Config) ->
    configured({process, self()}, fun() ->
        ok = py:exec(<<"for n in range(3000): print(n)">>),
        {message_queue_len, Unread} = process_info(self(), message_queue_len),
        ?assertEqual(1000, Unread),
        [ep_expect:message({py_output, stdout, <<(integer_to_binary(N))/binary, "\n">>}) || N <- lists:seq(0, 999)]
    end).

to_a_function(_Config) ->
    Self = self(),
    Take = fun(Stream, Text) -> Self ! {Stream, Text} end,
    Code = <<"import sys\nprint('out')\nprint('err', file=sys.stderr)">>,
    configured(Take, fun() ->
        ok = ep_ct:in_process(fun() -> py:exec(Code) end),
        {stdout, <<"out\n">>} = ep_ct:message(),
        {stderr, <<"err\n">>} = ep_ct:message()
    end),
    configured({?MODULE, take}, fun() ->
        ok = py:exec(Code),
        {taken, stdout, <<"out\n">>} = ep_ct:message(),
        {taken, stderr, <<"err\n">>} = ep_ct:message()
    end).

a_function_that_fails(_Config) ->
    [configured({?MODULE, Function}, fun() -> {ok, 6} = py:eval(<<"print('x') or 6">>) end)
     || Function <- [fail, missing]].

to_the_streams_of_the_os_process(_Config) ->
    [<<"from python\n">> = of_vm(Output) || Output <- [group_leader, os]].

what_cannot_be_a_destination(_Config) ->
    ok = application:stop(erlang_python),
    try
        [begin
             ok = application:set_env(erlang_python, output, Value),
             {error, {bad_config, output, Value}} =
                 case application:start(erlang_python) of
                     {error, {{bad_config, _, _} = Reason, _}} -> {error, Reason};
                     Result -> Result
                 end
         end || Value <- [stdout, "file", 1, {process, "name"}, {process, undefined}, {process, self(), 1},
                          {?MODULE, take, 2}, {?MODULE, "take"}, fun erlang:node/0, self()]]
    after
        application:unset_env(erlang_python, output),
        ok = application:start(erlang_python)
    end.

a_restart_changes_the_destination(_Config) ->
    configured({process, self()}, fun() ->
        {ok, none} = ep_ct:in_process(fun() -> py:eval(<<"print('to me')">>) end),
        {py_output, stdout, <<"to me\n">>} = ep_ct:message()
    end),
    [<<"to the group leader\n">>] = written(fun() -> {ok, none} = py:eval(<<"print('to the group leader')">>) end).

%% @private
take(Stream, Text) -> self() ! {taken, Stream, Text}.

%% @private
fail(_Stream, _Text) -> error(on_purpose).

configured(Output, Fun) ->
    ok = ep_ct:with_environment([{output, Output}], Fun).

%% What a VM of its own writes where this one would read it from a shell.
of_vm(Output) ->
    Code = io_lib:format("~p:print_in_vm(~p), init:stop().", [?MODULE, Output]),
    Args = ["-noshell", "-pa", filename:dirname(code:which(?MODULE)),
            "-pa", filename:join(code:lib_dir(erlang_python), "ebin"), "-eval", lists:flatten(Code)],
    Port = open_port({spawn_executable, filename:join([code:root_dir(), "bin", "erl"])},
                     [{args, Args}, exit_status, stderr_to_stdout, binary]),
    output(Port, <<>>).

output(Port, Output) ->
    receive
        {Port, {data, More}} -> output(Port, <<Output/binary, More/binary>>);
        {Port, {exit_status, 0}} -> Output
    after 60000 ->
        error({does_not_end, Output})
    end.

%% @private
print_in_vm(Output) ->
    ok = application:load(erlang_python),
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- [{output, Output} | ep_ct:environment()]],
    {ok, _} = application:ensure_all_started(erlang_python),
    ok = py:exec(<<"import sys\nprint('from', end=' ', file=sys.stderr)\nprint('python', file=sys.stderr)">>),
    {ok, true} = py:eval(<<"hasattr(sys.stderr, 'buffer') is of_os">>, #{of_os => Output =:= os}),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

ctx(Config) -> proplists:get_value(ctx, Config).

printed(Config, Code) ->
    written(fun() -> ok = py:exec(ctx(Config), Code) end).

%% What is written for a process that runs the function.
written(Fun) ->
    Leader = ep_leader:start(),
    _ = ep_leader:of_process(Leader, Fun),
    Written = ep_leader:written(Leader),
    ep_leader:stop(Leader), % it holds what it was given
    Written.

%% Runners that are idle have the old group leader; they end with the host.
for_the_application(Fun) ->
    Leader = ep_leader:start(),
    true = group_leader(Leader, new_host()),
    try
        Fun(Leader)
    after
        new_host()
    end,
    ok.

new_host() ->
    Old = whereis(py_host),
    exit(Old, kill),
    _ = ep_ct:down(Old),
    ep_ct:wait_until(fun() -> is_pid(whereis(py_host)) end),
    %% It answers when it has made itself known to the core.
    {error, unknown_request} = gen_server:call(py_host, anything),
    whereis(py_host).

arrives(Text, Leader) ->
    ep_ct:wait_until(fun() -> ep_leader:text(Leader) =:= Text end).

%% @private A process that reads nothing, waits for a message, or is a group leader on another node.
listen(never) -> receive never -> ok end;
listen(go) -> receive go -> none end;
listen(leader) ->
    Self = self(),
    spawn(fun() -> Self ! {leader, ep_leader:start()}, listen(never) end),
    receive {leader, Leader} -> Leader end.

start_distribution() ->
    case is_alive() of
        true ->
            already_running;
        false ->
            _ = os:cmd(filename:join([code:root_dir(), "bin", "epmd"]) ++ " -daemon || epmd -daemon"),
            Name = list_to_atom("ep_output_" ++ os:getpid()),
            case net_kernel:start(Name, #{name_domain => shortnames}) of
                {ok, _} -> started;
                {error, _} = Error -> Error
            end
    end.
