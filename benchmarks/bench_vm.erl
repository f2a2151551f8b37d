%%% @doc A VM of its own, for what can be measured once in the life of one.
-module(bench_vm).

-export([run/1, with_each/3, start_application/0, start_application/2, context_mode/0, executable/0]).

-define(PATIENCE, 120000). % milliseconds

%% @doc Runs a function of a benchmark module in a fresh VM and gives what it returned.
-spec run({module(), atom(), [term()]}) -> term().
run({Module, Function, Args}) ->
    Peer = start_peer(),
    try
        peer:call(Peer, Module, Function, Args, ?PATIENCE)
    after
        peer:stop(Peer)
    end.

%% @doc Runs a function while there is a VM for each backend, in which {Module, Function} was called with its mode and
%% the executable of its Python. The function gets the backends, each with what makes calls in its VM.
-spec with_each([#{mode := atom(), executable := string(), _ => _}], {module(), atom()},
                fun(([{map(), fun((module(), atom(), [term()]) -> term())}]) -> Result)) -> Result.
with_each(Backends, {Module, Start}, Fun) ->
    Peers = [{Backend, start_peer()} || Backend <- Backends],
    try
        [ok = peer:call(Peer, Module, Start, [Mode, Executable], ?PATIENCE)
         || {#{mode := Mode, executable := Executable}, Peer} <- Peers],
        Fun([{Backend, fun(M, F, A) -> peer:call(Peer, M, F, A, ?PATIENCE) end} || {Backend, Peer} <- Peers])
    after
        [peer:stop(Peer) || {_Backend, Peer} <- Peers]
    end.

start_peer() ->
    Path = lists:append([["-pa", Directory] || Directory <- code:get_path(), is_ours(Directory)]),
    {ok, Peer, _Node} = peer:start_link(#{connection => standard_io, args => Path, wait_boot => 30000}),
    Peer.

%% The rest comes with ERL_LIBS.
is_ours(Directory) ->
    filelib:is_file(filename:join(Directory, atom_to_list(?MODULE) ++ ".beam")).

%% @doc Starts the application with two contexts, in the mode and on the Python that BENCH_MODE and BENCH_PYTHON name.
-spec start_application() -> ok.
start_application() ->
    start_application(list_to_existing_atom(os:getenv("BENCH_MODE", "worker")), os:getenv("BENCH_PYTHON", "auto")).

-spec start_application(worker | owngil | freethreaded, string()) -> ok.
start_application(Mode, Python) ->
    ok = case application:load(erlang_python) of
        {error, {already_loaded, _}} -> ok;
        Loaded -> Loaded
    end,
    Environment = [{num_contexts, 2}, {backend, Mode}, {context_mode, context_mode(Mode)}, {python, python(Python)}],
    [ok = application:set_env(erlang_python, Key, Value) || {Key, Value} <- Environment],
    {ok, _} = application:ensure_all_started(erlang_python),
    ok.

python("auto") -> auto;
python(Python) -> Python.

%% A free-threaded Python serves the mode worker.
context_mode(owngil) -> owngil;
context_mode(_) -> worker.

%% @doc The mode of the contexts of the application that runs here.
-spec context_mode() -> worker | owngil.
context_mode() ->
    {ok, Mode} = application:get_env(erlang_python, context_mode),
    Mode.

%% @doc The executable of the Python that runs here.
-spec executable() -> string().
executable() ->
    [Executable | _] = [binary_to_list(E) || #{status := Status, executable := E} <- py_nif:backends(),
                                            Status =:= chosen orelse Status =:= loaded],
    Executable.
