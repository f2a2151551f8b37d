// The table of host.h, filled in.
#pragma once

#include <erlang_python/host.h>

namespace ep {

const ep_host &host_table() noexcept;

} // namespace ep
