%%% @doc What contexts can be like in the cell under test, and why not otherwise: a case that cannot exist there is
%%% skipped with the reason in words.
-module(ep_cell).

-export([with_owngil/1, with_free_threading/1, isolates/0, keeps_classes/0, other_modes/0]).

%% @doc Runs a case that needs contexts of mode `owngil', which a worker backend may have beside it.
-spec with_owngil(fun(() -> Result)) -> Result | {skip, string()}.
with_owngil(Case) ->
    case py_nif:owngil_problem() of
        ok -> Case();
        {error, Problem} -> {skip, words(Problem)}
    end.

words(owngil_requires_python314) -> "interpreters have a GIL each from Python 3.14 on, and this one is older";
words(owngil_requires_gil) -> "this Python is free-threaded: there is no GIL that an interpreter could have of its own";
words(owngil_backend_missing) -> "this build has no backend owngil for the Python under test".

-spec with_free_threading(fun(() -> Result)) -> Result | {skip, string()}.
with_free_threading(Case) ->
    case py_nif:runtime() of
        #{free_threading := true} -> Case();
        _ -> {skip, "this Python has a GIL"}
    end.

%% @doc Whether two contexts of the mode under test have two interpreters.
-spec isolates() -> boolean().
isolates() -> ep_ct:context_mode() =:= owngil.

%% @doc Whether classes, and functions that are not defined inside others, are never freed, nor what they refer to:
%% Python 3.13 without a GIL makes them immortal.
-spec keeps_classes() -> boolean().
keeps_classes() ->
    #{abi_tag := Tag} = py_nif:runtime(),
    Tag =:= <<"cp313t">>.

%% @doc The modes beside that under test that contexts can have here.
-spec other_modes() -> [py_context:context_mode()].
other_modes() ->
    [Mode || Mode <- [worker, owngil], Mode =/= ep_ct:context_mode(), Mode =:= worker orelse py_nif:owngil_supported()].
