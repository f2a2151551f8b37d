%%% @doc The supervisor of event loops' workers that belong to nobody else. One that dies is not restarted: the loop's
%%% files went with it, and its owner starts another.
-module(py_event_worker_sup).

-behaviour(supervisor).

-export([start_link/0, start_worker/1]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    %% The VM lets go of its files however it ends, so there is nothing to wait for.
    Worker = #{id => py_event_worker, start => {py_event_worker, start_link, []}, restart => temporary,
               shutdown => brutal_kill},
    {ok, {#{strategy => simple_one_for_one}, [Worker]}}.

%% @doc `undefined': the loop has a worker, or is closed.
-spec start_worker(py_nif:loop_core()) -> {ok, pid() | undefined} | {error, term()}.
start_worker(Core) ->
    try supervisor:start_child(?MODULE, [Core]) of
        {ok, Started} -> {ok, Started};
        {error, _} = Error -> Error
    catch
        exit:_ -> {error, not_running}
    end.
