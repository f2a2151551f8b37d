// A flat value on its way to the process that makes terms of it.
#pragma once

#include "request.hpp"

#include <erl_nif.h>

namespace ep {

// The memory is a NIF resource. Emptied when the terms were made, since the reference to it may linger as garbage.
struct KeptFlat : Parcel {
    ~KeptFlat();
};

ERL_NIF_TERM make_kept_flat(ErlNifEnv *env, const ep_flat &value);
void destroy_kept_flat(ErlNifEnv *env, void *resource);

} // namespace ep
