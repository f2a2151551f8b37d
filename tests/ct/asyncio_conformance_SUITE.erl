%%% @doc CPython's own tests of asyncio, run on Erlang's event loop on the thread of a context. The tests that cannot
%%% pass here are listed, with the reasons, in python/asyncio_conformance_expected.py.
-module(asyncio_conformance_SUITE).

-export([suite/0, all/0, groups/0, init_per_suite/1, end_per_suite/1, init_per_group/2, end_per_group/2]).
-export([init_per_testcase/2, end_per_testcase/2]).
-export([
    base_events/1, events/1, selector_events/1, sock_lowlevel/1, streams/1, tasks/1, futures/1, locks/1, queues/1,
    timeouts/1, taskgroups/1, sendfile/1, ssl/1, sslproto/1, server/1, runners/1, context/1, unix_sockets/1,
    waiting/1, threads/1, buffered_protocols/1, eager_tasks/1, free_threading/1, nothing_is_left_behind/1
]).

-define(PATIENCE, 300_000).

suite() -> [{timetrap, {seconds, 360}}].

all() ->
    [
        base_events, events, selector_events, sock_lowlevel, streams, tasks, futures, locks, queues, timeouts,
        taskgroups, sendfile, ssl, sslproto, server, runners, context, unix_sockets, waiting, threads,
        buffered_protocols, eager_tasks, free_threading, {group, beam}, nothing_is_left_behind
    ].

%% Those that watch files, with the other selector.
groups() ->
    ep_selectors:groups([
        events, selector_events, sock_lowlevel, streams, sendfile, ssl, server, unix_sockets, buffered_protocols
    ]).

init_per_suite(Config) -> ep_ct:init_suite(Config).
end_per_suite(Config) -> ep_ct:end_suite(Config).

init_per_group(Selector, Config) -> ep_selectors:init(Selector, Config).
end_per_group(_Selector, Config) -> ep_selectors:finish(Config).

init_per_testcase(Case, Config) -> ep_fresh_context:init(Case, Config).
end_per_testcase(Case, Config) -> ep_fresh_context:finish(Case, Config).

%% ---------------------------------------------------------------------------------------------------------------------

base_events(Config) -> passes(Config, base_events).
events(Config) -> passes(Config, events).
selector_events(Config) -> passes(Config, selector_events).
sock_lowlevel(Config) -> passes(Config, sock_lowlevel).
streams(Config) -> passes(Config, streams).
tasks(Config) -> passes(Config, tasks).
futures(Config) -> passes(Config, futures).
locks(Config) -> passes(Config, locks).
queues(Config) -> passes(Config, queues).
timeouts(Config) -> passes(Config, timeouts).
taskgroups(Config) -> passes(Config, taskgroups).
sendfile(Config) -> passes(Config, sendfile).
ssl(Config) -> passes(Config, ssl).
sslproto(Config) -> passes(Config, sslproto).
server(Config) -> passes(Config, server).
runners(Config) -> passes(Config, runners).
context(Config) -> passes(Config, context).
unix_sockets(Config) -> passes(Config, unix_events).
waiting(Config) -> passes(Config, waitfor).
threads(Config) -> passes(Config, threads).
buffered_protocols(Config) -> passes(Config, buffered_proto).
eager_tasks(Config) -> passes(Config, eager_task_factory).
free_threading(Config) -> passes(Config, free_threading).

passes(Config, Module) ->
    Ctx = proplists:get_value(ctx, Config),
    Sources = unicode:characters_to_binary(os:getenv("EP_TEST_PYTHON_TESTS", "")),
    case py:call(Ctx, asyncio_conformance, prepare, [Sources]) of
        {ok, none} ->
            {ok, Report} = py:call(Ctx, asyncio_conformance, run, [Module], #{timeout => ?PATIENCE}),
            Later = later(proplists:get_value(selector, Config, native)),
            judge(maps:update_with(<<"failed">>, fun(Failed) -> maps:without(Later, Failed) end, Report));
        {ok, Reason} ->
            {skip, unicode:characters_to_list(Reason)}
    end.

%% Tests that may fail since they count on a file that is ready when it is registered being reported by the next look.
later(native) ->
    [];
later(beam) ->
    [<<"test.test_asyncio.test_sendfile.SelectEventLoopTests.",
       "test_sendfile_close_peer_in_the_middle_of_receiving">>].

judge(#{<<"ran">> := Ran, <<"loops">> := Loops, <<"expected">> := Expected, <<"skipped">> := Skipped} = Report) ->
    ct:pal("~b tests ran on ~b loops, ~b failed as is expected~nskipped: ~tp",
           [Ran, Loops, length(Expected), Skipped]),
    true = Ran > 0,
    Wrong = maps:filter(fun(_, Found) -> Found =/= [] andalso Found =/= #{} end,
                        maps:with([failed, passed_although_listed, uncaught, left_open], named(Report))),
    maps:foreach(fun explain/2, Wrong),
    map_size(Wrong) =:= 0 orelse ct:fail({not_as_asyncio, maps:map(fun(_, Found) -> names(Found) end, Wrong)}),
    ok.

named(Report) -> maps:from_list([{binary_to_atom(Name), Found} || {Name, Found} <- maps:to_list(Report)]).

explain(What, #{} = ByTest) ->
    maps:foreach(fun(Test, Why) -> ct:pal("~ts: ~ts~n~ts", [What, Test, text(Why)]) end, ByTest);
explain(What, Found) ->
    ct:pal("~ts: ~tp", [What, Found]).

text(Why) when is_binary(Why) -> Why;
text(Files) -> lists:join("\n", Files).

names(#{} = ByTest) -> maps:keys(ByTest);
names(Found) -> Found.

%% ---------------------------------------------------------------------------------------------------------------------

nothing_is_left_behind(Config) -> ep_ct:audit(Config).
