%%% @doc What a process remembers about contexts: its Python environment in each, and its own context of each pool.
%%%
%%% All of it lives in the process dictionary, so it costs no lookup outside the process and ends with it. Under
%%% `py_local_env' is a map from context pids to `{Context, Env | undefined}': the native context and the namespace of
%%% this process in it, made when first needed. The environment of a process is freed with the process.
-module(py_local_env).

-export([of_pool/1, of_context/1, with_env/1, for_call/2]).
-export([environments/0]).
-export([chosen/1, bind/2, unbind/1, forget/2]).

-export_type([entry/0]).

-type entry() :: {pid(), py_nif:context() | remote, py_nif:env() | undefined}.

-define(ENVS, py_local_env).
%% The entry of the context chosen in the default pool. Other pools have only the pid, under {?CHOSEN, Pool}: the
%% default pool is the path that counts, and only one copy of an entry has to follow the map.
-define(CHOSEN, '$py_context').
-define(BEFORE_BIND, '$py_context_before_bind').
%% A map larger than this is cleared of dead contexts before it grows.
-define(MANY, 16).

%% @doc The context this process uses in a pool, chosen now if it has none yet. It may have stopped meanwhile:
%% submitting to it tells.
-spec of_pool(py_context_router:pool_name()) -> entry() | {error, term()}.
of_pool(default) ->
    case get(?CHOSEN) of
        undefined -> choose(default);
        Entry -> Entry
    end;
of_pool(Pool) ->
    case get({?CHOSEN, Pool}) of
        undefined -> choose(Pool);
        Pid -> chosen_or_other(Pool, of_context(Pid))
    end.

%% @doc The entry of a context the caller named. `{error, context_stopped}' when the pid is no context, or one no more.
-spec of_context(pid()) -> entry() | {error, context_stopped}.
of_context(Pid) ->
    case get(?ENVS) of
        #{Pid := {Context, Env}} -> {Pid, Context, Env};
        Envs -> remember(Pid, Envs)
    end.

%% @doc The same entry with its environment, made now if there is none.
-spec with_env(entry()) -> entry().
with_env({Pid, Context, undefined}) when is_reference(Context) ->
    Entry = {Pid, Context, py_nif:env_new(Context)},
    store(Entry),
    Entry;
with_env(Entry) ->
    Entry.

%% @doc All entries with an environment, that of the default pool's context first.
-spec environments() -> [entry()].
environments() ->
    Chosen = chosen(default),
    All = [{Pid, Context, Env} || {Pid, {Context, Env}} <- maps:to_list(alive(get(?ENVS))), Env =/= undefined],
    {First, Others} = lists:partition(fun({Pid, _, _}) -> Pid =:= Chosen end, All),
    First ++ Others.

%% @doc The entry a call of a function in Module needs: only `__main__' looks at the environment, so nothing else makes
%% one.
-spec for_call(entry(), py_request:name()) -> entry().
for_call({_, _, undefined} = Entry, Module) ->
    case is_main(Module) of
        true -> with_env(Entry);
        false -> Entry
    end;
for_call(Entry, _Module) ->
    Entry.

%% @doc The context chosen or bound for a pool, if there is one.
-spec chosen(py_context_router:pool_name()) -> pid() | undefined.
chosen(Pool) ->
    case get(key(Pool)) of
        {Pid, _, _} -> Pid;
        PidOrUndefined -> PidOrUndefined
    end.

%% @doc Makes a context the one of this process in a pool, until unbind/1.
-spec bind(py_context_router:pool_name(), pid()) -> ok | {error, context_stopped}.
bind(Pool, Pid) ->
    case of_context(Pid) of
        {error, _} = Error ->
            Error;
        Entry ->
            case get({?BEFORE_BIND, Pool}) of
                undefined -> put({?BEFORE_BIND, Pool}, {chosen, chosen(Pool)});
                _ -> ok
            end,
            _ = choose(Pool, Entry),
            ok
    end.

%% @doc Goes back to the context the process had in the pool before bind/2, if any.
-spec unbind(py_context_router:pool_name()) -> ok.
unbind(Pool) ->
    case erase({?BEFORE_BIND, Pool}) of
        undefined ->
            ok;
        {chosen, Before} ->
            erase(key(Pool)),
            restore(Pool, Before)
    end.

%% @doc Forgets a stopped context, its environment with it, and that it was the one of this process in a pool.
-spec forget(py_context_router:pool_name() | undefined, pid()) -> ok.
forget(Pool, Pid) ->
    case get(?ENVS) of
        #{Pid := _} = Envs -> put(?ENVS, maps:remove(Pid, Envs));
        _ -> ok
    end,
    erase_default(Pid),
    Pool =:= undefined orelse Pool =:= default orelse erase_if(key(Pool), Pid),
    ok.

%% ---------------------------------------------------------------------------------------------------------------------

chosen_or_other(Pool, {error, context_stopped}) ->
    erase({?CHOSEN, Pool}),
    choose(Pool);
chosen_or_other(_Pool, Entry) ->
    Entry.

choose(Pool) ->
    case py_context_router:select(Pool) of
        {ok, Pid} ->
            case of_context(Pid) of
                {error, _} = Error -> Error;
                Entry -> choose(Pool, Entry)
            end;
        {error, _} = Error ->
            Error
    end.

choose(default, Entry) ->
    put(?CHOSEN, Entry),
    Entry;
choose(Pool, {Pid, _, _} = Entry) ->
    put({?CHOSEN, Pool}, Pid),
    Entry.

restore(_Pool, undefined) ->
    ok;
restore(Pool, Pid) ->
    case of_context(Pid) of
        {error, _} -> ok;
        Entry -> _ = choose(Pool, Entry), ok
    end.

key(default) -> ?CHOSEN;
key(Pool) -> {?CHOSEN, Pool}.

remember(Pid, _Envs) when node(Pid) =/= node() ->
    {Pid, remote, undefined};
remember(Pid, Envs) ->
    case py_nif:context_of(Pid) of
        undefined ->
            {error, context_stopped};
        Context ->
            ok = py_nif:context_join(Context),
            put(?ENVS, (alive(Envs))#{Pid => {Context, undefined}}),
            {Pid, Context, undefined}
    end.

alive(undefined) -> #{};
alive(Envs) when map_size(Envs) < ?MANY -> Envs;
alive(Envs) -> maps:filter(fun(Pid, _) -> is_process_alive(Pid) end, Envs).

store({Pid, Context, Env} = Entry) ->
    Envs = case get(?ENVS) of
        undefined -> #{};
        Known -> Known
    end,
    put(?ENVS, Envs#{Pid => {Context, Env}}),
    case get(?CHOSEN) of
        {Pid, _, _} -> put(?CHOSEN, Entry);
        _ -> ok
    end,
    ok.

erase_default(Pid) ->
    case get(?CHOSEN) of
        {Pid, _, _} -> erase(?CHOSEN);
        _ -> ok
    end.

erase_if(Key, Value) ->
    case get(Key) of
        Value -> erase(Key);
        _ -> ok
    end.

is_main('__main__') -> true;
is_main(<<"__main__">>) -> true;
is_main("__main__") -> true;
is_main(_) -> false.
