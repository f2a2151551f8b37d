%%% @doc The same rows with every backend there is, side by side.
%%%
%%% Each backend has a VM of its own, and rounds in them take turns, so that what else the machine does meets all alike.
-module(bench_modes).

-export([backends/0, run/2]).
%% Run in the VM of a backend.
-export([start/2, begin_row/1, round/0]).

-type backend() :: #{name := string(), mode := worker | owngil | freethreaded, python := string(),
                     executable := string()}.

%% @doc What was built, found by its manifests; those of the oldest Python first.
-spec backends() -> [backend()].
backends() ->
    lists:sort(fun(A, B) -> order(A) =< order(B) end,
               [#{name => binary_to_list(Name), mode => Mode, python => binary_to_list(Python),
                  executable => binary_to_list(Executable)}
                || #{kind := backend, status := Status, name := Name, mode := Mode, python := Python,
                     executable := Executable} <- py_nif:backends(), Status =/= refused]).

order(#{python := Python, mode := Mode}) ->
    {[list_to_integer(Part) || Part <- string:lexemes(Python, ".")], position(Mode)}.

position(worker) -> 1;
position(owngil) -> 2;
position(freethreaded) -> 3.

%% @doc Measures the rows whose names are wanted, and prints a table.
-spec run(fun((string()) -> boolean()), pos_integer()) -> ok.
run(IsWanted, Rounds) ->
    case [Name || #{name := Name} <- rows(), IsWanted(Name)] of
        [] -> ok;
        Names -> bench_vm:with_each(backends(), {?MODULE, start}, fun(Cells) -> table(Names, Cells, Rounds) end)
    end.

table(Names, Cells, Rounds) ->
    bench_table:modes_head([Name || {#{name := Name}, _Call} <- Cells]),
    [line(Name, Cells, Rounds) || Name <- Names],
    ok.

line(Name, Cells, Rounds) ->
    #{unit := Unit} = Row = row(Name),
    [ok = Call(?MODULE, begin_row, [Name]) || {_Backend, Call} <- Cells],
    Measured = [[Call(?MODULE, round, []) || {_Backend, Call} <- Cells]
                || _ <- lists:seq(1, min(Rounds, maps:get(rounds, Row, Rounds)))],
    Columns = columns(Measured),
    Medians = [bench_row:median(Column) || Column <- Columns],
    Ratios = [ratio(Unit, Backend, Column, Cells, Columns) || {{Backend, _}, Column} <- lists:zip(Cells, Columns)],
    bench_table:modes_line(Name, Unit, lists:zip(Medians, Ratios)).

columns([[] | _]) -> [];
columns(Rows) -> [[hd(Row) || Row <- Rows] | columns([tl(Row) || Row <- Rows])].

%% How many times as long as mode worker on a Python of the same version, where a row is about time; the median of what
%% the rounds came to.
ratio(Unit, #{mode := Mode, python := Python}, Column, Cells, Columns)
  when Mode =/= worker, Unit =/= kb, Unit =/= times ->
    case [Of || {{#{mode := worker, python := Same}, _}, Of} <- lists:zip(Cells, Columns), Same =:= Python] of
        [Of | _] -> bench_row:median([bench_row:ratio(Unit, A, B) || {A, B} <- lists:zip(Of, Column)]);
        [] -> none
    end;
ratio(_Unit, _Backend, _Column, _Cells, _Columns) ->
    none.

rows() ->
    Groups = [bench_calls, bench_conversion, bench_copies, bench_callbacks, bench_state, bench_streams, bench_loop,
              bench_logging, bench_contexts],
    [Row || Group <- Groups, Row <- Group:rows()].

row(Name) ->
    hd([Row || #{name := Same} = Row <- rows(), Same =:= Name]).

%% ---------------------------------------------------------------------------------------------------------------------
%% In the VM of a backend

%% @doc Starts the application with that backend.
-spec start(worker | owngil | freethreaded, string()) -> ok.
start(Mode, Executable) ->
    bench_vm:start_application(Mode, Executable).

%% @doc A process prepares itself for a row, which includes the first time.
-spec begin_row(string()) -> ok.
begin_row(Name) ->
    Caller = self(),
    whereis(?MODULE) =:= undefined orelse exit(whereis(?MODULE), kill),
    {Pid, Monitor} = spawn_monitor(fun() -> row_process(row(Name), Caller) end),
    receive
        {prepared, Pid} ->
            demonitor(Monitor, [flush]),
            ok;
        {'DOWN', Monitor, process, Pid, Reason} ->
            error(Reason)
    end.

row_process(#{measure := Measure} = Row, Caller) ->
    Setup = maps:get(setup, Row, fun() -> undefined end),
    State = Setup(),
    _ = Measure(State),
    register_anew(),
    Caller ! {prepared, self()},
    rounds(Measure, State).

%% The process of the row before may need a moment to die.
register_anew() ->
    try
        register(?MODULE, self())
    catch
        error:badarg ->
            timer:sleep(1),
            register_anew()
    end.

rounds(Measure, State) ->
    receive
        {round, From} ->
            garbage_collect(),
            From ! {measured, self(), Measure(State)},
            rounds(Measure, State)
    end.

%% @doc Measures the row once more.
-spec round() -> number().
round() ->
    Pid = whereis(?MODULE),
    Pid ! {round, self()},
    receive {measured, Pid, Measured} -> Measured after 120000 -> error(timeout) end.
