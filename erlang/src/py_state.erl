%%% @doc State that Erlang and all Python contexts share, by key.
%%%
%%% It lives in the native core, where processes and Python's threads read and write it directly; none of this sends a
%%% message. Keys and values are any terms. Erlang gets back the very term it stored; Python gets it converted as an
%%% argument is. An integer that fits 64 bits is a counter.
%%%
%%% The application environment's `max_state_entries' (default 1,000,000; `infinity') bounds how many entries there may
%%% be, and is read whenever a new one is made. Atoms whose name begins with `$' are reserved keys. All is forgotten when the
%%% application stops. Any process may call these functions.
-module(py_state).

-export([store/2, fetch/1, remove/1, keys/0, clear/0, incr/1, incr/2, decr/1, decr/2]).
-export([init_tab/0, register_callbacks/0]).
-export([call_get/1, call_set/1, call_delete/1, call_keys/1, call_incr/1, call_decr/1]).

-define(MOST, 1_000_000).

%% @doc Stores a value, in place of what was there.
-spec store(Key :: term(), Value :: term()) -> ok | {error, full | reserved_key}.
store(Key, Value) ->
    case is_reserved(Key) of
        true -> {error, reserved_key};
        false -> refused(py_nif:store_put(state, Key, Value, most()))
    end.

-spec fetch(Key :: term()) -> {ok, term()} | {error, not_found}.
fetch(Key) ->
    case py_nif:store_get(state, Key) of
        error -> {error, not_found};
        Found -> Found
    end.

%% @doc Forgets a key; `ok' also when nobody knew it.
-spec remove(Key :: term()) -> ok.
remove(Key) ->
    py_nif:store_remove(state, Key).

%% @doc All keys, in no order. What others store or remove meanwhile may be in it or not.
-spec keys() -> [term()].
keys() ->
    py_nif:store_keys(state).

-spec clear() -> ok.
clear() ->
    py_nif:store_clear(state).

%% @doc The same as `incr(Key, 1)'.
-spec incr(Key :: term()) -> integer().
incr(Key) -> incr(Key, 1).

%% @doc Adds to a counter, atomically, and returns its new value; a key nobody knew begins as 0. Raises `badarg' when the
%% key holds something else or the counter would leave the range of 64 bits, `full' or `reserved_key' where
%% {@link store/2} says that.
-spec incr(Key :: term(), Amount :: integer()) -> integer().
incr(Key, Amount) ->
    is_reserved(Key) andalso error(reserved_key, [Key, Amount]),
    case py_nif:store_add(state, Key, Amount, most()) of
        full -> error(full, [Key, Amount]);
        Sum -> Sum
    end.

%% @doc The same as `decr(Key, 1)'.
-spec decr(Key :: term()) -> integer().
decr(Key) -> incr(Key, -1).

%% @doc Subtracts; see {@link incr/2}.
-spec decr(Key :: term(), Amount :: integer()) -> integer().
decr(Key, Amount) when is_integer(Amount) -> incr(Key, -Amount).

%% @doc There is nothing to prepare: the state is there as soon as the native core is loaded.
-spec init_tab() -> ok.
init_tab() -> ok.

%% @doc Registers the functions that Python's `erlang.call' knows the state by, and those that the package calls for new
%% keys, whatever users register; done when the application starts.
-spec register_callbacks() -> ok.
register_callbacks() ->
    [ok = py_callback:register(Name, ?MODULE, Function)
     || {Name, Function} <- [{state_get, call_get}, {state_set, call_set}, {state_delete, call_delete},
                             {state_keys, call_keys}, {state_incr, call_incr}, {state_decr, call_decr},
                             {'$py_state_set', call_set}, {'$py_state_incr', call_incr}]],
    ok.

%% @private What Python calls with a list of arguments.
-spec call_get([term()]) -> term().
call_get([Key]) ->
    case fetch(Key) of
        {ok, Value} -> Value;
        {error, not_found} -> none
    end.

%% @private
-spec call_set([term()]) -> none.
call_set([Key, Value]) ->
    case store(Key, Value) of
        ok -> none;
        {error, Reason} -> error(Reason)
    end.

%% @private
-spec call_delete([term()]) -> none.
call_delete([Key]) ->
    ok = remove(Key),
    none.

%% @private
-spec call_keys([]) -> [term()].
call_keys([]) -> keys().

%% @private
-spec call_incr([term()]) -> integer().
call_incr([Key]) -> incr(Key);
call_incr([Key, Amount]) -> incr(Key, Amount).

%% @private
-spec call_decr([term()]) -> integer().
call_decr([Key]) -> decr(Key);
call_decr([Key, Amount]) -> decr(Key, Amount).

is_reserved(Key) when is_atom(Key) -> hd(atom_to_list(Key) ++ [0]) =:= $$;
is_reserved(_) -> false.

most() ->
    case application:get_env(erlang_python, max_state_entries, ?MOST) of
        Most when Most =:= infinity; is_integer(Most), Most >= 0 -> Most;
        Other -> error({bad_config, max_state_entries, Other})
    end.

refused(ok) -> ok;
refused(full) -> {error, full}.
