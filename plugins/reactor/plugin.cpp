// How the plugin is loaded, and what it has.
#include "plugin.hpp"

#include "functions.hpp"

#include <cstdio>

namespace ep::reactor {

namespace {

const ep_host *the_host = nullptr;
Atoms the_atoms;

const ep_function functions[] = {
    {"check", 0, 0, guarded<reactor_check>},
    {"open", 1, 0, guarded<reactor_open>},
    {"open", 2, 0, guarded<reactor_open_for>},
    {"select", 2, 0, guarded<reactor_select>},
    {"read", 1, 0, guarded<reactor_read>},
    {"read_bytes", 2, EP_FUNCTION_BYTES, guarded<reactor_read_bytes>},
    {"write", 2, 0, guarded<reactor_write>},
    // For what takes longer to copy than to let other threads of Python run.
    {"write_large", 2, EP_FUNCTION_DIRTY_IO, guarded<reactor_write>},
    {"close", 1, 0, guarded<reactor_close>},
    {"is_open", 1, 0, guarded<reactor_is_open>},
};

ep_status open(ErlNifEnv *env, const ep_host *host, ep_error *) {
    the_host = host;
    auto atom = [env](const char *name) { return enif_make_atom(env, name); };
    the_atoms = {atom("read"), atom("write"), atom("true"), atom("false"), atom("undefined"), atom("py_reactor_ready")};
    return EP_OK;
}

} // namespace

const ep_host &host() noexcept {
    return *the_host;
}

const Atoms &atoms() noexcept {
    return the_atoms;
}

} // namespace ep::reactor

extern "C" EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    const ep_header asked = table->header;
    table->header = {EP_ABI_MAJOR, EP_ABI_MINOR, asked.size < sizeof *table ? asked.size : uint32_t{sizeof *table}};
    if (!ep_header_fits(&host->header, EP_ABI_MAJOR, EP_ABI_MINOR, sizeof *host) || asked.size < sizeof *table) {
        std::snprintf(error->text, sizeof error->text, "it was built for ABI %d.%d", EP_ABI_MAJOR, EP_ABI_MINOR);
        return EP_TOO_NEW;
    }
    table->function_count = sizeof ep::reactor::functions / sizeof *ep::reactor::functions;
    table->functions = ep::reactor::functions;
    table->open = ep::reactor::open;
    return EP_OK;
}
