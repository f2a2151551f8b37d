// Contexts by the process that owns them.
#pragma once

#include <erl_nif.h>
#include <mutex>
#include <unordered_map>

namespace ep {

class Context;

// Any thread. An entry holds a reference to its context.
class ContextTable {
public:
    void add(const ErlNifPid &owner, Context *context);
    void remove(const ErlNifPid &owner, Context *context);
    // A reference term, or 0 when that process owns none.
    ERL_NIF_TERM find(ErlNifEnv *env, const ErlNifPid &owner);
    // A list of {Owner, Reference}, in no order.
    ERL_NIF_TERM list(ErlNifEnv *env);

private:
    std::mutex mutex_;
    std::unordered_map<ERL_NIF_TERM, Context *> contexts_; // guarded by mutex_
};

} // namespace ep
