%%% @doc libFuzzer inside the VM, where terms are: `-run fuzz_terms -extra DIRECTORY [ARGUMENT OF LIBFUZZER...]'. In
%%% the directory is the library: one with libFuzzer, or one that runs inputs from files.
-module(fuzz_terms).

-export([start/0, run/1, atoms/0]).

-spec start() -> no_return().
start() ->
    [Directory | Arguments] = init:get_plain_arguments(),
    ok = erlang:load_nif(filename:join(Directory, ?MODULE_STRING), []),
    _ = atoms(),
    halt(min(run([list_to_binary(Argument) || Argument <- Arguments]), 255)).

%% @doc Runs on a dirty scheduler.
-spec run([binary()]) -> non_neg_integer().
run(_Arguments) ->
    erlang:nif_error(not_loaded).

%% @doc Those that inputs may name, since they exist: fuzzing makes no new ones.
-spec atoms() -> [atom()].
atoms() ->
    [a, '', none, nil, undefined, bytes, memoryview, true, false, 'gr\x{fc}n', 'κόσμος', '日本', 'ÿ',
     list_to_atom(lists:duplicate(255, $x)), list_to_atom(lists:duplicate(255, 16#3ba))].
