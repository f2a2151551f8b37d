// The plugin `reactor`: file descriptors that the VM watches for a process, read and written without waiting.
#pragma once

#include <erlang_python/plugin.h>

namespace ep::reactor {

// The core's table. Constant from the loading of the plugin on.
const ep_host &host() noexcept;

struct Atoms {
    ERL_NIF_TERM read, write, true_, false_, undefined, py_reactor_ready;
};
const Atoms &atoms() noexcept;

} // namespace ep::reactor
