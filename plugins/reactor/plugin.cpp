// How the plugin is loaded, and what it has.
#include "plugin.hpp"

#include "functions.hpp"

namespace ep::reactor {

namespace {

Atoms the_atoms;

const ep_function functions[] = {
    {"check", 0, 0, guarded<reactor_check>},
    {"open", 1, 0, guarded<reactor_open>},
    {"open", 2, 0, guarded<reactor_open_for>},
    {"read", 1, EP_FUNCTION_VIEW, guarded<reactor_read>},
    {"read_bytes", 2, EP_FUNCTION_BYTES, guarded<reactor_read_bytes>},
    {"write", 2, 0, guarded<reactor_write>},
    // For what takes longer to copy than to let other threads of Python run.
    {"write_large", 2, EP_FUNCTION_DIRTY_IO, guarded<reactor_write>},
    {"close", 1, 0, guarded<reactor_close>},
    {"is_open", 1, 0, guarded<reactor_is_open>},
    {"reads", 1, 0, guarded<reactor_reads>},
};

void make_atoms(ErlNifEnv *env) {
    the_atoms = {enif_make_atom(env, "true"), enif_make_atom(env, "false")};
}

} // namespace

const Atoms &atoms() noexcept {
    return the_atoms;
}

} // namespace ep::reactor

extern "C" EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    return ep::enter_plugin(host, table, error, ep::reactor::functions, ep::open_plugin<ep::reactor::make_atoms>);
}
