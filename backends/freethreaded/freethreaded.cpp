// The mode `freethreaded`: every context runs in the main interpreter of a Python without a GIL, on a thread of its own,
// and all of them at once.
#include "../engine/shared.hpp"

extern "C" EP_EXPORT ep_status erlang_python_backend_entry(const ep_host *host, ep_backend *table, ep_error *error) {
    return ep::fill_table(host, table, ep::shared_mode, error);
}
