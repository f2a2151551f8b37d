%%% @doc Every function and arity users may call, which overload a call takes, and how long contexts live.
-module(api_SUITE).

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([every_documented_function_is_exported/1]).
-export([
    call_3_takes_module_function_arguments/1, call_4_takes_a_context_a_pool_or_keywords/1,
    call_5_takes_a_context_a_pool_or_a_timeout/1, names_are_atoms_binaries_or_strings/1,
    a_context_call_takes_options/1, eval_takes_locals_a_timeout_and_a_context/1, exec_takes_a_context/1,
    cast_takes_a_context_and_keywords/1, spawn_call_takes_a_context_and_keywords/1, await_takes_a_timeout/1,
    an_abandoned_spawned_call_is_harmless/1, parallel_keeps_the_order/1, context_takes_an_index/1,
    start_contexts_takes_options/1, register_function_takes_a_fun_or_a_function/1,
    version_is_the_version_of_python/1, the_doctor_prints_what_runs/1, backends_are_data/1, kinds_of_handles/1,
    calls_without_a_timeout_give_up_after_thirty_seconds/1
]).
-export([
    interrupt_ends_what_runs/1, interrupt_of_an_idle_context_does_nothing/1, an_interrupt_never_hits_a_later_request/1,
    an_interrupt_ends_a_loop_that_swallows_exceptions/1, nothing_comes_after_any_outcome/1
]).
-export([
    a_reference_stands_for_an_object/1, an_object_is_used_as_an_argument/1, methods_and_attributes_chain/1,
    an_object_stays_while_it_is_referenced/1, an_object_of_a_stopped_context_is_an_error/1,
    what_is_no_object_is_refused/1, failures_of_objects_are_errors/1
]).
-export([
    context_functions_use_its_own_namespace/1, context_functions_take_timeouts/1, context_functions_take_environments/1,
    a_context_is_new_or_linked/1, an_unknown_mode_is_refused/1, context_ids_are_unique/1,
    ids_of_contexts_need_not_be/1, stopping_ends_one_context_only/1, destroying_is_stopping/1,
    the_starter_survives_a_stop/1, a_context_ends_with_its_starter/1, a_stopped_context_answers_its_waiters/1,
    the_supervisor_starts_and_stops_contexts/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 90}}].

all() ->
    [every_documented_function_is_exported, {group, py}, {group, interrupt}, {group, objects}, {group, contexts},
        nothing_is_left_behind].

groups() ->
    [
        {py, [], [
            call_3_takes_module_function_arguments, call_4_takes_a_context_a_pool_or_keywords,
            call_5_takes_a_context_a_pool_or_a_timeout, names_are_atoms_binaries_or_strings,
            a_context_call_takes_options, eval_takes_locals_a_timeout_and_a_context, exec_takes_a_context,
            cast_takes_a_context_and_keywords, spawn_call_takes_a_context_and_keywords, await_takes_a_timeout,
            an_abandoned_spawned_call_is_harmless, parallel_keeps_the_order, context_takes_an_index,
            start_contexts_takes_options, register_function_takes_a_fun_or_a_function,
            version_is_the_version_of_python, the_doctor_prints_what_runs, backends_are_data, kinds_of_handles,
            calls_without_a_timeout_give_up_after_thirty_seconds
        ]},
        {interrupt, [], [
            interrupt_ends_what_runs, interrupt_of_an_idle_context_does_nothing,
            an_interrupt_never_hits_a_later_request, an_interrupt_ends_a_loop_that_swallows_exceptions,
            nothing_comes_after_any_outcome
        ]},
        {objects, [], [
            a_reference_stands_for_an_object, an_object_is_used_as_an_argument, methods_and_attributes_chain,
            an_object_stays_while_it_is_referenced, an_object_of_a_stopped_context_is_an_error,
            what_is_no_object_is_refused, failures_of_objects_are_errors
        ]},
        {contexts, [], [
            context_functions_use_its_own_namespace, context_functions_take_timeouts,
            context_functions_take_environments, a_context_is_new_or_linked, an_unknown_mode_is_refused,
            context_ids_are_unique, ids_of_contexts_need_not_be, stopping_ends_one_context_only,
            destroying_is_stopping, the_starter_survives_a_stop, a_context_ends_with_its_starter,
            a_stopped_context_answers_its_waiters, the_supervisor_starts_and_stops_contexts
        ]}
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

every_documented_function_is_exported(_Config) ->
    Missing = [{Module, Name, Arity} || {Module, Functions} <- exports(), {Name, Arities} <- Functions,
        Arity <- Arities, {module, _} <- [code:ensure_loaded(Module)],
        not erlang:function_exported(Module, Name, Arity)],
    [] = Missing.

exports() ->
    [
        {py, [
            {call, [3, 4, 5]}, {eval, [1, 2, 3]}, {exec, [1, 2]}, {cast, [3, 4, 5]}, {spawn_call, [3, 4, 5]},
            {await, [1, 2]}, {parallel, [1]}, {context, [0, 1]}, {start_contexts, [0, 1]}, {stop_contexts, [0]},
            {contexts_started, [0]}, {register_function, [2, 3]}, {unregister_function, [1]}, {register_pool, [2]},
            {unregister_pool, [1]}, {get_local_env, [1]}, {is_ref, [1]}, {call_method, [3]}, {getattr, [2]},
            {to_term, [1]}, {version, [0]}, {execution_mode, [0]}, {subinterp_supported, [0]}, {interrupt, [1]},
            {doctor, [0]}
        ]},
        {py_context, [
            {start_link, [2]}, {new, [1]}, {stop, [1]}, {destroy, [1]}, {call, [4, 5, 6, 7]}, {eval, [2, 3, 4, 5]},
            {exec, [2, 3]}, {call_method, [4]}, {to_term, [1]}, {get_interp_id, [1]}, {get_nif_ref, [1]},
            {is_subinterp, [1]}, {create_local_env, [1]}, {interrupt, [1]}
        ]},
        {py_context_sup, [{start_link, [0]}, {start_context, [2]}, {stop_context, [1]}, {which_contexts, [0]}]},
        {py_context_router, [
            {start, [0, 1]}, {stop, [0]}, {is_started, [0]}, {start_pool, [2, 3]}, {stop_pool, [1]},
            {pool_started, [1]}, {get_context, [0, 1]}, {bind_context, [1, 2]}, {unbind_context, [0, 1]},
            {num_contexts, [0, 1]}, {contexts, [0, 1]}, {register_pool, [2, 3]}, {unregister_pool, [1, 2]},
            {lookup_pool, [2]}, {list_pool_registrations, [0]}, {init_pool_registry, [0]}
        ]},
        {py_semaphore, [
            {init, [0]}, {acquire, [1]}, {release, [0]}, {current, [0]}, {max_concurrent, [0]},
            {set_max_concurrent, [1]}
        ]},
        {py_nif, [
            {context_call, [6]}, {context_eval, [4]}, {context_exec, [3]}, {backends, [0]}, {owngil_supported, [0]},
            {subinterp_supported, [0]}
        ]}
    ].

%% ---------------------------------------------------------------------------------------------------------------------
%% py

call_3_takes_module_function_arguments(_Config) ->
    {ok, 4.0} = py:call(math, sqrt, [16]),
    {ok, 3} = py:call(operator, add, [1, 2]),
    {ok, Pid} = py:call(os, getpid, []),
    true = is_integer(Pid).

call_4_takes_a_context_a_pool_or_keywords(_Config) ->
    Context = py:context(1),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    {ok, 4.0} = py:call(Context, <<"math">>, <<"sqrt">>, [16]),
    {ok, 4.0} = py:call(Context, "math", "sqrt", [16]),
    {ok, 4.0} = py:call(default, math, sqrt, [16]),
    {ok, 4.0} = py:call(default, <<"math">>, sqrt, [16]),
    {ok, <<"[\n 1\n]">>} = py:call(json, dumps, [[1]], #{indent => 1}),
    {ok, <<"[\n 1\n]">>} = py:call(<<"json">>, <<"dumps">>, [[1]], #{<<"indent">> => 1}),
    {ok, 4.0} = py:call(math, sqrt, [16], #{}),
    {ok, _} = py:call(os, getpid, [], #{}).

call_5_takes_a_context_a_pool_or_a_timeout(_Config) ->
    Context = py:context(1),
    {ok, <<"[\n 1\n]">>} = py:call(Context, json, dumps, [[1]], #{kwargs => #{indent => 1}}),
    {ok, <<"[\n 1\n]">>} = py:call(default, json, dumps, [[1]], #{indent => 1}),
    {ok, <<"[\n 1\n]">>} = py:call(json, dumps, [[1]], #{indent => 1}, 5000),
    {ok, <<"[\n 1\n]">>} = py:call(json, dumps, [[1]], #{indent => 1}, infinity),
    {ok, _} = py:call(os, getpid, [], #{}, 5000),
    {ok, _} = py:call(default, os, getpid, [], #{}),
    {ok, _} = py:call(Context, os, getpid, [], #{}).

names_are_atoms_binaries_or_strings(_Config) ->
    [{Module, Function, {ok, 4.0}} = {Module, Function, py:call(Module, Function, [16])}
        || Module <- [math, <<"math">>, "math"], Function <- [sqrt, <<"sqrt">>, "sqrt"]],
    ok = py:exec(<<"def where(): return 'env'">>),
    [{ok, <<"env">>} = py:call(Main, where, []) || Main <- ['__main__', <<"__main__">>, "__main__"]],
    [{ok, <<"a/b">>} = py:call(Path, join, [<<"a">>, <<"b">>]) || Path <- ['os.path', <<"os.path">>, "os.path"]],
    ok = py:exec(<<"def é(): return 'accent'"/utf8>>),
    [{ok, <<"accent">>} = py:call('__main__', Name, []) || Name <- ['é', <<"é"/utf8>>, "é"]].

a_context_call_takes_options(_Config) ->
    Context = py:context(1),
    {ok, <<"{\n \"a\": 1\n}">>} = py:call(Context, json, dumps, [#{a => 1}],
                                         #{kwargs => #{indent => 1}, timeout => 5000}),
    ok = py:exec(Context, <<"def forever():\n    while True: pass">>),
    {error, timeout} = py:call(Context, '__main__', forever, [], #{timeout => 20}),
    {ok, 4.0} = py:call(Context, math, sqrt, [16], #{timeout => infinity}),
    {ok, Ref} = py:call(Context, builtins, dict, [], #{return => ref, kwargs => #{a => 1}}),
    {ok, #{<<"a">> := 1}} = py:to_term(Ref).

eval_takes_locals_a_timeout_and_a_context(_Config) ->
    Context = py:context(1),
    {ok, 3} = py:eval(<<"1 + 2">>),
    {ok, 3} = py:eval(<<"x + 2">>, #{x => 1}),
    {ok, 3} = py:eval(<<"x + 2">>, #{x => 1}, 5000),
    {ok, 3} = py:eval(<<"x + 2">>, #{x => 1}, infinity),
    {ok, 3} = py:eval(Context, <<"1 + 2">>),
    {ok, 3} = py:eval(Context, "1 + 2"),
    {ok, 3} = py:eval(Context, <<"x + 2">>, #{x => 1}).

exec_takes_a_context(_Config) ->
    Context = py:context(1),
    ok = py:exec(<<"x = 1">>),
    ok = py:exec("y = 2"),
    ok = py:exec(Context, <<"z = 3">>),
    ok = py:exec(Context, "z += 1"),
    {ok, 4} = py:eval(Context, <<"z">>).

cast_takes_a_context_and_keywords(_Config) ->
    Context = py:context(1),
    Self = self(),
    Send = fun(Cast) -> ok = Cast(), ep_ct:message() end,
    [{N, N} = {N, Send(Cast)} || {N, Cast} <- [
        {1, fun() -> py:cast(erlang, send, [Self, 1]) end},
        {2, fun() -> py:cast(Context, erlang, send, [Self, 2]) end},
        {3, fun() -> py:cast(erlang, send, [Self, 3], #{}) end},
        {4, fun() -> py:cast(Context, erlang, send, [Self, 4], #{}) end}
    ]],
    ok = py:exec(Context, <<"def notify(pid, value=None): erlang.send(pid, ['notified', value])">>),
    ok = py:cast(Context, '__main__', notify, [Self], #{value => 5}),
    [<<"notified">>, 5] = ep_ct:message().

spawn_call_takes_a_context_and_keywords(_Config) ->
    Context = py:context(1),
    {ok, 4.0} = py:await(py:spawn_call(math, sqrt, [16])),
    {ok, 4.0} = py:await(py:spawn_call(Context, math, sqrt, [16])),
    {ok, <<"[\n 1\n]">>} = py:await(py:spawn_call(json, dumps, [[1]], #{indent => 1})),
    {ok, <<"[\n 1\n]">>} = py:await(py:spawn_call(Context, json, dumps, [[1]], #{indent => 1})),
    {error, {'ModuleNotFoundError', _}} = py:await(py:spawn_call(ep_no_such_module, f, [])),
    ok = py:exec(Context, <<"def mine(): return 'mine'">>),
    {ok, <<"mine">>} = py:await(py:spawn_call(Context, '__main__', mine, [])).

await_takes_a_timeout(_Config) ->
    ok = py:exec(<<"def forever():\n    while True: pass">>),
    Ref = py:spawn_call('__main__', forever, []),
    {error, timeout} = py:await(Ref, 20),
    {ok, 4.0} = py:await(py:spawn_call(math, sqrt, [16]), infinity),
    {ok, 2} = py:eval(<<"1 + 1">>).

an_abandoned_spawned_call_is_harmless(_Config) ->
    ep_ct:in_process(fun() -> [py:spawn_call(math, factorial, [N]) || N <- lists:seq(1, 20)], ok end),
    ep_ct:wait_until(fun() -> maps:get(requests, py_nif:counters()) =:= 0 end),
    0 = py_semaphore:current().

parallel_keeps_the_order(_Config) ->
    {ok, Results} = py:parallel([{math, factorial, [N]} || N <- lists:seq(1, 20)]),
    true = Results =:= [{ok, lists:foldl(fun erlang:'*'/2, 1, lists:seq(1, N))} || N <- lists:seq(1, 20)].

context_takes_an_index(_Config) ->
    true = is_pid(py:context()),
    [true = is_pid(py:context(N)) || N <- lists:seq(1, py_context_router:num_contexts())],
    true = py:context(1) =:= py_context_router:get_context(1).

start_contexts_takes_options(_Config) ->
    ok = py:stop_contexts(),
    {ok, [_, _]} = py:start_contexts(#{contexts => 2, mode => ep_ct:context_mode()}),
    ok = py:stop_contexts(),
    {error, {invalid_mode, no_such_mode}} = py:start_contexts(#{contexts => 2, mode => no_such_mode}),
    false = py:contexts_started(),
    ep_ct:restart_contexts().

register_function_takes_a_fun_or_a_function(_Config) ->
    ok = py:register_function(ep_fun, fun(Args) -> lists:sum(Args) end),
    ok = py:register_function(<<"ep_mfa">>, lists, reverse),
    {ok, 6} = py:eval(<<"erlang.ep_fun(1, 2, 3)">>),
    {ok, [3, 2, 1]} = py:eval(<<"erlang.ep_mfa(1, 2, 3)">>),
    ok = py:unregister_function(<<"ep_fun">>),
    ok = py:unregister_function(ep_mfa),
    {ok, {false, false}} = py:eval(<<"(hasattr(erlang, 'ep_fun'), hasattr(erlang, 'ep_mfa'))">>).

version_is_the_version_of_python(_Config) ->
    {ok, Version} = py:version(),
    {ok, Number} = py:eval(<<"'.'.join(map(str, __import__('sys').version_info[:3]))">>),
    true = binary:match(Version, Number) =/= nomatch.

the_doctor_prints_what_runs(_Config) ->
    ct:capture_start(),
    _ = py:doctor(),
    ct:capture_stop(),
    Printed = unicode:characters_to_list(ct:capture_get([])),
    {ok, Number} = py:eval(<<"'%d.%d' % __import__('sys').version_info[:2]">>),
    [{Part, true} = {Part, string:find(Printed, Part) =/= nomatch}
        || Part <- [binary_to_list(Number), "libpython", atom_to_list(ep_ct:mode())]].

backends_are_data(_Config) ->
    [#{kind := _, mode := Mode, libpython := Libpython, file := File}] =
        [Backend || #{status := chosen} = Backend <- py_nif:backends()],
    true = Mode =:= ep_ct:mode(),
    [true = filelib:is_regular(Path) || Path <- [Libpython, File]].

kinds_of_handles(_Config) ->
    Context = py:context(),
    true = is_pid(Context),
    {ok, Env} = py_context:create_local_env(Context),
    {ok, Object} = py:call(Context, builtins, list, [[]], #{return => ref}),
    [true = is_reference(Handle) || Handle <- [Env, py:get_local_env(Context), Object,
        py_context:get_nif_ref(Context)]].

%% The three wait side by side. It takes the thirty seconds it is about.
calls_without_a_timeout_give_up_after_thirty_seconds(_Config) ->
    Code = <<"import time\ndef forever():\n    while True: time.sleep(0.05)">>,
    Started = erlang:monotonic_time(millisecond),
    ep_ct:with_contexts(3, fun(Contexts) ->
        Waiters = [spawn_monitor(fun() ->
            ok = py_context_router:bind_context(Context),
            ok = py:exec(Code),
            Result = Wait(),
            exit({result, {Result, erlang:monotonic_time(millisecond) - Started >= 30000}})
        end) || {Context, Wait} <- lists:zip(Contexts, [
            fun() -> py:call('__main__', forever, []) end,
            fun() -> py:eval(<<"forever()">>) end,
            fun() -> py:await(py:spawn_call('__main__', forever, [])) end
        ])],
        receive after 29000 -> ok end,
        [{{error, timeout}, true} = ep_ct:result(Waiter) || Waiter <- Waiters]
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Interrupts

interrupt_ends_what_runs(_Config) ->
    ep_ct:with_context(fun(Context) ->
        [begin
            Caller = ep_ct:busy(Context),
            ok = Interrupt(Context),
            {error, interrupted} = ep_ct:result(Caller),
            {ok, 2} = py:eval(Context, <<"1 + 1">>)
        end || Interrupt <- [fun py:interrupt/1, fun py_context:interrupt/1]]
    end).

interrupt_of_an_idle_context_does_nothing(_Config) ->
    ep_ct:with_context(fun(Context) ->
        not_running = py:interrupt(Context),
        {ok, 2} = py:eval(Context, <<"1 + 1">>),
        not_running = py:interrupt(Context),
        not_running = py_context:interrupt(Context),
        {ok, 2} = py:eval(Context, <<"1 + 1">>)
    end).

%% Interrupts that strike at any point of a request, its end included.
an_interrupt_never_hits_a_later_request(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py:exec(Context, <<"def loop(n):\n    for i in range(n): pass\n    return n">>),
        Striker = spawn_link(fun Strike() ->
            receive
                {strike, From} -> From ! {struck, py:interrupt(Context)}, Strike();
                stop -> ok
            end
        end),
        [begin
            Striker ! {strike, self()},
            Result = py:call(Context, '__main__', loop, [N * 100]),
            receive
                {struck, not_running} -> {ok, _} = Result;
                {struck, ok} -> true = lists:member(Result, [{ok, N * 100}, {error, interrupted}])
            end,
            {ok, 50000} = py:call(Context, '__main__', loop, [50000])
        end || N <- lists:seq(1, 300)],
        Striker ! stop
    end),
    ok.

an_interrupt_ends_a_loop_that_swallows_exceptions(_Config) ->
    ep_ct:with_context(fun(Context) ->
        Owner = self(),
        ok = py_context:exec(Context, <<"
def stubborn(pid):
    erlang.send(pid, 'running')
    while True:
        try:
            while True:
                pass
        except Exception:
            pass
">>),
        Caller = spawn_monitor(fun() -> exit({result, py:call(Context, '__main__', stubborn, [Owner])}) end),
        <<"running">> = ep_ct:message(),
        ok = py:interrupt(Context),
        {error, interrupted} = ep_ct:result(Caller)
    end).

nothing_comes_after_any_outcome(_Config) ->
    ok = py:exec(<<"def forever():\n    while True: pass">>),
    Killed = fun() ->
        ep_ct:with_context(fun(Context) ->
            spawn(fun() ->
                ep_ct:wait_until(fun() -> py:interrupt(Context) =:= ok end),
                py_context:stop(Context)
            end),
            py:exec(Context, <<"while True: pass">>)
        end)
    end,
    [begin
        {What, Expected} = {What, Run()},
        {ok, 2} = py:eval(<<"1 + 1">>),
        {What, ok} = {What, ep_ct:mailbox_empty()}
    end || {What, Expected, Run} <- [
        {call, {ok, 4.0}, fun() -> py:call(math, sqrt, [16]) end},
        {timeout, {error, timeout}, fun() -> py:call('__main__', forever, [], #{}, 5) end},
        {no_time, {error, timeout}, fun() -> py:call('__main__', forever, [], #{}, 0) end},
        {await_timeout, {error, timeout}, fun() -> py:await(py:spawn_call('__main__', forever, []), 5) end},
        {interrupted, {error, interrupted}, Killed}
    ]].

%% ---------------------------------------------------------------------------------------------------------------------
%% Objects

a_reference_stands_for_an_object(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[1, 2, 3]], #{return => ref}),
    true = py:is_ref(Ref),
    {ok, 3} = py:call_method(Ref, '__len__', []),
    {ok, 3} = py_context:call_method(Context, Ref, <<"__len__">>, []),
    {ok, none} = py:call_method(Ref, append, [4]),
    {ok, [1, 2, 3, 4]} = py:to_term(Ref),
    {ok, [1, 2, 3, 4]} = py_context:to_term(Ref),
    {ok, 2} = py:call_method(Ref, index, [3]).

an_object_is_used_as_an_argument(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[1, 2, 3]], #{return => ref}),
    {ok, 3} = py:call(Context, builtins, len, [Ref]),
    {ok, {<<"list">>, 6}} = py:eval(Context, <<"(type(v).__name__, sum(v))">>, #{v => Ref}),
    {ok, true} = py:eval(Context, <<"a is b[0]">>, #{a => Ref, b => [Ref]}).

methods_and_attributes_chain(_Config) ->
    Context = py:context(1),
    {ok, Date} = py:call(Context, datetime, date, [2024, 1, 15], #{return => ref}),
    {ok, 2024} = py:getattr(Date, year),
    {ok, 1} = py:getattr(Date, <<"month">>),
    {ok, <<"2024-01-15">>} = py:call_method(Date, isoformat, []),
    {ok, <<"2024-01-15">>} = py:to_term(Date).

an_object_stays_while_it_is_referenced(_Config) ->
    Context = py:context(1),
    Objects = fun() -> maps:get(objects, py_nif:counters()) end,
    Before = Objects(),
    ep_ct:in_process(fun() ->
        Refs = [begin
            {ok, Ref} = py:call(Context, builtins, list, [[N]], #{return => ref}),
            Ref
        end || N <- lists:seq(1, 100)],
        100 = Objects() - Before,
        [{ok, [N]} = py:to_term(Ref) || {N, Ref} <- lists:zip(lists:seq(1, 100), Refs)],
        ok
    end),
    ep_ct:wait_until(fun() -> Objects() =:= Before end).

an_object_of_a_stopped_context_is_an_error(_Config) ->
    Ref = ep_ct:with_context(fun(Context) ->
        {ok, Ref} = py:call(Context, builtins, list, [[1]], #{return => ref}),
        {ok, [1]} = py:to_term(Ref),
        Ref
    end),
    {error, _} = py:to_term(Ref),
    {error, _} = py:call_method(Ref, '__len__', []),
    {error, _} = py:getattr(Ref, '__class__'),
    {error, _} = py:eval(<<"v">>, #{v => Ref}).

what_is_no_object_is_refused(_Config) ->
    [{Term, false} = {Term, py:is_ref(Term)}
        || Term <- [make_ref(), self(), 1, ref, <<"ref">>, {py_ref, make_ref()}, py:get_local_env(py:context(1))]],
    [{error, _} = Refused || Refused <- [
        py:to_term(make_ref()), py:call_method(make_ref(), '__len__', []), py:getattr(make_ref(), x),
        py_context:to_term(make_ref()), py_context:call_method(py:context(1), make_ref(), x, [])
    ]].

failures_of_objects_are_errors(_Config) ->
    Context = py:context(1),
    {ok, Ref} = py:call(Context, builtins, list, [[]], #{return => ref}),
    {error, {'AttributeError', _}} = py:call_method(Ref, no_such_method, []),
    {error, {'AttributeError', _}} = py:getattr(Ref, no_such_attribute),
    {error, {'IndexError', _}} = py:call_method(Ref, pop, []),
    {error, {'TypeError', _}} = py:call_method(Ref, append, []),
    {error, {'ValueError', _}} = py:call(Context, builtins, int, [<<"x">>], #{return => ref}).

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts

context_functions_use_its_own_namespace(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"def add(x, y=1): return x + y\nkept = 2">>),
        {ok, 2} = py_context:eval(Context, <<"kept">>),
        {ok, 5} = py_context:eval(Context, <<"kept + x">>, #{x => 3}),
        {ok, 3} = py_context:call(Context, '__main__', add, [2]),
        {ok, 7} = py_context:call(Context, '__main__', add, [2], #{y => 5}),
        {ok, 2} = ep_ct:in_process(fun() -> py_context:eval(Context, "kept") end),
        {ok, none} = py_context:eval(Context, <<"globals().__setitem__('more', 1)">>),
        {ok, 1} = py_context:eval(Context, <<"more">>)
    end).

context_functions_take_timeouts(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:exec(Context, <<"def forever():\n    while True: pass">>),
        {ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}, 5000),
        {ok, 2} = py_context:eval(Context, <<"1 + 1">>, #{}, infinity),
        {error, timeout} = py_context:call(Context, '__main__', forever, [], #{}, 20),
        {error, timeout} = py_context:eval(Context, <<"forever()">>, #{}, 20),
        {ok, 2} = py_context:eval(Context, <<"1 + 1">>)
    end).

context_functions_take_environments(_Config) ->
    ep_ct:with_context(fun(Context) ->
        {ok, Env} = py_context:create_local_env(Context),
        ok = py_context:exec(Context, <<"def twice(x, plus=0): return 2 * x + plus">>, Env),
        {ok, 4} = py_context:call(Context, '__main__', twice, [2], #{}, 5000, Env),
        {ok, 5} = py_context:call(Context, '__main__', twice, [2], #{plus => 1}, infinity, Env),
        {ok, 6} = py_context:eval(Context, <<"twice(x)">>, #{x => 3}, 5000, Env),
        {error, {_, _}} = py_context:call(Context, '__main__', twice, [2])
    end).

a_context_is_new_or_linked(_Config) ->
    {ok, New} = py_context:new(#{}),
    {ok, Moded} = py_context:new(#{mode => ep_ct:context_mode()}),
    {ok, Linked} = py_context:start_link(1, ep_ct:context_mode()),
    {links, Links} = process_info(self(), links),
    true = lists:member(Linked, Links),
    [begin
        {ok, 4.0} = py:call(Context, math, sqrt, [16]),
        ok = py_context:stop(Context)
    end || Context <- [New, Moded, Linked]].

an_unknown_mode_is_refused(_Config) ->
    [{Mode, {error, {invalid_mode, Mode}}} = {Mode, Start(Mode)} || Mode <- [no_such_mode, subinterp, auto, 1],
        Start <- [
            fun(M) -> py_context:new(#{mode => M}) end, fun(M) -> py_context:start_link(1, M) end,
            fun(M) -> py_context_sup:start_context(1, M) end
        ]].

context_ids_are_unique(_Config) ->
    ep_ct:with_contexts(3, fun(New) ->
        All = New ++ py_context_router:contexts(),
        Ids = [begin {ok, Id} = py_context:get_interp_id(Context), Id end || Context <- All],
        [true = is_integer(Id) andalso Id >= 0 || Id <- Ids],
        true = length(lists:usort(Ids)) =:= length(All),
        Ids = [begin {ok, Id} = py_context:get_interp_id(Context), Id end || Context <- All]
    end).

ids_of_contexts_need_not_be(_Config) ->
    Contexts = [begin {ok, Context} = py_context:start_link(7, ep_ct:context_mode()), Context end || _ <- [1, 2, 3]],
    3 = length(lists:usort(Contexts)),
    [ok = py_context:stop(Context) || Context <- Contexts].

stopping_ends_one_context_only(_Config) ->
    ep_ct:with_contexts(3, fun([One, Two, Three]) ->
        ok = py:exec(Two, <<"kept = 1">>),
        ok = py_context:stop(One),
        _ = ep_ct:down(One),
        {ok, 1} = py:eval(Two, <<"kept">>),
        true = is_process_alive(Three),
        {ok, 4.0} = py:call(math, sqrt, [16]),
        {error, context_stopped} = py:call(One, math, sqrt, [16]),
        {error, context_stopped} = py_context:call(One, math, sqrt, [16]),
        {error, _} = py_context:get_interp_id(One),
        ok = py_context:stop(One)
    end).

destroying_is_stopping(_Config) ->
    ep_ct:with_context(fun(Context) ->
        ok = py_context:destroy(Context),
        _ = ep_ct:down(Context),
        {error, context_stopped} = py:eval(Context, <<"1">>)
    end).

the_starter_survives_a_stop(_Config) ->
    ok = ep_ct:in_process(fun() ->
        {ok, Linked} = py_context:start_link(1, ep_ct:context_mode()),
        {ok, New} = py_context:new(#{mode => ep_ct:context_mode()}),
        [ok = py_context:stop(Context) || Context <- [Linked, New]],
        ok
    end).

a_context_ends_with_its_starter(_Config) ->
    Owner = self(),
    [begin
        Starter = spawn(fun() ->
            {ok, Context} = py_context:start_link(1, ep_ct:context_mode()),
            Owner ! {context, Context},
            receive {'end', Reason} -> exit(Reason) end
        end),
        {context, Context} = ep_ct:message(),
        Starter ! {'end', Reason},
        _ = ep_ct:down(Context),
        {error, context_stopped} = py:eval(Context, <<"1">>)
    end || Reason <- [shutdown, killed]].

a_stopped_context_answers_its_waiters(_Config) ->
    [ep_ct:with_context(fun(Context) ->
        Running = ep_ct:busy(Context),
        Queued = [spawn_monitor(fun() -> exit({result, py:eval(Context, <<"1">>)}) end) || _ <- [1, 2]],
        ep_ct:wait_until(fun() -> maps:get(requests, py_nif:counters()) >= 3 end),
        _ = Stop(Context),
        [{error, context_stopped} = ep_ct:result(Caller) || Caller <- [Running | Queued]]
    end) || Stop <- [fun py_context:stop/1, fun(Context) -> exit(Context, kill) end]].

the_supervisor_starts_and_stops_contexts(_Config) ->
    Before = lists:sort(py_context_sup:which_contexts()),
    [] = py_context_router:contexts() -- Before,
    {ok, One} = py_context_sup:start_context(one, ep_ct:context_mode()),
    {ok, Two} = py_context_sup:start_context({any, term}, ep_ct:context_mode()),
    true = lists:sort([One, Two | Before]) =:= lists:sort(py_context_sup:which_contexts()),
    {ok, 4.0} = py:call(One, math, sqrt, [16]),
    ok = py_context_sup:stop_context(One),
    _ = ep_ct:down(One),
    {ok, 4.0} = py:call(Two, math, sqrt, [16]),
    {error, _} = py_context_sup:stop_context(One),
    ok = py_context_sup:stop_context(Two),
    _ = ep_ct:down(Two),
    Before = lists:sort(py_context_sup:which_contexts()).
