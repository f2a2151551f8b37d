// Terms by key, read and written by processes and by Python's threads without a process in between: py_state, and
// SharedDicts.
#pragma once

#include "../plain/dictionary.hpp"

#include <erlang_python/abi.h>
#include <erlang_python/host.h>

#include <atomic>
#include <erl_nif.h>
#include <string>

// The ABI's opaque type is the class itself.
struct ep_store {};

namespace ep {

// A term nobody changes, in an environment of its own, and what pickle made of the Python object it stands for, when
// that says more than the term.
class Kept {
public:
    Kept(ERL_NIF_TERM term, ERL_NIF_TERM pickled); // pickled: a binary, or 0
    ~Kept() { enif_free_env(env_); }
    Kept(const Kept &) = delete;
    Kept &operator=(const Kept &) = delete;

    ERL_NIF_TERM term() const noexcept { return term_; }
    ERL_NIF_TERM pickled() const noexcept { return pickled_; }

private:
    ErlNifEnv *env_;
    ERL_NIF_TERM term_;
    ERL_NIF_TERM pickled_;
};

// A SharedDict is one whose memory is a NIF resource. Every function: any thread.
class Store : public ep_store {
public:
    using Entries = Dictionary<Kept>;

    // A copy of the value, or of its pickle where there is one and that is wanted.
    bool get(ErlNifEnv *env, ERL_NIF_TERM key, bool wants_pickle, ERL_NIF_TERM &value, bool &pickled) const;
    Entries::Stored put(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, ERL_NIF_TERM pickled, size_t most);
    Entries::Stored replace(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, ERL_NIF_TERM pickled);
    Entries::Added add(ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, size_t most, int64_t &sum);
    bool remove(ErlNifEnv *env, ERL_NIF_TERM key);
    ERL_NIF_TERM keys(ErlNifEnv *env) const;
    void clear() { entries_.clear(); }
    // Nothing can be asked of it any more.
    void close();
    bool closed() const noexcept { return closed_.load(); }

private:
    Entries entries_;
    std::atomic<bool> closed_{false};
};

ERL_NIF_TERM make_store(ErlNifEnv *env);
void destroy_store(ErlNifEnv *env, void *resource);

// ep_host's functions; nullptr is py_state's.
ep_status store_of(ErlNifEnv *env, ERL_NIF_TERM term, ep_store **store) noexcept;
void store_release(ep_store *store) noexcept;
ep_status store_get(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM *value, int32_t *pickled) noexcept;
ep_status store_put(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value,
                    ERL_NIF_TERM pickled) noexcept;
ep_status store_add(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, int64_t *sum) noexcept;
ep_status store_remove(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM key) noexcept;
ep_status store_keys(ep_store *store, ErlNifEnv *env, ERL_NIF_TERM *keys) noexcept;
ep_status store_close(ep_store *store) noexcept;

} // namespace ep
