%%% @doc Python on another node: by rpc, and by the pid of a context that lives there.
-module(distributed_SUITE).

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    rpc_runs_python_on_the_node/1, async_rpc_runs_on_all_nodes/1, a_map_is_spread_over_the_nodes/1,
    the_load_of_a_node_is_visible/1
]).
-export([
    a_remote_context_runs_there/1, all_arities_take_a_remote_context/1, failures_come_back/1,
    a_timeout_interrupts_there/1, an_interrupt_reaches_there/1, a_process_has_an_environment_there/1,
    an_environment_there_ends_with_its_process_here/1, callbacks_run_there/1,
    casts_and_spawned_calls_reach_there/1, many_processes_share_a_remote_context/1,
    a_stopped_remote_context_is_an_error/1, a_lost_node_is_an_error/1, a_node_lost_while_running_is_an_error/1
]).
-export([
    pids_of_other_nodes_survive_a_round_trip/1, python_sends_to_a_process_of_another_node/1,
    python_sends_to_a_name_on_another_node/1, python_there_sends_here/1, nothing_is_left_behind/1
]).
-export([where/1]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        rpc_runs_python_on_the_node, async_rpc_runs_on_all_nodes, a_map_is_spread_over_the_nodes,
        the_load_of_a_node_is_visible,
        a_remote_context_runs_there, all_arities_take_a_remote_context, failures_come_back,
        a_timeout_interrupts_there, an_interrupt_reaches_there, a_process_has_an_environment_there,
        an_environment_there_ends_with_its_process_here, callbacks_run_there,
        casts_and_spawned_calls_reach_there, many_processes_share_a_remote_context,
        a_stopped_remote_context_is_an_error, a_lost_node_is_an_error, a_node_lost_while_running_is_an_error,
        pids_of_other_nodes_survive_a_round_trip, python_sends_to_a_process_of_another_node,
        python_sends_to_a_name_on_another_node, python_there_sends_here, nothing_is_left_behind
    ].

init_per_suite(Config) ->
    case distribution() of
        {error, Reason} ->
            {skip, {distribution_does_not_start, Reason}};
        Distribution ->
            Started = ep_ct:init_suite(Config),
            {Peer, Node} = start_node(),
            [{distribution, Distribution}, {peer, Peer}, {node, Node} | Started]
    end.

end_per_suite(Config) ->
    peer:stop(proplists:get_value(peer, Config)),
    ep_ct:end_suite(Config),
    proplists:get_value(distribution, Config) =:= started andalso net_kernel:stop(),
    ok.

end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) ->
    Node = proplists:get_value(node, Config),
    ep_ct:wait_until(fun() ->
        #{requests := Requests, callbacks := Callbacks, envs := Envs} = rpc:call(Node, py_nif, counters, []),
        {Requests, Callbacks, Envs} =:= {0, 0, 0}
    end),
    0 = rpc:call(Node, py_semaphore, current, []),
    ep_ct:audit(Config).

distribution() ->
    case is_alive() of
        true ->
            already_running;
        false ->
            _ = os:cmd(filename:join([code:root_dir(), "bin", "epmd"]) ++ " -daemon || epmd -daemon"),
            Name = list_to_atom("ep_ct_" ++ os:getpid()),
            case net_kernel:start(Name, #{name_domain => shortnames}) of
                {ok, _} -> started;
                {error, _} = Error -> Error
            end
    end.

start_node() ->
    Cookie = atom_to_list(erlang:get_cookie()),
    {ok, Peer, Node} = peer:start(#{
        name => peer:random_name(), wait_boot => 60000, args => ["-setcookie", Cookie, "-pa" | ep_ct:code_paths()]
    }),
    ok = rpc:call(Node, ep_ct, start_application, []),
    {Peer, Node}.

context(Config) ->
    rpc:call(proplists:get_value(node, Config), py, context, [1]).

os_pid(Node) ->
    list_to_integer(rpc:call(Node, os, getpid, [])).

%% ---------------------------------------------------------------------------------------------------------------------
%% rpc

rpc_runs_python_on_the_node(Config) ->
    Node = proplists:get_value(node, Config),
    {ok, 4.0} = rpc:call(Node, py, call, [math, sqrt, [16]]),
    {ok, 1024} = rpc:call(Node, py, eval, [<<"2 ** 10">>]),
    ok = rpc:call(Node, py, exec, [<<"import json as np">>]),
    OsPid = os_pid(Node),
    {ok, OsPid} = rpc:call(Node, py, call, [os, getpid, []]),
    {error, {'ZeroDivisionError', "division by zero"}} = rpc:call(Node, py, eval, [<<"1 / 0">>]).

async_rpc_runs_on_all_nodes(Config) ->
    Nodes = [node(), proplists:get_value(node, Config)],
    Keys = [rpc:async_call(Node, py, call, [os, getpid, []]) || Node <- Nodes],
    true = [rpc:yield(Key) || Key <- Keys] =:= [{ok, os_pid(Node)} || Node <- Nodes].

a_map_is_spread_over_the_nodes(Config) ->
    Nodes = [node(), proplists:get_value(node, Config)],
    Batches = [lists:seq(1, 50), lists:seq(51, 100)],
    Keys = [rpc:async_call(Node, py, eval, [<<"[x * x for x in data]">>, #{data => Batch}])
        || {Node, Batch} <- lists:zip(Nodes, Batches)],
    Squares = lists:append([begin {ok, Part} = rpc:yield(Key), Part end || Key <- Keys]),
    true = Squares =:= [N * N || N <- lists:seq(1, 100)].

the_load_of_a_node_is_visible(Config) ->
    Node = proplists:get_value(node, Config),
    0 = rpc:call(Node, py_semaphore, current, []),
    Busy = ep_ct:busy(context(Config)),
    1 = rpc:call(Node, py_semaphore, current, []),
    0 = py_semaphore:current(),
    ok = py:interrupt(context(Config)),
    {error, interrupted} = ep_ct:result(Busy).

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts of another node

a_remote_context_runs_there(Config) ->
    Context = context(Config),
    OsPid = os_pid(proplists:get_value(node, Config)),
    {ok, OsPid} = py:call(Context, os, getpid, []),
    {ok, OsPid} = py:eval(Context, <<"__import__('os').getpid()">>),
    ok = py:exec(Context, <<"import os; os_pid = os.getpid()">>),
    {ok, OsPid} = py:eval(Context, <<"os_pid">>),
    true = OsPid =/= list_to_integer(os:getpid()).

all_arities_take_a_remote_context(Config) ->
    Context = context(Config),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    {ok, <<"{\n \"a\": 1\n}">>} = py:call(Context, json, dumps, [#{a => 1}], #{kwargs => #{indent => 1}}),
    {ok, 4.0} = py:call(Context, math, sqrt, [16], #{timeout => 5000}),
    {ok, 3} = py:eval(Context, <<"x + 1">>, #{x => 2}),
    {ok, 4.0} = py_context:call(Context, math, sqrt, [16]),
    {ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}),
    {ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}, 5000),
    ok = py_context:exec(Context, <<"remote_global = 1">>),
    {ok, 1} = py_context:eval(Context, <<"remote_global">>),
    {ok, 3} = py_context:eval(Context, <<"remote_global + x">>, #{x => 2}),
    {ok, 3} = py_context:eval(Context, <<"remote_global + x">>, #{x => 2}, 5000),
    {ok, Id} = py_context:get_interp_id(Context),
    true = is_integer(Id).

failures_come_back(Config) ->
    Context = context(Config),
    {error, {'ZeroDivisionError', "division by zero"}} = py:eval(Context, <<"1 / 0">>),
    {error, {'ModuleNotFoundError', _}} = py:call(Context, no_such_module, f, []),
    {error, {'SyntaxError', _}} = py:exec(Context, <<"1 +">>).

a_timeout_interrupts_there(Config) ->
    Context = context(Config),
    ok = py:exec(Context, <<"def forever():\n    while True: pass">>),
    {error, timeout} = py:call(Context, '__main__', forever, [], #{timeout => 50}),
    {ok, 2} = py:eval(Context, <<"1 + 1">>).

an_interrupt_reaches_there(Config) ->
    Context = context(Config),
    not_running = py:interrupt(Context),
    Busy = ep_ct:busy(Context),
    ok = py:interrupt(Context),
    {error, interrupted} = ep_ct:result(Busy),
    {ok, 2} = py:eval(Context, <<"1 + 1">>).

a_process_has_an_environment_there(Config) ->
    Context = context(Config),
    ok = py:exec(Context, <<"mine = 1\ndef get(): return mine">>),
    {ok, 1} = py:call(Context, '__main__', get, []),
    {error, {'NameError', _}} = ep_ct:in_process(fun() -> py:eval(Context, <<"mine">>) end),
    {ok, 1} = py:eval(Context, <<"mine">>).

an_environment_there_ends_with_its_process_here(Config) ->
    Node = proplists:get_value(node, Config),
    Context = context(Config),
    Envs = fun() -> maps:get(envs, rpc:call(Node, py_nif, counters, [])) end,
    Before = Envs(),
    Holders = [spawn_monitor(fun() -> ok = py:exec(Context, <<"x = 1">>), receive stop -> ok end end)
        || _ <- lists:seq(1, 10)],
    ep_ct:wait_until(fun() -> Envs() =:= Before + 10 end),
    [exit(Pid, kill) || {Pid, _} <- Holders],
    [killed = ep_ct:result(Holder) || Holder <- Holders],
    ep_ct:wait_until(fun() -> Envs() =:= Before end).

callbacks_run_there(Config) ->
    Node = proplists:get_value(node, Config),
    Name = atom_to_binary(Node),
    ok = rpc:call(Node, py, register_function, [ep_node, ?MODULE, where]),
    {ok, Name} = py:eval(context(Config), <<"erlang.call('ep_node')">>),
    ok = rpc:call(Node, py, unregister_function, [ep_node]).

%% The function registered on the other node.
where([]) -> node().

casts_and_spawned_calls_reach_there(Config) ->
    Context = context(Config),
    OsPid = os_pid(proplists:get_value(node, Config)),
    {ok, OsPid} = py:await(py:spawn_call(Context, os, getpid, [])),
    ok = py:cast(Context, erlang, send, [self(), {cast, arrived}]),
    {<<"cast">>, <<"arrived">>} = ep_ct:message().

many_processes_share_a_remote_context(Config) ->
    Context = context(Config),
    Callers = [{N, spawn_monitor(fun() -> exit({result, py:eval(Context, <<"n">>, #{n => N})}) end)}
        || N <- lists:seq(1, 50)],
    [{N, {ok, N}} = {N, ep_ct:result(Caller)} || {N, Caller} <- Callers].

a_stopped_remote_context_is_an_error(Config) ->
    Node = proplists:get_value(node, Config),
    {ok, Context} = rpc:call(Node, py_context_sup, start_context, [ep_remote, ep_ct:context_mode()]),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    ok = rpc:call(Node, py_context_sup, stop_context, [Context]),
    _ = ep_ct:down(Context),
    {error, context_stopped} = py:call(Context, math, sqrt, [16]),
    {error, context_stopped} = py:eval(Context, <<"1">>),
    {error, context_stopped} = py:exec(Context, <<"1">>).

a_lost_node_is_an_error(_Config) ->
    {Peer, Node} = start_node(),
    Context = rpc:call(Node, py, context, [1]),
    {ok, 4.0} = py:call(Context, math, sqrt, [16]),
    peer:stop(Peer),
    {error, _} = py:call(Context, math, sqrt, [16]),
    {error, _} = py:eval(Context, <<"1">>),
    {error, _} = py:exec(Context, <<"1">>),
    ok = py:cast(Context, math, sqrt, [16]),
    {error, _} = py:await(py:spawn_call(Context, math, sqrt, [16])),
    not_running = py:interrupt(Context).

a_node_lost_while_running_is_an_error(_Config) ->
    {Peer, Node} = start_node(),
    Busy = ep_ct:busy(rpc:call(Node, py, context, [1])),
    peer:stop(Peer),
    {error, _} = ep_ct:result(Busy).

%% ---------------------------------------------------------------------------------------------------------------------
%% Messages between nodes

pids_of_other_nodes_survive_a_round_trip(Config) ->
    Init = rpc:call(proplists:get_value(node, Config), erlang, whereis, [init]),
    {ok, {true, Init}} = py:eval(<<"(isinstance(p, erlang.Pid), p)">>, #{p => Init}),
    {ok, true} = py:eval(<<"a == b and hash(a) == hash(b) and a != c">>, #{a => Init, b => Init, c => whereis(init)}),
    Self = self(),
    {ok, Self} = py:eval(context(Config), <<"p">>, #{p => Self}).

python_sends_to_a_process_of_another_node(Config) ->
    Echo = echo(Config),
    {ok, _} = py:eval(<<"erlang.send(p, ('hello', me))">>, #{p => Echo, me => self()}),
    {echoed, {<<"hello">>, Self}} = ep_ct:message(),
    true = Self =:= self().

python_sends_to_a_name_on_another_node(Config) ->
    Node = proplists:get_value(node, Config),
    Echo = echo(Config),
    true = rpc:call(Node, erlang, register, [ep_echo, Echo]),
    {ok, _} = py:eval(<<"erlang.send(('ep_echo', node), [1, 2])">>, #{node => Node}),
    {echoed, [1, 2]} = ep_ct:message().

python_there_sends_here(Config) ->
    {ok, _} = py:call(context(Config), erlang, send, [self(), {from, there}]),
    {<<"from">>, <<"there">>} = ep_ct:message(),
    true = register(ep_here, self()),
    {ok, _} = py:eval(context(Config), <<"erlang.send(('ep_here', node), 1)">>, #{node => node()}),
    1 = ep_ct:message(),
    true = unregister(ep_here).

%% A process of the other node that sends one message back.
echo(Config) ->
    Owner = self(),
    spawn(proplists:get_value(node, Config), fun() -> receive Message -> Owner ! {echoed, Message} end end).
