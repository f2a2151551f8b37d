/* Built with headers that have more functions than the core. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    return forged_refuse(table, EP_ABI_MAJOR, EP_ABI_MINOR + 1);
}
