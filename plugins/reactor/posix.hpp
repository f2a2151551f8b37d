// What the operating system refuses, as Erlang and Python name it.
#pragma once

#include "plugin.hpp"

#include <poll.h>
#include <sys/socket.h>

namespace ep::reactor {

// What poll says of a socket that nothing more can be read from. 0: this system does not say it.
#ifdef POLLRDHUP
inline constexpr short poll_no_more = POLLRDHUP;
#else
inline constexpr short poll_no_more = 0;
#endif

// The flag of recv for what a socket has to tell of errors beside its data. 0: this system has no such queue.
#ifdef MSG_ERRQUEUE
inline constexpr int from_error_queue = MSG_ERRQUEUE;
#else
inline constexpr int from_error_queue = 0;
#endif

// Thrown where a call of the system has failed. 0 is no error.
struct PosixError {
    int number;
};

// Why a call failed: for Erlang an atom (einval for what calls of ours do not meet), for Python the errno.
ERL_NIF_TERM posix_reason(const ep_call &call, int number);

} // namespace ep::reactor
