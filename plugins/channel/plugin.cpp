// How the plugin is loaded, and what it has.
#include "plugin.hpp"

#include "functions.hpp"

namespace ep::channel {

namespace {

Atoms the_atoms;

const ep_function functions[] = {
    {"new", 2, 0, guarded<channel_new>},
    {"check", 2, 0, guarded<channel_check>},
    {"send", 2, 0, guarded<channel_send>},
    {"send_bytes", 2, 0, guarded<channel_send_bytes>},
    {"receive", 1, 0, guarded<channel_receive>},
    {"receive_bytes", 1, EP_FUNCTION_BYTES, guarded<channel_receive_bytes>},
    {"close", 1, 0, guarded<channel_close>},
    {"info", 1, 0, guarded<channel_info>},
    {"subscribe", 2, 0, guarded<channel_subscribe>},
    {"unsubscribe", 1, 0, guarded<channel_unsubscribe>},
    {"credit", 2, 0, guarded<channel_credit>},
    {"buffer_new", 1, 0, guarded<buffer_new>},
    {"buffer_of_bytes", 1, 0, guarded<buffer_of_bytes>},
    {"buffer_check", 1, 0, guarded<buffer_check>},
    {"buffer_write", 2, 0, guarded<buffer_write>},
    {"buffer_end", 1, 0, guarded<buffer_end>},
    {"buffer_shut", 1, 0, guarded<buffer_shut>},
    {"buffer_read", 2, EP_FUNCTION_BYTES, guarded<buffer_read>},
    {"buffer_read_now", 2, EP_FUNCTION_BYTES, guarded<buffer_read_now>},
    {"buffer_read_line", 2, EP_FUNCTION_BYTES, guarded<buffer_read_line>},
    {"buffer_seek", 3, 0, guarded<buffer_seek>},
    {"buffer_find", 4, 0, guarded<buffer_find>},
    {"buffer_view", 1, EP_FUNCTION_VIEW, guarded<buffer_view>},
    {"buffer_state", 1, 0, guarded<buffer_state>},
};

void make_atoms(ErlNifEnv *env) {
    auto atom = [env](const char *name) { return enif_make_atom(env, name); };
    the_atoms.size = atom("size");
    the_atoms.max_size = atom("max_size");
    the_atoms.closed = atom("closed");
    the_atoms.true_ = atom("true");
    the_atoms.false_ = atom("false");
    the_atoms.waiter_exists = atom("waiter_exists");
    the_atoms.not_subscribed = atom("not_subscribed");
    the_atoms.too_large = atom("too_large");
    the_atoms.py_channel_message = atom("py_channel_message");
    the_atoms.py_channel_closed = atom("py_channel_closed");
    the_atoms.undefined = atom("undefined");
    the_atoms.memoryview_exists = atom("memoryview_exists");
    the_atoms.out_of_range = atom("out_of_range");
    the_atoms.not_ended = atom("not_ended");
}

} // namespace

const Atoms &atoms() noexcept {
    return the_atoms;
}

} // namespace ep::channel

extern "C" EP_EXPORT ep_status EP_PLUGIN_ENTRY(const ep_host *host, ep_plugin *table, ep_error *error) {
    return ep::enter_plugin(host, table, error, ep::channel::functions, ep::open_plugin<ep::channel::make_atoms>);
}
