// NIFs of py_state and SharedDicts. `Store` is a reference, or the atom state.
#include "arguments.hpp"
#include "nifs.hpp"
#include "store.hpp"

namespace ep {

namespace {

Store &open_store(ErlNifEnv *env, ERL_NIF_TERM term) {
    if (term == core().atoms.state) {
        return core().state;
    }
    auto *store = get_resource<Store>(env, term, core().types.store);
    if (store->closed()) {
        throw BadArgument{};
    }
    return *store;
}

// A number of entries, or infinity.
size_t get_limit(ErlNifEnv *env, ERL_NIF_TERM term) {
    ErlNifUInt64 limit = 0;
    if (term == core().atoms.infinity) {
        return SIZE_MAX;
    }
    if (!enif_get_uint64(env, term, &limit)) {
        throw BadArgument{};
    }
    return limit;
}

} // namespace

ERL_NIF_TERM nif_store_new(ErlNifEnv *env, int, const ERL_NIF_TERM[]) {
    return make_store(env);
}

ERL_NIF_TERM nif_store_get(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ERL_NIF_TERM value = 0;
    bool pickled = false;
    if (!open_store(env, argv[0]).get(env, argv[1], false, value, pickled)) {
        return core().atoms.error;
    }
    return enif_make_tuple2(env, core().atoms.ok, value);
}

// Store, Key, Value, Most
ERL_NIF_TERM nif_store_put(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    const size_t most = get_limit(env, argv[3]);
    switch (open_store(env, argv[0]).put(env, argv[1], argv[2], {}, most)) {
    case Store::Entries::Stored::ok: return core().atoms.ok;
    case Store::Entries::Stored::full: return enif_make_atom(env, "full");
    default: throw BadArgument{};
    }
}

// Store, Key, Amount, Most
ERL_NIF_TERM nif_store_add(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    ErlNifSInt64 amount = 0;
    const size_t most = get_limit(env, argv[3]);
    if (!enif_get_int64(env, argv[2], &amount)) {
        throw BadArgument{};
    }
    int64_t sum = 0;
    switch (open_store(env, argv[0]).add(env, argv[1], amount, most, sum)) {
    case Store::Entries::Added::ok: return enif_make_int64(env, sum);
    case Store::Entries::Added::full: return enif_make_atom(env, "full");
    default: throw BadArgument{};
    }
}

ERL_NIF_TERM nif_store_remove(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    open_store(env, argv[0]).remove(env, argv[1]);
    return core().atoms.ok;
}

ERL_NIF_TERM nif_store_keys(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    return open_store(env, argv[0]).keys(env);
}

ERL_NIF_TERM nif_store_clear(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    open_store(env, argv[0]).clear();
    return core().atoms.ok;
}

// Any number of times.
ERL_NIF_TERM nif_store_close(ErlNifEnv *env, int, const ERL_NIF_TERM argv[]) {
    get_resource<Store>(env, argv[0], core().types.store)->close();
    return core().atoms.ok;
}

} // namespace ep
