%%% @doc Catch2 inside the VM, for what needs erl_nif: `-run core_tests_nif main [ARGUMENT OF CATCH2...]'.
-module(core_tests_nif).

-export([main/0, main/1, run/1]).

-on_load(load/0).

load() ->
    erlang:load_nif(filename:join(filename:dirname(code:which(?MODULE)), ?MODULE_STRING), []).

-spec main() -> no_return().
main() ->
    main([]).

-spec main([string()]) -> no_return().
main(Arguments) ->
    halt(min(run([list_to_binary(Argument) || Argument <- Arguments]), 255)).

%% @doc The number of assertions that failed. Runs on a dirty scheduler.
-spec run([binary()]) -> non_neg_integer().
run(_Arguments) ->
    erlang:nif_error(not_loaded).
