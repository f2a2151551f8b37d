%%% @doc Python environments of processes: whose they are, and what they start with.
-module(process_bound_envs_SUITE).
-behaviour(gen_server).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    a_process_has_its_own_namespace/1, two_processes_do_not_conflict/1, state_persists_between_requests/1,
    one_process_has_an_environment_per_context/1, the_process_dictionary_shows_the_environment/1,
    an_actor_keeps_its_state/1, a_restarted_actor_starts_fresh/1, a_global_is_set_by_a_function/1,
    modules_are_imported_once_per_interpreter/1, an_error_does_not_spoil_the_environment/1
]).
-export([
    an_environment_starts_as_a_copy_of_the_contexts_namespace/1, what_a_process_defines_stays_out_of_the_context/1,
    a_call_finds_functions_of_main/1, main_is_a_module_that_takes_attributes/1, erlang_and_name_are_preset/1,
    globals_is_the_environment/1, exec_runs_at_module_level/1, locals_stay_local/1, nothing_is_left_behind/1
]).
-export([init/1, handle_call/3, handle_cast/2]).

suite() -> [{timetrap, {seconds, 60}}].

all() ->
    [
        a_process_has_its_own_namespace, two_processes_do_not_conflict, state_persists_between_requests,
        one_process_has_an_environment_per_context, the_process_dictionary_shows_the_environment,
        an_actor_keeps_its_state, a_restarted_actor_starts_fresh, a_global_is_set_by_a_function,
        modules_are_imported_once_per_interpreter, an_error_does_not_spoil_the_environment,
        an_environment_starts_as_a_copy_of_the_contexts_namespace, what_a_process_defines_stays_out_of_the_context,
        a_call_finds_functions_of_main, main_is_a_module_that_takes_attributes, erlang_and_name_are_preset,
        globals_is_the_environment, exec_runs_at_module_level, locals_stay_local, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Implicit environments

a_process_has_its_own_namespace(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"state = 'hello'">>),
    {ok, <<"hello">>} = py:eval(Context, <<"state">>),
    {error, {'NameError', _}} = ep_ct:in_process(fun() -> py:eval(Context, <<"state">>) end).

%% Every process writes before any of them reads.
two_processes_do_not_conflict(_Config) ->
    Context = py:context(1),
    Owner = self(),
    Writers = [{N, spawn_monitor(fun() ->
        ok = py:exec(Context, <<"x = ", (integer_to_binary(N))/binary>>),
        Owner ! {written, self()},
        receive read -> exit({result, py:eval(Context, <<"x">>)}) end
    end)} || N <- lists:seq(1, 50)],
    [receive {written, Pid} -> ok end || {_, {Pid, _}} <- Writers],
    [Pid ! read || {_, {Pid, _}} <- Writers],
    [{N, {ok, N}} = {N, ep_ct:result(Writer)} || {N, Writer} <- Writers].

state_persists_between_requests(_Config) ->
    ok = py:exec(<<"items = []">>),
    [{ok, none} = py:eval(<<"items.append(n)">>, #{n => N}) || N <- [1, 2, 3]],
    {ok, [1, 2, 3]} = py:eval(<<"items">>),
    ok = py:exec(<<"def size(): return len(items)">>),
    {ok, 3} = py:call('__main__', size, []).

one_process_has_an_environment_per_context(_Config) ->
    ep_ct:with_contexts(2, fun([One, Two]) ->
        ok = py:exec(One, <<"here = 1">>),
        ok = py:exec(Two, <<"here = 2">>),
        {ok, 1} = py:eval(One, <<"here">>),
        {ok, 2} = py:eval(Two, <<"here">>),
        true = py:get_local_env(One) =/= py:get_local_env(Two)
    end).

the_process_dictionary_shows_the_environment(_Config) ->
    ep_ct:in_process(fun() ->
        undefined = get(py_local_env),
        Context = py:context(1),
        ok = py:exec(Context, <<"x = 1">>),
        #{Context := {_, Env}} = get(py_local_env),
        true = is_reference(Env),
        Env = py:get_local_env(Context),
        #{Context := {_, Env}} = get(py_local_env)
    end).

an_actor_keeps_its_state(_Config) ->
    {ok, Counter} = gen_server:start_link(?MODULE, counter, []),
    {ok, Other} = gen_server:start_link(?MODULE, counter, []),
    [1, 2, 1, 1] = [gen_server:call(Counter, Call) || Call <- [increment, increment, decrement, get]],
    0 = gen_server:call(Other, get),
    [ok = gen_server:stop(Actor) || Actor <- [Counter, Other]].

a_restarted_actor_starts_fresh(_Config) ->
    {ok, Sup} = supervisor:start_link(?MODULE, supervisor),
    Actor = fun() -> [{actor, Pid, _, _}] = supervisor:which_children(Sup), Pid end,
    First = Actor(),
    1 = gen_server:call(First, increment),
    ok = supervisor:terminate_child(Sup, actor),
    {ok, Second} = supervisor:restart_child(Sup, actor),
    0 = gen_server:call(Second, get),
    1 = gen_server:call(Second, increment),
    exit(Second, kill),
    ep_ct:wait_until(fun() -> is_pid(Actor()) andalso Actor() =/= Second end),
    0 = gen_server:call(Actor(), get),
    ok = gen_server:stop(Sup).

a_global_is_set_by_a_function(_Config) ->
    Context = py:context(),
    ok = py:exec(Context, <<"
slope = None

def learn(value):
    global slope
    slope = value
    return True

def estimate(x):
    return slope * x
">>),
    {ok, true} = py:call(Context, '__main__', learn, [3]),
    {ok, 12} = py:call(Context, '__main__', estimate, [4]),
    {ok, 3} = py:eval(Context, <<"slope">>).

modules_are_imported_once_per_interpreter(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"import colorsys; colorsys.ep_mark = 'seen'">>),
    {error, {'NameError', _}} = ep_ct:in_process(fun() -> py:eval(Context, <<"colorsys">>) end),
    {ok, <<"seen">>} = ep_ct:in_process(fun() -> py:eval(Context, <<"__import__('colorsys').ep_mark">>) end).

an_error_does_not_spoil_the_environment(_Config) ->
    ok = py:exec(<<"kept = 1">>),
    {error, {'ZeroDivisionError', _}} = py:exec(<<"before = 2\n1 / 0\nafter = 3">>),
    {error, {'SyntaxError', _}} = py:exec(<<"before = 9\n1 +">>),
    {ok, {1, 2}} = py:eval(<<"(kept, before)">>),
    {error, {'NameError', _}} = py:eval(<<"after">>).

%% ---------------------------------------------------------------------------------------------------------------------
%% What an environment holds

an_environment_starts_as_a_copy_of_the_contexts_namespace(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"preloaded = [1]\ndef helper(x): return x + len(preloaded)">>),
        {ok, [1]} = py:eval(Context, <<"preloaded">>),
        {ok, 3} = py:call(Context, '__main__', helper, [2]),
        ok = py_context:exec(Context, <<"later = 1; preloaded = 'replaced'">>),
        {error, {'NameError', _}} = py:eval(Context, <<"later">>),
        {ok, [1]} = py:eval(Context, <<"preloaded">>),
        {ok, {1, <<"replaced">>}} = ep_ct:in_process(fun() -> py:eval(Context, <<"(later, preloaded)">>) end)
    end).

what_a_process_defines_stays_out_of_the_context(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"shared = 'of the context'">>),
        ok = py:exec(Context, <<"shared = 'of the process'; own = 1">>),
        {ok, <<"of the context">>} = py_context:eval(Context, <<"shared">>),
        {error, {'NameError', _}} = py_context:eval(Context, <<"own">>),
        {ok, <<"of the process">>} = py:eval(Context, <<"shared">>)
    end).

a_call_finds_functions_of_main(_Config) ->
    Context = py:context(1),
    ok = py:exec(Context, <<"
import sys
sys.modules['__main__'].ep_where = lambda: 'module'
def ep_missing(): return 'never found under another name'
">>),
    {ok, <<"module">>} = py:call(Context, '__main__', ep_where, []),
    {ok, <<"module">>} = py:call(Context, <<"__main__">>, <<"ep_where">>, []),
    {ok, <<"module">>} = py_context:call(Context, '__main__', ep_where, []),
    ok = py:exec(Context, <<"def ep_where(): return 'environment'">>),
    {ok, <<"environment">>} = py:call(Context, '__main__', ep_where, []),
    {ok, <<"module">>} = ep_ct:in_process(fun() -> py:call(Context, '__main__', ep_where, []) end),
    ok = py:exec(Context, <<"del sys.modules['__main__'].ep_where">>),
    {error, {_, _}} = ep_ct:in_process(fun() -> py:call(Context, '__main__', ep_where, []) end).

main_is_a_module_that_takes_attributes(_Config) ->
    ok = py:exec(<<"import __main__, sys; __main__.ep_attribute = 5">>),
    {ok, true} = py:eval(<<"sys.modules['__main__'] is __main__">>),
    {ok, 5} = py:eval(<<"__import__('__main__').ep_attribute">>),
    ok = py:exec(<<"del __main__.ep_attribute">>).

erlang_and_name_are_preset(_Config) ->
    Code = <<"(__name__, erlang.__name__, erlang is __import__('erlang'))">>,
    Expected = {ok, {<<"__main__">>, <<"erlang">>, true}},
    Expected = py:eval(Code),
    ep_ct:with_context(fun(Context) ->
        Expected = py:eval(Context, Code),
        Expected = py_context:eval(Context, Code),
        {ok, Env} = py_context:create_local_env(Context),
        Expected = py_context:eval(Context, Code, #{}, 5000, Env)
    end).

globals_is_the_environment(_Config) ->
    ok = py:exec(<<"seen = 1">>),
    {ok, 1} = py:eval(<<"globals()['seen']">>),
    {ok, none} = py:eval(<<"globals().__setitem__('written', 2)">>),
    {ok, 2} = py:eval(<<"written">>),
    {ok, 3} = py:eval(<<"(walrus := 3)">>),
    {error, {'NameError', _}} = ep_ct:in_process(fun() -> py:eval(<<"written">>) end).

exec_runs_at_module_level(_Config) ->
    ok = py:exec(<<"
factor = 3
scaled = [factor * x for x in range(3)]
def scale(x):
    return factor * x
class Scaler:
    def apply(self, x):
        return scale(x) + factor
at_module_level = globals() is locals()
">>),
    {ok, {[0, 3, 6], 6, 9, true}} = py:eval(<<"(scaled, scale(2), Scaler().apply(2), at_module_level)">>),
    {error, {'SyntaxError', _}} = py:exec(<<"return 1">>).

locals_stay_local(_Config) ->
    {ok, 1} = py:eval(<<"local">>, #{local => 1}),
    {error, {'NameError', _}} = py:eval(<<"local">>),
    {error, {'NameError', _}} = py:eval(<<"(lambda: local)()">>, #{local => 1}),
    {error, {'NameError', _}} = py:eval(<<"list(local for _ in range(1))">>, #{local => 1}),
    {ok, 1} = py:eval(<<"(lambda local=local: local)()">>, #{local => 1}),
    ok = py:exec(<<"shadowed = 'global'">>),
    {ok, <<"local">>} = py:eval(<<"shadowed">>, #{shadowed => <<"local">>}),
    {ok, <<"global">>} = py:eval(<<"shadowed">>).

%% ---------------------------------------------------------------------------------------------------------------------
%% The actor of the guide, and a supervisor of one

init(supervisor) ->
    Actor = #{id => actor, start => {gen_server, start_link, [?MODULE, counter, []]}, restart => permanent},
    {ok, {#{strategy => one_for_one}, [Actor]}};
init(counter) ->
    Context = py:context(),
    ok = py:exec(Context, <<"
class Tally:
    def __init__(self):
        self.count = 0
    def add(self, amount):
        self.count += amount
        return self.count

tally = Tally()
">>),
    {ok, Context}.

handle_call(increment, _From, Context) -> {reply, add(Context, 1), Context};
handle_call(decrement, _From, Context) -> {reply, add(Context, -1), Context};
handle_call(get, _From, Context) -> {reply, add(Context, 0), Context}.

handle_cast(_Message, Context) ->
    {noreply, Context}.

add(Context, Amount) ->
    {ok, Value} = py:eval(Context, <<"tally.add(amount)">>, #{amount => Amount}),
    Value.
