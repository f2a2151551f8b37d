// The mode `worker`: every context runs in the main interpreter, on a thread of its own. One of them at a time runs
// Python, since they share its GIL.
#include "../engine/shared.hpp"

extern "C" EP_EXPORT ep_status erlang_python_backend_entry(const ep_host *host, ep_backend *table, ep_error *error) {
    return ep::fill_table(host, table, ep::shared_mode, error);
}
