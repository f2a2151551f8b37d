#include "store.hpp"

#include "core.hpp"

#include <cstring>
#include <new>

namespace ep {

namespace {

// A key as bytes: a binary is a mark and its own, any other term a mark and its external form, in which terms of one VM
// are equal when they match.
class Key {
public:
    Key(ErlNifEnv *env, ERL_NIF_TERM term) {
        ErlNifBinary binary;
        if (enif_inspect_binary(env, term, &binary)) {
            assign(binary_mark, binary);
        } else if (enif_term_to_binary(env, term, &binary)) {
            assign(term_mark, binary);
            enif_release_binary(&binary);
        } else {
            throw std::bad_alloc{};
        }
    }
    operator std::string_view() const noexcept { return bytes_; }

    static ERL_NIF_TERM term(ErlNifEnv *env, const std::string &bytes) {
        const auto *data = reinterpret_cast<const unsigned char *>(bytes.data()) + 1;
        ERL_NIF_TERM term;
        if (bytes[0] == binary_mark) {
            return make_binary(env, {bytes.data() + 1, bytes.size() - 1});
        }
        if (enif_binary_to_term(env, data, bytes.size() - 1, &term, static_cast<ErlNifBinaryToTerm>(0)) == 0) {
            throw std::bad_alloc{};
        }
        return term;
    }

private:
    static constexpr char binary_mark = 'b';
    static constexpr char term_mark = 't';

    void assign(char mark, const ErlNifBinary &binary) {
        bytes_.reserve(binary.size + 1);
        bytes_.push_back(mark);
        bytes_.append(reinterpret_cast<const char *>(binary.data), binary.size);
    }

    std::string bytes_;
};

// Small integers can be counted with.
Store::Entries::Entry make_entry(ErlNifEnv *env, ERL_NIF_TERM value, ERL_NIF_TERM pickled) {
    ErlNifSInt64 integer = 0;
    if (enif_get_int64(env, value, &integer)) {
        return int64_t{integer};
    }
    return std::make_shared<const Kept>(value, pickled);
}

Store *the_store(ep_store *store) noexcept {
    return store != nullptr ? static_cast<Store *>(store) : &core().state;
}

template <class Body> ep_status in_open(ep_store *store, Body body) {
    Store *open = the_store(store);
    return open->closed() ? EP_CLOSED : body(*open);
}

} // namespace

Kept::Kept(ERL_NIF_TERM term, ERL_NIF_TERM pickled)
    : env_(enif_alloc_env()),
      term_(enif_make_copy(env_, term)),
      pickled_(pickled != 0 ? enif_make_copy(env_, pickled) : 0) {}

bool Store::get(ErlNifEnv *env, ERL_NIF_TERM key, bool wants_pickle, ERL_NIF_TERM &value, bool &pickled) const {
    const auto found = entries_.find(Key{env, key});
    pickled = false;
    if (!found) {
        return false;
    }
    if (const int64_t *counter = std::get_if<int64_t>(&*found)) {
        value = enif_make_int64(env, *counter);
        return true;
    }
    const Kept &kept = *std::get<Entries::Shared>(*found);
    pickled = wants_pickle && kept.pickled() != 0;
    value = enif_make_copy(env, pickled ? kept.pickled() : kept.term());
    return true;
}

Store::Entries::Stored Store::put(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, ERL_NIF_TERM pickled,
                                  size_t most) {
    return entries_.store(Key{env, key}, make_entry(env, value, pickled), most);
}

Store::Entries::Stored Store::replace(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, ERL_NIF_TERM pickled) {
    return entries_.replace(Key{env, key}, make_entry(env, value, pickled));
}

Store::Entries::Added Store::add(ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, size_t most, int64_t &sum) {
    return entries_.add(Key{env, key}, amount, most, sum);
}

bool Store::remove(ErlNifEnv *env, ERL_NIF_TERM key) {
    return entries_.remove(Key{env, key});
}

ERL_NIF_TERM Store::keys(ErlNifEnv *env) const {
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (const std::string &key : entries_.keys()) {
        list = enif_make_list_cell(env, Key::term(env, key), list);
    }
    return list;
}

void Store::close() {
    closed_.store(true);
    entries_.clear();
}

ERL_NIF_TERM make_store(ErlNifEnv *env) {
    auto *store = new (enif_alloc_resource(core().types.store, sizeof(Store))) Store;
    Counters::add(core().counters.stores, 1);
    ERL_NIF_TERM term = enif_make_resource(env, store);
    enif_release_resource(store);
    return term;
}

void destroy_store(ErlNifEnv *, void *resource) {
    static_cast<Store *>(resource)->~Store();
    Counters::add(core().counters.stores, -1);
}

ep_status store_of(ErlNifEnv *env, ERL_NIF_TERM term, ep_store **store) noexcept {
    void *resource = nullptr;
    if (!enif_get_resource(env, term, core().types.store, &resource)) {
        return EP_WRONG_KIND;
    }
    enif_keep_resource(resource);
    *store = static_cast<Store *>(resource);
    return EP_OK;
}

void store_release(ep_store *store) noexcept {
    enif_release_resource(static_cast<Store *>(store));
}

ep_status store_get(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM *value, int32_t *pickled) noexcept {
    return in_open(store, [&](Store &open) {
        bool is_pickle = false;
        const bool found = open.get(env, key, true, *value, is_pickle);
        *pickled = is_pickle ? 1 : 0;
        return found ? EP_OK : EP_FAILED;
    });
}

ep_status store_put(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value,
                    ERL_NIF_TERM pickled) noexcept {
    return in_open(store, [&](Store &open) {
        const auto stored =
            store != nullptr ? open.put(env, key, value, pickled, SIZE_MAX) : open.replace(env, key, value, pickled);
        return stored == Store::Entries::Stored::ok ? EP_OK : EP_FAILED;
    });
}

ep_status store_add(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, int64_t *sum) noexcept {
    return in_open(store, [&](Store &open) {
        using Added = Store::Entries::Added;
        switch (open.add(env, key, amount, store != nullptr ? SIZE_MAX : 0, *sum)) {
        case Added::ok: return EP_OK;
        case Added::full:
        case Added::absent: return EP_FAILED;
        default: return EP_WRONG_KIND;
        }
    });
}

ep_status store_remove(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key) noexcept {
    return in_open(store, [&](Store &open) { return open.remove(env, key) ? EP_OK : EP_FAILED; });
}

ep_status store_keys(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM *keys) noexcept {
    return in_open(store, [&](Store &open) {
        *keys = open.keys(env);
        return EP_OK;
    });
}

ep_status store_close(ep_store *store) noexcept {
    return in_open(store, [](Store &open) {
        open.close();
        return EP_OK;
    });
}

} // namespace ep
