%%% @doc A context for one test case, which can import the modules beside the suites (python/), and the proof that the
%%% case left nothing behind.
-module(ep_fresh_context).

-export([init/2, finish/2, start/0, add_sources/1, source_dir/0, forget_environments/0]).

%% @doc The body of init_per_testcase. The audit, the last case of a suite, gets no context.
-spec init(atom(), [tuple()]) -> [tuple()].
init(nothing_is_left_behind, Config) ->
    Config;
init(_Case, Config) ->
    Before = ep_live:snapshot(),
    [{ctx, start()}, {live_before, Before} | Config].

%% @doc The body of end_per_testcase: a context that a case did not stop has to work after it, and everything the
%% case made has to be gone. (Common Test counts a returned failure, not a crash, in end_per_testcase.)
-spec finish(atom(), [tuple()]) -> ok | {fail, term()}.
finish(nothing_is_left_behind, _Config) ->
    ok;
finish(_Case, Config) ->
    Ctx = proplists:get_value(ctx, Config),
    ep_background:kill_all(),
    try
        audit(Ctx, Config)
    catch
        Class:Reason:Stack -> {fail, {Class, Reason, Stack}}
    after
        py_context:stop(Ctx)
    end.

audit(Ctx, Config) ->
    proplists:get_value(tc_status, Config) =:= ok andalso check(Ctx, proplists:get_value(live_before, Config)),
    ok.

check(Ctx, Before) ->
    is_process_alive(Ctx) andalso ep_expect:still_works(Ctx),
    ok = ep_ct:mailbox_empty(),
    py_context:stop(Ctx),
    _ = py_context_router:stop_pool(py_parallel), % which py:parallel/1 has started
    forget_environments(),
    ep_live:back_to(Before).

%% @doc Drops what the end of the calling process would drop.
-spec forget_environments() -> [term()].
forget_environments() ->
    [erase(Key) || Key <- get_keys(), is_atom(Key), lists:prefix("py_", string:trim(atom_to_list(Key), leading, "$"))].

%% @doc Not linked: a case that kills its context is not to die of it.
-spec start() -> pid().
start() ->
    {ok, Ctx} = py_context:new(#{mode => ep_ct:context_mode()}),
    unlink(Ctx),
    ok = add_sources(Ctx),
    Ctx.

%% @doc Puts the modules beside the suites on sys.path.
-spec add_sources(pid()) -> ok.
add_sources(Ctx) ->
    Code = <<"folder in __import__('sys').path or __import__('sys').path.insert(0, folder)">>,
    {ok, _} = py_context:eval(Ctx, Code, #{folder => source_dir()}),
    ok.

-spec source_dir() -> binary().
source_dir() ->
    filename:join(unicode:characters_to_binary(filename:dirname(code:which(?MODULE))), <<"python">>).
