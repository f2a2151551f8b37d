%%% @doc The part of the report about what contexts can be like: each mode, and memory limits, with yes or why not.
-module(py_doctor_contexts).

-export([possible/2]).

-import(py_doctor_layout, [labelled/3]).

%% @doc With the chosen backend, if there is one, and everything that was found.
-spec possible([map()], [map()]) -> unicode:chardata().
possible([], _Found) ->
    labelled(16, "  none", "until a Python can be started");
possible([Chosen], Found) ->
    [labelled(16, "  " ++ atom_to_list(Subject), answer(Subject, Chosen, Found))
     || Subject <- [worker, owngil, freethreaded, memory_limit]].

answer(worker, #{free_threading := true}, _Found) ->
    "yes, served by freethreaded: they share an interpreter without a GIL";
answer(worker, Chosen, Found) ->
    case [worker || #{mode := worker, status := Status} = Backend <- Found,
                    Status =/= refused, same_python(Backend, Chosen)] of
        [] -> "no: backend_missing, there is no backend worker for this Python; build it";
        _ -> "yes: they share an interpreter and its GIL"
    end;
answer(owngil, _Chosen, _Found) ->
    case py_nif:owngil_problem() of
        ok -> "yes: each has an interpreter and a GIL of its own";
        {error, Reason} -> ["no: ", atom_to_list(Reason), ", ", owngil_cure(Reason)]
    end;
answer(freethreaded, #{free_threading := true}, _Found) ->
    "yes: they share an interpreter without a GIL";
answer(freethreaded, _Chosen, _Found) ->
    "no: freethreaded_requires_free_threaded_python, this one has a GIL; a VM with {python, \"3.14t\"} can";
answer(memory_limit, _Chosen, _Found) ->
    case {py_nif:owngil_supported(), application:get_env(erlang_python, enable_memory_limits, false)} of
        {false, _} -> "no: memory_limit_requires_owngil";
        {true, true} -> "yes, for contexts of mode owngil";
        {true, _} -> "no: memory_limits_not_enabled, set {enable_memory_limits, true} before Python starts"
    end.

owngil_cure(owngil_requires_python314) -> "choose a newer one, as by {python, \"3.14\"}";
owngil_cure(owngil_requires_gil) -> "this Python has no GIL, so workers run at once already";
owngil_cure(owngil_backend_missing) -> "there is no backend owngil for this Python; build it".

same_python(#{libpython := A}, #{libpython := B}) -> A =:= B.
