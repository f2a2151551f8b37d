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

ERL_NIF_TERM ContextTable::list(ErlNifEnv *env) {
    std::lock_guard lock{mutex_};
    ERL_NIF_TERM all = enif_make_list(env, 0);
    for (const auto &[pid, context] : contexts_) {
        const ErlNifPid owner{pid};
        ERL_NIF_TERM pair = enif_make_tuple2(env, enif_make_pid(env, &owner), enif_make_resource(env, context));
        all = enif_make_list_cell(env, pair, all);
    }
    return all;
}

} // namespace ep
