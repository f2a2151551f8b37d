// Terms by key, read and written by processes and by Python's threads without a process in between: py_state, and
// SharedDicts.
#pragma once

#include "../plain/dictionary.hpp"

#include <erlang_python/abi.h>
#include <erlang_python/host.h>

#include <erl_nif.h>
#include <memory>
#include <string>

// The ABI's opaque type is the class itself.
struct ep_store {};

namespace ep {

// A key whose bytes are more than this is refused, or one with a map of more than 32 pairs in it.
inline constexpr size_t largest_key = 64 * 1024;
struct KeyTooLarge {};

// A term nobody changes: as bytes where it is a small binary, in an environment of its own, which takes some 2 KB, where
// it is no immediate; and what pickle made of the Python object it stands for, when that says more than the term.
class Kept {
public:
    Kept(ErlNifEnv *env, ERL_NIF_TERM term, std::string pickled);
    ~Kept();
    Kept(const Kept &) = delete;
    Kept &operator=(const Kept &) = delete;

    ERL_NIF_TERM copy(ErlNifEnv *env) const;
    const std::string &pickled() const noexcept { return pickled_; } // empty: none

private:
    ErlNifEnv *env_ = nullptr;
    ERL_NIF_TERM term_ = 0; // in env_, or an immediate; 0: bytes_
    std::string bytes_;
    std::string pickled_;
};

// A SharedDict is one whose memory is a NIF resource. Every function: any thread. Those with a key throw KeyTooLarge.
class Store : public ep_store {
public:
    using Entries = Dictionary<Kept>;

    // A copy of the value, or of its pickle where there is one and that is wanted.
    bool get(ErlNifEnv *env, ERL_NIF_TERM key, bool wants_pickle, ERL_NIF_TERM &value, bool &pickled) const;
    Entries::Stored put(ErlNifEnv *env, ERL_NIF_TERM key, ERL_NIF_TERM value, std::string pickled, Entries::Most most);
    Entries::Added add(ErlNifEnv *env, ERL_NIF_TERM key, int64_t amount, Entries::Most most, int64_t &sum);
    bool remove(ErlNifEnv *env, ERL_NIF_TERM key);
    ERL_NIF_TERM keys(ErlNifEnv *env) const;
    size_t size() const noexcept { return entries_->size(); }
    void clear() { entries_->clear(); }
    // Nothing can be asked of it any more.
    void close() { entries_->close(); }
    bool closed() const noexcept { return entries_->closed(); }
    // Frees what it holds, elsewhere when that takes long.
    ~Store();

private:
    std::unique_ptr<Entries> entries_ = std::make_unique<Entries>();
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
ep_status store_size(ep_store *store, uint64_t *size) noexcept;
ep_status store_close(ep_store *store) noexcept;

} // namespace ep
