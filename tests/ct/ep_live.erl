%%% @doc What is alive in the native core, and that nothing new stays.
-module(ep_live).

-export([snapshot/0, back_to/1, count/1, count/2, resident_bytes/0]).

%% Atoms are never given back; they have a budget instead.
-define(NOT_ALIVE, [atoms_left]).

-spec snapshot() -> #{atom() => non_neg_integer()}.
snapshot() -> maps:without(?NOT_ALIVE, py_nif:counters()).

%% Waits until no counter is above where it was; says which ones are otherwise.
-spec back_to(#{atom() => non_neg_integer()}) -> ok.
back_to(Before) ->
    try
        ep_ct:wait_until(fun() ->
            %% Handles this process dropped are gone when its heap is collected.
            erlang:garbage_collect(),
            differences(Before, snapshot()) =:= []
        end),
        ok
    catch
        _:_ -> error({still_alive, differences(Before, snapshot())})
    end.

-spec count(atom()) -> non_neg_integer().
count(Name) -> count(Name, snapshot()).

-spec count(atom(), #{atom() => non_neg_integer()}) -> non_neg_integer().
count(Name, Counters) -> maps:get(Name, Counters).

%% Memory of the whole VM that is in RAM. Undefined where the system does not say, and under a sanitizer, which keeps
%% what was freed.
-spec resident_bytes() -> non_neg_integer() | undefined.
resident_bytes() ->
    case {os:getenv("ASAN_OPTIONS"), file:read_file("/proc/self/status")} of
        {false, {ok, Status}} ->
            {match, [Kilobytes]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, list}]),
            list_to_integer(Kilobytes) * 1024;
        _ ->
            undefined
    end.

differences(Before, After) ->
    [{Name, {was, Was}, {is, Is}} || {Name, Was} <- maps:to_list(Before), #{Name := Is} <- [After], Is > Was].
