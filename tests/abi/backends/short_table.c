/* Fills in less than it was asked for, and says so. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->interrupt = NULL;
    table->header.size = offsetof(ep_backend, interrupt);
    return EP_OK;
}
