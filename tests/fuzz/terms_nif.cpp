// The NIF library of fuzz_terms.erl: libFuzzer, or what stands in for it, inside the VM.
#include <erl_nif.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
extern "C" int LLVMFuzzerRunDriver(int *count, char ***arguments, int (*target)(const uint8_t *, size_t));

// The driver ends with exit(), which would run what the VM does at exit while its threads run. The linker puts this one
// in its place.
extern "C" [[noreturn]] void __wrap_exit(int status) {
    std::fflush(nullptr);
    _exit(status);
}

namespace {

ERL_NIF_TERM run(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    std::vector<std::string> arguments{"fuzz_terms"};
    ERL_NIF_TERM head, tail = argv[0];
    while (enif_get_list_cell(env, tail, &head, &tail)) {
        ErlNifBinary text;
        if (!enif_inspect_binary(env, head, &text)) {
            return enif_make_badarg(env);
        }
        arguments.emplace_back(reinterpret_cast<const char *>(text.data), text.size);
    }
    std::vector<char *> pointers;
    for (std::string &argument : arguments) {
        pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    int count = static_cast<int>(arguments.size());
    char **all = pointers.data();
    return enif_make_int(env, LLVMFuzzerRunDriver(&count, &all, LLVMFuzzerTestOneInput));
}

ErlNifFunc functions[] = {{"run", 1, run, ERL_NIF_DIRTY_JOB_CPU_BOUND}};

} // namespace

ERL_NIF_INIT(fuzz_terms, functions, nullptr, nullptr, nullptr, nullptr)
