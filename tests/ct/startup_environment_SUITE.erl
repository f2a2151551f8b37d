%%% @doc What Python finds in the environment of the VM when it starts: it does as it is told, or the start says why
%%% not. Each case has a VM of its own.
-module(startup_environment_SUITE).

-include_lib("stdlib/include/assert.hrl").

-export([suite/0, all/0, init_per_suite/1, end_per_suite/1, end_per_testcase/2]).
-export([
    memory_that_is_traced_from_the_start/1, another_allocator_excludes_memory_limits/1,
    another_allocator_without_memory_limits/1, a_customization_that_breaks_the_package/1,
    a_customization_that_breaks_the_path/1, nothing_is_left_behind/1
]).
%% On a second VM.
-export([try_to_open/1]).

suite() -> [{timetrap, {seconds, 120}}].

all() ->
    [
        memory_that_is_traced_from_the_start, another_allocator_excludes_memory_limits,
        another_allocator_without_memory_limits, a_customization_that_breaks_the_package,
        a_customization_that_breaks_the_path, nothing_is_left_behind
    ].

%% To know what the Python under test can do.
init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).
end_per_testcase(_Case, _Config) -> ep_ct:end_case().

nothing_is_left_behind(Config) -> ep_ct:audit(Config).

%% ---------------------------------------------------------------------------------------------------------------------
%% PYTHONTRACEMALLOC

%% Tracing and interpreters with a GIL each would stop the VM, so there is the one or the other.
memory_that_is_traced_from_the_start(_Config) ->
    with_vm([{"PYTHONTRACEMALLOC", "1"}], fun(Call) ->
        case ep_ct:mode() of
            owngil ->
                refused(["tracemalloc"], start(Call, []));
            _ ->
                {ok, _} = start(Call, []),
                {ok, true} = Call(py, call, [tracemalloc, is_tracing, []]),
                Expected = case py_nif:owngil_problem() of
                    ok -> "tracemalloc";
                    {error, Problem} -> atom_to_list(Problem)
                end,
                {error, _} = Refused = Call(py_context, new, [#{mode => owngil}]),
                ?assertNotEqual({nomatch, Refused}, {string:find(text(Refused), Expected), Refused}),
                {ok, New} = Call(py_context, new, [#{mode => worker}]),
                {ok, 3} = Call(py, eval, [New, <<"1 + 2">>])
        end
    end).

%% ---------------------------------------------------------------------------------------------------------------------
%% PYTHONMALLOC, PYTHONDEVMODE

another_allocator_excludes_memory_limits(_Config) ->
    ep_cell:with_owngil(fun() ->
        [with_vm([Variable], fun(Call) ->
             Wanted = [element(1, Variable), "enable_memory_limits"],
             refused(Wanted, start(Call, [{enable_memory_limits, true}])),
             refused(Wanted, start(Call, [{enable_memory_limits, true}]))
         end) || Variable <- allocators()],
        ok
    end).

another_allocator_without_memory_limits(_Config) ->
    [with_vm([Variable], fun(Call) ->
         {ok, _} = start(Call, []),
         {ok, 3} = Call(py, eval, [<<"1 + 2">>])
     end) || Variable <- allocators()],
    ok.

allocators() -> [{"PYTHONMALLOC", "debug"}, {"PYTHONDEVMODE", "1"}].

%% ---------------------------------------------------------------------------------------------------------------------
%% PYTHONPATH, with a sitecustomize, such as those of agents that watch an application

a_customization_that_breaks_the_package(Config) ->
    customized(Config, ?FUNCTION_NAME, <<"sys.modules['erlang'] = None">>).

a_customization_that_breaks_the_path(Config) ->
    customized(Config, ?FUNCTION_NAME, <<"sys.path = None">>).

%% Breaks the interpreters that are made while a file is there, and leaves a thread running in them.
customized(Config, Case, Break) ->
    ep_cell:with_owngil(fun() ->
        Directory = filename:join(proplists:get_value(priv_dir, Config), Case),
        ok = filelib:ensure_dir(filename:join(Directory, "any")),
        ok = file:write_file(filename:join(Directory, "sitecustomize.py"), [<<"
import os, sys, threading, time
directory = os.path.dirname(__file__)
def watch():
    try:
        while True:
            time.sleep(0.01)
    except BaseException:
        open(os.path.join(directory, 'ended'), 'w').close()
if os.path.exists(os.path.join(directory, 'break')):
    threading.Thread(target=watch).start()
    ">>, Break, <<"\n">>]),
        with_vm([{"PYTHONPATH", Directory}], fun(Call) ->
            {ok, _} = start(Call, []),
            ok = Call(?MODULE, try_to_open, [Directory])
        end)
    end).

-spec try_to_open(file:filename()) -> ok.
try_to_open(Directory) ->
    [Break, Ended] = [filename:join(Directory, Name) || Name <- ["break", "ended"]],
    Before = ep_live:snapshot(),
    ok = file:write_file(Break, <<>>),
    {error, Reason} = py_context:new(#{mode => owngil}),
    ?assertMatch({match, _}, re:run(Reason, <<"^[A-Z][A-Za-z]*Error: .">>), Reason),
    ok = file:delete(Break),
    ep_ct:wait_until(fun() -> filelib:is_file(Ended) end),
    ep_live:back_to(Before),
    {ok, Context} = py_context:new(#{mode => owngil}),
    ok = ep_expect:still_works(Context),
    ok = py_context:stop(Context).

%% ---------------------------------------------------------------------------------------------------------------------

with_vm(Environment, Case) ->
    Args = lists:append([["-env", Name, Value] || {Name, Value} <- Environment]),
    ep_ct:with_peer(not_started, Args, Case).

start(Call, Values) ->
    _ = Call(application, load, [erlang_python]),
    [ok = Call(application, set_env, [erlang_python, Key, Value]) || {Key, Value} <- ep_ct:environment() ++ Values],
    Call(application, ensure_all_started, [erlang_python]).

%% The reason mentions all of these, for whoever reads the log.
refused(Wanted, Result) ->
    {error, _} = Result,
    ?assertEqual([], [Word || Word <- Wanted, string:find(text(Result), Word) =:= nomatch], Result).

text(Term) -> lists:flatten(io_lib:format("~0tp", [Term])).
