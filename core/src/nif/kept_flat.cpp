#include "kept_flat.hpp"

#include "core.hpp"

#include <new>

namespace ep {

KeptFlat::~KeptFlat() {
    if (ErlNifEnv *env = flat.used_env()) {
        enif_free_env(env);
    }
}

ERL_NIF_TERM make_kept_flat(ErlNifEnv *env, const ep_flat &value) {
    auto *kept = new (enif_alloc_resource(core().types.flat, sizeof(KeptFlat))) KeptFlat;
    kept->flat.assign(value);
    ERL_NIF_TERM term = enif_make_resource(env, kept);
    enif_release_resource(kept);
    return term;
}

void destroy_kept_flat(ErlNifEnv *, void *resource) {
    static_cast<KeptFlat *>(resource)->~KeptFlat();
}

} // namespace ep
