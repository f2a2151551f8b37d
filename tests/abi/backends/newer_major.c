/* Built with headers of the next major version. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    return forged_refuse(table, EP_ABI_MAJOR + 1, 0);
}
