/* A backend, by what it exports. */
#include <erlang_python/backend.h>

EP_EXPORT ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error);

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)table;
    (void)error;
    return EP_OK;
}
