%%% @doc The memory of the interpreter that the calling process uses: its garbage collector, and tracemalloc.
-module(py_memory).

-export([stats/0, collect/1, start_tracing/1, stop_tracing/0]).

-define(PYTHON, 'erlang._memory').

%% @doc See {@link py:memory_stats/0}.
-spec stats() -> {ok, map()} | {error, term()}.
stats() ->
    case call(stats, []) of
        {ok, Numbers} -> {ok, maps:from_list([{key(Name), Number} || {Name, Number} <- maps:to_list(Numbers)])};
        {error, _} = Error -> Error
    end.

%% @doc See {@link py:gc/1}.
-spec collect(0..2) -> {ok, non_neg_integer()} | {error, term()}.
collect(Generation) when is_integer(Generation) ->
    call(collect, [Generation]).

%% @doc See {@link py:tracemalloc_start/1}.
-spec start_tracing(pos_integer()) -> ok | {error, term()}.
start_tracing(Frames) when is_integer(Frames) ->
    done(call(start_tracing, [Frames])).

%% @doc See {@link py:tracemalloc_stop/0}.
-spec stop_tracing() -> ok | {error, term()}.
stop_tracing() ->
    done(call(stop_tracing, [])).

call(Function, Args) ->
    py:call(default, ?PYTHON, Function, Args).

done({ok, _}) -> ok;
done({error, _} = Error) -> Error.

key(<<"gc_stats">>) -> gc_stats;
key(<<"gc_count">>) -> gc_count;
key(<<"gc_threshold">>) -> gc_threshold;
key(<<"traced_memory_current">>) -> traced_memory_current;
key(<<"traced_memory_peak">>) -> traced_memory_peak.
