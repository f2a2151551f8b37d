/* Fills in its own, newer table, whatever it was asked for, and says that all is well. */
#include "forged.h"

ep_status EP_BACKEND_ENTRY(const ep_host *host, ep_backend *table, ep_error *error) {
    (void)host;
    (void)error;
    forged_fill(table);
    table->header.minor = EP_ABI_MINOR + 1;
    return EP_OK;
}
