// What the operating system refuses, as Erlang and Python name it.
#pragma once

#include "plugin.hpp"

namespace ep::reactor {

// Thrown where a call of the system has failed. 0 is no error.
struct PosixError {
    int number;
};

// Why a call failed: for Erlang an atom (einval for what calls of ours do not meet), for Python the errno.
ERL_NIF_TERM posix_reason(const ep_call &call, int number);

} // namespace ep::reactor
