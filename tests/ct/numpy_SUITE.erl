%%% @doc Numpy, a library that computes outside of Python and is attached to threads, in contexts of every mode. It is
%%% looked for in the Python under test and then in EP_TEST_PACKAGES, where tools/packages installs it.
-module(numpy_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([
    a_context_gives_every_caller_the_same_thread/1, contexts_compute_at_once/1, owngil_has_numpy_or_says_why_not/1,
    a_worker_has_numpy_beside_owngil/1, numbers_come_as_numbers/1, an_array_is_kept_in_python/1,
    the_gil_stays_off/1, nothing_is_left_behind/1
]).
%% On a second VM.
-export([import_in_owngil_and_in_a_worker/0]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        a_context_gives_every_caller_the_same_thread, contexts_compute_at_once, owngil_has_numpy_or_says_why_not,
        a_worker_has_numpy_beside_owngil, numbers_come_as_numbers, an_array_is_kept_in_python, the_gil_stays_off,
        nothing_is_left_behind
    ].

init_per_suite(Config) ->
    Suite = ep_ct:init_suite(Config),
    Worker = new(worker),
    Found = py:exec(Worker, <<"import numpy">>),
    ok = py_context:stop(Worker),
    case Found of
        {error, {'ModuleNotFoundError', Missing}} -> [{no_numpy, "no numpy: " ++ Missing} | Suite];
        ok -> [{mode, mode_with_numpy()} | Suite]
    end.

%% That under test, unless numpy refuses it.
mode_with_numpy() ->
    Context = new(ep_ct:context_mode()),
    Tried = py:exec(Context, <<"import numpy">>),
    ok = py_context:stop(Context),
    case Tried of
        ok -> ep_ct:context_mode();
        {error, _} -> worker
    end.

end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(nothing_is_left_behind, Config) ->
    Config;
init_per_testcase(_Case, Config) ->
    case proplists:get_value(no_numpy, Config) of
        undefined -> Config;
        Reason -> {skip, Reason}
    end.

end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Threads

a_context_gives_every_caller_the_same_thread(Config) ->
    Context = with_numpy(Config),
    {ok, Thread} = py:call(Context, threading, get_native_id, []),
    Callers = [ep_background:start(fun() -> [dot(Context, N) || N <- lists:seq(1, 20)] end) || _ <- lists:seq(1, 50)],
    Expected = [{ok, {Thread, dot(N)}} || N <- lists:seq(1, 20)],
    ?assertEqual(lists:duplicate(50, Expected), ep_background:results(Callers)),
    ok = py_context:stop(Context).

contexts_compute_at_once(Config) ->
    Contexts = [with_numpy(Config) || _ <- lists:seq(1, 4)],
    Callers = [ep_background:start(fun() -> [of_matrices(Context, N) || N <- lists:seq(1, 10)] end)
               || Context <- Contexts, _ <- [1, 2]],
    Results = ep_background:results(Callers),
    [?assertEqual([100.0 * 100 * 100 * N || N <- lists:seq(1, 10)], [Sum || {ok, {_, Sum}} <- Result])
     || Result <- Results],
    Threads = lists:usort([Thread || Result <- Results, {ok, {Thread, _}} <- Result]),
    ?assertEqual(length(Contexts), length(Threads)),
    stop(Contexts).

%% ---------------------------------------------------------------------------------------------------------------------
%% Modes

owngil_has_numpy_or_says_why_not(_Config) ->
    ep_cell:with_owngil(fun() ->
        Context = new(owngil),
        case py:exec(Context, <<"import numpy">>) of
            ok ->
                ?assertMatch({ok, {_, 14}}, dot(Context, 3));
            {error, _} = Refused ->
                ep_expect:python_error('ImportError', "subinterpreters", Refused),
                ?assertMatch({error, {'ImportError', _}}, py:call(Context, numpy, dot, [[1], [2]]))
        end,
        ep_expect:still_works(Context),
        stop([Context])
    end).

%% Whoever tries first, in a VM that has not seen numpy before.
a_worker_has_numpy_beside_owngil(_Config) ->
    ep_cell:with_owngil(fun() ->
        ep_ct:with_peer([], fun(Call) -> ok = Call(?MODULE, import_in_owngil_and_in_a_worker, []) end)
    end).

-spec import_in_owngil_and_in_a_worker() -> ok.
import_in_owngil_and_in_a_worker() ->
    [Own, Shared] = Contexts = [new(owngil), new(worker)],
    [begin
         _ = py:exec(Own, <<"import numpy">>),
         ?assertMatch({ok, {_, 14}}, dot(Shared, 3))
     end || _ <- [1, 2]],
    stop(Contexts).

the_gil_stays_off(Config) ->
    ep_cell:with_free_threading(fun() ->
        Context = with_numpy(Config),
        ?assertMatch({ok, {_, 14}}, dot(Context, 3)),
        ?assertEqual({ok, false}, py:eval(Context, <<"__import__('sys')._is_gil_enabled()">>)),
        stop([Context])
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Values

numbers_come_as_numbers(Config) ->
    Context = with_numpy(Config),
    [?assertEqual({Code, {ok, Expected}}, {Code, py:eval(Context, <<"__import__('numpy').", Code/binary>>)})
     || {Code, Expected} <- [
        {<<"int64(-3)">>, -3}, {<<"uint64(2 ** 64 - 1)">>, 1 bsl 64 - 1}, {<<"int8(127)">>, 127},
        {<<"float64(0.1)">>, 0.1}, {<<"float64('inf')">>, infinity}, {<<"float64('nan')">>, nan},
        {<<"arange(6).reshape(2, 3).tolist()">>, [[0, 1, 2], [3, 4, 5]]},
        {<<"array([0.5, 1.5]).tolist()">>, [0.5, 1.5]}, {<<"array([True, False]).tolist()">>, [true, false]},
        {<<"array([1, 2], dtype='<u2').tobytes()">>, <<1:16/little, 2:16/little>>},
        {<<"float32(1.5)">>, 1.5}, {<<"bool_(True)">>, true}, {<<"array(7)">>, 7},
        {<<"arange(4)">>, [0, 1, 2, 3]}, {<<"arange(6).reshape(2, 3).T">>, [[0, 3], [1, 4], [2, 5]]},
        {<<"arange(10)[::-3]">>, [9, 6, 3, 0]}, {<<"array([[1.5, 2], [3, 4]])">>, [[1.5, 2.0], [3.0, 4.0]]},
        {<<"array([1, 0], dtype=bool)">>, [true, false]}, {<<"array([0.5, 2], dtype='f2')">>, [0.5, 2.0]},
        {<<"array([1, 2 ** 64 - 1], dtype='u8')">>, [1, 1 bsl 64 - 1]}, {<<"zeros((0, 3))">>, []},
        {<<"zeros((2, 0))">>, [[], []]}, {<<"array([1.5, float('nan')])">>, [1.5, nan]},
        {<<"arange(8, dtype='i1').reshape(2, 2, 2)">>, [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]},
        %% Elements that are no numbers here.
        {<<"array([1, 2], dtype='>i4')">>, <<"[1 2]">>}, {<<"array(['a', 'b'])">>, <<"['a' 'b']">>},
        {<<"array([None])">>, <<"[None]">>}, {<<"array([1 + 2j])">>, <<"[1.+2.j]">>},
        {<<"arange(4).shape">>, {4}}, {<<"arange(5).sum()">>, 10}, {<<"linspace(0, 1, 5).mean()">>, 0.5}
    ]],
    Floats = << <<N:64/float-little>> || N <- lists:seq(1, 1000) >>,
    ?assertEqual({ok, 500500.0}, py:eval(Context, <<"__import__('numpy').frombuffer(v, '<f8').sum()">>,
                                         #{v => {bytes, Floats}})),
    stop([Context]).

an_array_is_kept_in_python(Config) ->
    Context = with_numpy(Config),
    Before = ep_ct:alive(objects),
    ep_ct:in_process(fun() ->
        {ok, Array} = py:call(Context, numpy, arange, [1000], #{return => ref}),
        ?assert(py:is_ref(Array)),
        ?assertEqual({ok, 499500}, py:call_method(Array, sum, [])),
        ?assertEqual({ok, {1000}}, py:getattr(Array, shape)),
        ?assertMatch({ok, {_, 332833500}}, py:call(Context, products, dot, [Array, Array])),
        {ok, Twice} = py:call(Context, numpy, multiply, [Array, 2], #{return => ref}),
        ?assertEqual({ok, 999000}, ep_ct:in_process(fun() -> py:call_method(Twice, sum, []) end)),
        %% It is the array, not a copy.
        {ok, none} = py:call_method(Array, fill, [1]),
        ?assertEqual({ok, 1000}, py:eval(Context, <<"v.sum()">>, #{v => Array})),
        ?assertEqual({ok, 999000}, py:eval(Context, <<"v.sum()">>, #{v => Twice}))
    end),
    ep_ct:wait_until(fun() -> ep_ct:alive(objects) =:= Before end),
    stop([Context]).

%% ---------------------------------------------------------------------------------------------------------------------

dot(Context, N) ->
    py:call(Context, products, dot, [lists:seq(1, N), lists:seq(1, N)]).

dot(N) -> lists:sum([I * I || I <- lists:seq(1, N)]).

of_matrices(Context, Value) -> py:call(Context, products, of_matrices, [100, Value]).

with_numpy(Config) -> new(proplists:get_value(mode, Config)).

%% A context that finds numpy, if it is anywhere. What the Python itself has comes first.
new(Mode) ->
    {ok, Context} = py_context:new(#{mode => Mode}),
    ok = ep_fresh_context:add_sources(Context),
    {ok, _} = py:eval(Context, <<"
import os, sys
folder = os.path.join(packages, 'cp%d%d%s' % (*sys.version_info[:2], sys.abiflags))
folder in sys.path or sys.path.append(folder)">>, #{packages => list_to_binary(os:getenv("EP_TEST_PACKAGES", ""))}),
    Context.

stop(Contexts) -> lists:foreach(fun py_context:stop/1, Contexts).
