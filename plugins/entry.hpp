// What the plugins here have in common: how they are loaded, and the boundary of their functions.
#pragma once

#include <cstddef>
#include <cstdio>
#include <erlang_python/plugin.h>

namespace ep {

// Each plugin is a binary with one of its own. Written by `open` alone.
inline const ep_host *the_host = nullptr;

// The core's table. Constant from the loading of the plugin on.
inline const ep_host &host() noexcept {
    return *the_host;
}

// ep_plugin.open of a plugin that has nothing to do but to make its atoms.
template <void (*make_atoms)(ErlNifEnv *)>
ep_status open_plugin(ErlNifEnv *env, const ep_host *host, ep_error *) noexcept {
    the_host = host;
    make_atoms(env);
    return EP_OK;
}

// What EP_PLUGIN_ENTRY does: fills in the table, for a core that is not older than these headers.
template <size_t count>
ep_status enter_plugin(const ep_host *host, ep_plugin *table, ep_error *error, const ep_function (&functions)[count],
                       decltype(ep_plugin::open) open) noexcept {
    const ep_header asked = table->header;
    table->header = {EP_ABI_MAJOR, EP_ABI_MINOR, asked.size < sizeof *table ? asked.size : uint32_t{sizeof *table}};
    if (!ep_header_fits(&host->header, EP_ABI_MAJOR, EP_ABI_MINOR, sizeof *host) || asked.size < sizeof *table) {
        std::snprintf(error->text, sizeof error->text, "it was built for ABI %d.%d", EP_ABI_MAJOR, EP_ABI_MINOR);
        return EP_TOO_NEW;
    }
    table->function_count = count;
    table->functions = functions;
    table->open = open;
    return EP_OK;
}

// The boundary of a function: no exception leaves it. `reason` is called while one is handled, throws it again, and
// says what the call has failed with.
template <ep_status (*body)(ep_call &), ERL_NIF_TERM (*reason)(const ep_call &)>
ep_status guarded(ep_call *call) noexcept {
    try {
        return body(*call);
    } catch (...) {
        call->result = reason(*call);
        return EP_FAILED;
    }
}

} // namespace ep
