%%% @doc Contexts with a memory limit, on a second VM that has them from the start of Python on.
-module(ep_limited).

-include_lib("stdlib/include/assert.hrl").

-export([with_context/2, with_vm/1, new/1, usage/1, too_much/1]).

-define(RESERVE, 256 * 1024).

%% Milliseconds, and less than the call to the other VM may take.
-define(PATIENCE, 110_000).

%% @doc Runs a case with a context that may take so many bytes, and still works after it.
-spec with_context(pos_integer(), fun((pid()) -> term())) -> term().
with_context(Limit, Case) ->
    with_vm(fun() ->
        Context = new(Limit),
        Case(Context),
        ep_expect:still_works(Context),
        ok = py_context:stop(Context)
    end).

%% @doc Runs a case on such a VM, and an audit after it.
-spec with_vm(fun(() -> term())) -> term().
with_vm(Case) ->
    ep_cell:with_owngil(fun() ->
        ep_ct:with_peer([{enable_memory_limits, true}], fun(Call) ->
            Call(erlang, apply, [fun() -> audited(Case) end, []])
        end)
    end).

audited(Case) ->
    Before = ep_live:snapshot(),
    _ = ep_ct:result(spawn_monitor(fun() -> exit({result, Case()}) end), ?PATIENCE),
    ep_ct:wait_until(fun() -> ep_ct:alive(contexts) =< ep_live:count(contexts, Before) end),
    ep_live:back_to(Before).

-spec new(pos_integer()) -> pid().
new(Limit) ->
    {ok, Context} = py_context:new(#{mode => owngil, memory_limit => Limit}),
    Context.

%% @doc What the context says of itself, which is never more than it may take: the limit, and a reserve for small blocks.
-spec usage(pid()) -> #{used := non_neg_integer(), peak := non_neg_integer(), limit := pos_integer()}.
usage(Context) ->
    {ok, #{used := Used, peak := Peak, limit := Limit} = Usage} = py_context:memory_usage(Context),
    ?assert(Used =< Peak),
    ?assert(Peak =< Limit + ?RESERVE),
    Usage.

%% @doc The result of a request that wanted more than there is.
-spec too_much(term()) -> string().
too_much(Result) ->
    ep_expect:python_error('MemoryError', Result).
