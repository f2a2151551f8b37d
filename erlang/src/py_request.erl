%%% @doc Starts a request and waits for its answer: the path of every call.
%%%
%%% The caller waits in one selective receive on a fresh reference and runs, while it waits, the functions Python calls
%%% back. No process stands between caller and Python. After a return nothing about the request is left in the mailbox.
%%%
%%% The `try_*' functions tell a request that a stopped context refused (`context_stopped': nothing has run, it may be
%%% tried elsewhere) from one that a context took and could not finish (`{error, context_stopped}').
-module(py_request).

-export([call/8, eval/6, exec/4, object/7]).
-export([setup_call/5, setup_exec/3, setup_cast/4, setup_start/5]).
-export([try_call/8, try_eval/6, try_exec/4, try_cast/6, start/7, cancel/1]).

-export_type([name/0, code/0, result/0, env/0]).

-type name() :: atom() | binary() | string().
-type code() :: unicode:chardata().
-type env() :: py_nif:env() | undefined.
-type result() :: {ok, term()} | {error, term()}.

-define(NO_REPLY, 2).
-define(CALLBACKS_APART, 4).
-define(NO_SLOT, 8).

%% What `receive ... after' takes. Checked before a request starts: a receive that raises would leave its answer behind.
-define(IS_TIMEOUT(T), (T =:= infinity orelse (is_integer(T) andalso T >= 0 andalso T =< 16#FFFFFFFF))).

%% ---------------------------------------------------------------------------------------------------------------------
%% Requests whose answer the caller waits for

%% @doc Calls a function. `{error, timeout}' when it took too long: the Python code is interrupted then.
%% `{error, {overloaded, Current, Max}}': it took too long to get a slot of the semaphore.
-spec call(py_nif:context(), name(), name(), [term()], map(), env(), py_nif:flags(), timeout()) -> result().
call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout) ->
    final(try_call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout)).

%% @doc Evaluates an expression; see {@link call/8}.
-spec eval(py_nif:context(), code(), map(), env(), py_nif:flags(), timeout()) -> result().
eval(Context, Code, Locals, Env, Flags, Timeout) ->
    final(try_eval(Context, Code, Locals, Env, Flags, Timeout)).

%% @doc Runs statements; see {@link call/8}.
-spec exec(py_nif:context(), code(), env(), timeout()) -> ok | {error, term()}.
exec(Context, Code, Env, Timeout) ->
    final(try_exec(Context, Code, Env, Timeout)).

%% @doc Works on an object handle, in the context it belongs to. `{error, not_an_object}' for any other term, which
%% includes handles that crossed to another node and back.
-spec object(method | getattr | value, py_nif:object(), name(), [term()], map(), py_nif:flags(), timeout()) -> result().
object(Operation, Object, Name, Args, Kwargs, Flags, Timeout) when is_list(Name) ->
    case text(Name) of
        {ok, Binary} -> object(Operation, Object, Binary, Args, Kwargs, Flags, Timeout);
        {error, _} = Error -> Error
    end;
object(Operation, Object, Name, Args, Kwargs, Flags, Timeout) when ?IS_TIMEOUT(Timeout) ->
    case py_nif:is_object(Object) of
        true -> submit_object(Operation, Object, Name, Args, Kwargs, Flags, Timeout);
        false -> {error, not_an_object}
    end.

%% @doc Calls a function as part of the start of a context, which waits for no slot of the semaphore: those who have
%% them may wait for this context. What configures contexts that run takes none either: a busy one would keep it.
-spec setup_call(py_nif:context(), name(), name(), [term()], timeout()) -> result().
setup_call(Context, Module, Function, Args, Timeout) ->
    call(Context, Module, Function, Args, #{}, undefined, ?NO_SLOT, Timeout).

%% @doc Runs statements in the same way.
-spec setup_exec(py_nif:context(), code(), timeout()) -> ok | {error, term()}.
setup_exec(Context, Code, Timeout) ->
    final(try_exec(Context, Code, undefined, ?NO_SLOT, Timeout)).

-spec try_call(py_nif:context(), name(), name(), [term()], map(), env(), py_nif:flags(), timeout()) ->
    result() | context_stopped.
try_call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout) when is_list(Module); is_list(Function) ->
    case names(Module, Function) of
        {ok, M, F} -> try_call(Context, M, F, Args, Kwargs, Env, Flags, Timeout);
        {error, _} = Error -> Error
    end;
try_call(Context, Module, Function, Args, Kwargs, Env, Flags, Timeout) when ?IS_TIMEOUT(Timeout) ->
    Ref = make_ref(),
    case py_nif:submit_call(Context, Ref, Module, Function, Args, Kwargs, Env, Flags) of
        Handle when is_integer(Handle) -> await(Ref, Handle, Timeout);
        ancestry -> waited(Ref, py_nif:submit_call(Context, related(Ref), Module, Function, Args, Kwargs, Env, Flags), Timeout);
        Refused -> refused(Refused)
    end.

-spec try_eval(py_nif:context(), code(), map(), env(), py_nif:flags(), timeout()) -> result() | context_stopped.
try_eval(Context, Code, Locals, Env, Flags, Timeout) when is_list(Code) ->
    case text(Code) of
        {ok, Binary} -> try_eval(Context, Binary, Locals, Env, Flags, Timeout);
        {error, _} = Error -> Error
    end;
try_eval(Context, Code, Locals, Env, Flags, Timeout) when ?IS_TIMEOUT(Timeout) ->
    Ref = make_ref(),
    case py_nif:submit_eval(Context, Ref, Code, Locals, Env, Flags) of
        Handle when is_integer(Handle) -> await(Ref, Handle, Timeout);
        ancestry -> waited(Ref, py_nif:submit_eval(Context, related(Ref), Code, Locals, Env, Flags), Timeout);
        Refused -> refused(Refused)
    end.

-spec try_exec(py_nif:context(), code(), env(), timeout()) -> ok | {error, term()} | context_stopped.
try_exec(Context, Code, Env, Timeout) -> try_exec(Context, Code, Env, 0, Timeout).

try_exec(Context, Code, Env, Flags, Timeout) when is_list(Code) ->
    case text(Code) of
        {ok, Binary} -> try_exec(Context, Binary, Env, Flags, Timeout);
        {error, _} = Error -> Error
    end;
try_exec(Context, Code, Env, Flags, Timeout) when ?IS_TIMEOUT(Timeout) ->
    Ref = make_ref(),
    case py_nif:submit_exec(Context, Ref, Code, Env, Flags) of
        Handle when is_integer(Handle) -> await(Ref, Handle, Timeout);
        ancestry -> waited(Ref, py_nif:submit_exec(Context, related(Ref), Code, Env, Flags), Timeout);
        Refused -> refused(Refused)
    end.

submit_object(Operation, Object, Name, Args, Kwargs, Flags, Timeout) ->
    Ref = make_ref(),
    case py_nif:submit_object(Ref, Operation, Object, Name, Args, Kwargs, Flags) of
        Handle when is_integer(Handle) -> await(Ref, Handle, Timeout);
        ancestry ->
            case waited(Ref, py_nif:submit_object(related(Ref), Operation, Object, Name, Args, Kwargs, Flags), Timeout) of
                context_stopped -> {error, context_stopped};
                Result -> Result
            end;
        {error, _} = Error -> Error
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Requests nobody waits for here

%% @doc Starts a call whose result nobody wants.
-spec try_cast(py_nif:context(), name(), name(), [term()], map(), env()) -> ok | {error, term()} | context_stopped.
try_cast(Context, Module, Function, Args, Kwargs, Env) ->
    cast(Context, Module, Function, Args, Kwargs, Env, 0).

%% @doc The same for what configures a context; see {@link setup_call/5}.
-spec setup_cast(py_nif:context(), name(), name(), [term()]) -> ok | {error, term()} | context_stopped.
setup_cast(Context, Module, Function, Args) ->
    cast(Context, Module, Function, Args, #{}, undefined, ?NO_SLOT).

cast(Context, Module, Function, Args, Kwargs, Env, Flags) ->
    All = ?NO_REPLY bor ?CALLBACKS_APART bor Flags,
    case submit(Context, make_ref(), Module, Function, Args, Kwargs, Env, All) of
        Handle when is_integer(Handle) -> ok;
        Refused -> refused(Refused)
    end.

%% @doc Starts a call whose `{Ref, Result}' comes to the caller's mailbox. Functions it calls back run in processes of
%% their own.
-spec start(py_nif:context(), reference(), name(), name(), [term()], map(), env()) ->
    {ok, py_nif:handle()} | {error, term()} | context_stopped.
start(Context, Ref, Module, Function, Args, Kwargs, Env) ->
    start(Context, Ref, Module, Function, Args, Kwargs, Env, 0).

%% @doc The same for what configures a context; see {@link setup_call/5}.
-spec setup_start(py_nif:context(), reference(), name(), name(), [term()]) ->
    {ok, py_nif:handle()} | {error, term()} | context_stopped.
setup_start(Context, Ref, Module, Function, Args) ->
    start(Context, Ref, Module, Function, Args, #{}, undefined, ?NO_SLOT).

start(Context, Ref, Module, Function, Args, Kwargs, Env, Flags) ->
    case submit(Context, Ref, Module, Function, Args, Kwargs, Env, ?CALLBACKS_APART bor Flags) of
        Handle when is_integer(Handle) -> {ok, Handle};
        Refused -> refused(Refused)
    end.

submit(Context, Ref, Module, Function, Args, Kwargs, Env, Flags) ->
    case names(Module, Function) of
        {ok, M, F} ->
            case py_nif:submit_call(Context, Ref, M, F, Args, Kwargs, Env, Flags) of
                ancestry -> py_nif:submit_call(Context, related(Ref), M, F, Args, Kwargs, Env, Flags);
                Submitted -> Submitted
            end;
        {error, _} = Error -> Error
    end.

%% @doc Gives a request of {@link start/7} up. `replied': too late, its answer is in the mailbox or about to be.
-spec cancel(py_nif:handle()) -> cancelled | replied | {overloaded, non_neg_integer(), pos_integer()}.
cancel(Handle) ->
    case py_nif:cancel(Handle) of
        %% Its callbacks are not this process's business.
        callback -> cancelled;
        Outcome -> Outcome
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Requests to a context that waits for a callback
%%
%% It serves at once only processes that its callbacks depend on: those that run one, and those they have started. So the
%% core wants to know who started the caller, as far as the caller knows itself: its parent, and what proc_lib and Elixir's
%% Task leave in the process dictionary. Asking other processes would wait for them.

related(Ref) -> {Ref, parent() ++ local_pids('$callers') ++ local_pids('$ancestors')}.

parent() ->
    case process_info(self(), parent) of
        {parent, Parent} when is_pid(Parent), node(Parent) =:= node() -> [Parent];
        _ -> []
    end.

local_pids(Key) ->
    case get(Key) of
        [_ | _] = List -> [Pid || Pid <- List, is_pid(Pid), node(Pid) =:= node()];
        _ -> []
    end.

waited(Ref, Handle, Timeout) when is_integer(Handle) -> await(Ref, Handle, Timeout);
waited(_Ref, Refused, _Timeout) -> refused(Refused).

%% ---------------------------------------------------------------------------------------------------------------------
%% Waiting

%% Every caller of await/3 makes the reference in the same function, so that the compiler lets the receive skip whatever
%% was in the mailbox before.
await(Ref, Handle, infinity) ->
    receive
        {Ref, Result} ->
            Result;
        {Ref, flat, Flat} ->
            py_nif:build(Flat);
        {Ref, Callback, Name, Args} ->
            case answer(Callback, Name, Args, infinity) of
                ok -> await(Ref, Handle, infinity);
                {final, Result} -> Result
            end
    end;
await(Ref, Handle, Timeout) ->
    Start = erlang:monotonic_time(millisecond),
    receive
        {Ref, Result} ->
            Result;
        {Ref, flat, Flat} ->
            py_nif:build(Flat);
        {Ref, Callback, Name, Args} ->
            case answer(Callback, Name, Args, remaining(Start, Timeout)) of
                ok ->
                    case remaining(Start, Timeout) of
                        %% Now, and not when the mailbox is empty: code that calls back again and again would never end.
                        0 -> give_up(Ref, py_nif:cancel(Handle));
                        Left -> await(Ref, Handle, Left)
                    end;
                {final, Result} ->
                    Result
            end
    after Timeout ->
        give_up(Ref, py_nif:cancel(Handle))
    end.

remaining(Start, Timeout) ->
    max(0, Start + Timeout - erlang:monotonic_time(millisecond)).

answer(Callback, Name, Args, Left) ->
    {Status, Value} = py_callback:execute(Name, py_output:args(Name, Args, Left)),
    py_nif:answer(Callback, Status, Value).

give_up(_Ref, cancelled) ->
    {error, timeout};
give_up(_Ref, {overloaded, _Current, _Max} = Overloaded) ->
    {error, Overloaded};
give_up(Ref, callback) ->
    receive
        {Ref, Callback, _Name, _Args} ->
            _ = py_nif:answer(Callback, error, <<"the caller has given up">>),
            {error, timeout}
    end;
give_up(Ref, replied) ->
    receive
        {Ref, Result} -> Result;
        {Ref, flat, Flat} -> py_nif:build(Flat)
    end.

refused({error, context_stopped}) -> context_stopped;
refused({error, _} = Error) -> Error.

final(context_stopped) -> {error, context_stopped};
final(Result) -> Result.

%% ---------------------------------------------------------------------------------------------------------------------
%% Strings

names(Module, Function) ->
    case name(Module) of
        {ok, M} ->
            case name(Function) of
                {ok, F} -> {ok, M, F};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

name(Name) when is_list(Name) -> text(Name);
name(Name) -> {ok, Name}.

text(Chars) ->
    try unicode:characters_to_binary(Chars) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> not_text(Chars)
    catch
        error:badarg -> not_text(Chars)
    end.

not_text(Chars) ->
    {error, {'TypeError', lists:flatten(io_lib:format("expected text, got ~0tp", [Chars], [{chars_limit, 200}]))}}.
