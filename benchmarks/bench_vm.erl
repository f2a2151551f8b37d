%%% @doc A VM of its own, for what can be measured once in the life of one.
-module(bench_vm).

-export([run/1, start_application/0]).

%% @doc Runs a function of a benchmark module in a fresh VM and gives what it returned.
-spec run({module(), atom(), [term()]}) -> term().
run({Module, Function, Args}) ->
    Path = lists:append([["-pa", Directory] || Directory <- code:get_path(), is_ours(Directory)]),
    {ok, Peer, _Node} = peer:start_link(#{connection => standard_io, args => Path, wait_boot => 30000}),
    try
        peer:call(Peer, Module, Function, Args, 120000)
    after
        peer:stop(Peer)
    end.

%% The rest comes with ERL_LIBS.
is_ours(Directory) ->
    filelib:is_file(filename:join(Directory, atom_to_list(?MODULE) ++ ".beam")).

%% @doc Starts the application with two contexts, in the mode that BENCH_MODE names.
-spec start_application() -> ok.
start_application() ->
    ok = case application:load(erlang_python) of
        {error, {already_loaded, _}} -> ok;
        Loaded -> Loaded
    end,
    ok = application:set_env(erlang_python, num_contexts, 2),
    ok = application:set_env(erlang_python, context_mode, list_to_existing_atom(os:getenv("BENCH_MODE", "worker"))),
    {ok, _} = application:ensure_all_started(erlang_python),
    ok.
