%%% @doc Iterating over what a Python function returns: a generator, any iterable, an async generator.
%%%
%%% A stream that sends events has a process that drives it. It asks the context for one step after the other; a step goes
%%% on for some milliseconds and sends the items straight to the owner, and between steps the context serves others. What
%%% names a stream is a store (see {@link py_nif:store_new/0}) that holds the credit of its window; closing it is what
%%% Python sees at the next item when the stream is cancelled.
-module(py_stream).

-export([collect/1, start/3, ack/2, cancel/1]).
-export([check_name/1]).

-export_type([options/0, call/0]).

-type options() :: #{owner => pid(), window => pos_integer() | infinity, kwargs => map()}.
-type call() :: fun((py_nif:flags()) -> py_request:result() | context_stopped).
%% The request whose result is iterated over; flags are those of py_nif.

-define(RETURN_OBJECT, 1).
-define(PYTHON, <<"erlang._streams">>).
-define(UNLIMITED, 1 bsl 62).
-define(CREDIT, <<"credit">>).
-define(DRIVER, <<"driver">>).

%% @doc All items as a list. `context_stopped': nothing has run.
-spec collect({py_nif:context(), call()}) -> py_request:result() | context_stopped.
collect({Context, Call}) ->
    case Call(?RETURN_OBJECT) of
        {ok, Events} -> python(Context, collect, [Events]);
        Failed -> Failed
    end.

%% @doc Starts a stream. The call runs in the process that drives it, so it returns at once.
-spec start(py_nif:context(), call(), options()) -> {ok, reference()}.
start(Context, Call, Options) ->
    Stream = py_nif:store_new(),
    Owner = maps:get(owner, Options, self()),
    Window = case maps:get(window, Options, infinity) of
        infinity -> ?UNLIMITED;
        N when is_integer(N), N > 0, N < ?UNLIMITED -> N;
        Other -> error(badarg, [{window, Other}])
    end,
    is_pid(Owner) orelse error(badarg, [{owner, Owner}]),
    ok = py_nif:store_put(Stream, ?CREDIT, Window, infinity),
    Driver = spawn(fun() ->
        _ = monitor(process, Owner),
        receive go -> drive(Context, Call, Stream, Owner) end
    end),
    ok = py_nif:store_put(Stream, ?DRIVER, Driver, infinity),
    Driver ! go,
    {ok, Stream}.

%% @doc Lets a stream with a window send so many items more.
-spec ack(reference(), pos_integer()) -> ok.
ack(Stream, N) when is_reference(Stream), is_integer(N), N > 0 ->
    try
        _ = py_nif:store_add(Stream, ?CREDIT, N, infinity),
        wake(Stream, credit)
    catch
        error:badarg -> ok % it is over
    end.

%% @doc Ends a stream at its next item; `ok' also when it is over.
-spec cancel(reference()) -> ok.
cancel(Stream) when is_reference(Stream) ->
    try py_nif:store_get(Stream, ?DRIVER) of
        {ok, Driver} ->
            ok = py_nif:store_close(Stream),
            Driver ! cancelled,
            ok;
        error ->
            ok
    catch
        error:badarg -> ok
    end.

wake(Stream, Message) ->
    {ok, Driver} = py_nif:store_get(Stream, ?DRIVER),
    Driver ! Message,
    ok.

%% @doc Raises `{invalid_python_identifier, Name}' for what cannot name a module, with dots, or a function.
-spec check_name(py_request:name()) -> ok.
check_name(Name) ->
    Text = unicode:characters_to_binary(case is_atom(Name) of
        true -> atom_to_list(Name);
        false -> Name
    end),
    try re:run(Text, "^[\\p{L}_][\\p{L}\\p{N}_]*(\\.[\\p{L}_][\\p{L}\\p{N}_]*)*\\z", [unicode, ucp, {capture, none}]) of
        match -> ok;
        nomatch -> error({invalid_python_identifier, Text})
    catch
        error:badarg -> error({invalid_python_identifier, Text})
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% The process of a stream

drive(Context, Call, Stream, Owner) ->
    Outcome = case Call(?RETURN_OBJECT) of
        {ok, Result} -> iterate(Context, python_object(Context, 'begin', [Result]), Stream, Owner);
        {error, _} = Error -> Error;
        context_stopped -> {error, context_stopped}
    end,
    %% First: a context that was stopped may still be at a step, and must not get credit any more.
    ok = py_nif:store_close(Stream),
    Outcome =:= silent orelse (Owner ! {py_stream, Stream, Outcome}).

iterate(Context, {ok, Items}, Stream, Owner) ->
    case python(Context, step, [Items, Stream, Owner]) of
        {ok, <<"more">>} -> iterate(Context, {ok, Items}, Stream, Owner);
        {ok, <<"wait">>} -> wait(Context, Items, Stream, Owner);
        {ok, <<"done">>} -> done;
        {ok, <<"owner">>} -> close(Context, Items, silent);
        {ok, <<"cancelled">>} -> close(Context, Items, {error, <<"cancelled">>});
        {error, _} = Error -> Error
    end;
iterate(_Context, {error, _} = Error, _Stream, _Owner) ->
    Error.

wait(Context, Items, Stream, Owner) ->
    receive
        credit -> iterate(Context, {ok, Items}, Stream, Owner);
        cancelled -> close(Context, Items, {error, <<"cancelled">>});
        {'DOWN', _, process, Owner, _} -> close(Context, Items, silent)
    end.

%% A generator runs its `finally' now, and not when somebody collects it.
close(Context, Items, Outcome) ->
    _ = python(Context, close, [Items]),
    Outcome.

python(Context, Function, Args) ->
    py_request:call(Context, ?PYTHON, Function, Args, #{}, undefined, 0, infinity).

python_object(Context, Function, Args) ->
    py_request:call(Context, ?PYTHON, Function, Args, #{}, undefined, ?RETURN_OBJECT, infinity).
