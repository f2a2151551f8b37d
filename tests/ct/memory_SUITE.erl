%%% @doc The garbage collector, tracemalloc, and modules that are executed anew.
-module(memory_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
%% Memory
-export([
    stats_are_those_of_the_collector/1, garbage_is_collected/1, generations_are_collected/1,
    a_process_collects_where_it_works/1, a_monitor_can_be_written/1, arguments_are_not_kept/1,
    messages_in_line_are_small/1, tracing_counts_bytes/1, tracing_has_a_depth/1,
    tracing_is_refused_beside_interpreters/1, without_contexts_there_is_an_error/1
]).
%% Modules
-export([
    a_reloaded_module_is_new/1, what_is_not_loaded_stays_so/1, every_interpreter_reloads_once/1,
    modules_in_packages_are_reloaded/1, a_module_that_fails_is_an_error/1, a_busy_context_reloads_afterwards/1,
    shared_interpreters_do_not_wait_for_a_busy_context/1, callbacks_may_reload/1, a_module_may_reload_another/1,
    many_reload_at_once/1, contexts_may_die_meanwhile/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        stats_are_those_of_the_collector, garbage_is_collected, generations_are_collected,
        a_process_collects_where_it_works, a_monitor_can_be_written, arguments_are_not_kept,
        messages_in_line_are_small, tracing_counts_bytes, tracing_has_a_depth,
        tracing_is_refused_beside_interpreters, without_contexts_there_is_an_error,
        a_reloaded_module_is_new, what_is_not_loaded_stays_so, every_interpreter_reloads_once,
        modules_in_packages_are_reloaded, a_module_that_fails_is_an_error, a_busy_context_reloads_afterwards,
        shared_interpreters_do_not_wait_for_a_busy_context, callbacks_may_reload, a_module_may_reload_another,
        many_reload_at_once, contexts_may_die_meanwhile, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    ok = py_import:clear_paths(),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Memory

%% What Python sends while the receiver is busy elsewhere.
messages_in_line_are_small(Config) ->
    Ctx = proplists:get_value(ctx, Config),
    Count = 20_000,
    ep_ct:in_process(fun() ->
        ok = py:exec(Ctx, <<"
import erlang
def flood(pid, count):
    for number in range(count):
        erlang.send(pid, ('token', number, 'of some text'))
">>),
        Self = self(),
        {Sent, _} = ep_ct:growth(fun() -> {ok, none} = py:call(Ctx, '__main__', flood, [Self, Count]) end),
        [receive {<<"token">>, N, <<"of some text">>} -> ok end || N <- lists:seq(0, Count - 1)],
        ?assert(Sent < 500 * Count, #{bytes => Sent div Count})
    end).

stats_are_those_of_the_collector(_Config) ->
    {ok, #{gc_stats := Stats, gc_count := Count, gc_threshold := Threshold} = All} = py:memory_stats(),
    [gc_count, gc_stats, gc_threshold] = lists:sort(maps:keys(All)),
    3 = length(Stats),
    [[true = is_integer(maps:get(Key, Generation)) || Key <- [<<"collected">>, <<"collections">>, <<"uncollectable">>]]
     || Generation <- Stats],
    [begin
         3 = tuple_size(Numbers),
         true = lists:all(fun is_integer/1, tuple_to_list(Numbers))
     end || Numbers <- [Count, Threshold]],
    {ok, Threshold} = py:eval(<<"__import__('gc').get_threshold()">>).

garbage_is_collected(_Config) ->
    ok = py:exec(<<"
import gc
gc.disable()

class Knot:
    def __init__(self):
        self.itself = self

def make(count):
    for _ in range(count):
        Knot()
">>),
    {ok, _} = py:gc(),
    {ok, none} = py:call('__main__', make, [100]),
    {ok, Collected} = py:gc(),
    true = Collected >= 100,
    {ok, Nothing} = py:gc(),
    true = Nothing < 100,
    ok = py:exec(<<"gc.enable()">>).

generations_are_collected(_Config) ->
    Collected = [py:gc(Generation) || Generation <- [0, 1, 2]],
    true = lists:all(fun({ok, N}) -> is_integer(N) end, Collected),
    {ok, #{gc_stats := Before}} = py:memory_stats(),
    {ok, _} = py:gc(2),
    {ok, #{gc_stats := After}} = py:memory_stats(),
    true = maps:get(<<"collections">>, lists:last(After)) > maps:get(<<"collections">>, lists:last(Before)),
    [{error, {'ValueError', _}} = py:gc(Wrong) || Wrong <- [3, -1]],
    {error, {'OverflowError', _}} = py:gc(1 bsl 70),
    ?assertError(function_clause, py:gc(all)).

%% In the context it is bound to; another interpreter keeps its garbage.
a_process_collects_where_it_works(Config) ->
    Ctx = proplists:get_value(ctx, Config),
    Count = <<"import gc\nstats = gc.get_stats()\nstats[2]['collections']">>,
    {ok, Before} = py_context:eval(Ctx, Count),
    ok = py_context_router:bind_context(Ctx),
    {ok, _} = py:gc(),
    {ok, _} = py:memory_stats(),
    ok = py_context_router:unbind_context(),
    {ok, After} = py_context:eval(Ctx, Count),
    true = After > Before.

a_monitor_can_be_written(_Config) ->
    {ok, #{gc_count := Count, gc_threshold := Threshold}} = py:memory_stats(),
    true = is_boolean(element(1, Count) > element(1, Threshold) * 0.8),
    {ok, Collected} = py:gc(),
    true = is_integer(Collected).

%% Unlike globals, which stay as long as their process.
arguments_are_not_kept(_Config) ->
    ok = py:exec(<<"
import gc, weakref

class Data(list):
    pass

def counted(data):
    global seen
    data = Data(data)
    seen = weakref.ref(data)
    return len(data)
">>),
    {ok, 100000} = py:call('__main__', counted, [lists:seq(1, 100000)]),
    {ok, _} = py:gc(),
    {ok, true} = py:eval(<<"seen() is None">>),
    {ok, 1000} = py:eval(<<"len(data)">>, #{data => lists:duplicate(1000, <<"item">>)}),
    {error, {'NameError', _}} = py:eval(<<"data">>),
    {ok, [0, 1, 4]} = py:stream_eval(<<"(x ** 2 for x in range(n))">>, #{n => 3}).

tracing_counts_bytes(_Config) ->
    case ep_ct:mode() of
        owngil ->
            ok;
        _ ->
            ok = py:tracemalloc_start(),
            ok = py:exec(<<"kept = [x ** 2 for x in range(100000)]">>),
            {ok, #{traced_memory_current := Current, traced_memory_peak := Peak, gc_count := _}} = py:memory_stats(),
            true = Current > 100000 * 8,
            true = Peak >= Current,
            ok = py:exec(<<"del kept">>),
            {ok, #{traced_memory_current := Less, traced_memory_peak := Peak2}} = py:memory_stats(),
            true = Less < Current,
            true = Peak2 >= Peak,
            [ok = py:tracemalloc_stop() || _ <- [1, 2]],
            {ok, Stats} = py:memory_stats(),
            [gc_count, gc_stats, gc_threshold] = lists:sort(maps:keys(Stats))
    end.

tracing_has_a_depth(_Config) ->
    case ep_ct:mode() of
        owngil ->
            ok;
        _ ->
            ok = py:tracemalloc_start(10),
            {ok, 10} = py:eval(<<"import tracemalloc\ntracemalloc.get_traceback_limit()">>),
            ok = py:tracemalloc_stop(),
            [{error, {'ValueError', _}} = py:tracemalloc_start(Wrong) || Wrong <- [0, -1, 1 bsl 20]],
            ?assertError(function_clause, py:tracemalloc_start(deep)),
            {ok, false} = py:eval(<<"tracemalloc.is_tracing()">>)
    end.

%% Which would stop the VM: in each of its interpreters, and in contexts of the other mode that live beside them.
tracing_is_refused_beside_interpreters(Config) ->
    case ep_ct:mode() of
        owngil ->
            Ctx = proplists:get_value(ctx, Config),
            {ok, Worker} = py_context:new(#{mode => worker}),
            [begin
                 ok = py_context_router:bind_context(Context),
                 {error, {'RuntimeError', Text}} = py:tracemalloc_start(),
                 "tracemalloc cannot be used" ++ _ = Text,
                 {error, {'RuntimeError', _}} = py:tracemalloc_start(10),
                 ok = py:tracemalloc_stop(),
                 {ok, Stats} = py:memory_stats(),
                 3 = map_size(Stats),
                 ok = py_context_router:unbind_context()
             end || Context <- [Ctx, Worker]],
            ok = py_context:stop(Worker);
        _ ->
            ok
    end.

without_contexts_there_is_an_error(_Config) ->
    ok = py:stop_contexts(),
    {error, contexts_not_started} = py:memory_stats(),
    {error, contexts_not_started} = py:gc(),
    {error, contexts_not_started} = py:tracemalloc_start(),
    {error, contexts_not_started} = py:tracemalloc_stop(),
    {ok, _} = py:start_contexts(),
    {ok, _} = py:gc().

%% ---------------------------------------------------------------------------------------------------------------------
%% Modules

a_reloaded_module_is_new(Config) ->
    {Directory, Module} = added(Config, <<"def f(): return 'old'">>),
    {ok, <<"old">>} = py:call(Module, f, []),
    [begin
         ok = ep_module:write(Directory, Module, ["def f(): return '", Text, "'"]),
         ok = py:reload(Name),
         {ok, Text} = py:call(Module, f, [])
     end || {Text, Name} <- [{<<"newer">>, Module}, {<<"newest">>, binary_to_list(Module)},
                             {<<"the last">>, binary_to_atom(Module, utf8)}]],
    ok = py:reload(json),
    {ok, <<"[]">>} = py:call(json, dumps, [[]]),
    [?assertError(badarg, py:reload(Wrong)) || Wrong <- [1, "", <<"a\0">>, self()]].

what_is_not_loaded_stays_so(Config) ->
    {_, Module} = added(Config, <<"raise OSError('was executed')">>),
    ok = py:reload(Module),
    ok = py:reload(no_such_module_of_ours),
    {error, {'OSError', "was executed"}} = py:call(Module, f, []),
    ok = py:reload(Module).

%% Contexts that share an interpreter share its modules.
every_interpreter_reloads_once(Config) ->
    {_, Module} = added(Config, <<"import erlang\nerlang.call('executed')">>),
    Executed = counters:new(1, []),
    ep_ct:with_function(executed, fun([]) -> counters:add(Executed, 1, 1) end, fun() ->
        ep_ct:with_contexts(3, fun(Contexts) ->
            {ok, Worker} = py_context:new(#{mode => worker}),
            [ok = py_context:exec(Context, [<<"import ">>, Module]) || Context <- [Worker | Contexts]],
            Interpreters = counters:get(Executed, 1),
            Interpreters = case ep_ct:mode() of owngil -> 4; _ -> 1 end,
            ok = py:reload(Module),
            true = counters:get(Executed, 1) =:= 2 * Interpreters,
            ok = py_context:stop(Worker)
        end)
    end).

modules_in_packages_are_reloaded(Config) ->
    {Directory, _} = added(Config, <<>>),
    Package = ep_module:name(),
    Folder = filename:join(Directory, Package),
    ok = ep_module:write(Folder, <<"__init__">>, <<>>),
    ok = ep_module:write(Folder, <<"part">>, <<"value = 1">>),
    Part = <<Package/binary, ".part">>,
    Value = [<<"import ">>, Part, <<"\n">>, Part, <<".value">>],
    {ok, 1} = py:eval(Value),
    ok = ep_module:write(Folder, <<"part">>, <<"value = 100">>),
    ok = py:reload(Part),
    {ok, 100} = py:eval(Value).

a_module_that_fails_is_an_error(Config) ->
    {Directory, Module} = added(Config, <<"def f(): return 'works'">>),
    {ok, <<"works">>} = py:call(Module, f, []),
    ok = ep_module:write(Directory, Module, <<"def f(:">>),
    {error, [{context, {'SyntaxError', _}}]} = py:reload(Module),
    {ok, <<"works">>} = py:call(Module, f, []),
    ok = ep_module:write(Directory, Module, <<"import sys\nsys.exit('enough')">>),
    {error, [{context, {'SystemExit', "enough"}}]} = py:reload(Module),
    ok = file:delete(filename:join(Directory, <<Module/binary, ".py">>)),
    {error, [{context, {'ModuleNotFoundError', _}}]} = py:reload(Module),
    {error, [{context, _} | _]} = py:reload('__main__'),
    ok = ep_module:write(Directory, Module, <<"def f(): return 'works again'">>),
    ok = py:reload(Module),
    {ok, <<"works again">>} = py:call(Module, f, []).

a_busy_context_reloads_afterwards(Config) ->
    {Directory, Module} = added(Config, <<"def f(): return 'old'">>),
    Ctx = proplists:get_value(ctx, Config),
    {ok, <<"old">>} = py:call(Ctx, Module, f, []),
    Spinning = ep_background:spinning(Ctx),
    ok = ep_module:write(Directory, Module, <<"def f(): return 'newer'">>),
    Results = py_everywhere:once('erlang._imports', reload, [Module], 200),
    Expected = case ep_ct:mode() of owngil -> [{error, timeout}]; _ -> [] end,
    Expected = [Error || {error, _} = Error <- Results],
    1 = py_semaphore:current(), % that of the code that spins
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Spinning),
    {ok, <<"newer">>} = py:call(Ctx, Module, f, []).

shared_interpreters_do_not_wait_for_a_busy_context(Config) ->
    case ep_ct:mode() of
        owngil ->
            ok;
        _ ->
            {Directory, Module} = added(Config, <<"import erlang\nerlang.call('executed')\nvalue = 1">>),
            Executed = counters:new(1, []),
            Ctx = proplists:get_value(ctx, Config),
            ep_ct:with_function(executed, fun([]) -> counters:add(Executed, 1, 1) end, fun() ->
                ok = py_context:exec(Ctx, [<<"import ">>, Module]),
                Spinning = ep_background:spinning(Ctx),
                ok = ep_module:write(Directory, Module, <<"import erlang\nerlang.call('executed')\nvalue = 'new'">>),
                ok = py:reload(Module),
                ok = py:interrupt(Ctx),
                {error, interrupted} = ep_background:result(Spinning),
                %% Its turn came, and it had nothing to do any more.
                {ok, <<"new">>} = py_context:eval(Ctx, [Module, <<".value">>]),
                2 = counters:get(Executed, 1)
            end)
    end.

callbacks_may_reload(Config) ->
    {Directory, Module} = added(Config, <<"def f(): return 'old'">>),
    Ctx = proplists:get_value(ctx, Config),
    {ok, <<"old">>} = py:call(Ctx, Module, f, []),
    ok = ep_module:write(Directory, Module, <<"def f(): return 'newer'">>),
    ep_ct:with_function(reload_it, fun([]) -> py:reload(Module) end, fun() ->
        Code = [<<"import erlang, ">>, Module, <<"\n(erlang.reload_it(), ">>, Module, <<".f())">>],
        {ok, {<<"ok">>, <<"newer">>}} = py:eval(Ctx, Code)
    end).

a_module_may_reload_another(Config) ->
    {Directory, Inner} = added(Config, <<"value = 1">>),
    {_, Outer} = added(Config, [<<"import erlang, ">>, Inner, <<"\nerlang.call('reload_inner')\nvalue = ">>, Inner,
                                <<".value">>]),
    ep_ct:with_function(reload_inner, fun([]) -> py:reload(Inner) end, fun() ->
        ok = py:exec([<<"import ">>, Outer]),
        ok = ep_module:write(Directory, Inner, <<"value = 100">>),
        ok = py:reload(Outer),
        {ok, 100} = py:eval([Outer, <<".value">>])
    end).

many_reload_at_once(Config) ->
    {_, Module} = added(Config, <<"def f(): return 'there'">>),
    [{ok, <<"there">>} = py:call(Context, Module, f, []) || Context <- py_context_router:contexts()],
    Processes = [ep_background:start(fun() -> [ok = py:reload(Module) || _ <- lists:seq(1, 10)], done end)
                 || _ <- [1, 2, 3, 4]],
    [done, done, done, done] = ep_background:results(Processes),
    {ok, <<"there">>} = py:call(Module, f, []).

contexts_may_die_meanwhile(Config) ->
    {_, Module} = added(Config, <<"def f(): return 'there'">>),
    Killer = ep_background:start(fun() ->
        [begin
             {ok, Context} = py_context:new(#{mode => ep_ct:context_mode()}),
             {ok, <<"there">>} = py:call(Context, Module, f, []),
             exit(Context, kill)
         end || _ <- lists:seq(1, 20)],
        done
    end),
    [ok = py:reload(Module) || _ <- lists:seq(1, 30)],
    done = ep_background:result(Killer).

%% ---------------------------------------------------------------------------------------------------------------------

%% A new module in a directory that is registered.
added(Config, Source) ->
    {Directory, Module} = ep_module:write(Config, Source),
    ok = py_import:add_path(Directory),
    {Directory, Module}.
