/* Nothing is wrong with it: what the other ones are compared with. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    return forged_fill(table);
}
