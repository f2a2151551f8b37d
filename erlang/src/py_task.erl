%%% @doc Tasks of event loops: functions whose result comes as a message.
%%%
%%% A task is a reference that is answered once, with `{async_result, Task, Result}' to the process that submitted it, or
%%% not at all once that has given it up. Submitting takes one request, and nobody else takes part.
-module(py_task).

-export([submit/5, spawn/5, failed/1, await/3]).

-define(PYTHON, <<"erlang._tasks">>).
-define(NO_SLOT, 8).
%% How long a context may take to show an environment to a loop, in milliseconds.
-define(PATIENCE, 5000).

%% @doc Submits a function to a loop. `{error, no_loop}' and the like are passed on.
-spec submit({ok, py_loop:loop()} | {error, term()}, py_request:name(), py_request:name(), [term()], map()) ->
    {ok, py_nif:task()} | {error, term()}.
submit({ok, Loop}, Module, Function, Args, Kwargs) ->
    adopt(Module, Loop),
    case py_nif:submit_task(py_loop:native(Loop), name(Module), name(Function), Args, Kwargs) of
        {error, _} = Error -> Error;
        Task -> {ok, Task}
    end;
submit({error, _} = Error, _Module, _Function, _Args, _Kwargs) ->
    Error.

%% @doc The same for a function whose result nobody wants; it goes on when the calling process ends.
-spec spawn({ok, py_loop:loop()} | {error, term()}, py_request:name(), py_request:name(), [term()], map()) ->
    ok | {error, term()}.
spawn({ok, Loop}, Module, Function, Args, Kwargs) ->
    adopt(Module, Loop),
    py_nif:spawn_task(make_ref(), py_loop:native(Loop), name(Module), name(Function), Args, Kwargs);
spawn({error, _} = Error, _Module, _Function, _Args, _Kwargs) ->
    Error.

%% @doc A task that could not be submitted, whose result is that.
-spec failed(term()) -> reference().
failed(Reason) ->
    Ref = make_ref(),
    self() ! {async_result, Ref, {error, Reason}},
    Ref.

%% @doc Waits for the result of a task. `{error, timeout}': nothing comes of it any more; with `cancel' the task ends, too.
%% `{error, not_owner}': the caller did not submit it, or has its result already.
-spec await(reference(), timeout(), cancel | leave) -> py_request:result().
await(Task, Timeout, Then) ->
    case py_nif:task_state(Task) of
        open ->
            receive
                {async_result, Task, Result} -> Result
            after Timeout ->
                give_up(Task, Then)
            end;
        ending ->
            %% It is in the mailbox, or about to be, or the caller has taken it out already.
            receive
                {async_result, Task, Result} -> Result
            after 0 ->
                erlang:yield(),
                await(Task, Timeout, Then)
            end;
        _ ->
            over(Task)
    end.

give_up(Task, Then) ->
    case py_nif:task_give_up(Task) of
        cancelled ->
            Then =:= cancel andalso py_loop:cancel(Task),
            {error, timeout};
        replied ->
            %% By another process, or about to come.
            await(Task, infinity, Then)
    end.

over(Task) ->
    receive
        {async_result, Task, Result} -> Result
    after 0 ->
        {error, not_owner}
    end.

%% ---------------------------------------------------------------------------------------------------------------------
%% Functions of `__main__'
%%
%% They are looked up in the environments of the process: those of py:exec, and then the one it has in the loop's own
%% context. A loop is shown each once, and forgets them with the process. It can use those of its own interpreter.

adopt('__main__', Loop) -> show(Loop);
adopt(<<"__main__">>, Loop) -> show(Loop);
adopt("__main__", Loop) -> show(Loop);
adopt(_Name, _Loop) -> ok.

show(Loop) ->
    Known = py_loop:known(Loop),
    case [Entry || {_, _, Env} = Entry <- py_local_env:environments(), not lists:member(Env, Known)] of
        [] ->
            ok;
        New ->
            ok = py_loop:known(Loop, [Env || {_, _, Env} <- New] ++ Known),
            %% The last one to be shown is looked at first.
            lists:foreach(fun(Entry) -> show(Entry, Loop) end, lists:reverse(New))
    end.

show({Pid, Native, Env}, Loop) ->
    {Context, _, Number} = py_loop:context(Loop),
    Own = Pid =:= Context,
    case Own orelse not (py_context:is_subinterp(Pid) orelse py_context:is_subinterp(Context)) of
        true ->
            Args = [Number, self(), not Own],
            _ = py_request:call(Native, ?PYTHON, adopt, Args, #{}, Env, ?NO_SLOT, ?PATIENCE),
            ok;
        false ->
            ok
    end.

name(Name) when is_atom(Name) -> Name;
name(Name) when is_binary(Name) -> Name;
name(Name) -> unicode:characters_to_binary(Name).
