%%% @doc The registry of modules and paths: what it knows, and what interpreters have of it.
-module(imports_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
%% Modules
-export([
    modules_are_registered/1, names_are_atoms_binaries_and_strings/1, functions_are_listed_by_module/1,
    a_module_is_imported_at_once_in_every_context/1, later_contexts_have_imported_it/1, imports_keep_their_order/1,
    an_unknown_module_fails_when_it_is_called/1, a_module_that_fails_is_reported_once/1, main_is_not_cacheable/1,
    clearing_imports_is_for_later_contexts/1
]).
%% Paths
-export([
    modules_are_found_in_added_paths/1, the_first_path_comes_first/1, a_path_python_has_stays_where_it_is/1,
    a_path_may_come_into_being_later/1, any_name_of_a_directory_will_do/1, what_cannot_be_a_path_is_refused/1,
    clearing_paths_is_for_later_interpreters/1, replaced_contexts_have_them/1, linked_contexts_have_them/1
]).
%% The application
-export([
    the_configuration_is_registered/1, init_reads_the_configuration_again/1, bad_configuration_stops_the_start/1,
    a_restart_forgets/1, without_the_application_nothing_is_registered/1
]).
%% When things go wrong, or on at the same time
-export([
    a_busy_context_is_not_waited_for/1, work_that_waits_has_no_slot/1, nothing_is_lost_in_an_overload/1,
    it_is_there_in_callbacks/1, a_caller_that_dies_has_registered/1, no_starting_context_is_missed/1,
    contexts_may_die_meanwhile/1, an_import_that_never_ends_fails_the_start/1, many_register_at_once/1,
    a_lock_that_was_left_taken_is_replaced/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        modules_are_registered, names_are_atoms_binaries_and_strings, functions_are_listed_by_module,
        a_module_is_imported_at_once_in_every_context, later_contexts_have_imported_it, imports_keep_their_order,
        an_unknown_module_fails_when_it_is_called, a_module_that_fails_is_reported_once, main_is_not_cacheable,
        clearing_imports_is_for_later_contexts,
        modules_are_found_in_added_paths, the_first_path_comes_first, a_path_python_has_stays_where_it_is,
        a_path_may_come_into_being_later, any_name_of_a_directory_will_do, what_cannot_be_a_path_is_refused,
        clearing_paths_is_for_later_interpreters, replaced_contexts_have_them, linked_contexts_have_them,
        the_configuration_is_registered, init_reads_the_configuration_again, bad_configuration_stops_the_start,
        a_restart_forgets, without_the_application_nothing_is_registered,
        a_busy_context_is_not_waited_for, work_that_waits_has_no_slot, nothing_is_lost_in_an_overload,
        it_is_there_in_callbacks, a_caller_that_dies_has_registered,
        no_starting_context_is_missed, contexts_may_die_meanwhile, an_import_that_never_ends_fails_the_start,
        many_register_at_once, a_lock_that_was_left_taken_is_replaced, nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) ->
    forget(),
    ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    forget(),
    ep_fresh_context:finish(Case, Config).

forget() ->
    ok = py_import:clear_imports(),
    ok = py_import:clear_paths().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% Modules

modules_are_registered(_Config) ->
    [] = py_import:all_imports(),
    false = py_import:is_imported(json),
    ok = py_import:ensure_imported(json),
    ok = py_import:ensure_imported(math, sqrt),
    [{<<"json">>, all}, {<<"math">>, <<"sqrt">>}] = py_import:all_imports(),
    true = py_import:is_imported(json),
    false = py_import:is_imported(json, dumps),
    true = py_import:is_imported(math, sqrt),
    false = py_import:is_imported(math),
    false = py_import:is_imported(unknown_module),
    ok = py_import:ensure_imported(json),
    2 = length(py_import:all_imports()),
    {ok, <<"{\"key\": 1}">>} = py:call(json, dumps, [#{key => 1}]),
    {ok, <<"[[\"size\", \"large\"]]">>} = py:call(json, dumps, [[{size, large}]]),
    ok = py_import:clear_imports(),
    [] = py_import:all_imports(),
    false = py_import:is_imported(json).

names_are_atoms_binaries_and_strings(_Config) ->
    ok = py_import:ensure_imported("os.path"),
    true = py_import:is_imported('os.path'),
    true = py_import:is_imported(<<"os.path">>),
    ok = py_import:ensure_imported(<<"json">>, "dumps"),
    true = py_import:is_imported("json", dumps),
    ok = py_import:ensure_imported("caf\x{e9}"),
    true = py_import:is_imported(<<"café"/utf8>>),
    [?assertError(badarg, py_import:ensure_imported(Wrong)) || Wrong <- [1, self(), <<"a\0b">>, "", [json]]],
    [?assertError(badarg, py_import:ensure_imported(json, Wrong)) || Wrong <- [1, <<>>, "a\0"]],
    3 = length(py_import:all_imports()).

functions_are_listed_by_module(_Config) ->
    {ok, Empty} = py_import:import_list(),
    0 = map_size(Empty),
    ok = py_import:ensure_imported(json),
    ok = py_import:ensure_imported(json, dumps),
    ok = py_import:ensure_imported(json, loads),
    ok = py_import:ensure_imported(math),
    ?assertEqual({ok, #{<<"json">> => [<<"dumps">>, <<"loads">>], <<"math">> => []}}, py_import:import_list()).

a_module_is_imported_at_once_in_every_context(Config) ->
    Module = added(Config, <<"answer = 42">>),
    Contexts = [ctx(Config) | py_context_router:contexts()],
    [false, false, false] = [is_loaded(Context, Module) || Context <- lists:sublist(Contexts, 3)],
    ok = py_import:ensure_imported(Module),
    [true = is_loaded(Context, Module) || Context <- Contexts],
    {ok, true} = py:eval(<<"module in __import__('sys').modules">>, #{module => Module}).

later_contexts_have_imported_it(Config) ->
    Module = added(Config, <<"answer = 42">>),
    ok = py_import:ensure_imported(Module),
    [ep_ct:with_context(fun(Context) -> true = is_loaded(Context, Module) end) || _ <- [1, 2]],
    {ok, Worker} = py_context:new(#{mode => worker}),
    true = is_loaded(Worker, Module),
    ok = py_context:stop(Worker).

imports_keep_their_order(Config) ->
    Base = added(Config, <<"ready = False">>),
    First = added(Config, ["import ", Base, "\n", Base, ".ready = True"]),
    Second = added(Config, ["import ", Base, "\nwas_ready = ", Base, ".ready"]),
    ok = py_import:ensure_imported(First),
    ok = py_import:ensure_imported(Second, anything),
    ep_ct:with_context(fun(Context) ->
        {ok, true} = py:eval(Context, ["import sys\nsys.modules['", Second, "'].was_ready"])
    end).

an_unknown_module_fails_when_it_is_called(Config) ->
    ok = py_import:ensure_imported(no_such_module_of_ours),
    true = py_import:is_imported(no_such_module_of_ours),
    {error, {'ModuleNotFoundError', _}} = py:call(no_such_module_of_ours, f, []),
    ep_ct:with_context(fun(Context) ->
        {error, {'ModuleNotFoundError', _}} = py:call(Context, no_such_module_of_ours, f, [])
    end),
    %% One that ends like a program is no reason to end anything else.
    Script = added(Config, <<"import sys\nsys.exit(3)">>),
    ok = py_import:ensure_imported(Script),
    ep_ct:with_context(fun ep_expect:still_works/1).

a_module_that_fails_is_reported_once(Config) ->
    Broken = added(Config, <<"raise OSError('no device')">>),
    ok = py_import:ensure_imported(Broken),
    ok = logger:add_handler(?MODULE, ep_log_to, #{config => #{pid => self()}}),
    try
        ep_ct:with_contexts(2, fun(_) -> ok end)
    after
        logger:remove_handler(?MODULE)
    end,
    Expected = <<"erlang_python: the registered module ", Broken/binary,
                 " could not be imported: OSError: no device">>,
    [Expected] = [Text || {warning, Text} <- logged()].

main_is_not_cacheable(_Config) ->
    [{error, main_not_cacheable} = py_import:ensure_imported(Main) || Main <- ['__main__', <<"__main__">>, "__main__"]],
    {error, main_not_cacheable} = py_import:ensure_imported('__main__', f),
    [] = py_import:all_imports().

clearing_imports_is_for_later_contexts(Config) ->
    Module = added(Config, <<"answer = 42">>),
    ok = py_import:ensure_imported(Module),
    ok = py_import:clear_imports(),
    true = is_loaded(ctx(Config), Module),
    %% Contexts that share an interpreter share its modules.
    Stays = ep_ct:mode() =/= owngil,
    ep_ct:with_context(fun(Context) -> Stays = is_loaded(Context, Module) end).

%% ---------------------------------------------------------------------------------------------------------------------
%% Paths

modules_are_found_in_added_paths(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def twice(x): return 2 * x">>),
    {error, {'ModuleNotFoundError', _}} = py:call(Module, twice, [4]),
    ok = py_import:add_path(Directory),
    {ok, 8} = py:call(Module, twice, [4]),
    {ok, 8} = py:call(ctx(Config), Module, twice, [4]),
    [{ok, 8} = py:call(Context, Module, twice, [4]) || Context <- py_context_router:contexts()],
    ep_ct:with_context(fun(Context) -> {ok, 8} = py:call(Context, Module, twice, [4]) end).

the_first_path_comes_first(Config) ->
    [A, B, C] = [ep_module:directory(Config) || _ <- [1, 2, 3]],
    ok = py_import:add_paths([A, B]),
    [A, B] = lists:sublist(sys_path(ctx(Config)), 2),
    ok = py_import:add_path(C),
    [A, B, C] = py_import:all_paths(),
    [A, B, C] = lists:sublist(sys_path(ctx(Config)), 3),
    ok = py_import:add_paths([B, C, A]),
    [A, B, C] = py_import:all_paths(),
    ep_ct:with_context(fun(Context) ->
        [A, B, C] = lists:sublist(sys_path(Context), 3),
        %% Each of them once.
        [] = [Path || Path <- lists:nthtail(3, sys_path(Context)), lists:member(Path, [A, B, C])]
    end).

a_path_python_has_stays_where_it_is(Config) ->
    New = ep_module:directory(Config),
    Before = sys_path(ctx(Config)),
    Last = lists:last(Before),
    ok = py_import:add_paths([Last, New]),
    ?assertEqual(Before ++ [New], sys_path(ctx(Config))).

a_path_may_come_into_being_later(Config) ->
    Directory = ep_module:directory(Config),
    Module = ep_module:name(),
    ok = py_import:add_path(Directory),
    true = py_import:is_path_added(Directory),
    {error, {'ModuleNotFoundError', _}} = py:call(ctx(Config), Module, f, []),
    ok = ep_module:write(Directory, Module, <<"def f(): return 'there'">>),
    ok = py_import:add_path(Directory),
    {ok, <<"there">>} = py:call(ctx(Config), Module, f, []),
    [Directory] = py_import:all_paths().

any_name_of_a_directory_will_do(Config) ->
    Parent = ep_module:directory(Config),
    %% In UTF-8, and in no encoding at all, which Linux allows.
    lists:foreach(fun(Name) ->
        Directory = filename:join(Parent, Name),
        Module = ep_module:name(),
        ok = ep_module:write(Directory, Module, <<"here = True">>),
        ok = py_import:add_path(Directory),
        true = py_import:is_path_added(Directory),
        ok = py_import:ensure_imported(Module),
        true = is_loaded(ctx(Config), Module)
    end, [<<"größe 東"/utf8>>, <<"caf", 16#E9>>]),
    ok = py_import:add_path('/an/atom'),
    true = py_import:is_path_added("/an/atom").

what_cannot_be_a_path_is_refused(_Config) ->
    [?assertError(badarg, py_import:add_path(Wrong)) || Wrong <- [1, self(), "", <<"/a\0b">>, [<<"/a">>, b]]],
    ?assertError(badarg, py_import:add_paths(["/a", 1])),
    [] = py_import:all_paths().

clearing_paths_is_for_later_interpreters(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 1">>),
    ok = py_import:add_path(Directory),
    ok = py_import:clear_paths(),
    [] = py_import:all_paths(),
    false = py_import:is_path_added(Directory),
    {ok, 1} = py:call(ctx(Config), Module, f, []),
    Stays = ep_ct:mode() =/= owngil,
    ep_ct:with_context(fun(Context) -> Stays = lists:member(Directory, sys_path(Context)) end),
    {ok, 1} = py:call(ctx(Config), Module, f, []),
    %% Registered again it is there once.
    ok = py_import:add_path(Directory),
    [Directory] = [Path || Path <- sys_path(ctx(Config)), Path =:= Directory].

replaced_contexts_have_them(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 1">>),
    ok = py_import:add_path(Directory),
    ok = py_import:ensure_imported(Module),
    [begin
         exit(Context, kill),
         _ = ep_ct:down(Context)
     end || Context <- py_context_router:contexts()],
    ep_ct:wait_until(fun() -> lists:all(fun is_process_alive/1, py_context_router:contexts()) end),
    [true = is_loaded(Context, Module) || Context <- py_context_router:contexts()],
    ok = ep_ct:restart_contexts(),
    [true = is_loaded(Context, Module) || Context <- py_context_router:contexts()],
    {ok, 1} = py:call(Module, f, []).

linked_contexts_have_them(Config) ->
    {ok, Linked} = py_context:start_link(mine, ep_ct:context_mode()),
    Module = added(Config, <<"answer = 42">>),
    ok = py_import:ensure_imported(Module),
    true = is_loaded(Linked, Module),
    ok = py_context:stop(Linked).

%% ---------------------------------------------------------------------------------------------------------------------
%% The application

the_configuration_is_registered(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 1">>),
    Imports = [{json, dumps}, {json, loads}, os, {binary_to_list(Module), "f"}],
    ep_ct:with_environment([{imports, Imports}, {paths, [binary_to_list(Directory), "/another/path"]}], fun() ->
        [Directory, <<"/another/path">>] = py_import:all_paths(),
        [{<<"json">>, <<"dumps">>}, {<<"json">>, <<"loads">>}, {<<"os">>, all}, {Module, <<"f">>}] =
            py_import:all_imports(),
        [true = is_loaded(Context, Module) || Context <- py_context_router:contexts()],
        {ok, 1} = py:call(Module, f, []),
        [Directory, <<"/another/path">>] = lists:sublist(sys_path(py:context()), 2)
    end).

init_reads_the_configuration_again(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 1">>),
    ok = py_import:ensure_imported(math),
    ok = py_import:init(),
    [{<<"math">>, all}] = py_import:all_imports(),
    with_values([{imports, [{json, dumps}, Module]}, {paths, [Directory]}], fun() ->
        [ok = py_import:init() || _ <- [1, 2]],
        [{<<"math">>, all}, {<<"json">>, <<"dumps">>}, {Module, all}] = py_import:all_imports(),
        [Directory] = py_import:all_paths(),
        true = is_loaded(ctx(Config), Module)
    end),
    with_values([{imports, ['__main__']}], fun() ->
        ?assertError({bad_config, imports, ['__main__']}, py_import:init())
    end).

bad_configuration_stops_the_start(_Config) ->
    ok = application:stop(erlang_python),
    [with_values([{Key, Value}], fun() ->
         {error, {{bad_config, Key, Value}, _}} = application:start(erlang_python)
     end) || {Key, Value} <- [{imports, json}, {imports, [1]}, {imports, [{'__main__', f}]}, {imports, [{json, 1}]},
                              {paths, "/not/a/list"}, {paths, [<<>>]}, {setup_timeout, 0}, {setup_timeout, soon}]],
    ok = application:start(erlang_python).

a_restart_forgets(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 1">>),
    Configured = ep_module:directory(Config),
    ep_ct:with_environment([{imports, [{json, dumps}]}, {paths, [Configured]}], fun() ->
        ok = py_import:add_path(Directory),
        ok = py_import:ensure_imported(Module),
        {ok, 1} = py:call(Module, f, []),
        [Configured, Directory] = lists:sublist(sys_path(py:context()), 2),
        ep_ct:restart(),
        [{<<"json">>, <<"dumps">>}] = py_import:all_imports(),
        [Configured] = py_import:all_paths(),
        Paths = sys_path(py:context()),
        Configured = hd(Paths),
        false = lists:member(Directory, Paths)
    end),
    [] = py_import:all_imports(),
    [] = py_import:all_paths(),
    %% Also where nothing is registered any more, and where there is one interpreter that lives on.
    [false, false] = [lists:member(Path, sys_path(py:context())) || Path <- [Configured, Directory]].

without_the_application_nothing_is_registered(_Config) ->
    ok = py_import:ensure_imported(json),
    ok = application:stop(erlang_python),
    [] = py_import:all_imports(),
    [] = py_import:all_paths(),
    ?assertEqual({ok, #{}}, py_import:import_list()),
    false = py_import:is_imported(json),
    false = py_import:is_path_added("/a"),
    ok = py_import:clear_imports(),
    ok = py_import:clear_paths(),
    ok = py_import:init(), % there is nothing in the configuration
    ?assertError({not_running, erlang_python}, py_import:ensure_imported(json)),
    ?assertError({not_running, erlang_python}, py_import:add_path("/a")),
    ok = application:start(erlang_python).

%% ---------------------------------------------------------------------------------------------------------------------
%% Faults

%% What was registered meanwhile is there for the first request after the busy one.
a_busy_context_is_not_waited_for(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 'new'">>),
    Ctx = ctx(Config),
    Spinning = ep_background:spinning(Ctx),
    ok = py_import:add_path(Directory),
    ok = py_import:ensure_imported(Module),
    Waiting = ep_background:start(fun() ->
        py_context:eval(Ctx, <<"m in __import__('sys').modules">>, #{m => Module})
    end),
    ep_ct:with_context(fun(Context) -> {ok, <<"new">>} = py:call(Context, Module, f, []) end),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Spinning),
    {ok, true} = ep_background:result(Waiting),
    {ok, <<"new">>} = py:call(Ctx, Module, f, []).

%% Or a busy context would soon have them all.
work_that_waits_has_no_slot(Config) ->
    Spinning = ep_background:spinning(ctx(Config)),
    [begin
         ok = py_import:add_path(<<"/", (ep_module:name())/binary>>),
         ok = py_import:ensure_imported(math, integer_to_binary(N))
     end || N <- lists:seq(1, 2 * py_semaphore:max_concurrent())],
    ok = py:configure_logging(#{level => critical}),
    1 = py_semaphore:current(),
    ep_ct:with_context(fun(Context) -> {ok, 4.0} = py_context:call(Context, math, sqrt, [16], #{}, 5000) end),
    ok = py:interrupt(ctx(Config)),
    {error, interrupted} = ep_background:result(Spinning),
    true = lists:member(lists:last(py_import:all_paths()), sys_path(ctx(Config))),
    ep_ct:restart().

%% Also when whoever registered it is not there any more.
nothing_is_lost_in_an_overload(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 'there'">>),
    Ctx = ctx(Config),
    Max = py_semaphore:max_concurrent(),
    [ok = py_semaphore:acquire(1000) || _ <- lists:seq(1, Max)],
    ok = ep_ct:in_process(fun() ->
        ok = py_import:add_path(Directory),
        py_import:ensure_imported(Module)
    end),
    {error, {overloaded, Max, Max}} = py_context:call(Ctx, Module, f, [], #{}, 50),
    [ok = py_semaphore:release() || _ <- lists:seq(1, Max)],
    {ok, true} = py_context:eval(Ctx, <<"m in __import__('sys').modules">>, #{m => Module}),
    {ok, <<"there">>} = py:call(Ctx, Module, f, []).

it_is_there_in_callbacks(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"def f(): return 'found'">>),
    Ctx = ctx(Config),
    Register = fun([]) ->
        ok = py_import:add_path(Directory),
        {ok, Found} = py:call(Ctx, Module, f, []),
        Found
    end,
    ep_ct:with_function(register_path, Register, fun() ->
        ok = py:exec(Ctx, <<"import erlang">>),
        {ok, <<"found">>} = py:eval(Ctx, <<"erlang.register_path()">>)
    end).

a_caller_that_dies_has_registered(Config) ->
    Module = added(Config, <<"answer = 42">>),
    Ctx = ctx(Config),
    Spinning = ep_background:spinning(Ctx),
    ok = ep_ct:in_process(fun() -> py_import:ensure_imported(Module) end),
    ok = py:interrupt(Ctx),
    {error, interrupted} = ep_background:result(Spinning),
    true = is_loaded(Ctx, Module).

no_starting_context_is_missed(Config) ->
    Tester = self(),
    Starters = [ep_background:start(fun() ->
        Contexts = [ep_fresh_context:start() || _ <- lists:seq(1, 10)],
        Tester ! {started, self(), Contexts},
        receive checked -> ok end,
        lists:foreach(fun py_context:stop/1, Contexts)
    end) || _ <- [1, 2]],
    Modules = [begin
                   Module = added(Config, <<"answer = 42">>),
                   ok = py_import:ensure_imported(Module),
                   Module
               end || _ <- lists:seq(1, 20)],
    Contexts = lists:append([receive {started, Pid, Started} when Pid =:= P -> Started end
                             || Starter <- Starters, P <- [ep_background:pid(Starter)]]),
    [true = is_loaded(Context, Module) || Context <- Contexts, Module <- Modules],
    [ep_background:pid(Starter) ! checked || Starter <- Starters],
    [ok, ok] = ep_background:results(Starters).

contexts_may_die_meanwhile(Config) ->
    Killer = ep_background:start(fun() ->
        [begin
             {ok, Context} = py_context:new(#{mode => ep_ct:context_mode()}),
             exit(Context, kill)
         end || _ <- lists:seq(1, 20)],
        done
    end),
    [begin
         ok = py_import:ensure_imported(math, integer_to_binary(N)),
         ok = py_import:add_path(<<"/", (ep_module:name())/binary>>)
     end || N <- lists:seq(1, 40)],
    done = ep_background:result(Killer),
    40 = length(py_import:all_paths()),
    ep_expect:still_works(ctx(Config)).

an_import_that_never_ends_fails_the_start(Config) ->
    %% No context is to run it for its registration.
    ok = py_context:stop(ctx(Config)),
    ok = py:stop_contexts(),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= 0 end),
    ok = py_import:add_path(ep_fresh_context:source_dir()),
    ok = py_import:ensure_imported(endless),
    with_values([{setup_timeout, 300}], fun() ->
        {error, timeout} = py_context:new(#{mode => ep_ct:context_mode()}),
        {error, timeout} = py:start_contexts(#{contexts => 2})
    end),
    ep_ct:wait_until(fun() -> ep_live:count(threads) =:= 0 end),
    0 = py_semaphore:current(),
    forget(),
    {ok, _} = py:start_contexts(),
    {ok, 4.0} = py:call(math, sqrt, [16]).

many_register_at_once(_Config) ->
    Names = [ep_module:name() || _ <- lists:seq(1, 30)],
    Processes = [ep_background:start(fun() ->
        [ok = py_import:ensure_imported(Name, f) || Name <- Names],
        py_import:add_paths([<<"/", Name/binary>> || Name <- Names])
    end) || _ <- [1, 2, 3, 4]],
    [ok, ok, ok, ok] = ep_background:results(Processes),
    ?assertEqual(lists:sort([{Name, <<"f">>} || Name <- Names]), lists:sort(py_import:all_imports())),
    ?assertEqual(lists:sort([<<"/", Name/binary>> || Name <- Names]), lists:sort(py_import:all_paths())),
    Paths = sys_path(py:context()),
    [1 = length([Path || Path <- Paths, Path =:= <<"/", Name/binary>>]) || Name <- Names],
    ok.

%% As by a context that was stopped in the one instant where that happens.
a_lock_that_was_left_taken_is_replaced(Config) ->
    ok = py_context:exec(ctx(Config), <<"import erlang._imports\nerlang._imports._lock.acquire()">>),
    ep_ct:with_contexts(2, fun([Context, _]) ->
        Directories = [ep_module:directory(Config) || _ <- [1, 2]],
        [ok = py_import:add_path(Directory) || Directory <- Directories],
        Directories = lists:sublist(sys_path(Context), 2),
        ok = py_context:stop(ctx(Config)),
        ep_ct:with_context(fun(Later) -> Directories = lists:sublist(sys_path(Later), 2) end)
    end).

%% ---------------------------------------------------------------------------------------------------------------------

ctx(Config) -> proplists:get_value(ctx, Config).

%% A new module in a directory that is registered.
added(Config, Source) ->
    {Directory, Module} = ep_module:write(Config, Source),
    ok = py_import:add_path(Directory),
    Module.

is_loaded(Context, Module) ->
    {ok, Loaded} = py_context:eval(Context, <<"module in __import__('sys').modules">>, #{module => Module}),
    Loaded.

sys_path(Context) ->
    {ok, Paths} = py_context:eval(Context, <<"__import__('sys').path">>),
    Paths.

with_values(Values, Fun) ->
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- Values],
    try
        Fun()
    after
        [application:unset_env(erlang_python, Key) || {Key, _} <- Values]
    end.

logged() ->
    receive {logged, Level, Text} -> [{Level, Text} | logged()]
    after 0 -> []
    end.
