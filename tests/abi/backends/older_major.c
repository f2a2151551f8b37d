/* Built with headers of the major version before. (While there is none before, the number wraps around.) */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    return forged_refuse(table, EP_ABI_MAJOR - 1, 7);
}
