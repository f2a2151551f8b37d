%%% @doc The bound on how many requests run at once.
%%%
%%% Every call, eval, exec and cast takes a slot by itself; this module is for code that wants to take part with work of
%%% its own, or to watch. Slots live in the native core and belong to their holder: one that dies gives its slots back.
-module(py_semaphore).

-export([init/0, acquire/1, release/0, current/0, max_concurrent/0, set_max_concurrent/1]).

%% The slots this process holds, the latest first.
-define(SLOTS, '$py_semaphore').

%% @doc There is nothing to prepare: the semaphore exists as soon as the native core is loaded.
-spec init() -> ok.
init() -> ok.

%% @doc Takes a slot, waiting for one in the order of arrival. `{error, max_concurrent}' when none came in time.
-spec acquire(timeout()) -> ok | {error, max_concurrent}.
acquire(Timeout) when Timeout =:= infinity; is_integer(Timeout), Timeout >= 0 ->
    case py_nif:semaphore_acquire(self()) of
        {ok, Slot} -> keep(Slot);
        {wait, Slot} -> wait(Slot, Timeout)
    end.

%% @doc Gives the slot taken last back. Does nothing in a process that holds none.
-spec release() -> ok.
release() ->
    case get(?SLOTS) of
        [Slot | Slots] ->
            put(?SLOTS, Slots),
            py_nif:semaphore_release(Slot);
        _ ->
            ok
    end.

%% @doc How many slots are taken at this moment.
-spec current() -> non_neg_integer().
current() -> py_nif:semaphore_current().

%% @doc How many there are.
-spec max_concurrent() -> pos_integer().
max_concurrent() -> py_nif:semaphore_max().

%% @doc Changes how many there are, at once. Slots already taken stay taken.
-spec set_max_concurrent(pos_integer()) -> ok.
set_max_concurrent(Max) when is_integer(Max), Max > 0 -> py_nif:semaphore_set_max(Max).

wait(Slot, Timeout) ->
    receive
        {Slot, granted} -> keep(Slot)
    after Timeout ->
        case py_nif:semaphore_cancel(Slot) of
            cancelled -> {error, max_concurrent};
            granted -> receive {Slot, granted} -> keep(Slot) end
        end
    end.

keep(Slot) ->
    case get(?SLOTS) of
        undefined -> put(?SLOTS, [Slot]);
        Slots -> put(?SLOTS, [Slot | Slots])
    end,
    ok.
