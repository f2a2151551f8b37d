#include "store.hpp"

#include "../plain/detached_thread.hpp"
#include "core.hpp"

#include <erlang_python/convert/flat.hpp>

#include <new>
#include <utility>

namespace ep {

namespace {

// The VM decodes a map of more pairs by sorting them, for which it needs a thread of its own: on others it crashes.
constexpr size_t largest_flat_map = 32;

// Whether there is what MAP_EXT of so many pairs looks like ("External Term Format" in the ERTS user's guide), in funs
// too. Bytes of a binary inside the key may look like that; they hardly ever do.
bool may_have_large_map(const ErlNifBinary &external) {
    constexpr unsigned char map_ext = 116;
    for (size_t i = 1; i + 5 <= external.size; ++i) {
        const unsigned char *at = external.data + i;
        if (at[0] == map_ext) {
            const size_t pairs = size_t{at[1]} << 24 | size_t{at[2]} << 16 | size_t{at[3]} << 8 | at[4];
            if (pairs > largest_flat_map && pairs <= (external.size - i) / 2) {
                return true;
            }
        }
    }
    return false;
}

// A key as bytes: a binary is a mark and its own, any other term a mark and its external form.
class Key {
public:
    Key(ErlNifEnv *env, ERL_NIF_TERM term) {
        ErlNifBinary binary;
        if (enif_inspect_binary(env, term, &binary)) {
            assign(binary_mark, binary);
        } else if (enif_term_to_binary(env, term, &binary)) {
            struct Release {
                ErlNifBinary &binary;
                ~Release() { enif_release_binary(&binary); }
            } release{binary};
            assign(term_mark, binary); // which bounds the size
            if (may_have_large_map(binary)) {
                throw KeyTooLarge{};
            }
        } else {
            throw KeyTooLarge{}; // for the external form itself
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
        if (binary.size > largest_key) {
            throw KeyTooLarge{};
        }
        bytes_.reserve(binary.size + 1);
        bytes_.push_back(mark);
        bytes_.append(reinterpret_cast<const char *>(binary.data), binary.size);
    }

    std::string bytes_;
};

// Small integers can be counted with, but for those that Python wants back as something else.
Store::Entries::Entry make_entry(ErlNifEnv *env, ERL_NIF_TERM value, std::string pickled) {
    ErlNifSInt64 integer = 0;
    if (pickled.empty() && enif_get_int64(env, value, &integer)) {
        return int64_t{integer};
    }
    return std::make_shared<const Kept>(env, value, std::move(pickled));
}

Store *the_store(ep_store *store) noexcept {
    return store != nullptr ? static_cast<Store *>(store) : &core().state;
}

// Of py_state, Erlang says how many there may be.
Store::Entries::Most new_keys(const ep_store *store) noexcept {
    return store != nullptr ? Store::Entries::Most{SIZE_MAX} : std::nullopt;
}

template <class Body> ep_status in_open(ep_store *store, Body body) {
    Store *open = the_store(store);
    try {
        return open->closed() ? EP_CLOSED : body(*open);
    } catch (const KeyTooLarge &) {
        return EP_TOO_LARGE;
    }
}

std::string bytes_of(ErlNifEnv *env, ERL_NIF_TERM binary) {
    ErlNifBinary data;
    if (binary == 0 || !enif_inspect_binary(env, binary, &data)) {
        return {};
    }
    return {reinterpret_cast<const char *>(data.data), data.size};
}

// How many entries are freed at once; one takes about a microsecond.
constexpr size_t freed_here = 500;

void *free_entries(void *entries) {
    delete static_cast<Store::Entries *>(entries);
    return nullptr;
}

} // namespace

Kept::Kept(ErlNifEnv *env, ERL_NIF_TERM term, std::string pickled) : pickled_(std::move(pickled)) {
    ErlNifBinary binary;
    ErlNifPid pid;
    if (enif_is_atom(env, term)) {
        term_ = term;
    } else if (enif_get_local_pid(env, term, &pid)) {
        term_ = pid.pid;
    } else if (enif_inspect_binary(env, term, &binary) && binary.size <= max_inline_binary) {
        bytes_.assign(reinterpret_cast<const char *>(binary.data), binary.size);
    } else {
        env_ = enif_alloc_env();
        term_ = enif_make_copy(env_, term);
    }
}

Kept::~Kept() {
    if (env_ != nullptr) {
        enif_free_env(env_);
    }
}

ERL_NIF_TERM Kept::copy(ErlNifEnv *env) const {
    if (env_ != nullptr) {
        return enif_make_copy(env, term_);
    }
    return term_ != 0 ? term_ : make_binary(env, bytes_);
}

Store::~Store() {
    // The VM calls this on a scheduler.
    if (entries_->size() > freed_here && start_detached(free_entries, entries_.get()) == 0) {
        entries_.release();
    }
}

bool Store::get(ErlNifEnv *env, ERL_NIF_TERM key, bool wants_pickle, ERL_NIF_TERM &value, bool &pickled) const {
    const auto found = entries_->find(Key{env, key});
    pickled = false;
    if (!found) {
        return false;
    }
    if (const int64_t *counter = std::get_if<int64_t>(&*found)) {
        value = enif_make_int64(env, *counter);
        return true;
    }
    const Kept &kept = *std::get<Entries::Shared>(*found);
    pickled = wants_pickle && !kept.pickled().empty();
    value = pickled ? make_binary(env, kept.pickled()) : kept.copy(env);
    return true;
}

Store::Entries::Stored Store::put(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, std::string pickled,
                                  Entries::Most most) {
    return entries_->store(Key{env, key}, make_entry(env, value, std::move(pickled)), most);
}

Store::Entries::Added Store::add(ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, Entries::Most most, int64_t &sum) {
    return entries_->add(Key{env, key}, amount, most, sum);
}

bool Store::remove(ErlNifEnv *env, ERL_NIF_TERM key) {
    return entries_->remove(Key{env, key});
}

ERL_NIF_TERM Store::keys(ErlNifEnv *env) const {
    ERL_NIF_TERM list = enif_make_list(env, 0);
    for (const std::string &key : entries_->keys()) {
        list = enif_make_list_cell(env, Key::term(env, key), list);
    }
    return list;
}

static_assert(alignof(Store) <= alignof(void *), "memory of resources has no greater alignment");

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
        switch (open.put(env, key, value, bytes_of(env, pickled), new_keys(store))) {
        case Store::Entries::Stored::ok: return EP_OK;
        case Store::Entries::Stored::closed: return EP_CLOSED;
        default: return EP_FAILED;
        }
    });
}

ep_status store_add(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, int64_t *sum) noexcept {
    return in_open(store, [&](Store &open) {
        using Added = Store::Entries::Added;
        switch (open.add(env, key, amount, new_keys(store), *sum)) {
        case Added::ok: return EP_OK;
        case Added::closed: return EP_CLOSED;
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

ep_status store_size(ep_store *store, uint64_t *size) noexcept {
    return in_open(store, [&](Store &open) {
        *size = open.size();
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
