// What the operating system refuses, as Erlang names it.
#pragma once

#include <erl_nif.h>

namespace ep {

// Thrown where a call of the system has failed. 0 is no error.
struct PosixError {
    int number;
};

// The atom for an errno: ebadf, eperm and so on; einval for one that calls of ours do not meet.
ERL_NIF_TERM posix_atom(ErlNifEnv *env, int number);

} // namespace ep
