%%% @doc Which virtual environment is active, and that every context has it: those that run, and those that start.
%%%
%%% Every change has a number, higher than that of the change before. An interpreter remembers the number it has, and
%%% what it has to undo for the next, so it does not matter how often it is asked, by how many of the contexts that
%%% share it, or how late a busy one hears of it. That the term outlives the application is meant: so does the main
%%% interpreter, and the contexts of the next start have to undo what is in it.
-module(py_venv_active).

-export([current/0, switch/1, setup/1, forget/0]).

-export_type([venv/0]).

-type venv() :: #{path := binary(), site_packages := binary()}.
-type change() :: {Number :: pos_integer(), venv() | none}.

%% Absent as long as nothing has ever been active: the usual case costs a context that starts nothing.
-define(CHANGE, ?MODULE).
%% Milliseconds that busy contexts have.
-define(PATIENCE, 5000).

-spec current() -> venv() | none.
current() ->
    case persistent_term:get(?CHANGE, none) of
        {_, Venv} -> Venv;
        none -> none
    end.

%% @doc Makes a venv, or none, the active one. `{error, {contexts_busy, Contexts}}': it is, but these contexts run
%% something else and get it when they have the time. After any other error what was active before is again. One call at
%% a time, please.
-spec switch(venv() | none) -> ok | {error, {contexts_busy, [pid()]} | term()}.
switch(Venv) ->
    case {Venv, persistent_term:get(?CHANGE, none)} of
        {none, none} -> ok;
        _ -> switch(Venv, current())
    end.

switch(Venv, Before) ->
    case everywhere(note(Venv)) of
        ok -> ok;
        {error, {contexts_busy, _}} = Busy -> Busy;
        {error, _} = Error -> _ = everywhere(note(Before)), Error
    end.

%% @doc Brings a context that starts up to date.
-spec setup(py_nif:context()) -> ok | {error, term()}.
setup(Context) ->
    case persistent_term:get(?CHANGE, none) of
        none ->
            ok;
        Change ->
            case py_request:setup_call(Context, 'erlang._venv', switch, arguments(Change), infinity) of
                {ok, _} -> ok;
                {error, _} = Error -> Error
            end
    end.

-spec forget() -> ok.
forget() ->
    _ = current() =:= none orelse note(none),
    ok.

-spec note(venv() | none) -> change().
note(Venv) ->
    Change = {erlang:unique_integer([monotonic, positive]), Venv},
    ok = persistent_term:put(?CHANGE, Change),
    Change.

arguments({Number, none}) -> [Number, none];
arguments({Number, #{site_packages := SitePackages}}) -> [Number, SitePackages].

%% ---------------------------------------------------------------------------------------------------------------------
%% Contexts that run

%% The change was noted before contexts are looked up here. So a context either exists by now, or will read it.
everywhere(Change) ->
    Owner = self(),
    Tag = make_ref(),
    {Pid, Monitor} = spawn_monitor(fun() -> tell_all(Change, fun(Outcome) -> Owner ! {Tag, Outcome}, ok end) end),
    receive
        {Tag, Outcome} -> demonitor(Monitor, [flush]), Outcome;
        {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
    end.

%% Goes on after the report until the last context has answered.
tell_all(Change, Report) ->
    Asked = lists:append([ask(Context, Change) || Context <- py_nif:contexts()]),
    Timer = erlang:send_after(?PATIENCE, self(), impatient),
    collect(maps:from_list(Asked), Report),
    _ = erlang:cancel_timer(Timer),
    ok.

ask({Pid, Native}, Change) ->
    Ref = make_ref(),
    case py_request:setup_start(Native, Ref, 'erlang._venv', switch, arguments(Change)) of
        {ok, _} -> [{Ref, {Pid, interpreter(Pid)}}];
        context_stopped -> [];
        {error, _} = Error -> self() ! {Ref, Error}, [{Ref, {Pid, interpreter(Pid)}}]
    end.

%% One of the contexts that share an interpreter is enough.
collect(Pending, Report) when map_size(Pending) =:= 0 ->
    Report(ok);
collect(Pending, Report) ->
    receive
        {Ref, Result} when is_map_key(Ref, Pending) ->
            {{_, Interpreter}, Rest} = maps:take(Ref, Pending),
            case Result of
                {ok, _} -> collect(maps:filter(fun(_, {_, Other}) -> Other =/= Interpreter end, Rest), Report);
                {error, context_stopped} -> collect(Rest, Report);
                {error, _} = Error -> Report(Error)
            end;
        {_Ref, _AnotherOfTheSameInterpreter} ->
            collect(Pending, Report);
        impatient ->
            Report({error, {contexts_busy, lists:sort([Pid || {Pid, _} <- maps:values(Pending)])}}),
            collect(Pending, fun late/1)
    end.

late(ok) -> ok;
late({error, Reason}) ->
    logger:warning("a context that was busy could not change its virtual environment: ~0tp", [Reason]).

interpreter(Pid) ->
    case py_context:is_subinterp(Pid) of
        true -> Pid;
        false -> main
    end.
