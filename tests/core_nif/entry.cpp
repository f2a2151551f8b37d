/* The NIF library of core_tests_nif.erl. */
#include "catch.hpp"

#include <erl_nif.h>

#include <string>
#include <vector>

namespace {

ERL_NIF_TERM run(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    std::vector<std::string> arguments{"core_tests_nif"};
    ERL_NIF_TERM head, tail = argv[0];
    while (enif_get_list_cell(env, tail, &head, &tail)) {
        ErlNifBinary text;
        if (!enif_inspect_binary(env, head, &text))
            return enif_make_badarg(env);
        arguments.emplace_back(reinterpret_cast<const char *>(text.data), text.size);
    }
    std::vector<const char *> pointers;
    for (const std::string &argument : arguments)
        pointers.push_back(argument.c_str());
    return enif_make_int(env, run_catch2(static_cast<int>(pointers.size()), pointers.data()));
}

ErlNifFunc functions[] = {{"run", 1, run, ERL_NIF_DIRTY_JOB_CPU_BOUND}};

} // namespace

ERL_NIF_INIT(core_tests_nif, functions, nullptr, nullptr, nullptr, nullptr)
