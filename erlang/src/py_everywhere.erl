%%% @doc Work in every context that runs, whoever started it.
%%%
%%% It takes no slot of the semaphore. A busy context would keep one for each piece of work that waits there, and soon
%%% nobody else would have any.
-module(py_everywhere).

-export([cast/3, once/4]).

%% @doc Sends a call to each context and waits for none: a context runs it before what it is asked afterwards. Whatever
%% comes of it is lost.
-spec cast(py_request:name(), py_request:name(), [term()]) -> ok.
cast(Module, Function, Args) ->
    lists:foreach(fun({Pid, Context}) ->
        case py_request:setup_cast(Context, Module, Function, Args) of
            ok -> ok;
            context_stopped -> ok;
            {error, Reason} -> refused(Pid, {Module, Function, Args}, Reason)
        end
    end, py_nif:contexts()).

%% The others are told all the same.
refused(Pid, Work, Reason) ->
    logger:error("erlang_python: the context ~0p could not be told to do ~0tp: ~0tp", [Pid, Work, Reason]).

%% @doc Has each interpreter do something once, and gives the results. Contexts that share one are all asked, so that a
%% busy one does not keep the others waiting: the function gets an order as one argument more, a number, and answers
%% False where another context has got the same order before.
%%
%% An interpreter that ends meanwhile has no result. One that takes longer than the timeout gives `{error, timeout}',
%% and does it when it gets to it.
-spec once(py_request:name(), py_request:name(), [term()], non_neg_integer()) -> [py_request:result()].
once(Module, Function, Args, Timeout) ->
    Caller = self(),
    %% A process of its own, so that answers which come too late find nobody.
    {Pid, Monitor} = spawn_monitor(fun() ->
        _ = put('$callers', [Caller]),
        Caller ! {self(), ask({Module, Function, Args}, Timeout)}
    end),
    receive
        {Pid, Results} -> demonitor(Monitor, [flush]), Results;
        {'DOWN', Monitor, process, _, Reason} -> error(Reason)
    end.

ask(Work, Timeout) ->
    {Own, Shared} = lists:partition(fun({Pid, _}) -> py_context:is_subinterp(Pid) end, py_nif:contexts()),
    Groups = [[Context] || Context <- Own] ++ [Shared],
    Asked = [{Group, start(Group, Work)} || Group <- Groups],
    Timer = erlang:start_timer(Timeout, self(), over),
    lists:append([result(Group, Refs, Work, Timer) || {Group, Refs} <- Asked]).

start(Group, {Module, Function, Args}) ->
    Order = erlang:unique_integer([monotonic, positive]),
    maps:from_list(lists:append([submit(Context, Module, Function, Args ++ [Order]) || {_, Context} <- Group])).

submit(Context, Module, Function, Args) ->
    Ref = make_ref(),
    case py_request:setup_start(Context, Ref, Module, Function, Args) of
        {ok, _} ->
            [{Ref, asked}];
        {error, _} = Error ->
            self() ! {Ref, Error},
            [{Ref, asked}];
        context_stopped ->
            []
    end.

result(Group, Refs, Work, Timer) ->
    case first(Refs, Timer, #{left => false, ended => false}) of
        {answer, Result} ->
            [Result];
        %% The one the others left it to has ended before it was done.
        #{left := true, ended := true} ->
            result(Group, start(Group, Work), Work, Timer);
        _ ->
            []
    end.

%% The answer of the one that does the work, or what became of all of them.
first(Refs, _Timer, Fates) when map_size(Refs) =:= 0 ->
    Fates;
first(Refs, Timer, Fates) ->
    receive
        {Ref, {ok, false}} when is_map_key(Ref, Refs) ->
            first(maps:remove(Ref, Refs), Timer, Fates#{left := true});
        {Ref, {error, context_stopped}} when is_map_key(Ref, Refs) ->
            first(maps:remove(Ref, Refs), Timer, Fates#{ended := true});
        {Ref, Result} when is_map_key(Ref, Refs) ->
            {answer, Result};
        {timeout, Timer, over} = Over ->
            self() ! Over, % for the groups after this one
            {answer, {error, timeout}}
    end.
