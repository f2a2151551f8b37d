%%% @doc The top supervisor. It also owns the tables of pools, registered functions, registered imports, spans, loops,
%%% reactor contexts and lines that are being written, so that none is lost with a process that maintains it.
-module(erlang_python_sup).

-behaviour(supervisor).

-export([start_link/0]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = py_callback:new_table(),
    ok = py_context_router:new_table(),
    ok = py_import:new_table(),
    ok = py_tracer:new_table(),
    ok = py_output:new_table(),
    ok = py_loop:new_table(),
    ok = py_reactor_context:new_table(),
    %% Contexts die with py_context_sup and not with the router: a restarted router adopts the pools it finds.
    %% Those that read what Python tells come first, so that they end last.
    Children = [#{id => py_logger, start => {py_logger, start_link, []}},
                #{id => py_tracer, start => {py_tracer, start_link, []}},
                #{id => py_host, start => {py_host, start_link, []}},
                %% Time to kill installers, and to put back what they were to replace.
                #{id => py_venv_jobs, start => {py_venv_jobs, start_link, []}, shutdown => 10000},
                #{id => py_event_worker_sup, start => {py_event_worker_sup, start_link, []}, type => supervisor},
                #{id => py_context_sup, start => {py_context_sup, start_link, []}, type => supervisor},
                #{id => py_loop_sup, start => {py_loop_sup, start_link, []}, type => supervisor},
                #{id => py_context_router, start => {py_context_router, start_link, []}},
                %% These start their contexts when somebody wants them.
                #{id => py_event_loop, start => {py_event_loop, start_link, []}},
                #{id => py_event_loop_pool, start => {py_event_loop_pool, start_link, []}}],
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Children}}.
