#include "slot.hpp"

#include "core.hpp"

#include <new>

namespace ep {

namespace {

// Sends {Slot, granted}. A holder that is gone does not take it.
bool granted(Semaphore::Waiter *waiter, void *environment) {
    auto *slot = static_cast<Slot *>(waiter);
    slot->state.store(Slot::State::held);
    ErlNifEnv *env = enif_alloc_env();
    ERL_NIF_TERM message = enif_make_tuple2(env, enif_make_resource(env, slot), core().atoms.granted);
    bool sent = enif_send(static_cast<ErlNifEnv *>(environment), &slot->holder, env, message) != 0;
    if (!sent) {
        slot->state.store(Slot::State::released);
    }
    enif_free_env(env);
    enif_release_resource(slot);
    return sent;
}

} // namespace

ERL_NIF_TERM acquire_slot(ErlNifEnv *env, const ErlNifPid &holder) {
    void *memory = enif_alloc_resource(core().types.slot, sizeof(Slot));
    auto *slot = new (memory) Slot;
    slot->granted = granted;
    slot->holder = holder;
    Counters::add(core().counters.slots, 1);
    ERL_NIF_TERM term = enif_make_resource(env, slot); // the line inherits the first reference
    if (core().semaphore.acquire(*slot)) {
        slot->state.store(Slot::State::held);
        enif_release_resource(slot);
        return enif_make_tuple2(env, core().atoms.ok, term);
    }
    return enif_make_tuple2(env, core().atoms.wait, term);
}

ERL_NIF_TERM cancel_slot(Slot *slot) {
    if (!core().semaphore.withdraw(*slot)) {
        return core().atoms.granted;
    }
    slot->state.store(Slot::State::released);
    enif_release_resource(slot);
    return core().atoms.cancelled;
}

void release_held_slot(ErlNifEnv *env, Slot *slot) {
    auto held = Slot::State::held;
    if (slot->state.compare_exchange_strong(held, Slot::State::released)) {
        core().semaphore.release(env);
    }
}

void destroy_slot(ErlNifEnv *env, void *resource) {
    auto *slot = static_cast<Slot *>(resource);
    release_held_slot(env, slot);
    slot->~Slot();
    Counters::add(core().counters.slots, -1);
}

} // namespace ep
