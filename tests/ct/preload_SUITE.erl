%%% @doc Code that runs in every new context, and contexts that do not start because it fails.
-module(preload_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
%% What it is for
-export([
    code_is_kept_as_it_was_set/1, what_is_no_text_is_refused/1, new_contexts_have_what_it_defines/1,
    each_context_has_its_own/1, each_process_has_its_own/1, the_context_itself_has_it/1,
    clearing_it_is_for_later_contexts/1, contexts_of_both_modes_have_it/1, linked_contexts_have_it/1,
    pools_and_replaced_contexts_have_it/1, it_can_be_applied_again/1, it_may_use_registered_modules/1,
    it_may_call_erlang/1, code_of_any_size_runs/1
]).
%% The application
-export([it_may_be_set_before_the_start/1, a_failure_stops_the_start/1, a_restart_forgets_it/1]).
%% Failures
-export([
    its_error_is_that_of_the_start/1, code_that_never_ends_is_interrupted/1, a_failed_pool_leaves_nothing/1,
    a_pool_goes_on_with_what_it_has/1, it_may_change_while_contexts_start/1, contexts_may_be_killed_meanwhile/1,
    a_starter_may_be_killed_meanwhile/1, what_it_has_started_goes_on/1, it_waits_for_no_slot/1, nothing_is_left_behind/1
]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        code_is_kept_as_it_was_set, what_is_no_text_is_refused, new_contexts_have_what_it_defines,
        each_context_has_its_own, each_process_has_its_own, the_context_itself_has_it,
        clearing_it_is_for_later_contexts, contexts_of_both_modes_have_it, linked_contexts_have_it,
        pools_and_replaced_contexts_have_it, it_can_be_applied_again, it_may_use_registered_modules,
        it_may_call_erlang, code_of_any_size_runs,
        it_may_be_set_before_the_start, a_failure_stops_the_start, a_restart_forgets_it,
        its_error_is_that_of_the_start, code_that_never_ends_is_interrupted, a_failed_pool_leaves_nothing,
        a_pool_goes_on_with_what_it_has, it_may_change_while_contexts_start, contexts_may_be_killed_meanwhile,
        a_starter_may_be_killed_meanwhile, what_it_has_started_goes_on, it_waits_for_no_slot,
        nothing_is_left_behind
    ].

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).

end_per_testcase(Case, Config) ->
    ok = py_preload:clear_code(),
    application:unset_env(erlang_python, setup_timeout),
    ep_fresh_context:finish(Case, Config).

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% What it is for

code_is_kept_as_it_was_set(_Config) ->
    undefined = py_preload:get_code(),
    false = py_preload:has_preload(),
    ok = py_preload:set_code(<<"a = 1">>),
    <<"a = 1">> = py_preload:get_code(),
    true = py_preload:has_preload(),
    ok = py_preload:set_code(["b", <<" = ">>, ["'\x{e9}'" | <<"\n">>]]),
    ?assertEqual(<<"b = 'é'\n"/utf8>>, py_preload:get_code()),
    ok = py_preload:set_code("c = 1"),
    <<"c = 1">> = py_preload:get_code(),
    [ok = py_preload:clear_code() || _ <- [1, 2]],
    undefined = py_preload:get_code(),
    false = py_preload:has_preload().

what_is_no_text_is_refused(_Config) ->
    ok = py_preload:set_code(<<"a = 1">>),
    [?assertError(_, py_preload:set_code(Wrong)) || Wrong <- [atom, 1, [a], [16#D800], undefined]],
    <<"a = 1">> = py_preload:get_code().

new_contexts_have_what_it_defines(_Config) ->
    ok = py_preload:set_code(<<"
import json
import os

def shared_helper(x):
    return x * 2

CONFIG = {'debug': True, 'version': '1.0'}
">>),
    {ok, Ctx} = py_context:new(#{mode => ep_ct:context_mode()}),
    {ok, <<"{\"a\": 1}">>} = py:eval(Ctx, <<"json.dumps({'a': 1})">>),
    {ok, 10} = py:eval(Ctx, <<"shared_helper(5)">>),
    {ok, true} = py:eval(Ctx, <<"CONFIG['debug']">>),
    {ok, 14} = py:call(Ctx, '__main__', shared_helper, [7]),
    ok = py_context:stop(Ctx).

each_context_has_its_own(_Config) ->
    ok = py_preload:set_code(<<"COUNTER = 0">>),
    ep_ct:with_contexts(2, fun([One, Other]) ->
        ok = py:exec(One, <<"COUNTER = 100">>),
        {ok, 100} = py:eval(One, <<"COUNTER">>),
        {ok, 0} = py:eval(Other, <<"COUNTER">>)
    end).

each_process_has_its_own(_Config) ->
    ok = py_preload:set_code(<<"COUNTER = 0\nLIST = []">>),
    ep_ct:with_context(fun(Ctx) ->
        ok = py:exec(Ctx, <<"COUNTER = 100\nLIST = [1]">>),
        {ok, 100} = py:eval(Ctx, <<"COUNTER">>),
        {ok, {0, []}} = ep_ct:in_process(fun() -> py:eval(Ctx, <<"(COUNTER, LIST)">>) end),
        {ok, Env} = py_context:create_local_env(Ctx),
        {ok, 0} = py_context:eval(Ctx, <<"COUNTER">>, #{}, infinity, Env)
    end).

the_context_itself_has_it(_Config) ->
    ok = py_preload:set_code(<<"def name(): return __name__">>),
    ep_ct:with_context(fun(Ctx) ->
        {ok, <<"__main__">>} = py_context:eval(Ctx, <<"name()">>),
        {ok, <<"__main__">>} = py_context:call(Ctx, '__main__', name, [])
    end).

clearing_it_is_for_later_contexts(_Config) ->
    ok = py_preload:set_code(<<"PRELOADED = 42">>),
    ep_ct:with_context(fun(Before) ->
        {ok, 42} = py:eval(Before, <<"PRELOADED">>),
        ok = py_preload:clear_code(),
        {ok, 42} = py:eval(Before, <<"PRELOADED">>),
        {ok, 42} = ep_ct:in_process(fun() -> py:eval(Before, <<"PRELOADED">>) end),
        ep_ct:with_context(fun(After) ->
            {error, {'NameError', "name 'PRELOADED' is not defined"}} = py:eval(After, <<"PRELOADED">>)
        end)
    end).

contexts_of_both_modes_have_it(_Config) ->
    ok = py_preload:set_code(<<"PRELOADED = 42">>),
    Modes = [worker] ++ [owngil || py_nif:owngil_supported(), ep_ct:mode() =:= owngil],
    [begin
         {ok, Ctx} = py_context:new(#{mode => Mode}),
         {ok, 42} = py:eval(Ctx, <<"PRELOADED">>),
         ok = py_context:stop(Ctx)
     end || Mode <- Modes].

linked_contexts_have_it(_Config) ->
    ok = py_preload:set_code(<<"PRELOADED = 42">>),
    {ok, Linked} = py_context:start_link(mine, ep_ct:context_mode()),
    {ok, 42} = py:eval(Linked, <<"PRELOADED">>),
    ok = py_context:stop(Linked).

%% A context that replaces a dead one has what is set then.
pools_and_replaced_contexts_have_it(_Config) ->
    ok = py_preload:set_code(<<"PRELOADED = 'first'">>),
    {ok, [One, Two]} = py_context_router:start_pool(preloaded, 2, ep_ct:context_mode()),
    [{ok, <<"first">>} = py:eval(Ctx, <<"PRELOADED">>) || Ctx <- [One, Two]],
    ok = py_preload:set_code(<<"PRELOADED = 'second'">>),
    exit(One, kill),
    ep_ct:wait_until(fun() ->
        [Now, Two] = py_context_router:contexts(preloaded),
        Now =/= One
    end),
    [{ok, <<"second">>}, {ok, <<"first">>}] =
        [py:eval(Ctx, <<"PRELOADED">>) || Ctx <- py_context_router:contexts(preloaded)],
    ok = py_context_router:stop_pool(preloaded).

it_can_be_applied_again(Config) ->
    Ctx = proplists:get_value(ctx, Config),
    Native = py_context:get_nif_ref(Ctx),
    ok = py_preload:apply_preload(Native),
    ok = py_preload:set_code(<<"times = globals().get('times', 0) + 1">>),
    ok = py_preload:apply_preload(Native),
    ok = py_setup:apply(Native),
    ok = py_setup:apply(Ctx),
    {ok, 3} = py_context:eval(Ctx, <<"times">>),
    ok = py_preload:set_code(<<"1 / 0">>),
    {error, {'ZeroDivisionError', "division by zero"}} = py_preload:apply_preload(Native),
    ok = py_context:stop(Ctx),
    {error, context_stopped} = py_setup:apply(Ctx),
    {error, context_stopped} = py_preload:apply_preload(Native).

it_may_use_registered_modules(Config) ->
    {Directory, Module} = ep_module:write(Config, <<"value = 7">>),
    ok = py_import:add_path(Directory),
    ok = py_import:ensure_imported(Module),
    ok = py_preload:set_code(["import sys\nloaded = '", Module, "' in sys.modules\nimport ", Module,
                              "\nvalue = ", Module, ".value"]),
    ep_ct:with_context(fun(Ctx) -> {ok, {true, 7}} = py:eval(Ctx, <<"(loaded, value)">>) end),
    ok = py_import:clear_imports(),
    ok = py_import:clear_paths().

it_may_call_erlang(_Config) ->
    Setting = fun([Name]) -> {ok, 3} = py:eval(<<"1 + 2">>), <<"value of ", Name/binary>> end,
    ep_ct:with_function(setting, Setting, fun() ->
        ok = py_preload:set_code(<<"import erlang\nSETTING = erlang.setting('colour')">>),
        ep_ct:with_context(fun(Ctx) -> {ok, <<"value of colour">>} = py:eval(Ctx, <<"SETTING">>) end)
    end),
    {error, {'AttributeError', _}} = py_context:new(#{mode => ep_ct:context_mode()}).

code_of_any_size_runs(_Config) ->
    ok = py_preload:set_code(<<>>),
    true = py_preload:has_preload(),
    ep_ct:with_context(fun ep_expect:still_works/1),
    ok = py_preload:set_code([["name_", integer_to_list(N), " = 'größe'\n"] || N <- lists:seq(1, 20000)]),
    ep_ct:with_context(fun(Ctx) -> {ok, <<"größe"/utf8>>} = py:eval(Ctx, <<"name_20000">>) end).

%% ---------------------------------------------------------------------------------------------------------------------
%% The application

it_may_be_set_before_the_start(_Config) ->
    ok = application:stop(erlang_python),
    ok = py_preload:set_code(<<"PRELOADED = 42">>),
    ok = application:start(erlang_python),
    [{ok, 42} = py:eval(Ctx, <<"PRELOADED">>) || Ctx <- py_context_router:contexts()],
    {ok, 42} = py:eval(<<"PRELOADED">>),
    ep_ct:restart().

a_failure_stops_the_start(_Config) ->
    ok = application:stop(erlang_python),
    ok = py_preload:set_code(<<"undefined_name">>),
    {error, {{'NameError', "name 'undefined_name' is not defined"}, _}} = application:start(erlang_python),
    undefined = whereis(erlang_python_sup),
    %% It is what was set for the next start as well.
    {error, _} = application:start(erlang_python),
    ok = py_preload:clear_code(),
    ok = application:start(erlang_python),
    {ok, 2} = py:eval(<<"1 + 1">>).

a_restart_forgets_it(_Config) ->
    ok = py_preload:set_code(<<"PRELOADED = 42">>),
    [begin
         ep_ct:restart(),
         false = py_preload:has_preload(),
         {error, {'NameError', _}} = py:eval(<<"PRELOADED">>)
     end || _ <- [1, 2]].

%% ---------------------------------------------------------------------------------------------------------------------
%% Failures

its_error_is_that_of_the_start(_Config) ->
    Before = ep_live:snapshot(),
    Failures = [{<<"def broken(:">>, 'SyntaxError', ""},
                {<<"x = 1\n  y = 2">>, 'IndentationError', ""},
                {<<"x = 1\nx / 0">>, 'ZeroDivisionError', "division by zero"},
                {<<"import no_such_module_of_ours">>, 'ModuleNotFoundError', "no_such_module_of_ours"},
                {<<"import sys\nsys.exit(3)">>, 'SystemExit', "3"},
                {<<"class Own(Exception): pass\nraise Own('mine')">>, 'Own', "mine"},
                {<<"def again(): again()\nagain()">>, 'RecursionError', ""},
                {<<"a = '\0'">>, 'ValueError', "null byte"},
                {<<"a = '", 16#FF, "'">>, ['SyntaxError', 'UnicodeDecodeError'], ""}],
    [begin
         ok = py_preload:set_code(Code),
         ep_expect:python_error(Name, Text, py_context:new(#{mode => ep_ct:context_mode()})),
         ep_expect:python_error(Name, Text, py_context:start_link(mine, ep_ct:context_mode()))
     end || {Code, Name, Text} <- Failures],
    ok = ep_ct:mailbox_empty(),
    ep_live:back_to(Before).

code_that_never_ends_is_interrupted(_Config) ->
    Before = ep_live:snapshot(),
    application:set_env(erlang_python, setup_timeout, 200),
    [begin
         ok = py_preload:set_code(Code),
         {error, timeout} = py_context:new(#{mode => ep_ct:context_mode()}),
         {error, timeout} = py_context:start_link(mine, ep_ct:context_mode())
     end || Code <- [<<"while True: pass">>,
                     <<"import time\nwhile True: time.sleep(0.001)">>,
                     <<"while True:\n    try:\n        while True: pass\n    except Exception: pass">>]],
    ep_live:back_to(Before),
    0 = py_semaphore:current().

%% Whoever has the slots may wait for the new context.
it_waits_for_no_slot(_Config) ->
    application:set_env(erlang_python, setup_timeout, 2000),
    ok = py_preload:set_code(<<"ready = 'here'">>),
    ok = py_import:ensure_imported(colorsys),
    Max = py_semaphore:max_concurrent(),
    [ok = py_semaphore:acquire(1000) || _ <- lists:seq(1, Max)],
    {ok, Ctx} = py_context:new(#{mode => ep_ct:context_mode()}),
    Max = py_semaphore:current(),
    [ok = py_semaphore:release() || _ <- lists:seq(1, Max)],
    {ok, <<"here">>} = py:eval(Ctx, <<"ready">>),
    ok = py_context:stop(Ctx),
    ok = py_import:clear_imports(),
    0 = py_semaphore:current().

a_failed_pool_leaves_nothing(_Config) ->
    Before = ep_live:snapshot(),
    %% One of them fails, whichever comes last.
    Counter = counters:new(1, []),
    ep_ct:with_function(how_many, fun([]) -> counters:add(Counter, 1, 1), counters:get(Counter, 1) end, fun() ->
        ok = py_preload:set_code(<<"import erlang\nif erlang.how_many() > 2: raise OSError('one too many')">>),
        {error, {'OSError', "one too many"}} = py_context_router:start_pool(preloaded, 3, ep_ct:context_mode()),
        {error, {pool_not_started, preloaded}} = py:call(preloaded, math, sqrt, [16])
    end),
    ep_live:back_to(Before).

%% While contexts cannot be replaced the others do the work; when they can, they are.
a_pool_goes_on_with_what_it_has(_Config) ->
    {ok, [One, Two]} = py_context_router:start_pool(preloaded, 2, ep_ct:context_mode()),
    ep_ct:with_function(tried, fun([Pid]) -> list_to_pid(binary_to_list(Pid)) ! tried end, fun() ->
        ok = py_preload:set_code(["import erlang\nerlang.tried('", pid_to_list(self()), "')\n1 / 0"]),
        exit(One, kill),
        tried = ep_ct:message(),
        {ok, 4.0} = py:call(preloaded, math, sqrt, [16]),
        true = lists:member(Two, py_context_router:contexts(preloaded)),
        ok = py_preload:clear_code(),
        ep_ct:wait_until(fun() -> lists:all(fun is_process_alive/1, py_context_router:contexts(preloaded)) end),
        ok = py_context_router:stop_pool(preloaded)
    end),
    flush(tried).

it_may_change_while_contexts_start(_Config) ->
    Versions = 30,
    set_version(0),
    Starter = ep_background:start(fun() ->
        [ep_ct:with_context(fun(Ctx) ->
             {ok, {Version, Version}} = py:eval(Ctx, <<"(first, last)">>),
             Version
         end) || _ <- lists:seq(1, 20)]
    end),
    lists:foreach(fun set_version/1, lists:seq(1, Versions)),
    Seen = ep_background:result(Starter),
    %% Each context has one version as a whole, and never an older one than a context before it.
    Seen = lists:sort(Seen),
    ep_ct:with_context(fun(Ctx) -> {ok, Versions} = py:eval(Ctx, <<"last">>) end).

set_version(N) ->
    Number = integer_to_list(N),
    py_preload:set_code(["first = ", Number, "\nsum(range(10000))\nlast = ", Number]).

contexts_may_be_killed_meanwhile(_Config) ->
    Before = ep_live:snapshot(),
    Known = py_context_sup:which_contexts(),
    [begin
         ok = py_preload:set_code(says_it_runs(<<"while True: pass">>)),
         Starter = ep_background:start(fun() -> py_context:new(#{mode => ep_ct:context_mode()}) end),
         ep_expect:message(<<"running">>),
         [Starting] = py_context_sup:which_contexts() -- Known,
         End(Starting),
         {error, context_stopped} = ep_background:result(Starter)
     end || End <- [fun(Ctx) -> exit(Ctx, kill) end, fun py_context_sup:stop_context/1, fun py_context:stop/1]],
    ep_live:back_to(Before).

a_starter_may_be_killed_meanwhile(_Config) ->
    Before = ep_live:snapshot(),
    ok = py_preload:set_code(says_it_runs(<<"while True: pass">>)),
    Starter = ep_background:start(fun() -> py_context:start_link(mine, ep_ct:context_mode()) end),
    ep_expect:message(<<"running">>),
    ok = ep_background:kill(Starter),
    %% The report of its end has a handle of it, in processes of the logger.
    ep_ct:wait_until(fun() -> ep_ct:alive(contexts) =:= ep_live:count(contexts, Before) end),
    ep_live:back_to(Before).

says_it_runs(Code) ->
    true = register_as(preload_tester),
    [<<"import erlang\nerlang.send(erlang.whereis('preload_tester'), 'running')\n">>, Code].

register_as(Name) ->
    case whereis(Name) of
        Pid when Pid =:= self() -> true;
        undefined -> register(Name, self())
    end.

what_it_has_started_goes_on(_Config) ->
    ok = py_preload:set_code(<<"
import threading
beats = threading.Semaphore(0)
wanted = threading.Event()

def beat():
    wanted.wait()
    beats.release()

threading.Thread(target=beat, daemon=True).start()
">>),
    ep_ct:with_context(fun(Ctx) -> {ok, true} = py:eval(Ctx, <<"wanted.set() or beats.acquire(timeout=20)">>) end).

flush(Message) ->
    receive Message -> flush(Message)
    after 0 -> ok
    end.
