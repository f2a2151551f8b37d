%%% @doc A Common Test hook that remembers which cases run and why cases failed, for suite_runner.
-module(suite_report).

-export([init/2, pre_init_per_testcase/4, post_end_per_testcase/5, on_tc_fail/4, on_tc_skip/4]).
-export([failures/0, running/0]).

-define(TABLE, ?MODULE).

-spec init(term(), term()) -> {ok, []}.
init(_Id, _Options) ->
    %% The table has to outlive the process of Common Test that calls this.
    Self = self(),
    Ref = make_ref(),
    spawn(fun() ->
        ?TABLE = ets:new(?TABLE, [named_table, public, ordered_set]),
        Self ! Ref,
        timer:sleep(infinity)
    end),
    receive Ref -> {ok, []} end.

-spec pre_init_per_testcase(module(), atom(), list(), State) -> {list(), State}.
pre_init_per_testcase(_Suite, Case, Config, State) ->
    ets:insert(?TABLE, {{running, Case}}),
    {Config, State}.

-spec post_end_per_testcase(module(), atom(), list(), term(), State) -> {term(), State}.
post_end_per_testcase(_Suite, Case, _Config, Return, State) ->
    ets:delete(?TABLE, {running, Case}),
    {Return, State}.

-spec on_tc_fail(module(), term(), term(), State) -> State.
on_tc_fail(_Suite, Case, Reason, State) ->
    note("FAILED", Case, Reason),
    State.

-spec on_tc_skip(module(), term(), term(), State) -> State.
on_tc_skip(_Suite, Case, {tc_auto_skip, Reason}, State) ->
    %% One failed init_per_suite is the reason of every case: it is told once.
    case ets:insert_new(?TABLE, {{told, Reason}}) of
        true -> note("NOT RUN", Case, Reason);
        false -> note("NOT RUN", Case, 'as above')
    end,
    State;
on_tc_skip(_Suite, Case, {tc_user_skip, Reason}, State) ->
    note("skipped", Case, Reason),
    State.

note(What, Case, Reason) ->
    Text = io_lib:format("~s ~tp~n~ts~n", [What, Case, indented(io_lib:format("~tp", [Reason]))]),
    ets:insert(?TABLE, {{failure, erlang:unique_integer([monotonic])}, Text}).

indented(Text) ->
    ["    ", string:replace(Text, "\n", "\n    ", all)].

%% @doc What failed or was skipped, in the order of events.
-spec failures() -> iolist().
failures() ->
    select({{{failure, '_'}, '$1'}, [], ['$1']}).

%% @doc The cases that run at this moment.
-spec running() -> [atom()].
running() ->
    select({{{running, '$1'}}, [], ['$1']}).

select(Clause) ->
    case ets:whereis(?TABLE) of
        undefined -> [];
        Table -> ets:select(Table, [Clause])
    end.
