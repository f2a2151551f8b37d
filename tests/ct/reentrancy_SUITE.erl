%%% @doc Functions of Erlang called from Python that call Python again: depth, processes, handlers, failures, values.
-module(reentrancy_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    a_callback_calls_the_context_that_waits/1, ten_levels_nest/1, a_hundred_levels_nest/1,
    endless_nesting_is_refused/1, nested_calls_need_no_second_slot/1,
    a_process_of_the_callback_calls_the_context_that_waits/1, a_callback_runs_in_the_calling_process/1,
    a_callback_of_a_cast_runs_in_a_process_of_its_own/1, code_around_a_callback_runs_once/1,
    handlers_do_not_see_a_callback/1, the_old_control_exception_exists/1, a_failing_callback_is_a_runtime_error/1,
    a_failure_travels_through_all_levels/1, results_of_callbacks_convert_like_arguments/1, callbacks_interleave/1,
    a_memo_in_erlang_serves_recursion/1, methods_call_back/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_callback_calls_the_context_that_waits, ten_levels_nest, a_hundred_levels_nest, endless_nesting_is_refused,
        nested_calls_need_no_second_slot, a_process_of_the_callback_calls_the_context_that_waits,
        a_callback_runs_in_the_calling_process, a_callback_of_a_cast_runs_in_a_process_of_its_own,
        code_around_a_callback_runs_once, handlers_do_not_see_a_callback, the_old_control_exception_exists,
        a_failing_callback_is_a_runtime_error, a_failure_travels_through_all_levels,
        results_of_callbacks_convert_like_arguments, callbacks_interleave, a_memo_in_erlang_serves_recursion,
        methods_call_back, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

end_per_testcase(_Case, _Config) ->
    ok = py_semaphore:set_max_concurrent(erlang:system_info(schedulers) * 2 + 1),
    ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

a_callback_calls_the_context_that_waits(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
def cube(x):
    return x ** 3

def entry(x):
    return -erlang.call('ep_halved_cube', x)
">>),
    Halved = fun([X]) -> {ok, Cube} = py:call(Context, '__main__', cube, [X]), Cube div 2 end,
    ep_ct:with_function(ep_halved_cube, Halved, fun() ->
        {ok, -500} = py:call(Context, '__main__', entry, [10])
    end).

ten_levels_nest(_Config) ->
    with_levels(fun() -> {ok, 10} = climb(10) end).

a_hundred_levels_nest(_Config) ->
    with_levels(fun() -> {ok, 100} = climb(100) end).

endless_nesting_is_refused(_Config) ->
    with_levels(fun() ->
        {error, {_, _}} = climb(1 bsl 60),
        {ok, 10} = climb(10)
    end),
    %% What the deepest level was told; those above it only pass the failure on.
    [_ | _] = erase(ep_deepest),
    {ok, 2} = py:eval(<<"1 + 1">>).

nested_calls_need_no_second_slot(_Config) ->
    ok = py_semaphore:set_max_concurrent(1),
    with_levels(fun() ->
        {ok, 10} = climb(10),
        Callers = [spawn_monitor(fun() -> exit({result, climb(10)}) end) || _ <- lists:seq(1, 5)],
        [{ok, 10} = ep_ct:result(Caller) || Caller <- Callers]
    end),
    0 = py_semaphore:current().

%% Erlang and Python take turns until the level asked for; every Python level is in the same context.
with_levels(Fun) ->
    Level = fun
        ([N, Max]) when N >= Max ->
            N;
        ([N, Max]) ->
            case py:call(py:context(1), '__main__', step, [N + 1, Max]) of
                {ok, Result} ->
                    Result;
                {error, {_, Text}} ->
                    get(ep_deepest) =:= undefined andalso put(ep_deepest, Text),
                    error(level_failed)
            end
    end,
    ep_ct:with_function(ep_level, Level, Fun).

climb(Max) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
def step(height, top):
    return erlang.call('ep_level', height, top)
">>),
    py:call(Context, '__main__', step, [1, Max]).

a_process_of_the_callback_calls_the_context_that_waits(_Config) ->
    Context = py:context(1),
    ok = py_context:exec(Context, <<"def ep_square(x): return x * x">>),
    Squares = fun([Items]) ->
        Workers = [spawn_monitor(fun() -> exit({result, py:call(Context, '__main__', ep_square, [X])}) end)
            || X <- Items],
        [begin {ok, Square} = ep_ct:result(Worker), Square end || Worker <- Workers]
    end,
    ep_ct:with_function(ep_squares, Squares, fun() ->
        {ok, [1, 4, 9, 16]} = py:eval(Context, <<"erlang.call('ep_squares', [1, 2, 3, 4])">>)
    end).

a_callback_runs_in_the_calling_process(_Config) ->
    put(ep_mark, marked),
    Self = self(),
    ep_ct:with_function(ep_where, fun([]) -> [self(), get(ep_mark)] end, fun() ->
        [{ok, [Self, <<"marked">>]} = Result || Result <- [
            py:eval(<<"erlang.call('ep_where')">>),
            py:call(erlang, call, [<<"ep_where">>]),
            py_context:eval(py:context(1), <<"erlang.call('ep_where')">>)
        ]]
    end),
    erase(ep_mark).

a_callback_of_a_cast_runs_in_a_process_of_its_own(_Config) ->
    Owner = self(),
    ep_ct:with_function(ep_report, fun([]) -> Owner ! {ran_in, self()} end, fun() ->
        ok = py:cast(erlang, call, [<<"ep_report">>]),
        {ran_in, Pid} = ep_ct:message(),
        true = Pid =/= Owner
    end).

code_around_a_callback_runs_once(_Config) ->
    ok = py:exec(<<"
trace = []

def traced(n):
    trace.append('before')
    for i in range(n):
        trace.append(erlang.call('ep_echo', i))
    trace.append('after')
    return len(trace)
">>),
    with_echo(fun() ->
        {ok, 5} = py:call('__main__', traced, [3]),
        {ok, [<<"before">>, 0, 1, 2, <<"after">>]} = py:eval(<<"trace">>)
    end).

handlers_do_not_see_a_callback(_Config) ->
    ok = py:exec(<<"
import contextlib

def in_except_exception():
    try:
        return erlang.call('ep_echo', 1)
    except Exception:
        return 'caught'

def in_except_base_exception():
    try:
        return erlang.call('ep_echo', 2)
    except BaseException:
        return 'caught'

def in_bare_except():
    try:
        return erlang.call('ep_echo', 3)
    except:
        return 'caught'

def in_finally():
    seen = []
    try:
        seen.append(erlang.call('ep_echo', 4))
    finally:
        seen.append(erlang.call('ep_echo', 5))
    return seen

def in_generator():
    def generate():
        for i in range(3):
            yield erlang.call('ep_echo', i)
    return list(generate())

def in_comprehension():
    return [erlang.call('ep_echo', i) for i in range(3)]

def in_sort_key():
    return sorted([3, 1, 2], key=lambda x: erlang.call('ep_echo', x))

def in_middleware():
    def middleware(app):
        def wrapped(request):
            try:
                return app(request)
            except BaseException as e:
                return 'swallowed'
        return wrapped
    return middleware(middleware(lambda request: erlang.call('ep_echo', request)))(6)

def in_with():
    with contextlib.suppress(BaseException):
        return erlang.call('ep_echo', 7)

def in_property():
    class C:
        @property
        def value(self):
            return erlang.call('ep_echo', 8)
    return C().value

def in_handler():
    try:
        1 / 0
    except ZeroDivisionError:
        return erlang.call('ep_echo', 9)
">>),
    with_echo(fun() ->
        [{Where, {ok, Expected}} = {Where, py:call('__main__', Where, [])} || {Where, Expected} <- [
            {in_except_exception, 1}, {in_except_base_exception, 2}, {in_bare_except, 3}, {in_finally, [4, 5]},
            {in_generator, [0, 1, 2]}, {in_comprehension, [0, 1, 2]}, {in_sort_key, [1, 2, 3]}, {in_middleware, 6},
            {in_with, 7}, {in_property, 8}, {in_handler, 9}
        ]]
    end).

the_old_control_exception_exists(_Config) ->
    {ok, true} = py:eval(<<"issubclass(erlang.SuspensionRequired, BaseException)">>),
    {ok, false} = py:eval(<<"issubclass(erlang.SuspensionRequired, Exception)">>),
    ok = py:exec(<<"
try:
    pass
except erlang.SuspensionRequired:
    raise
">>).

a_failing_callback_is_a_runtime_error(_Config) ->
    ok = py:exec(<<"
def guarded(name):
    try:
        erlang.call(name)
    except RuntimeError as e:
        return str(e)
    return 'no error'
">>),
    [ep_ct:with_function(ep_failing, Fail, fun() ->
        {ok, Text} = py:call('__main__', guarded, [<<"ep_failing">>]),
        {How, true} = {How, binary:match(Text, <<"out_of_cheese">>) =/= nomatch},
        {error, {'RuntimeError', Message}} = py:eval(<<"erlang.call('ep_failing')">>),
        {How, true} = {How, string:find(Message, "out_of_cheese") =/= nomatch},
        {ok, 2} = py:eval(<<"1 + 1">>)
    end) || {How, Fail} <- [
        {error, fun([]) -> error(out_of_cheese) end},
        {exit, fun([]) -> exit(out_of_cheese) end},
        {throw, fun([]) -> throw(out_of_cheese) end},
        {badmatch, fun([]) -> ok = out_of_cheese() end}
    ]],
    ep_ct:with_function(ep_picky, fun([X]) -> X end, fun() ->
        {error, {'RuntimeError', _}} = py:eval(<<"erlang.call('ep_picky', 1, 2)">>)
    end).

%% The compiler is not to know that it does not match.
out_of_cheese() -> list_to_atom("out_of_cheese").

a_failure_travels_through_all_levels(_Config) ->
    ok = py:exec(<<"
def fail(n):
    if n == 0:
        raise ValueError('at the bottom')
    return erlang.call('ep_down', n - 1)
">>),
    Down = fun([N]) ->
        case py:call('__main__', fail, [N]) of
            {ok, Result} -> Result;
            {error, {_, Text}} -> error({below, list_to_binary(Text)})
        end
    end,
    ep_ct:with_function(ep_down, Down, fun() ->
        {error, {'RuntimeError', Text}} = py:call('__main__', fail, [4]),
        true = string:find(Text, "at the bottom") =/= nomatch
    end).

results_of_callbacks_convert_like_arguments(_Config) ->
    Ref = make_ref(),
    [ep_ct:with_function(ep_value, fun([]) -> Term end, fun() ->
        {Term, {ok, {Type, Text}}} =
            {Term, py:eval(<<"(lambda v: (type(v).__name__, ascii(v)))(erlang.call('ep_value'))">>)}
    end) || {Term, Type, Text} <- [
        {<<"text">>, <<"str">>, <<"'text'">>}, {<<255, 1>>, <<"bytes">>, <<"b'\\xff\\x01'">>},
        {{bytes, <<"raw">>}, <<"bytes">>, <<"b'raw'">>}, {"list", <<"list">>, <<"[108, 105, 115, 116]">>},
        {[1, 2], <<"list">>, <<"[1, 2]">>}, {{1, a}, <<"tuple">>, <<"(1, 'a')">>},
        {#{k => 1.5}, <<"dict">>, <<"{'k': 1.5}">>}, {1 bsl 70, <<"int">>, <<"1180591620717411303424">>},
        {ok, <<"str">>, <<"'ok'">>}, {undefined, <<"NoneType">>, <<"None">>}, {true, <<"bool">>, <<"True">>},
        {{error, reason}, <<"tuple">>, <<"('error', 'reason')">>}, {{ok, 1}, <<"tuple">>, <<"('ok', 1)">>},
        {<<"__etf__:abc">>, <<"str">>, <<"'__etf__:abc'">>}
    ]],
    [ep_ct:with_function(ep_value, fun([]) -> Term end, fun() ->
        {ok, {true, Term}} = py:eval(<<
            "(lambda v, c: (isinstance(v, c), v))(erlang.call('ep_value'), erlang.", Class/binary, ")"
        >>)
    end) || {Term, Class} <- [{self(), <<"Pid">>}, {Ref, <<"Ref">>}]],
    ep_ct:with_function(ep_value, fun([]) -> [1 | 2] end, fun() ->
        {error, {_, _}} = py:eval(<<"erlang.call('ep_value')">>)
    end).

%% Two requests of one context wait for callbacks that end in the order the requests began.
callbacks_interleave(_Config) ->
    Context = py:context(1),
    Owner = self(),
    Ask = fun([N]) -> Owner ! {asked, N, self()}, receive {answer, A} -> A end end,
    ep_ct:with_function(ep_ask, Ask, fun() ->
        Callers = [begin
            Caller = spawn_monitor(fun() ->
                exit({result, py:eval(Context, <<"[n, erlang.call('ep_ask', n)]">>, #{n => N})})
            end),
            receive {asked, N, Pid} -> {N, Pid, Caller} end
        end || N <- [1, 2, 3]],
        {ok, 2} = py:eval(Context, <<"1 + 1">>),
        [Pid ! {answer, N * 10} || {N, Pid, _} <- Callers],
        [[1, 10], [2, 20], [3, 30]] = [begin {ok, R} = ep_ct:result(Caller), R end || {_, _, Caller} <- Callers]
    end).

a_memo_in_erlang_serves_recursion(_Config) ->
    Memo = ets:new(memo, [public]),
    ok = py:exec(<<"
def fib(n):
    if n < 2:
        return n
    return erlang.call('ep_fib', n - 1) + erlang.call('ep_fib', n - 2)
">>),
    Fib = fun([N]) ->
        case ets:lookup(Memo, N) of
            [{N, Known}] ->
                Known;
            [] ->
                {ok, Result} = py:call('__main__', fib, [N]),
                ets:insert(Memo, {N, Result}),
                Result
        end
    end,
    ep_ct:with_function(ep_fib, Fib, fun() -> {ok, 75025} = py:call('__main__', fib, [25]) end).

methods_call_back(_Config) ->
    ok = py:exec(<<"
class Account:
    def __init__(self):
        self.total = 0
    def add(self, amount):
        self.total += erlang.call('ep_echo', amount)
        return self.total

account = Account()
">>),
    with_echo(fun() -> [{ok, Total} = py:eval(<<"account.add(5)">>) || Total <- [5, 10, 15]] end).

with_echo(Fun) ->
    ep_ct:with_function(ep_echo, fun([X]) -> X end, Fun).
