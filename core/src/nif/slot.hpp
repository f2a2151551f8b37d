// A slot of the semaphore that a process took by hand.
#pragma once

#include "../plain/semaphore.hpp"

#include <atomic>
#include <cstdint>
#include <erl_nif.h>

namespace ep {

// The memory is a NIF resource. While it waits in line the semaphore holds a reference to it; once it is granted only
// its holder does, so that the holder's death gives the slot back.
struct Slot : Semaphore::Waiter {
    enum class State : uint8_t { waiting, held, released };
    std::atomic<State> state{State::waiting};
    ErlNifPid holder{};
};

// {ok, Slot} or {wait, Slot}
ERL_NIF_TERM acquire_slot(ErlNifEnv *env, const ErlNifPid &holder);
// cancelled or granted
ERL_NIF_TERM cancel_slot(Slot *slot);
void release_held_slot(ErlNifEnv *env, Slot *slot);
void destroy_slot(ErlNifEnv *env, void *resource);

} // namespace ep
