// The functions of the plugin, and what they have in common.
#pragma once

#include "plugin.hpp"

#include <new>

namespace ep::channel {

inline ERL_NIF_TERM reason_of_exception(const ep_call &call) {
    try {
        throw;
    } catch (const std::bad_alloc &) {
        return enif_make_atom(call.env, "out_of_memory");
    }
}

template <ep_status (*body)(ep_call &)> constexpr ep_function_body guarded = ep::guarded<body, reason_of_exception>;

// functions.cpp
ep_status channel_new(ep_call &call);
ep_status channel_check(ep_call &call);
ep_status channel_send(ep_call &call);
ep_status channel_send_bytes(ep_call &call);
ep_status channel_receive(ep_call &call);
ep_status channel_receive_bytes(ep_call &call);
ep_status channel_close(ep_call &call);
ep_status channel_info(ep_call &call);
ep_status channel_subscribe(ep_call &call);
ep_status channel_unsubscribe(ep_call &call);
ep_status channel_credit(ep_call &call);

// buffer_functions.cpp
ep_status buffer_new(ep_call &call);
ep_status buffer_of_bytes(ep_call &call);
ep_status buffer_check(ep_call &call);
ep_status buffer_write(ep_call &call);
ep_status buffer_end(ep_call &call);
ep_status buffer_shut(ep_call &call);
ep_status buffer_read(ep_call &call);
ep_status buffer_read_now(ep_call &call);
ep_status buffer_read_line(ep_call &call);
ep_status buffer_seek(ep_call &call);
ep_status buffer_find(ep_call &call);
ep_status buffer_view(ep_call &call);
ep_status buffer_state(ep_call &call);

} // namespace ep::channel
