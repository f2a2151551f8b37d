%%% @doc erlang.gen_call: a gen_server that Python asks.
%%%
%%% The call is made in the process that runs the callback: the one that waits for the Python code, or one of its own.
-module(py_gen_call).

-export([register/0, call/1]).

-define(REASON_LIMIT, 1000).

%% @doc Makes it known to Python.
-spec register() -> ok.
register() ->
    py_callback:register('$py_gen_call', ?MODULE, call).

%% @doc `{ok, Reply}', `{timeout, none}', `{badarg, none}': that is no server's name, `{failed, Why}': what follows the
%% name in a sentence.
-spec call([term()]) -> {ok, term()} | {timeout | badarg, none} | {failed, binary()}.
call([Server, Request, Timeout]) ->
    case name(Server) of
        {ok, Name} -> ask(Name, Request, Timeout);
        unknown -> {failed, <<"is not registered">>};
        error -> {badarg, none}
    end.

ask(Name, Request, Timeout) ->
    Begin = erlang:monotonic_time(millisecond),
    try
        {ok, gen_server:call(Name, Request, Timeout)}
    catch
        exit:{timeout, _} ->
            %% Or that was what it died of.
            case is_integer(Timeout) andalso erlang:monotonic_time(millisecond) - Begin >= Timeout of
                true -> {timeout, none};
                false -> {failed, <<"ended before it replied: timeout">>}
            end;
        exit:{noproc, _} -> {failed, <<"is not registered, or not alive">>};
        exit:{calling_self, _} -> {failed, <<"is the process that waits for this code, and cannot reply meanwhile">>};
        exit:{{nodedown, Node}, _} -> {failed, to_text("is on ~ts, which cannot be reached", [Node])};
        exit:{{_, [{_, whereis_name, _, _} | _]}, _} -> {badarg, none}; % by the module that is named after via
        exit:{Reason, _} -> {failed, to_text("ended before it replied: ~0tp", [Reason])}
    end.

%% Atoms are never made of what Python says: a name that is none has nobody registered.
name(Pid) when is_pid(Pid) -> {ok, Pid};
name({Kind, Name}) when Kind =:= global; Kind =:= <<"global">> -> {ok, {via, global, registered(global, Name)}};
name({Kind, Module, Name}) when Kind =:= via; Kind =:= <<"via">> ->
    case atom(Module) of
        {ok, Known} -> {ok, {via, Known, registered(Known, Name)}};
        Other -> Other
    end;
name({Name, Node}) ->
    case {atom(Name), atom(Node)} of
        {{ok, N}, {ok, At}} -> {ok, {N, At}};
        {error, _} -> error;
        {_, error} -> error;
        _ -> unknown
    end;
name(Name) -> atom(Name).

%% These names are any terms. What is a str in Python is an atom here if that is the name somebody has.
registered(Module, Name) when is_binary(Name) ->
    case atom(Name) of
        {ok, Atom} ->
            case is_process(Module, Name) of
                true -> Name;
                false -> Atom
            end;
        unknown ->
            Name
    end;
registered(_Module, Name) ->
    Name.

is_process(Module, Name) ->
    try
        is_pid(Module:whereis_name(Name))
    catch
        _:_ -> false
    end.

atom(Name) when is_atom(Name), Name =/= none, Name =/= true, Name =/= false -> {ok, Name};
atom(Name) when is_binary(Name) ->
    try
        {ok, binary_to_existing_atom(Name)}
    catch
        error:_ -> unknown
    end;
atom(_) -> error.

to_text(Format, Args) ->
    unicode:characters_to_binary(io_lib:format(Format, Args, [{chars_limit, ?REASON_LIMIT}])).
