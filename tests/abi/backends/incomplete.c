/* Leaves a function out. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->serve = NULL;
    return EP_OK;
}
