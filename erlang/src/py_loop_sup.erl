%%% @doc The supervisor of the processes that run event loops.
-module(py_loop_sup).

-behaviour(supervisor).

-export([start_link/0, start_loop/2]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Loop = #{id => py_loop, start => {py_loop, start_link, []}, restart => temporary, shutdown => 2000},
    {ok, {#{strategy => simple_one_for_one}, [Loop]}}.

%% @doc Starts the process of a loop that belongs to Owner.
-spec start_loop(pid(), pid()) -> {ok, pid()} | {error, term()}.
start_loop(Context, Owner) ->
    try supervisor:start_child(?MODULE, [Context, Owner]) of
        {ok, Pid} -> {ok, Pid};
        {error, Reason} -> {error, Reason}
    catch
        exit:{noproc, _} -> {error, {not_started, erlang_python}}
    end.
