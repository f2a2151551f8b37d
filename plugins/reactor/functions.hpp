// The functions of the plugin, and what they have in common.
#pragma once

#include "plugin.hpp"
#include "posix.hpp"

#include <cerrno>
#include <new>

namespace ep::reactor {

inline ERL_NIF_TERM reason_of_exception(const ep_call &call) {
    try {
        throw;
    } catch (const PosixError &error) {
        return posix_reason(call, error.number);
    } catch (const std::bad_alloc &) {
        return posix_reason(call, ENOMEM);
    }
}

template <ep_status (*body)(ep_call &)> constexpr ep_function_body guarded = ep::guarded<body, reason_of_exception>;

// functions.cpp
ep_status reactor_check(ep_call &call);
ep_status reactor_open(ep_call &call);
ep_status reactor_open_for(ep_call &call);
ep_status reactor_read(ep_call &call);
ep_status reactor_read_bytes(ep_call &call);
ep_status reactor_write(ep_call &call);
ep_status reactor_close(ep_call &call);
ep_status reactor_is_open(ep_call &call);
ep_status reactor_reads(ep_call &call);

} // namespace ep::reactor
