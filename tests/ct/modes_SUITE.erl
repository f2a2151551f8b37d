%%% @doc What the mode of a context means for the code in it, and how that code learns of it.
-module(modes_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    python_detects_the_mode_it_runs_in/1, threads_detect_the_mode_of_their_context/1,
    modes_side_by_side_are_told_apart/1, a_gil_that_was_switched_on_is_detected/1, the_modes_are_an_enumeration/1,
    functions_of_the_same_name_hide_nothing/1, erlang_knows_what_the_python_is_capable_of/1,
    importing_the_package_imports_nothing_large/1, tracing_of_memory_is_refused_beside_owngil/1,
    owngil_is_refused_beside_tracing_of_memory/1, nothing_is_left_behind/1
]).
%% On a second VM.
-export([starts_a_thread/1]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        python_detects_the_mode_it_runs_in, threads_detect_the_mode_of_their_context,
        modes_side_by_side_are_told_apart, a_gil_that_was_switched_on_is_detected, the_modes_are_an_enumeration,
        functions_of_the_same_name_hide_nothing, erlang_knows_what_the_python_is_capable_of,
        importing_the_package_imports_nothing_large, tracing_of_memory_is_refused_beside_owngil,
        owngil_is_refused_beside_tracing_of_memory, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

python_detects_the_mode_it_runs_in(_Config) ->
    Expected = {ok, detected(ep_ct:mode())},
    Expected = py:call(erlang, detect_mode, []),
    ep_ct:with_context(fun(Context) ->
        Expected = py:eval(Context, <<"erlang.detect_mode()">>),
        Expected = py_context:eval(Context, <<"erlang.detect_mode()">>)
    end).

threads_detect_the_mode_of_their_context(_Config) ->
    Expected = {ok, [detected(ep_ct:mode())]},
    ok = py:exec(<<"
import threading
detected = []
thread = threading.Thread(target=lambda: detected.append(erlang.detect_mode()))
thread.start()
thread.join()
">>),
    Expected = py:eval(<<"detected">>).

modes_side_by_side_are_told_apart(_Config) ->
    case py_nif:owngil_problem() of
        ok ->
            Modes = [worker, owngil, worker, owngil],
            Contexts = [element(2, {ok, _} = py_context:new(#{mode => Mode})) || Mode <- Modes],
            Detected = [py:call(Context, erlang, detect_mode, []) || Context <- Contexts],
            [ok = py_context:stop(Context) || Context <- Contexts],
            Detected = [{ok, detected(Mode)} || Mode <- Modes];
        {error, Reason} ->
            {skip, atom_to_list(Reason)}
    end.

a_gil_that_was_switched_on_is_detected(_Config) ->
    case ep_ct:mode() of
        freethreaded ->
            ep_ct:with_peer([], ["-env", "PYTHON_GIL", "1"], fun(Call) ->
                {ok, <<"shared_gil">>} = Call(py, call, [erlang, detect_mode, []])
            end);
        _ ->
            {skip, "this Python always has a GIL"}
    end.

the_modes_are_an_enumeration(_Config) ->
    ok = py:exec(<<"
from erlang import ExecutionMode, detect_mode
assert [mode.name for mode in ExecutionMode] == ['FREE_THREADED', 'SUBINTERP', 'SHARED_GIL']
assert isinstance(detect_mode(), ExecutionMode)
assert detect_mode() is ExecutionMode(str(detect_mode()))
assert ExecutionMode is erlang.ExecutionMode
assert {'ExecutionMode', 'detect_mode'} <= set(erlang.__all__)
from erlang import *
">>).

functions_of_the_same_name_hide_nothing(_Config) ->
    ep_ct:with_function(detect_mode, fun(_) -> registered end, fun() ->
        ep_ct:with_context(fun(Context) ->
            Expected = detected(ep_ct:mode()),
            {ok, Expected} = py:eval(Context, <<"erlang.detect_mode()">>),
            {ok, <<"registered">>} = py:eval(Context, <<"erlang.call('detect_mode')">>)
        end)
    end).

erlang_knows_what_the_python_is_capable_of(_Config) ->
    {ok, HasSubinterpreters} = py:eval(<<"__import__('sys').version_info >= (3, 12)">>),
    Expected = case ep_ct:mode() of
        freethreaded -> free_threaded;
        _ when HasSubinterpreters -> subinterp;
        _ -> multi_executor
    end,
    Expected = py_nif:execution_mode().

%% It is imported by every interpreter that starts, so by every context of mode owngil.
importing_the_package_imports_nothing_large(_Config) ->
    ok = py:exec(<<"
import sys
large = ['typing', 'enum', 'functools', 'collections', 're']
ours = [name for name in sys.modules if name.split('.')[0] == 'erlang']
hidden = {name: sys.modules.pop(name) for name in large + ours if name in sys.modules}
streams = sys.stdout, sys.stderr
import erlang as again
imported = [name for name in large if name in sys.modules]
again = again is not erlang
sys.stdout, sys.stderr = streams
sys.modules.update(hidden)
">>),
    {ok, {true, []}} = py:eval(<<"(again, imported)">>).

%% tracemalloc and interpreters with a GIL each would stop each other, and every thread of the VM that wants to start.
tracing_of_memory_is_refused_beside_owngil(_Config) ->
    ep_cell:with_owngil(fun() ->
        [Own, Shared] = Contexts = [new(owngil), new(worker)],
        [ep_expect:python_error('RuntimeError', "tracemalloc", py:exec(Shared, Code))
         || Code <- [<<"import tracemalloc; tracemalloc.start()">>, <<"from tracemalloc import start; start(25)">>,
                     <<"import _tracemalloc; _tracemalloc.start(1)">>,
                     <<"import sys; sys.modules.pop('_tracemalloc'); import _tracemalloc; _tracemalloc.start(1)">>]],
        ?assertEqual({ok, false}, py:call(Shared, tracemalloc, is_tracing, [])),
        ep_expect:python_error(['ImportError', 'RuntimeError'], "tracemalloc",
                               py:exec(Own, <<"import tracemalloc; tracemalloc.start()">>)),
        New = [new(owngil), new(worker)],
        lists:foreach(fun starts_a_thread/1, Contexts ++ New),
        lists:foreach(fun py_context:stop/1, Contexts ++ New)
    end).

owngil_is_refused_beside_tracing_of_memory(_Config) ->
    ep_ct:with_peer([{backend, auto}, {context_mode, worker}], fun(Call) ->
        {ok, none} = Call(py, call, [tracemalloc, start, []]),
        case Call(py_nif, owngil_problem, []) of
            ok ->
                {error, {python_failed, Text}} = Call(py_context, new, [#{mode => owngil}]),
                ?assertNotEqual(nomatch, string:find(Text, "tracemalloc"));
            {error, _} = Problem ->
                ?assertEqual(Problem, Call(py_context, new, [#{mode => owngil}]))
        end,
        {ok, true} = Call(py, call, [tracemalloc, is_tracing, []]),
        {ok, New} = Call(py_context, new, [#{mode => worker}]),
        ok = Call(?MODULE, starts_a_thread, [New])
    end).

-spec starts_a_thread(pid()) -> ok.
starts_a_thread(Context) ->
    ok = py:exec(Context, <<"
import threading
thread = threading.Thread(target=len, args=('',))
thread.start()
thread.join()
">>).

new(Mode) ->
    {ok, Context} = py_context:new(#{mode => Mode}),
    Context.

%% What erlang.detect_mode() says in a context of that mode.
detected(worker) -> <<"shared_gil">>;
detected(owngil) -> <<"subinterp">>;
detected(freethreaded) -> <<"free_threaded">>.
