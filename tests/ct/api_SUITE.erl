%%% @doc Every function and arity users may call, and which overload a call takes.
-module(api_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    every_documented_function_is_exported/1, call_3_takes_module_function_arguments/1,
    call_4_takes_a_context_a_pool_or_keywords/1, call_5_takes_a_context_a_pool_or_a_timeout/1,
    names_are_atoms_binaries_or_strings/1, a_context_call_takes_options/1, eval_takes_locals_a_timeout_and_a_context/1,
    exec_takes_a_context/1, cast_takes_a_context_and_keywords/1, spawn_call_takes_a_context_and_keywords/1,
    await_takes_a_timeout/1, an_abandoned_spawned_call_is_harmless/1, a_socket_is_duplicated/1,
    parallel_keeps_the_order/1,
    context_takes_an_index/1, start_contexts_takes_options/1, register_function_takes_a_fun_or_a_function/1,
    version_is_the_version_of_python/1, the_doctor_prints_what_runs/1, backends_are_data/1, kinds_of_handles/1,
    calls_without_a_timeout_give_up_after_thirty_seconds/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 90}}].

all() ->
    [
        every_documented_function_is_exported, call_3_takes_module_function_arguments,
        call_4_takes_a_context_a_pool_or_keywords, call_5_takes_a_context_a_pool_or_a_timeout,
        names_are_atoms_binaries_or_strings, a_context_call_takes_options, eval_takes_locals_a_timeout_and_a_context,
        exec_takes_a_context, cast_takes_a_context_and_keywords, spawn_call_takes_a_context_and_keywords,
        await_takes_a_timeout, an_abandoned_spawned_call_is_harmless, a_socket_is_duplicated,
        parallel_keeps_the_order, context_takes_an_index,
        start_contexts_takes_options, register_function_takes_a_fun_or_a_function, version_is_the_version_of_python,
        the_doctor_prints_what_runs, backends_are_data, kinds_of_handles,
        calls_without_a_timeout_give_up_after_thirty_seconds, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------

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
            {doctor, [0]},
            {stream, [3, 4]}, {stream_eval, [1, 2]}, {stream_start, [3, 4]}, {stream_cancel, [1]},
            {state_store, [2]}, {state_fetch, [1]}, {state_remove, [1]}, {state_keys, [0]}, {state_clear, [0]},
            {state_incr, [1, 2]}, {state_decr, [1, 2]}, {shared_dict_new, [0]}, {shared_dict_get, [2, 3]},
            {shared_dict_set, [3]}, {shared_dict_del, [2]}, {shared_dict_keys, [1]}, {shared_dict_destroy, [1]},
            {reload, [1]}, {memory_stats, [0]}, {gc, [0, 1]}, {tracemalloc_start, [0, 1]}, {tracemalloc_stop, [0]},
            {configure_logging, [0, 1]}, {enable_tracing, [0]}, {disable_tracing, [0]}, {get_traces, [0]},
            {clear_traces, [0]}, {ensure_venv, [2, 3]}, {activate_venv, [1]}, {deactivate_venv, [0]}, {venv_info, [0]},
            {dup_fd, [1]}
        ]},
        {py_import, [
            {ensure_imported, [1, 2]}, {is_imported, [1, 2]}, {all_imports, [0]}, {import_list, [0]},
            {clear_imports, [0]}, {add_path, [1]}, {add_paths, [1]}, {all_paths, [0]}, {is_path_added, [1]},
            {clear_paths, [0]}, {init, [0]}
        ]},
        {py_preload, [{set_code, [1]}, {get_code, [0]}, {clear_code, [0]}, {has_preload, [0]}, {apply_preload, [1]}]},
        {py_state, [
            {store, [2]}, {fetch, [1]}, {remove, [1]}, {keys, [0]}, {clear, [0]}, {incr, [1, 2]}, {decr, [1, 2]},
            {init_tab, [0]}, {register_callbacks, [0]}
        ]},
        {py_tracer, [{export, [2]}]},
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
    ep_ct:wait_until(fun() -> ep_ct:alive(requests) =:= 0 end),
    0 = py_semaphore:current().

%% Python owns the copy: the socket works on when Erlang has closed its own.
a_socket_is_duplicated(_Config) ->
    {ok, Listen} = gen_tcp:listen(0, [binary, {active, false}, {ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Listen),
    {ok, Client} = gen_tcp:connect({127, 0, 0, 1}, Port, [binary, {active, false}]),
    {ok, Server} = gen_tcp:accept(Listen),
    {ok, Fd} = inet:getfd(Server),
    {ok, Copy} = py:dup_fd(Fd),
    true = Copy =/= Fd,
    ok = gen_tcp:close(Server),
    ok = py:exec(<<"
import socket

def greet(fd):
    with socket.socket(fileno=fd) as connection:
        connection.send(b'from Python')
">>),
    {ok, none} = py:call('__main__', greet, [Copy]),
    {ok, <<"from Python">>} = gen_tcp:recv(Client, 0, 5000),
    {error, closed} = gen_tcp:recv(Client, 0, 5000),
    ok = gen_tcp:close(Client),
    ok = gen_tcp:close(Listen),
    {error, ebadf} = py:dup_fd(-1),
    {error, ebadf} = py:dup_fd(1_000_000),
    [{'EXIT', _} = (catch py:dup_fd(Bad)) || Bad <- [stdin, 1.0, 1 bsl 40]],
    ok.

parallel_keeps_the_order(_Config) ->
    case py:parallel([{math, factorial, [N]} || N <- lists:seq(1, 20)]) of
        {ok, Results} ->
            true = Results =:= [{ok, lists:foldl(fun erlang:'*'/2, 1, lists:seq(1, N))} || N <- lists:seq(1, 20)];
        {error, subinterpreters_not_supported} ->
            %% Only a Python that cannot run two contexts side by side may say so.
            false = py:subinterp_supported() orelse ep_ct:mode() =:= freethreaded
    end.

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
    [#{libpython := Libpython, file := File}] =
        [Backend || #{kind := backend, status := chosen, mode := Mode} = Backend <- py_nif:backends(),
            Mode =:= ep_ct:mode()],
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
        [{{error, timeout}, true} = ep_ct:result(Waiter, 60000) || Waiter <- Waiters]
    end).
