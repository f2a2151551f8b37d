// What NIFs may do on a normal scheduler before they start over on a dirty one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <erl_nif.h>

namespace ep {

// How many terms a call on a normal scheduler may visit; it takes some 20 ns each. Beyond, the NIF starts over on a
// dirty scheduler.
inline constexpr uint64_t scheduler_budget = 20'000;
inline constexpr uint64_t no_budget = UINT64_MAX;
// The same for flat values that become terms, in bytes: a map of such a size takes well under a millisecond.
inline constexpr size_t largest_built_on_scheduler = 100'000;

using Nif = ERL_NIF_TERM (*)(ErlNifEnv *, int, const ERL_NIF_TERM[]);

inline ERL_NIF_TERM on_dirty_scheduler(ErlNifEnv *env, const char *name, Nif nif, int argc, const ERL_NIF_TERM argv[]) {
    return enif_schedule_nif(env, name, ERL_NIF_DIRTY_JOB_CPU_BOUND, nif, argc, argv);
}

} // namespace ep
