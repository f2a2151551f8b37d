%%% @doc The process of an event loop that the VM tells which files are ready: the owner of what enif_select is asked
%%% for, and of the loop's timers. What it learns it puts into the loop's queue.
%%%
%%% When it ends, however it ends, the VM lets go of the loop's files.
-module(py_event_worker).

-behaviour(gen_server).

-export([start_link/1, start_link/2, start_default/1, start/1, register/0, for_python/1, beam_selector/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-record(state, {
    core :: py_nif:loop_core(),
    name :: term(),
    timers = #{} :: #{non_neg_integer() => reference()}
}).

%% Milliseconds after which a worker that has nothing to do gives its memory back.
-define(HIBERNATE_AFTER, 10_000).
-define(TIMER, 4).

%% @doc A worker for a loop, which ends with the caller: for {@link py_nif:event_loop_set_worker/2}. The name is for
%% people who look at it.
-spec start_link(Name :: term(), py_nif:event_loop()) -> {ok, pid()}.
start_link(Name, Loop) ->
    %% Not the loop itself, which would never be closed.
    gen_server:start_link(?MODULE, {joins, Name, py_nif:event_loop_core(Loop)}, options()).

%% @doc A worker that is the loop's when this returns, for py_event_worker_sup. `ignore' where there is one, or the loop
%% is closed.
-spec start_link(py_nif:loop_core()) -> {ok, pid()} | ignore.
start_link(Core) ->
    gen_server:start_link(?MODULE, {becomes, Core}, options()).

%% @doc Gives a loop that has no worker one that belongs to the application, or to nobody where that is not running.
-spec start_default(py_nif:event_loop()) -> ok | {error, term()}.
start_default(Loop) ->
    start(py_nif:event_loop_core(Loop)).

%% @doc The same for its core.
-spec start(py_nif:loop_core()) -> ok | {error, term()}.
start(Core) ->
    case start_somewhere(Core) of
        ignore -> ok; % somebody was faster, or has destroyed the loop
        {ok, _} -> ok; % also undefined, which is what a supervisor says for that
        {error, _} = Error -> Error
    end.

%% @doc Makes the functions known that Python's selectors ask for. The second one is there to be found: where it is
%% registered, files of event loops are watched by the VM unless a loop says otherwise.
-spec register() -> ok.
register() ->
    %% No funs, which new versions of this module would make an end of.
    ok = py_callback:register(<<"$py_event_worker">>, ?MODULE, for_python),
    case py_config:event_loop_selector() of
        native -> ok;
        beam -> py_callback:register(<<"$py_beam_selector">>, ?MODULE, beam_selector)
    end.

%% @doc The first of them.
-spec for_python([py_nif:loop_core()]) -> none.
for_python([Core]) ->
    ok = start(Core),
    none.

%% @doc The second one.
-spec beam_selector([]) -> none.
beam_selector([]) ->
    none.

start_somewhere(Core) ->
    case whereis(py_event_worker_sup) of
        undefined -> gen_server:start(?MODULE, {becomes, Core}, options());
        _ -> py_event_worker_sup:start_worker(Core)
    end.

options() ->
    [{hibernate_after, ?HIBERNATE_AFTER}].

%% ---------------------------------------------------------------------------------------------------------------------

init({joins, Name, Core}) ->
    ok = py_nif:event_loop_join(Core),
    {ok, begun(Name, Core)};
init({becomes, Core}) ->
    %% At once, so that there is none that is nobody's worker when whoever wanted it is killed.
    case py_nif:event_loop_become_worker(Core) of
        ok -> {ok, begun(undefined, Core)};
        {error, refused} -> ignore
    end.

begun(Name, Core) ->
    %% So that it ends with whoever started it also when that ends well.
    process_flag(trap_exit, true),
    #state{core = Core, name = Name}.

handle_call(_Request, _From, State) ->
    {reply, {error, unknown_request}, State}.

handle_cast(_Request, State) ->
    {noreply, State}.

handle_info({py_event, Id, Direction}, State) ->
    ok = py_nif:event_loop_ready(State#state.core, Id, Direction),
    {noreply, State};
handle_info(py_event_loop_work, State) ->
    case py_nif:event_loop_work(State#state.core) of
        ok ->
            {noreply, State};
        more ->
            %% What has become ready meanwhile comes first.
            self() ! py_event_loop_work,
            {noreply, State};
        closed ->
            {stop, normal, State}
    end;
handle_info({call_later, Id, Milliseconds}, State = #state{timers = Timers}) ->
    {noreply, State#state{timers = Timers#{Id => erlang:start_timer(Milliseconds, self(), Id)}}};
handle_info({cancel_timer, Id}, State = #state{timers = Timers}) ->
    case maps:take(Id, Timers) of
        {Timer, Others} ->
            _ = erlang:cancel_timer(Timer, [{async, true}, {info, false}]),
            {noreply, State#state{timers = Others}};
        error ->
            {noreply, State}
    end;
handle_info({timeout, _Timer, Id}, State = #state{timers = Timers}) ->
    ok = py_nif:event_loop_ready(State#state.core, Id, ?TIMER),
    {noreply, State#state{timers = maps:remove(Id, Timers)}};
handle_info(_Other, State) ->
    {noreply, State}.
