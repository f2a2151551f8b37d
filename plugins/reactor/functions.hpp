// The functions of the plugin, and what they have in common.
#pragma once

#include "plugin.hpp"
#include "posix.hpp"

#include <cerrno>
#include <new>

namespace ep::reactor {

// The boundary of a function: no exception leaves it.
template <ep_status (*body)(ep_call &)> ep_status guarded(ep_call *call) noexcept {
    try {
        return body(*call);
    } catch (const PosixError &error) {
        call->result = posix_reason(*call, error.number);
    } catch (const std::bad_alloc &) {
        call->result = posix_reason(*call, ENOMEM);
    }
    return EP_FAILED;
}

// functions.cpp
ep_status reactor_check(ep_call &call);
ep_status reactor_open(ep_call &call);
ep_status reactor_open_for(ep_call &call);
ep_status reactor_select(ep_call &call);
ep_status reactor_read(ep_call &call);
ep_status reactor_read_bytes(ep_call &call);
ep_status reactor_write(ep_call &call);
ep_status reactor_close(ep_call &call);
ep_status reactor_is_open(ep_call &call);

} // namespace ep::reactor
