%%% @doc What Python may not do inside the VM, whatever way it tries, and what to do instead.
-module(security_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    operations_that_fork_or_exec_are_blocked/1, every_context_and_thread_is_blocked/1,
    a_blocked_operation_says_so_and_what_to_use/1, the_documented_messages_are_raised/1,
    a_blocked_operation_can_be_caught/1, code_compiled_at_run_time_is_blocked/1, the_hook_cannot_be_removed/1,
    replacing_names_does_not_help/1, multiprocessing_is_blocked/1, asyncio_subprocesses_are_blocked/1
]).
-export([
    the_sandbox_says_it_is_active/1, harmless_operations_work/1, the_vm_keeps_its_signal_handlers/1,
    erlang_runs_commands_for_python/1, python_asks_a_process_for_commands/1, nothing_is_left_behind/1
]).
-export([signals/0]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        operations_that_fork_or_exec_are_blocked, every_context_and_thread_is_blocked,
        a_blocked_operation_says_so_and_what_to_use, the_documented_messages_are_raised,
        a_blocked_operation_can_be_caught, code_compiled_at_run_time_is_blocked, the_hook_cannot_be_removed,
        replacing_names_does_not_help, multiprocessing_is_blocked, asyncio_subprocesses_are_blocked,
        the_sandbox_says_it_is_active, harmless_operations_work, the_vm_keeps_its_signal_handlers,
        erlang_runs_commands_for_python, python_asks_a_process_for_commands, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Blocked

operations_that_fork_or_exec_are_blocked(_Config) ->
    imports(),
    [blocked(Code) || Code <- forking()],
    true = is_list(os:getpid()).

%% Each of them would end the VM, duplicate it, or start a process beside it.
forking() ->
    [
        <<"os.fork()">>, <<"os.forkpty()">>, <<"os.system('true')">>, <<"os.popen('true')">>,
        <<"os.execl('/bin/true', 'true')">>, <<"os.execle('/bin/true', 'true', {})">>,
        <<"os.execlp('true', 'true')">>, <<"os.execlpe('true', 'true', {})">>,
        <<"os.execv('/bin/true', ['true'])">>, <<"os.execve('/bin/true', ['true'], {})">>,
        <<"os.execvp('true', ['true'])">>, <<"os.execvpe('true', ['true'], {'PATH': '/bin'})">>,
        <<"os.spawnl(os.P_WAIT, '/bin/true', 'true')">>, <<"os.spawnle(os.P_WAIT, '/bin/true', 'true', {})">>,
        <<"os.spawnlp(os.P_WAIT, 'true', 'true')">>, <<"os.spawnlpe(os.P_WAIT, 'true', 'true', {})">>,
        <<"os.spawnv(os.P_NOWAIT, '/bin/true', ['true'])">>, <<"os.spawnve(os.P_WAIT, '/bin/true', ['true'], {})">>,
        <<"os.spawnvp(os.P_WAIT, 'true', ['true'])">>, <<"os.spawnvpe(os.P_WAIT, 'true', ['true'], {})">>,
        <<"os.posix_spawn('/bin/true', ['true'], {})">>, <<"os.posix_spawnp('true', ['true'], {})">>,
        <<"posix.fork()">>, <<"posix.system('true')">>, <<"posix.execv('/bin/true', ['true'])">>,
        <<"posix.posix_spawn('/bin/true', ['true'], {})">>,
        <<"subprocess.Popen(['true'])">>, <<"subprocess.Popen('true', shell=True)">>,
        <<"subprocess.Popen(['true'], close_fds=False)">>, <<"subprocess.run(['true'])">>,
        <<"subprocess.call(['true'])">>, <<"subprocess.check_call(['true'])">>,
        <<"subprocess.check_output(['true'])">>, <<"subprocess.getoutput('true')">>,
        <<"subprocess.getstatusoutput('true')">>, <<"pty.fork()">>, <<"pty.spawn('true')">>
    ].

imports() ->
    ok = py:exec(<<"import os, posix, pty, subprocess">>).

blocked(Code) ->
    {Code, {error, {'RuntimeError', Message}}} = {Code, py:eval(Code)},
    {Code, Message, true} = {Code, Message, string:find(Message, "blocked") =/= nomatch}.

every_context_and_thread_is_blocked(_Config) ->
    ep_ct:with_context(fun(New) ->
        [{error, {'RuntimeError', _}} = py:eval(Context, <<"__import__('os').fork()">>)
            || Context <- [New | py_context_router:contexts()]]
    end),
    ok = py:exec(<<"
import os, threading
seen = []
def fork():
    try:
        os.fork()
    except BaseException as e:
        seen.append(type(e).__name__)
thread = threading.Thread(target=fork)
thread.start()
thread.join()
">>),
    {ok, [<<"RuntimeError">>]} = py:eval(<<"seen">>).

a_blocked_operation_says_so_and_what_to_use(_Config) ->
    imports(),
    [begin
        {error, {'RuntimeError', Message}} = py:eval(Code),
        [{Code, Message, true} = {Code, Message, string:find(Message, Part) =/= nomatch} || Part <- [
            " is blocked in Erlang VM context.", "fork()", "exec()", "open_port/2"
        ]]
    end || Code <- forking()].

the_documented_messages_are_raised(_Config) ->
    imports(),
    [begin
        {error, {'RuntimeError', Message}} = py:eval(Code),
        {Message, true} = {Message, lists:prefix(Operation ++ " is blocked in Erlang VM context.", Message)}
    end || {Code, Operation} <- [
        {<<"subprocess.run(['ls'])">>, "subprocess.Popen"}, {<<"os.fork()">>, "os.fork"},
        {<<"os.system('ls')">>, "os.system"}
    ]].

a_blocked_operation_can_be_caught(_Config) ->
    ok = py:exec(<<"
import subprocess
try:
    subprocess.run(['ls'])
    outcome = 'ran'
except RuntimeError as e:
    outcome = 'blocked'
">>),
    {ok, <<"blocked">>} = py:eval(<<"outcome">>).

code_compiled_at_run_time_is_blocked(_Config) ->
    imports(),
    [blocked(Code) || Code <- [
        <<"eval('__import__(\"os\").fork()')">>,
        <<"eval(compile('os.fork()', 'x', 'eval'))">>,
        <<"getattr(os, 'fo' + 'rk')()">>,
        <<"__import__('importlib').import_module('posix').fork()">>
    ]].

the_hook_cannot_be_removed(_Config) ->
    imports(),
    {ok, false} = py:eval(<<"any('audithook' in name and 'add' not in name for name in dir(__import__('sys')))">>),
    ok = py:exec(<<"
import sys
sys.addaudithook(lambda event, args: None)
">>),
    blocked(<<"os.fork()">>).

replacing_names_does_not_help(_Config) ->
    imports(),
    ok = py:exec(<<"
import builtins, _erlang_impl._sandbox as sandbox
originals = (builtins.RuntimeError, sandbox.is_sandboxed)
builtins.RuntimeError = ValueError
sandbox.is_sandboxed = lambda: False
">>),
    Result = py:eval(<<"os.fork()">>),
    ok = py:exec(<<"builtins.RuntimeError, sandbox.is_sandboxed = originals">>),
    {error, {_, Message}} = Result,
    true = string:find(Message, "blocked") =/= nomatch.

%% Every start method ends in an operation of the table, or in the C function under subprocess.
multiprocessing_is_blocked(_Config) ->
    [begin
        Code = <<"__import__('multiprocessing').get_context('", Method/binary, "').Process(target=print).start()">>,
        blocked(Code)
    end || Method <- [<<"fork">>, <<"spawn">>, <<"forkserver">>]].

asyncio_subprocesses_are_blocked(_Config) ->
    ok = py:exec(<<"
import asyncio
async def start():
    try:
        await asyncio.create_subprocess_exec('true')
    except BaseException as e:
        return (type(e).__name__, str(e))
">>),
    {ok, {<<"RuntimeError">>, Message}} = py:eval(<<"asyncio.run(start())">>),
    true = binary:match(Message, <<"blocked">>) =/= nomatch.

%% ---------------------------------------------------------------------------------------------------------------------
%% Allowed

the_sandbox_says_it_is_active(_Config) ->
    ok = py:exec(<<"from _erlang_impl._sandbox import is_sandboxed">>),
    {ok, true} = py:eval(<<"is_sandboxed()">>).

harmless_operations_work(Config) ->
    Path = list_to_binary(filename:join(proplists:get_value(priv_dir, Config), "written")),
    ok = py:exec(<<"import os, socket, threading">>),
    [{Code, {ok, Expected}} = {Code, py:eval(Code, #{path => Path})} || {Code, Expected} <- [
        {<<"os.getpid()">>, list_to_integer(os:getpid())},
        {<<"open(path, 'w').write('abc')">>, 3}, {<<"open(path).read()">>, <<"abc">>},
        {<<"os.path.exists(path)">>, true}, {<<"'written' in os.listdir(os.path.dirname(path))">>, true},
        {<<"[s.close() for s in socket.socketpair()]">>, [none, none]},
        {<<"threading.Thread(target=int).start()">>, none}
    ]].

%% Also without the VM's own handler of SIGINT (+Bd, as in scripts), which Python likes to fill in for.
the_vm_keeps_its_signal_handlers(_Config) ->
    [ep_ct:with_peer(not_started, Args, fun(Call) ->
        Before = Call(?MODULE, signals, []),
        {ok, _} = Call(application, ensure_all_started, [erlang_python]),
        ok = Call(py, exec, [<<"import signal, asyncio, threading, concurrent.futures">>]),
        {Args, Before} = {Args, Call(?MODULE, signals, [])},
        {error, _} = Call(py, eval, [<<"signal.signal(signal.SIGTERM, lambda *args: None)">>]),
        {Args, Before} = {Args, Call(?MODULE, signals, [])}
    end) || Args <- [[], ["+Bd"]]],
    ok.

%% The signals that the VM catches or ignores, as Linux says; runs on the other VM.
signals() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    [Line || Line <- binary:split(Status, <<"\n">>, [global]),
        binary:match(Line, [<<"SigIgn">>, <<"SigCgt">>]) =/= nomatch].

erlang_runs_commands_for_python(_Config) ->
    Run = fun([Command]) ->
        collect(open_port({spawn, binary_to_list(Command)}, [exit_status, binary, stderr_to_stdout]), [])
    end,
    ep_ct:with_function(ep_command, Run, fun() ->
        {ok, {0, <<"through erlang\n">>}} = py:eval(<<"erlang.ep_command('echo through erlang')">>)
    end).

collect(Port, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, [Output, Data]);
        {Port, {exit_status, Status}} -> {Status, iolist_to_binary(Output)}
    end.

python_asks_a_process_for_commands(_Config) ->
    {ok, _} = py:eval(<<"erlang.send(runner, ('run', ['ls', '-l']))">>, #{runner => self()}),
    {<<"run">>, [<<"ls">>, <<"-l">>]} = ep_ct:message().
