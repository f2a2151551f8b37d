#include "conversion.hpp"

namespace {

// Lives as long as the VM.
ErlNifEnv *lasting_env() {
    static ErlNifEnv *env = enif_alloc_env();
    return env;
}

} // namespace

const ep::ConversionAtoms &atoms() {
    static const ep::ConversionAtoms atoms{lasting_env()};
    return atoms;
}

ERL_NIF_TERM object_reference() {
    static const ERL_NIF_TERM reference = enif_make_ref(lasting_env());
    return reference;
}

bool is_object(ErlNifEnv *, ERL_NIF_TERM term) {
    return enif_is_identical(term, object_reference()) != 0;
}
