// The plugin `reactor`: file descriptors that end with a process, read and written without waiting.
#pragma once

#include "../entry.hpp"

namespace ep::reactor {

struct Atoms {
    ERL_NIF_TERM true_, false_;
};
const Atoms &atoms() noexcept;

} // namespace ep::reactor
