#include "context_table.hpp"

#include "context.hpp"

namespace ep {

void ContextTable::add(const ErlNifPid &owner, Context *context) {
    enif_keep_resource(context);
    Context *previous = nullptr;
    {
        std::lock_guard lock{mutex_};
        Context *&entry = contexts_[owner.pid];
        previous = entry;
        entry = context;
    }
    if (previous != nullptr) {
        enif_release_resource(previous);
    }
}

void ContextTable::remove(const ErlNifPid &owner, Context *context) {
    {
        std::lock_guard lock{mutex_};
        auto entry = contexts_.find(owner.pid);
        if (entry == contexts_.end() || entry->second != context) {
            return;
        }
        contexts_.erase(entry);
    }
    enif_release_resource(context);
}

ERL_NIF_TERM ContextTable::find(ErlNifEnv *env, const ErlNifPid &owner) {
    std::lock_guard lock{mutex_};
    auto entry = contexts_.find(owner.pid);
    return entry == contexts_.end() ? 0 : enif_make_resource(env, entry->second);
}

} // namespace ep
